"""Which images of a question a rater sees only when they want to."""

from fabricbo.records import Trial
from fabricbo.study import Study
from fabricbo.votes import Task


def veiled(study: Study, task: Task) -> tuple[bool, ...]:
    """Tell for each image of a question, in the order shown, whether it starts blurred.

    Where `rating.blur` names something that is measured, those do whose own score breaks its
    bounds, and those that have no score yet.
    """
    rating = study.settings.rating
    blur = False if rating is None else rating.blur
    if blur is None or isinstance(blur, bool):
        return (bool(blur),) * len(task.shown)
    trials = study.trials
    return tuple(
        option.trial is not None and _breaks(study, trials[option.trial], option.image, blur)
        for option in task.shown
    )


def _breaks(study: Study, trial: Trial, image: str, name: str) -> bool:
    for measure, score in trial.by_measure(study.measures):
        if measure.name == name:
            # One value for each image or, of an objective that scores batches, for each batch.
            place = trial.images.index(image) * len(score.values) // len(trial.images)
            return not measure.allows(score.values[place])
    return True
