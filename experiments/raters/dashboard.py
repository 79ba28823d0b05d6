"""The same people at optuna-dashboard's preferential optimization (Takeno et al., 2023).

As its pages do it: two candidates stand side by side, the worse one is replaced by what the
sampler suggests next. It has no ties; somebody who sees no difference takes either.
"""

import random
import warnings
from collections.abc import Iterator

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna_dashboard.preferential import PreferentialStudy, create_study
from optuna_dashboard.preferential.samplers.gp import PreferentialGPSampler

from experiments.raters.people import Person
from experiments.raters.runs import Point
from experiments.raters.world import World
from fabricbo.proposers.quiet import quiet
from fabricbo.records import Action

SEEDS = range(1000, 1004)
"""That every candidate is drawn with, as in a round of ours."""


def rate_in_dashboard(world: World, seed: int, person: Person, due: range) -> Iterator[Point]:
    """Have a person choose for as long as there is patience; yield what it has come to.

    Args:
        world: what is drawn and liked.
        seed: of all chance in it.
        person: who chooses.
        due: numbers of choices after which to yield; the last one is all there is patience for.
    """
    rng = random.Random(f"dashboard {seed}")
    candidates = _Candidates(world, seed)
    while person.judgements < due[-1]:
        pair = rng.sample(candidates.two(), 2)
        place = rng.randrange(len(SEEDS))
        answer = person.answer("pairwise", [candidates.liking(n, place) for n in pair])
        if answer == "tie":
            answer = rng.choice(("left", "right"))
        candidates.report(*(pair if answer == "left" else pair[::-1]))
        if person.judgements in due:
            best = candidates.actions[candidates.best]
            yield Point(person.judgements, world.regret(best), len(candidates.actions))


class _Candidates:
    """A preferential study, and what its trials mean here.

    Its sampler knows categories only where it can list all points, so that roles are thirds of a
    range here, as in our own unit cube.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        with quiet("optuna"), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study: PreferentialStudy = create_study(
                n_generate=2, sampler=PreferentialGPSampler(seed=seed)
            )
        names = [f"x{number}" for number in range(world.space.dimensions(world.pool))]
        self._cube: dict[str, BaseDistribution] = {n: FloatDistribution(0.0, 1.0) for n in names}
        hand = world.space.to_unit(world.space.hand_action(world.pool), world.pool)
        self._study.enqueue_trial(dict(zip(names, hand, strict=True)))
        self._likings: dict[int, list[float]] = {}
        self.actions: dict[int, Action] = {}
        """By the number of the trial."""

    def two(self) -> list[int]:
        """Return the two trials that stand, the sampler's next one among them."""
        while self._study.should_generate():
            trial = self._study.ask(self._cube)
            point = [trial.params[name] for name in self._cube]
            action = self._world.space.from_unit(point, self._world.pool)
            images = self._world.sampler(action, self._world.settings["prompt"], tuple(SEEDS))
            self._likings[trial.number] = [self._world.liking(image) for image in images]
            self.actions[trial.number] = action
        worse = {trial.number for _, trial in self._study.preferences}
        return [number for number in self.actions if number not in worse]

    def liking(self, number: int, place: int) -> float:
        """Return how much one of a trial's images is liked."""
        return self._likings[number][place]

    def report(self, better: int, worse: int) -> None:
        """Tell the study what was chosen."""
        trials = self._study.trials
        self._study.report_preference(trials[better], trials[worse])

    @property
    def best(self) -> int:
        """The trial that lost to none."""
        return self._study.best_trials[-1].number
