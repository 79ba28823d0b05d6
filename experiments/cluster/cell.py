"""One cell of the grid: a study with so many workers, measured once all of them are at work."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Literal

from experiments.cluster.gauge import Effort, EnoughError, Gauge, Tally, TimedProposer, watching
from experiments.cluster.parts import Likeness, Painter, make_pool, make_settings
from experiments.cluster.workers import Crew, SimulatedWorkers, SleepingWorkers
from experiments.time_suggestions import peak_bytes
from fabricbo.executors import Executor, Tools
from fabricbo.proposers import SobolProposer, make_proposer
from fabricbo.study import Parts, Study

_CLOCKS = {"simulated": SimulatedWorkers, "asleep": SleepingWorkers}


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured."""

    proposer: str
    database: Literal["sqlite", "postgres"]
    workers: int
    seconds: float
    """That a worker takes for a trial."""
    clock: Literal["simulated", "asleep"] = "simulated"
    scored: int = 100
    """Trials that are known beforehand."""

    @property
    def crew(self) -> Crew:
        """The workers."""
        return Crew(self.workers, self.seconds)


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured."""

    trials: int
    """That ended while it was measured."""
    span: float
    """Seconds that were measured, on the workers' clock."""
    trials_a_second: float
    idle: float
    """Share of the workers' time in which they had nothing to do."""
    suggestions_a_second: float
    suggestion_median: float | None
    """Seconds."""
    suggestion_p95: float | None
    proposing: float
    """Share of the driver's time; likewise the next ones."""
    storing: float
    """Reading and writing rows."""
    saving: float
    """Writing images."""
    waiting: float
    """For workers; what is missing to 1 is the driver's own."""
    store_seconds: float | None
    """Of the driver a trial."""
    statements: float | None
    """To the database a trial."""
    commits: float | None
    """A trial."""
    scored_at_end: int
    """Trials with a score."""
    peak_mb: float
    """Most memory that the driver's process has held, imports included."""

    @property
    def limit(self) -> str:
        """What there would have to be more of for more trials a second."""
        if self.idle < 0.1:
            return "workers"
        shares = {"surrogate": self.proposing, "store": self.storing, "images": self.saving}
        own = 1 - sum(shares.values()) - self.waiting
        return max({**shares, "driver": own}.items(), key=lambda one: one[1])[0]


def measure(cell: Cell, effort: Effort, url: str | None) -> Found:
    """Run a study and measure it; `url` is that of the PostgreSQL database, if it takes one."""

    def make(tools: Tools) -> Executor:
        gauge.workers = _CLOCKS[cell.clock](tools, cell.crew)
        return gauge.workers

    with tempfile.TemporaryDirectory(prefix="fabricbo-cluster-") as folder:
        place = _study_with_scores(Path(folder), cell, url)
        gauge = Gauge(cell.crew.slots, effort)
        proposer = TimedProposer(make_proposer(cell.proposer, Painter().embed), gauge)
        study = Study.open(place, Parts(proposer, Painter(), Likeness(), executor=make))
        with watching(gauge.tally):
            try:
                study.run(gauge.note_trial)
            except EnoughError:
                end = gauge.so_far()
        scored = sum(trial.score is not None for trial in study.trials)
        study.close()
    return _found(gauge, end, cell, scored)


def _study_with_scores(storage: Path, cell: Cell, url: str | None) -> Path:
    """Make a study of which so many trials have been scored."""
    settings = make_settings(storage, storage.name, cell.proposer, url)
    painter, score = Painter(), Likeness()
    study = Study.create(settings, Parts(SobolProposer(), painter, score), make_pool())
    for _ in range(cell.scored):
        trial = study.ask()
        images = painter(trial.action, "", trial.seeds)
        study.tell(trial, images, score(images, "", action=trial.action, seeds=trial.seeds))
    study.close()
    return study.folder


def _found(gauge: Gauge, end: Tally, cell: Cell, scored: int) -> Found:
    begun, sheet = gauge.begun or Tally(), gauge.workers.sheet  # type: ignore[union-attr]
    done, span = end.trials - begun.trials, end.when - begun.when
    busy = sheet.busy_within(begun.when, end.when)
    storing, times = end.storing - begun.storing, gauge.suggestions

    def a_trial(value: float) -> float | None:
        return value / done if done else None

    return Found(
        trials=done,
        span=span,
        trials_a_second=done / span,
        idle=1 - busy / (cell.workers * span),
        suggestions_a_second=len(times) / span,
        suggestion_median=median(times) if times else None,
        suggestion_p95=quantiles(times, n=20)[-1] if len(times) > 1 else None,
        proposing=(end.proposing - begun.proposing) / span,
        storing=storing / span,
        saving=(end.saving - begun.saving) / span,
        waiting=(end.waiting - begun.waiting) / span,
        store_seconds=a_trial(storing),
        statements=a_trial(end.statements - begun.statements),
        commits=a_trial(end.commits - begun.commits),
        scored_at_end=scored,
        peak_mb=peak_bytes() / 1e6,
    )
