"""Going through trials with an executor: as many at once as it takes, outcomes as they come."""

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fabricbo.executors import Crashed, Drawn, Executor, Failed, Report, Scored, Work
from fabricbo.records import Trial

if TYPE_CHECKING:
    from fabricbo.study.study import Study

MAX_CRASHES = 5
"""How often a worker may die of one trial before the trial is given up."""

_log = logging.getLogger(__name__)


class Runner:
    """Hands a study's trials to an executor, and tells the study what comes back."""

    def __init__(self, study: "Study", executor: Executor) -> None:
        self._study = study
        self._executor = executor
        self._running: dict[str, Trial] = {}
        self._crashes: dict[int, int] = {}

    def trials(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Trial]:
        """Yield trials as they are over, or wait for a person, until none is left.

        Args:
            stop: asked before another trial is begun; those that are running are waited for.
        """
        try:
            yield from self._trials(stop)
        except GeneratorExit:  # somebody wanted one; the others go on
            raise
        except BaseException:
            self.close()
            raise

    def _trials(self, stop: Callable[[], bool]) -> Iterator[Trial]:
        while True:
            while len(self._running) < self._executor.slots and not stop() and self._begin_next():
                pass
            if not self._running:
                return
            finished = self._hear(self._executor.take())
            if finished is not None:
                yield finished

    def one(self, work: Work) -> tuple[Drawn, Scored | Failed | Crashed]:
        """Have some other work done while no trial is running, and return what is heard of it."""
        drawn = Drawn(work.key, work.images, None)
        self._executor.submit(work)
        died = 0
        while True:
            report = self._executor.take()
            if isinstance(report, Drawn):
                drawn = report
            elif isinstance(report, Crashed) and (died := died + 1) < MAX_CRASHES:
                _log.warning("%s: %s", work.key, report.reason)
                self._executor.submit(work)
            else:
                return drawn, report

    def close(self) -> None:
        """Stop; trials that are running are drawn again when somebody goes on."""
        self._running.clear()
        self._executor.close()

    def _begin_next(self) -> bool:
        """Begin another trial, and tell whether there was one that can be begun."""
        trial = self._study.next_trial({trial.index for trial in self._running.values()})
        if trial is None:
            return False
        self._begin(trial)
        return True

    def _begin(self, trial: Trial) -> None:
        claimed = self._study.claim(trial)
        work = self._study.work(claimed)
        self._running[work.key] = claimed
        self._executor.submit(work)

    def _hear(self, report: Report) -> Trial | None:
        """Tell the study what has been heard; returns the trial where that was the end of it."""
        study, trial = self._study, self._running[report.key]
        if isinstance(report, Drawn):
            about, worker = report.environment, report.worker or None
            study.keep_images(trial, report.images, drawn_with=about, worker=worker)
            return None
        del self._running[report.key]
        if isinstance(report, Scored):
            study.finish(trial, report.values, report.seconds)
        elif isinstance(report, Failed):
            study.fail(trial, report.reason)
        else:
            return self._again(trial, report)
        return study.trials[trial.index]

    def _again(self, trial: Trial, report: Crashed) -> Trial | None:
        """Have another worker try, unless too many have died of it."""
        died = self._crashes.get(trial.index, 0) + 1
        self._crashes[trial.index] = died
        about = {"trial": trial.index, "attempt": trial.attempt}
        _log.warning("trial %d, attempt %d: %s", *about.values(), report.reason, extra=about)
        if died >= MAX_CRASHES:
            self._study.abandon(trial, f"{died} workers died of it, the last: {report.reason}")
            return self._study.trials[trial.index]
        self._begin(self._study.trials[trial.index])
        return None
