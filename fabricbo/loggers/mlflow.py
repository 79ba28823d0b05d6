"""MLflow: a run for each study, found again by its tag when the study is resumed."""

import os
from typing import Any

from fabricbo.events import About, HeldOut, StudyBegun, StudyEnded, StudyEvent, TrialOver
from fabricbo.loggers.numbers import directions, heldout_numbers, trial_numbers

_TAG = "fabricbo.id"
_LONGEST = 6000
"""Characters of a parameter's value that MLflow takes."""


class MlFlow:
    """Logs to a tracking server or database; the step is the trial's number.

    Works with `mlflow-skinny`, which has no pages of its own.
    """

    def __init__(
        self, uri: str | None = None, experiment: str = "fabricbo", *, images: bool = True
    ) -> None:
        """Take where to log.

        Args:
            uri: of the server; None: `MLFLOW_TRACKING_URI`, or `mlflow.db` in the study's folder.
            experiment: its name; it is made if there is none.
            images: whether images are logged.
        """
        self._uri, self._experiment, self._images = uri, experiment, images
        self._client: Any = None
        self._run = ""

    def log(self, event: StudyEvent, /) -> None:
        """Log an event."""
        about, at = event.about, int(event.time.timestamp() * 1000)
        if self._client is None:
            self._open(about)
        if isinstance(event, StudyBegun):
            self._client.update_run(self._run, status="RUNNING")
        elif isinstance(event, TrialOver):
            self._numbers(trial_numbers(event), event.trial.index, at)
            self._show("images", event.images, event.trial.index)
        elif isinstance(event, HeldOut):
            self._numbers(heldout_numbers(event), event.trial, at)
            self._show("heldout baseline", event.baseline_images, event.trial)
            self._show("heldout best", event.best_images, event.trial)
        elif isinstance(event, StudyEnded):
            ended = "FINISHED" if event.complete else "KILLED"
            self._client.set_terminated(self._run, status=ended)
            self._client = None

    def _open(self, about: About) -> None:
        from mlflow import MlflowClient

        given = self._uri or os.environ.get("MLFLOW_TRACKING_URI")
        client = MlflowClient(tracking_uri=given or f"sqlite:///{about.folder / 'mlflow.db'}")
        experiment = client.get_experiment_by_name(self._experiment)
        if experiment is None:
            # Beside our own database; a server knows where its artifacts belong.
            place = None if given else (about.folder / "mlflow").as_uri()
            number = client.create_experiment(self._experiment, artifact_location=place)
        else:
            number = experiment.experiment_id
        known = client.search_runs([number], f"tags.`{_TAG}` = '{about.id}'", max_results=1)
        self._client = client
        if known:
            self._run = known[0].info.run_id
            return
        run = client.create_run(number, run_name=about.name, tags={_TAG: about.id})
        self._run = run.info.run_id
        for name, value in about.settings.items():
            client.log_param(self._run, name, str(value)[:_LONGEST])
        for name, direction in directions(about).items():
            client.set_tag(self._run, f"direction.{name}", direction)

    def _numbers(self, numbers: dict[str, float], step: int, at: int) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(name, value, at, step) for name, value in numbers.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def _show(self, key: str, images: tuple[Any, ...], step: int) -> None:
        for number, image in enumerate(images if self._images else ()):
            self._client.log_image(self._run, image, artifact_file=f"{key}/{step:05}-{number}.png")
