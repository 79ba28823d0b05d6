"""Reading the parameters of a network from a file: safetensors, or a pickle on request."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fabricbo import ObjectiveError

PICKLES = frozenset({".pt", ".pth", ".bin", ".ckpt"})


def check_parameters(file: Path, *, allow_pickle: bool) -> None:
    """Check that a file may be read, without opening it.

    Raises:
        ObjectiveError: no such file, another format, or a pickle without permission.
    """
    if not file.is_file():
        raise ObjectiveError(f"there is no file {file}")
    check_format(file.name, allow_pickle=allow_pickle)


def check_format(name: str, *, allow_pickle: bool) -> None:
    """Check that a file of this name may be read, wherever it is.

    Raises:
        ObjectiveError: another format than safetensors, or a pickle without permission.
    """
    suffix = Path(name).suffix
    if suffix == ".safetensors" or (suffix in PICKLES and allow_pickle):
        return
    if suffix in PICKLES:
        raise ObjectiveError(
            f"{name} is a pickle, a format that can carry code; set allow_pickle = true to read "
            "it (tensors only, torch's weights_only), or convert it to .safetensors"
        )
    raise ObjectiveError(f"parameters must be a .safetensors file, got {name}")


def read_parameters(
    file: Path, *, allow_pickle: bool = False, digest: str | None = None
) -> dict[str, Tensor]:
    """Return the tensors of a file by name; of a checkpoint of a training, its `state_dict`.

    Args:
        file: `.safetensors`, or a pickle of torch where that is allowed.
        allow_pickle: whether pickles are read, as tensors only.
        digest: SHA-256 of the file, in hexadecimal, or how it begins, if that is known.

    Raises:
        ObjectiveError: it may not be read, is damaged, or is another file than expected.
    """
    check_parameters(file, allow_pickle=allow_pickle)
    if digest is not None and not sha256(file.read_bytes()).hexdigest().startswith(digest):
        raise ObjectiveError(f"{file} is not the file that was expected: its SHA-256 differs")
    try:
        found = _read(file)
    except Exception as error:  # damaged files raise anything
        raise ObjectiveError(f"{file} cannot be read: {error}") from error
    if not all(isinstance(value, Tensor) for value in found.values()):
        raise ObjectiveError(f"{file} holds other things than parameters")
    return found


def _read(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    found: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    inside: dict[str, Tensor] = found.get("state_dict", found)
    return inside


def fill(module: nn.Module, parameters: Mapping[str, Tensor]) -> None:
    """Set all parameters of a network, no more and no less.

    Raises:
        ObjectiveError: they do not fit; it names the first of those that do not.
    """
    own = module.state_dict()
    both = [name for name in own if name in parameters]
    problems = {
        "lack": [name for name in own if name not in parameters],
        "have an unknown": [name for name in parameters if name not in own],
        "have another shape of": [n for n in both if own[n].shape != parameters[n].shape],
    }
    said = [f"{problem} {_listed(names)}" for problem, names in problems.items() if names]
    if said:
        raise ObjectiveError(
            f"the parameters do not fit {type(module).__name__}: they {' and '.join(said)}"
        )
    module.load_state_dict(dict(parameters))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
