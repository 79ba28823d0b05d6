"""Going through trials with an executor: as many at once as it takes, outcomes as they come."""

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fabricbo.executors import Crashed, Drawn, Executor, Failed, Report, Scored, Work
from fabricbo.records import Trial
from fabricbo.study.trial_rows import about

if TYPE_CHECKING:
    from fabricbo.study.study import Study

MAX_CRASHES = 5
"""How often a worker may die of one trial before the trial is given up."""
MOST_IN_A_ROW = 16
"""How many trials are begun before what has been reported meanwhile is heard. Below so many slots
what is proposed depends on the order of reports alone, and not on the driver's speed."""

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
            left_off = self._free >= self._at_once and self._begin_several(stop)
            if not self._running:
                return
            yield from self._reported()
            while left_off and self._running and self._executor.has_report:
                yield from self._reported()

    def _reported(self) -> Iterator[Trial]:
        """Wait for a report, tell the study, and yield the trial where that was the end of it."""
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

    @property
    def _free(self) -> int:
        return self._executor.slots - len(self._running)

    @property
    def _at_once(self) -> int:
        """How many trials are begun one after the other: what they are proposed from is the same.

        As long as enough work waits in front of the workers, a proposal that comes later knows
        more, and several of them cost the surrogate one fit.
        """
        return 1 + self._executor.ahead // 4

    def _begin_several(self, stop: Callable[[], bool]) -> bool:
        """Begin as many trials as the executor takes, or as there are.

        Returns:
            Whether it left off because there are reports: the next proposals had better know of
            them, and they are not stored yet.
        """
        begun = 0
        while self._free > 0 and not stop():
            if begun >= MOST_IN_A_ROW and self._executor.has_report:
                return True
            trial = self._study.begin_next({trial.index for trial in self._running.values()})
            if trial is None:
                break
            self._hand_out(trial)
            begun += 1
        return False

    def _hand_out(self, trial: Trial) -> None:
        work = self._study.work(trial)
        self._running[work.key] = trial
        self._executor.submit(work)

    def _hear(self, report: Report) -> Trial | None:
        """Tell the study what has been heard; returns the trial where that was the end of it."""
        study, trial = self._study, self._running[report.key]
        if isinstance(report, Drawn):
            study.keep_images(
                trial,
                report.images,
                drawn_with=report.environment,
                worker=report.worker or None,
                counts=report.counts,
            )
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
        said = (trial.index, trial.attempt, report.reason)
        _log.warning("trial %d, attempt %d: %s", *said, extra=about(trial))
        if died >= MAX_CRASHES:
            self._study.abandon(trial, f"{died} workers died of it, the last: {report.reason}")
            return self._study.trials[trial.index]
        self._hand_out(self._study.claim(self._study.trials[trial.index]))
        return None
