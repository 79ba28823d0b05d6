"""Studies and trials as lines of text."""

from collections.abc import Sequence

from fabricbo.records import Action, Reference, Trial, strength_text
from fabricbo.report.carryover import carry_sentence
from fabricbo.report.known import read
from fabricbo.scores import Measure, Score
from fabricbo.study import Study
from fabricbo.study.heldout import Comparison
from fabricbo.study.measures import people_decide


def score_texts(trial: Trial, measures: Sequence[Measure]) -> list[str]:
    """Write a trial's scores, or where it stands; a mark follows what breaks a bound.

    With several scores their standard errors are left out: eighty columns have to do.
    """
    known = dict(trial.by_measure(measures))
    if len(measures) == 1 and known:
        return [_with_error(known[measures[0]])]
    first = [] if trial.scores else [str(trial.status)]
    return first + [_marked(measure, known.get(measure)) for measure in measures[len(first) :]]


def _marked(measure: Measure, score: Score | None) -> str:
    if score is None:
        return ""
    return f"{score.mean:.4f}" + ("" if measure.allows(score.mean) else " !")


def _with_error(score: Score) -> str:
    error = score.standard_error
    mean = round(score.mean, 4) + 0.0  # no minus sign before a zero
    return f"{mean:.4f}" + ("" if error is None else f" +- {error:.4f}")


def varying(trial: Trial, parameters: Sequence[str]) -> list[str]:
    """Write those parameters that vary."""
    return [f"{getattr(trial.action.params, name):.2g}" for name in parameters]


def references(action: Action, chosen: Sequence[Reference]) -> str:
    """Write the names of references of an action, with strengths other than 1."""
    names = (f"{r.name} {strength_text(action.strength(r))}".rstrip() for r in chosen)
    return ", ".join(names)


def trial_line(trial: Trial, study: Study) -> str:
    """Say how a trial went, and whether it is the best so far."""
    best, texts = study.best(), score_texts(trial, study.measures)
    if len(texts) > 1:
        measured = dict(trial.by_measure(study.measures))
        pairs = zip(study.measures, texts, strict=True)
        texts = [f"{m.name} {text}" if m in measured else text for m, text in pairs]
    scores = "  ".join(filter(None, texts))
    line = f"trial {trial.index:3d}  round {trial.round}  {trial.source:<8} {scores}"
    if trial.reason is not None:
        return f"{line}: {trial.reason}"
    return line + ("  best so far" if best is not None and best.index == trial.index else "")


def heldout_lines(study: Study) -> list[str]:
    """Say how the best compares with the hand settings on what the search never saw."""
    heldout, best, other = study.heldout, study.best(), study.heldout_prompts
    if not study.settings.heldout or people_decide(study.measures):
        return []
    if heldout is None or best is None:
        return ["no result on fresh seeds yet"]
    named = len(heldout.comparisons) > 1
    lines = [_compared(one, best, "fresh seeds", named) for one in heldout.comparisons]
    if other is not None:
        where = f"fresh seeds of {len(other.prompts)} other prompts"
        lines += [_compared(one, best, where, named) for one in other.comparisons]
    said = carry_sentence(study)
    return lines if said is None else [*lines, said]


def _compared(one: Comparison, best: Trial, where: str, named: bool) -> str:
    return (
        f"on {len(one.baseline.by_seed)} {where}: "
        + (f"{one.measure.name}: " if named else "")
        + f"hand settings {_with_error(one.baseline)}, best (trial {best.index}) "
        f"{_with_error(one.best)}, difference {_with_error(one.difference)} ({_aim(one)})"
    )


def missed_bounds(study: Study) -> list[str]:
    """Say which bounds even the best trial misses; nothing where it keeps them."""
    best = study.best()
    broken = [] if best is None else study.broken_bounds(best)
    if not broken:
        return []
    who = "no trial that people judged keeps" if read(study).any_keeps else "no trial keeps"
    return [f"{who} all bounds; the best misses {' and '.join(broken)}"]


def _aim(one: Comparison) -> str:
    measure = one.measure
    aim = measure.bounds_text if measure.is_constraint else _better(measure)
    return aim if one.searched else f"{_better(measure)}; the search never saw it"


def _better(measure: Measure) -> str:
    return f"{'higher' if measure.direction == 'maximize' else 'lower'} is better"
