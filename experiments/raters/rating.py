"""One person rates one study, to the end: a real study, its worker and real votes."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from experiments.raters.people import Person
from experiments.raters.ways import Way
from experiments.raters.world import World
from fabricbo.rating.assignment import next_task
from fabricbo.rating.worker import Worker
from fabricbo.study import Parts, Study, check_settings


@dataclass(frozen=True)
class Point:
    """What so many judgements have come to."""

    judgements: int
    regret: float
    """Share of the way from the hand settings to the ideal still to go."""
    trials: int
    """Drawn so far."""


def rate(world: World, way: Way, person: Person, budget: int, every: int) -> Iterator[Point]:
    """Have a person judge for as long as there is patience; yield what it has come to.

    Args:
        world: what is drawn and liked.
        way: how that is asked.
        person: who answers.
        budget: judgements.
        every: how many of them lie between two points.
    """
    with tempfile.TemporaryDirectory() as folder:
        study = _study(world, way, Path(folder), budget)
        try:
            yield from _points(study, world, way, person, range(every, budget + 1, every))
        finally:
            study.close()


def _study(world: World, way: Way, storage: Path, budget: int) -> Study:
    a_round = way.settings["trials"] * way.judgements
    settings = check_settings(
        {
            **world.settings,
            **way.settings,
            "name": "rated",
            "storage": storage,
            "rounds": -(-budget // a_round),
            "rating": {"repeats": 0.0, **way.settings.get("rating", {})},
        }
    )
    pool = world.pool if way.references else ()
    return Study.create(settings, Parts(way.proposer(world.embed), world.sampler, None), pool)


def _points(study: Study, world: World, way: Way, person: Person, due: range) -> Iterator[Point]:
    worker, ballots = Worker(study), study.ballots
    rater, wanted = ballots.add_rater("somebody"), iter(due)
    who, stop = ballots.by_token(rater), next(wanted)
    while who is not None:
        while worker.step():
            pass
        task = next_task(ballots, study.settings, who[0])
        if task is None:
            return
        likings = [world.liking(study.images.load(option.image)) for option in task.shown]
        answer = person.answer(task.question.kind, likings)
        ballots.vote(task, answer, f"answer number {person.judgements}")
        if person.judgements >= stop:
            trials = study.trials
            best = trials[way.outcome(study)]
            yield Point(person.judgements, world.regret(best.action), len(trials))
            if (stop := next(wanted, 0)) == 0:
                return
