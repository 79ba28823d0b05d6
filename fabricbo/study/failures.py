"""When failed trials stop the work on a study."""

from pathlib import Path

from fabricbo.records import Trial, TrialStatus
from fabricbo.study.errors import RepeatedFailureError

MAX_FAILURES = 3
"""Failed trials in a row that stop it."""


class FailuresInARow:
    """Counts them, for whoever draws trial after trial."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the study, for the message."""
        self._folder = folder
        self._count = 0

    def note(self, trial: Trial) -> None:
        """Take a finished trial into account.

        Raises:
            RepeatedFailureError: it is the third in a row that failed; everything is kept.
        """
        self._count = self._count + 1 if trial.status is TrialStatus.FAILED else 0
        if self._count >= MAX_FAILURES:
            raise RepeatedFailureError(
                f"{self._count} trials in a row failed, the last because: {trial.reason}. "
                f"Everything is kept in {self._folder}: mend the cause, then go on with "
                f"`fabricbo resume {self._folder}`"
            )
