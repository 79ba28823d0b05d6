"""Whether this installation works, as far as that can be seen without drawing anything."""

from collections.abc import Iterator
from pathlib import Path

from fabricbo.upkeep.checks import Check
from fabricbo.upkeep.machine import (
    check_browser,
    check_bundled,
    check_devices,
    check_loopback,
    check_room,
)
from fabricbo.upkeep.packages import check_extras, check_packages


def check_installation(storage: Path) -> Iterator[Check]:
    """Look at everything, one thing after the other; what others need comes first.

    Args:
        storage: folder that studies are kept in; it need not be there.
    """
    torch_loads = True
    for check in check_packages():
        yield check
        torch_loads = torch_loads and not (check.name == "torch" and check.level == "wrong")
    if torch_loads:
        yield from check_devices()
    yield check_bundled()
    yield from check_room(storage)
    yield from check_loopback()
    yield check_browser()
    yield from check_extras()
