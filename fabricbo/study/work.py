"""What is to be done for a trial of a study: what executors are handed."""

import logging
from typing import TYPE_CHECKING

from fabricbo.executors import Work
from fabricbo.executors.drawing import Plan
from fabricbo.records import Trial
from fabricbo.study.settings import StudySettings
from fabricbo.study.trial_rows import about

if TYPE_CHECKING:
    from PIL.Image import Image

    from fabricbo.study.study import Study

_log = logging.getLogger(__name__)


def work_for(study: "Study", trial: Trial, *, with_hand: bool) -> Work:
    """Return what is to be done: draw, unless the images are kept already, and score.

    Args:
        study: of the trial.
        trial: as it was claimed.
        with_hand: whether an objective asks for what the hand settings drew.
    """
    prompts = study.settings.prompts
    ask_hand = with_hand and trial.index > 0
    return Work(
        key=f"trial {trial.index}, attempt {trial.attempt}",
        action=trial.action,
        plan=plan_of(study.settings, trial),
        references=study.pool_of(trial),
        hand={prompt: hand_images(study, prompt) for prompt in prompts} if ask_hand else {},
        images=tuple(_kept(study, trial)),
    )


def plan_of(settings: StudySettings, trial: Trial) -> Plan:
    """Return which images a trial has, in their order."""
    return Plan(dict.fromkeys(settings.prompts, trial.seeds), settings.images)


def hand_images(study: "Study", prompt: str) -> list["Image"]:
    """Return what the hand settings drew for a prompt in the first round."""
    hand, prompts = study.trials[0].images, study.settings.prompts
    size = len(hand) // len(prompts)
    start = size * prompts.index(prompt)
    return [study.images.load(image) for image in hand[start : start + size]]


def _kept(study: "Study", trial: Trial) -> list["Image"]:
    """Return the images that an earlier attempt has drawn, if all of them are whole."""
    try:
        return [study.images.load(image) for image in trial.images]
    except (OSError, ValueError) as error:
        _log.warning("trial %d is drawn again: %s", trial.index, error, extra=about(trial))
        return []
