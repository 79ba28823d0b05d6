"""The study of `fabricbo demo`: one of the tasks of the bundled model."""

from pathlib import Path

from fabricbo.demo.tasks import DEFAULT_TASK, TASKS
from fabricbo.study import SettingsError, StudySettings, check_settings
from fabricbo.study.location import is_study

ROUNDS = 4
"""Of six trials each: enough to find something."""


def demo_settings(
    storage: Path, seed: int, task: str = DEFAULT_TASK, rounds: int = ROUNDS
) -> StudySettings:
    """Return the settings; the study gets a name that is free in the storage.

    Raises:
        SettingsError: there is no such task.
    """
    if task not in TASKS:
        raise SettingsError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    plan = {"name": _free_name(storage), "storage": storage, "seed": seed}
    size = {"rounds": rounds, "trials": 6, "images": 4}
    return check_settings({**plan, **size, **TASKS[task].settings()})


def _free_name(storage: Path) -> str:
    names = ["demo", *(f"demo-{number}" for number in range(2, 10_000))]
    return next(name for name in names if not is_study(storage / name))
