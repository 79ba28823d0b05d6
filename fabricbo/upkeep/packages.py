"""Whether the packages are there that this one needs, in versions that fit."""

import importlib
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement

from fabricbo.upkeep.checks import Check

OURS = "fabricbo"
FOR_DEVELOPERS = frozenset({"dev", "docs", "experiments"})
"""Extras that nobody misses who uses the package."""
_CORE = ("torch", "diffusers", "transformers", "ax-platform", "botorch")
"""Packages whose versions people are asked for."""


def check_packages() -> Iterator[Check]:
    """Check Python, what is required, and whether torch and torchvision fit each other."""
    yield Check("python", "good", f"{platform.python_version()} on {platform.platform()}")
    try:
        needed = [Requirement(text) for text in requires(OURS) or ()]
    except PackageNotFoundError:
        yield Check("packages", "wrong", f"{OURS} is not installed", f"pip install {OURS}")
        return
    always = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [said for one in always if (said := _lacking(one))]
    names = ", ".join(f"{name} {version(name)}" for name in _CORE if _version(name))
    if wrong:
        yield Check("packages", "wrong", "; ".join(wrong), f"pip install --upgrade {OURS}")
    else:
        yield Check("packages", "good", f"{OURS} {version(OURS)}, {names}")
    yield check_torchvision()


def check_torchvision() -> Check:
    """Check whether torch loads, and torchvision's compiled operators with it."""
    try:
        importlib.import_module("torch")
    except (ImportError, OSError) as error:
        return Check("torch", "wrong", f"cannot be loaded: {error}", "pip install --upgrade torch")
    from fabricbo.torchvision_compat import operators_load

    both = f"torch {_version('torch')}, torchvision {_version('torchvision')}"
    found = operators_load()
    if found is None:
        return Check("torchvision", "wrong", "is not installed", "pip install torchvision")
    if found:
        return Check("torchvision", "good", f"{both} fit")
    built_for = next((one for one in requires("torchvision") or () if one.startswith("torch")), "")
    return Check(
        "torchvision",
        "note",
        f"{both} do not fit: its compiled operators cannot be loaded, so stand-ins are used, "
        f"which is enough for all that {OURS} does",
        f"install both from one index; this torchvision wants {built_for or 'another torch'}",
    )


def check_extras() -> Iterator[Check]:
    """Say which extras are there, and how to get the others."""
    try:
        names, needed = metadata(OURS).get_all("Provides-Extra") or [], requires(OURS) or []
    except PackageNotFoundError:
        return
    for name in sorted({*names} - FOR_DEVELOPERS):
        several = [Requirement(text) for text in needed]
        wanted = [one for one in several if one.marker is not None and _only_for(one, name)]
        lacking = [said for one in wanted if (said := _lacking(one))]
        if lacking:
            install = f"pip install '{OURS}[{name}]'"
            yield Check(f"extra {name}", "note", "; ".join(lacking), install)
        else:
            yield Check(f"extra {name}", "good", "is there")


def _only_for(one: Requirement, extra: str) -> bool:
    marker = one.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return False
    return marker.evaluate({"extra": extra})


def _lacking(one: Requirement) -> str:
    """Say what is wrong with what is installed of a requirement; nothing where it is met."""
    found = _version(one.name)
    if found is None:
        return f"{one.name} is not installed"
    if one.specifier.contains(found, prereleases=True):
        return ""
    return f"{one.name} is {found}, not {one.specifier}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
