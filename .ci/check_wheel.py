"""Check what is in sdist and wheel: python check_wheel.py FOLDER"""

import ast
import re
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {"fabricbo", "objectives"}
NEEDED = {
    "fabricbo/py.typed",
    "fabricbo/demo/README.md",
    "fabricbo/demo/checkpoint/unet/diffusion_pytorch_model.safetensors",
    "fabricbo/report/template.html.j2",
    "fabricbo/rating/web/static/rate.js",
}
RELATIVE = re.compile(r"\[[^\]]*\]\((?!https?://)[^)]*\)")
"""A link that leads nowhere where package indices show the description."""
LARGEST = 100 * 2**20
"""Bytes that PyPI takes in one file, unless asked for more."""


def check(folder: Path) -> list[str]:
    """Return what is wrong with the one sdist and the one wheel in a folder."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"fabricbo-{version}.dist-info/METADATA").decode("utf-8")
    own = {*PACKAGES, f"fabricbo-{version}.dist-info"}
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    return [
        *(f"{wheel.name} holds {name}" for name in sorted(names) if name.split("/")[0] not in own),
        *(f"{wheel.name} lacks {name}" for name in sorted(NEEDED - names)),
        *(f"{sdist.name} lacks {name}" for name in ("LICENSE", "NOTICE") if name not in packed),
        *(
            f"{wheel.name} describes itself with the link {one}"
            for one in RELATIVE.findall(metadata)
        ),
        *(f"{f.name} is too large" for f in (wheel, sdist) if f.stat().st_size > LARGEST),
        *([] if _said_version() == version else ["fabricbo.__version__ is not pyproject's"]),
        *(f"{wheel.name} holds {n}" for n in sorted(names) if re.search(r"\.(ckpt|pt|bin)$", n)),
    ]


def _said_version() -> str:
    tree = ast.parse((ROOT / "fabricbo" / "__init__.py").read_text("utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.Assign)]
    named = {ast.unparse(node.targets[0]): node.value for node in found}
    return str(ast.literal_eval(named["__version__"]))


if __name__ == "__main__":
    wrong = check(Path(sys.argv[1]))
    print("\n".join(wrong) or "sdist and wheel hold what they should")
    sys.exit(bool(wrong))
