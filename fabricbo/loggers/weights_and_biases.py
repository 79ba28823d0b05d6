"""Weights & Biases: a run for each study, which goes on when the study is resumed."""

import os
from typing import Any

from fabricbo.events import HeldOut, StudyBegun, StudyEnded, StudyEvent, TrialOver
from fabricbo.loggers.numbers import caption, directions, heldout_numbers, trial_numbers


class WeightsAndBiases:
    """Logs to a project; without a login it stays offline, in the study's folder.

    `wandb sync` sends later what was logged offline. The axis is `trial`, not the library's own
    step, which must not go back: with several workers trials end in any order.
    """

    def __init__(
        self,
        project: str = "fabricbo",
        entity: str | None = None,
        mode: str | None = None,
        *,
        images: bool = True,
    ) -> None:
        """Take where to log.

        Args:
            project: its name.
            entity: user or team; None: whoever is logged in.
            mode: `online`, `offline` or `disabled`; None: `WANDB_MODE`, or online with a login.
            images: whether images are logged.
        """
        if mode not in (None, "online", "offline", "disabled"):
            raise ValueError(f"mode must be online, offline or disabled, got {mode!r}")
        self._project, self._entity, self._mode = project, entity, mode
        self._images = images
        self._run: Any = None

    def log(self, event: StudyEvent, /) -> None:
        """Log an event."""
        if self._run is None:
            self._run = self._open(event)
        if isinstance(event, StudyBegun):
            self._run.config.update(dict(event.about.settings), allow_val_change=True)
        elif isinstance(event, TrialOver):
            numbers: dict[str, Any] = {"trial": event.trial.index, **trial_numbers(event)}
            if self._images and event.images:
                numbers["images"] = [
                    _image(image, caption(event, place)) for place, image in enumerate(event.images)
                ]
            self._run.log(numbers)
        elif isinstance(event, HeldOut):
            numbers = dict(heldout_numbers(event))
            if self._images:
                for name in ("baseline", "best"):
                    several = getattr(event, f"{name}_images")
                    numbers[f"heldout/images/{name}"] = [_image(image, name) for image in several]
            self._run.log({"trial": event.trial, **numbers})
        elif isinstance(event, StudyEnded):
            self._run.finish(exit_code=0)
            self._run = None

    def _open(self, event: StudyEvent) -> Any:
        import wandb

        about = event.about
        logged_in = bool(os.environ.get("WANDB_API_KEY") or wandb.api.api_key)
        mode: Any = self._mode or os.environ.get("WANDB_MODE")
        run = wandb.init(
            project=self._project,
            entity=self._entity,
            id=about.id,
            name=about.name,
            dir=str(about.folder),
            # Nobody sits at this thread, so it must never ask for a login.
            mode=mode or ("online" if logged_in else "offline"),
            resume="allow",
            config=dict(about.settings),
            settings=wandb.Settings(console="off", silent=True),
        )
        run.define_metric("trial")
        run.define_metric("*", step_metric="trial")
        for name, direction in directions(about).items():
            summary = "max" if direction == "maximize" else "min"
            run.define_metric(f"score/{name}", step_metric="trial", summary=summary)
        return run


def _image(image: Any, text: str) -> Any:
    import wandb

    return wandb.Image(image, caption=text)
