"""Make torchvision importable beside a torch that cannot load its compiled operators.

Some registries serve a CPU build of torch beside a CUDA build of torchvision. Its
compiled library then fails to load and ``import torchvision`` stops at
``operator torchvision::nms does not exist``; with it stop open_clip, the image
processors of transformers and the Stable Diffusion pipelines of diffusers. None of
them calls the compiled operators for what we do, so declaring their schemas is enough.
Where the library loads, nothing is changed.
"""

import importlib.util
import logging
import sys
from pathlib import Path

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []  # a Library undoes its definitions when collected

_log = logging.getLogger(__name__)


def ensure_importable() -> None:
    """Declare torchvision's missing operators, only if its compiled library cannot load."""
    if _declared or "torchvision" in sys.modules:
        return
    if _declared or operators_load() is not False:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(name + _SCHEMA)  # type: ignore[no-untyped-call]
    _declared.append(library)
    _log.debug("torchvision's compiled operators do not match this torch; declared stand-ins")


def operators_load() -> bool | None:
    """Tell whether torchvision's compiled operators fit this torch; None: it is not installed."""
    if "torchvision" in sys.modules and not _declared:
        return True
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return None
    return _compiled_library_loads(Path(spec.origin).parent)


def _compiled_library_loads(package: Path) -> bool:
    for library in package.glob("_C*"):
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:
            return False
        return True
    return False
