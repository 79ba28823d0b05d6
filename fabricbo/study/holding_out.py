"""Drawing and scoring baseline and best on seeds, and prompts, that the search never saw."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fabricbo.executors import Scored, Work
from fabricbo.executors.drawing import Plan, in_batches, own_images
from fabricbo.records import Trial
from fabricbo.scoring import ObjectiveError
from fabricbo.study.heldout import HeldoutRow, reporters_of
from fabricbo.study.origin import origins
from fabricbo.study.rounds import heldout_seeds
from fabricbo.study.runner import Runner
from fabricbo.study.work import hand_images

if TYPE_CHECKING:
    from PIL.Image import Image

    from fabricbo.study.study import Study

Hand = Mapping[str, Sequence["Image"]]
Keep = Callable[[int, HeldoutRow], None]


def hold_out(
    study: "Study", runner: Runner, pair: tuple[Trial, Trial], keep: Keep, *, with_hand: bool
) -> None:
    """Do it for both, and have what is found kept.

    Args:
        study: of both.
        runner: who has it done.
        pair: baseline and best.
        keep: stores what was found of a trial.
        with_hand: whether an objective asks for what the hand settings drew.

    Raises:
        ObjectiveError: an objective fails on the images, or they cannot be drawn.
    """
    (baseline, best), settings = pair, study.settings
    prompts = settings.prompts if with_hand else ()
    known = {prompt: hand_images(study, prompt) for prompt in prompts}
    drawn = _hold_out(study, runner, baseline, known, keep)
    if best.index != baseline.index:
        plan = _plan(study)
        batches = in_batches(plan, drawn)
        # On new prompts, what the hand settings drew is held out, too.
        new = {prompt: own_images(batches, prompt) for prompt in settings.heldout_prompts}
        _hold_out(study, runner, best, {**new, **known}, keep)


def _plan(study: "Study") -> Plan:
    settings = study.settings
    drawn = [seed for one in study.rounds for seed in one.seeds]
    seeds = heldout_seeds(settings.seed, settings.rounds, settings.images, settings.heldout, drawn)
    prompts = dict.fromkeys((*settings.prompts, *settings.heldout_prompts), seeds)
    return Plan(prompts, settings.images)


def _hold_out(
    study: "Study", runner: Runner, trial: Trial, hand: Hand, keep: Keep
) -> Sequence["Image"]:
    plan = _plan(study)
    work = Work(
        key=f"held out of trial {trial.index}",
        action=trial.action,
        plan=plan,
        references=study.pool_of(trial),
        hand=hand,
        with_reporters=True,
    )
    drawn, scored = runner.one(work)
    if not isinstance(scored, Scored):
        raise ObjectiveError(scored.reason)
    told = origins(study.settings, trial, plan, drawn_with=drawn.environment, held_out=True)
    saved = study.images.save_all(drawn.images, told)
    keep(trial.index, _row(study, plan, saved, scored))
    return drawn.images


def _row(study: "Study", plan: Plan, images: tuple[str, ...], scored: Scored) -> HeldoutRow:
    return HeldoutRow(
        seeds=next(iter(plan.seeds.values())),
        values={name: tuple(values) for name, values in scored.values.items()},
        images=images,
        reporters=reporters_of(study.reporters),
    )
