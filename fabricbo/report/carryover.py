"""Whether a gain carries over to objectives and prompts that the search never saw.

Whoever searches by one score finds, among better images, what that score overrates. Objectives
that only report, and prompts that were never drawn, tell the two apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fabricbo.report.wording import number_text, score_text
from fabricbo.study import Study
from fabricbo.study.heldout import Comparison, Heldout

CLEAR = 2.0
"""Standard errors that a gain must be away from zero to be called one."""


@dataclass(frozen=True)
class CarryRow:
    """One objective on one set of prompts: hand settings and best side by side."""

    where: str
    """`fresh seeds`, or `other prompts` with fresh seeds."""
    name: str
    searched: bool
    """Whether the search went by it."""
    hand: str
    best: str
    gain: str
    """Best against hand settings, positive where better, with twice its standard error."""
    verdict: str
    """`better`, `worse`, `no clear gain`, or `measured once`."""


def carry_rows(study: Study) -> list[CarryRow]:
    """Return what the gain is by everything that was measured; nothing where nothing reports."""
    own, other = study.heldout, study.heldout_prompts
    if own is None or not (own.reported or other):
        return []
    return [*_rows("fresh seeds", own), *(_rows("other prompts", other) if other else ())]


def carry_sentence(study: Study) -> str | None:
    """Say plainly whether the gain carries over; None where there is none, or nothing reports."""
    own, other = study.heldout, study.heldout_prompts
    if own is None or verdict(own.first) != "better":
        return None
    checks = [(one.measure.name, one) for one in own.reported]
    for one in () if other is None else other.comparisons:
        if not one.measure.is_constraint:
            checks.append((f"{one.measure.name} on other prompts", one))
    if not checks:
        return None
    kept = [name for name, one in checks if verdict(one) == "better"]
    worse = [name for name, one in checks if verdict(one) == "worse"]
    unclear = [name for name, one in checks if name not in (*kept, *worse)]
    if len(kept) == len(checks):
        return f"The gain carries over to {_listed(kept)}, which the search never saw."
    said = [f"no clear gain by {_listed(unclear)}"] if unclear else []
    said += [f"worse by {_listed(worse)}"] if worse else []
    said += [f"better by {_listed(kept)}"] if kept else []
    few = "does not carry over" if not kept else "carries over in part only"
    return f"The gain {few}: {'; '.join(said)}."


def verdict(one: Comparison) -> str:
    """Call a gain one beyond two standard errors only."""
    error = one.gain.standard_error
    if error is None:
        return "measured once"
    if one.gain.mean > CLEAR * error:
        return "better"
    return "worse" if one.gain.mean < -CLEAR * error else "no clear gain"


def _rows(where: str, heldout: Heldout) -> list[CarryRow]:
    return [
        CarryRow(
            where=where,
            name=one.measure.name,
            searched=one.searched,
            hand=score_text(one.baseline),
            best=score_text(one.best),
            gain=_gain_text(one),
            verdict=verdict(one),
        )
        for one in heldout.comparisons
    ]


def _gain_text(one: Comparison) -> str:
    error = one.gain.standard_error
    return number_text(one.gain.mean) + (
        "" if error is None else f" ± {number_text(CLEAR * error)}"
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
