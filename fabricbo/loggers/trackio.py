"""trackio: a run for each study, in its local store or on a Space of the model hub."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fabricbo.events import HeldOut, StudyBegun, StudyEnded, StudyEvent, TrialOver
from fabricbo.loggers.numbers import caption, directions, heldout_numbers, trial_numbers

_log = logging.getLogger(__name__)


class Trackio:
    """Logs to a project; `trackio show` shows it. The step is the trial's number."""

    def __init__(
        self, project: str = "fabricbo", space: str | None = None, *, images: bool = True
    ) -> None:
        """Take where to log.

        Args:
            project: its name.
            space: of the model hub, which is made if there is none; None: this machine alone.
            images: whether images are logged.
        """
        self._project, self._space, self._images = project, space, images
        self._run: Any = None

    def log(self, event: StudyEvent, /) -> None:
        """Log an event."""
        with _quiet():
            self._log(event)

    def _log(self, event: StudyEvent) -> None:
        import trackio

        if self._run is None:
            self._run = trackio.init(
                project=self._project,
                name=f"{event.about.name}-{event.about.id[:8]}",
                space_id=self._space,
                config={**event.about.settings, "directions": directions(event.about)},
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        if isinstance(event, StudyBegun):
            return
        if isinstance(event, TrialOver):
            numbers: dict[str, Any] = dict(trial_numbers(event))
            for place, image in enumerate(event.images if self._images else ()):
                about = caption(event, place)
                numbers[f"images/{place}"] = trackio.Image(image, caption=about)
            self._run.log(numbers, step=event.trial.index)
        elif isinstance(event, HeldOut):
            numbers = dict(heldout_numbers(event))
            for name in ("baseline", "best"):
                several = getattr(event, f"{name}_images") if self._images else ()
                for place, image in enumerate(several):
                    numbers[f"heldout/{name}/{place}"] = trackio.Image(image, caption=name)
            self._run.log(numbers, step=event.trial)
        elif isinstance(event, StudyEnded):
            self._run.finish()
            self._run = None


@contextmanager
def _quiet() -> Iterator[None]:
    """Have what trackio prints logged: standard output is for our results.

    Its own name `print` is put in place, and taken away again; others' is not touched.
    """
    import trackio
    import trackio.run
    import trackio.utils

    modules = (trackio, trackio.run, trackio.utils)

    def say(*words: object, **_how: object) -> None:
        _log.debug("trackio: %s", " ".join(map(str, words)))

    for module in modules:
        vars(module)["print"] = say
    try:
        yield
    finally:
        for module in modules:
            vars(module).pop("print", None)
