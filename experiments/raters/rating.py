"""One person rates one study, to the end: a real study, its worker and real votes."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from experiments.raters.people import Person
from experiments.raters.ways import Way
from experiments.raters.world import World
from fabricbo.rating.assignment import next_task
from fabricbo.rating.worker import Worker
from fabricbo.study import Parts, Study, check_settings

Look = TypeVar("Look")


def rate(
    world: World, way: Way, person: Person, due: range, look: Callable[[Study], Look]
) -> Iterator[Look]:
    """Have a person judge for as long as there is patience; yield what is seen now and then.

    Args:
        world: what is drawn and liked.
        way: how that is asked.
        person: who answers.
        due: numbers of judgements after which to look; the last one is all there is patience for.
        look: at the study.
    """
    with tempfile.TemporaryDirectory() as folder:
        study = _study(world, way, Path(folder), due[-1])
        try:
            for judgements in _answered(study, world, person):
                if judgements >= due[0]:
                    yield look(study)
                    due = range(due[0] + due.step, due.stop, due.step)
                    if not due:
                        return
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
    parts = Parts(way.proposer(world.embed), world.sampler, world.objectives)
    return Study.create(settings, parts, pool)


def _answered(study: Study, world: World, person: Person) -> Iterator[int]:
    """Answer one question after the other; yields the judgements given so far."""
    worker, ballots = Worker(study), study.ballots
    ballots.add_rater("somebody")
    (rater,) = ballots.raters()
    while True:
        while worker.step():
            pass
        task = next_task(ballots, study.settings, rater.id)
        if task is None:
            return
        likings = [world.liking(study.images.load(option.image)) for option in task.shown]
        answer = person.answer(task.question.kind, likings)
        ballots.vote(task, answer, f"answer number {person.judgements}")
        yield person.judgements
