"""Several studies on one page: who gained how much, what each chose, and how that looks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from fabricbo.records import PARAMETER_NAMES
from fabricbo.report.carryover import CLEAR, verdict
from fabricbo.report.cost import drawing_seconds
from fabricbo.report.embed import BUDGET, EmbeddedImages
from fabricbo.report.files import write_whole
from fabricbo.report.known import Known, read
from fabricbo.report.pictures import Picture, liked_and_disliked
from fabricbo.report.plot import Charts
from fabricbo.report.templates import template
from fabricbo.report.together import figures, lines
from fabricbo.report.top import Side, aims, sides
from fabricbo.report.wording import duration, number_text, score_text, value_text
from fabricbo.study import Study

FEWEST = 2


@dataclass(frozen=True)
class Gain:
    """What a study gained over its own hand settings on seeds that it never saw."""

    study: str
    mean: float
    """Positive where the best is better."""
    error: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - CLEAR * self.error

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + CLEAR * self.error


@dataclass(frozen=True)
class Row:
    """A study in the table."""

    name: str
    aim: str
    proposer: str
    trials: str
    time: str
    hand: str
    best: str
    gain: str
    verdict: str


@dataclass(frozen=True)
class Chosen:
    """What a study came to."""

    name: str
    prompts: Sequence[str]
    sides: Sequence[Side]
    liked: Sequence[Picture]
    disliked: Sequence[Picture]


def write_comparison(studies: Sequence[Study], target: Path) -> Path:
    """Write the page; returns where. It appears under its name when it is whole.

    Raises:
        ValueError: fewer than two studies, or one of them twice.
    """
    folders = [study.folder.resolve() for study in studies]
    if len(studies) < FEWEST:
        raise ValueError(f"a comparison needs {FEWEST} studies or more, got {len(studies)}")
    if len(set(folders)) != len(folders):
        raise ValueError("a study cannot be compared with itself; name each once")
    return write_whole(target, render_comparison(studies))


def render_comparison(studies: Sequence[Study]) -> str:
    """Return the page as HTML."""
    known = [read(study) for study in studies]
    names = labels(studies)
    images = [EmbeddedImages(study.images, BUDGET // len(studies)) for study in studies]
    charts = Charts()
    chosen = [_chosen(*one) for one in zip(known, names, images, strict=True)]
    return template("compare.html.j2").render(
        title=" · ".join(names),
        headline=headline(_gains(known, names), known),
        doubts=doubts(known),
        charts=[(text, charts(figure)) for text, figure in figures(lines(known, names))],
        rows=[_row(one, name) for one, name in zip(known, names, strict=True)],
        names=names,
        parameters=_parameters(known),
        chosen=chosen,
        images=Markup("\n".join(one.css for one in images)),
    )


def labels(studies: Sequence[Study]) -> list[str]:
    """Return the names of studies; of those that share one, with their folders."""
    names = [study.settings.name for study in studies]
    return [
        name if names.count(name) == 1 else f"{name} ({study.folder.parent.name})"
        for name, study in zip(names, studies, strict=True)
    ]


def _gains(known: Sequence[Known], names: Sequence[str]) -> list[Gain]:
    """Return what is known of gains, of the studies that have compared best and hand settings."""
    found = []
    for one, name in zip(known, names, strict=True):
        heldout = one.study.heldout
        error = None if heldout is None else heldout.first.gain.standard_error
        if heldout is not None and error is not None:
            found.append(Gain(name, heldout.first.gain.mean, error))
    return found


def headline(gains: Sequence[Gain], known: Sequence[Known]) -> str:
    """Say which gained most, and whether that is clear."""
    if len(_aims(known)) > 1:
        return "The studies measure different things, so no number of one compares with another's."
    if len(gains) < FEWEST:
        return "Fewer than two of the studies have compared hand settings and best on fresh seeds."
    first, second, *_ = sorted(gains, key=lambda gain: -gain.mean)
    if first.mean <= CLEAR * first.error:
        return "None has a clear gain over its hand settings."
    ahead = first.mean - second.mean
    said = f"{first.study} gained most over its hand settings, {_interval(first)}"
    if ahead > CLEAR * math.hypot(first.error, second.error):
        return f"{said}; next is {second.study}, {_interval(second)}."
    return f"{said}, but not clearly more than {second.study}, {_interval(second)}."


def doubts(known: Sequence[Known]) -> list[str]:
    """Say what should keep anybody from comparing the studies as they are."""
    said = []
    alike = len(_aims(known)) == 1  # else no number compares, as the headline says
    if alike and len({one.study.settings.prompts for one in known}) > 1:
        said.append("Prompts differ, and so do the levels of scores: compare gains, not scores.")
    if len({_checkpoint(one) for one in known}) > 1:
        said.append("Checkpoints differ.")
    if alike and len({len(one.trials) for one in known}) > 1:
        said.append("One drew more trials than another: compare the curves at the same trial.")
    unfinished = [o.study.settings.name for o in known if len(o.trials) < o.study.planned_trials]
    if unfinished:
        said.append(f"Not finished yet: {', '.join(unfinished)}.")
    return said


def _checkpoint(known: Known) -> str:
    return known.study.settings.checkpoint.name


def _aims(known: Sequence[Known]) -> set[tuple[str, str]]:
    return {(one.study.objective_name, one.study.direction) for one in known}


def _interval(gain: Gain) -> str:
    return f"{number_text(gain.mean)} ({number_text(gain.low)} to {number_text(gain.high)})"


def _row(known: Known, name: str) -> Row:
    study, best, heldout = known.study, known.best, known.study.heldout
    hand = None if study.baseline is None else study.baseline.score
    found, gain, said = None if best is None else best.score, "", ""
    if heldout is not None:
        first = heldout.first
        hand, found, said = first.baseline, first.best, verdict(first)
        error = first.gain.standard_error
        gain = number_text(first.gain.mean)
        gain += "" if error is None else f" ± {number_text(CLEAR * error)}"
    return Row(
        name=name,
        aim=aims(study.measures),
        proposer=study.settings.proposer,
        trials=f"{len(known.trials)} of {study.planned_trials}",
        time=duration(drawing_seconds(study)),
        hand=score_text(hand),
        best=score_text(found) + ("" if heldout is not None or not found else " (own seeds)"),
        gain=gain,
        verdict=said,
    )


def _parameters(known: Sequence[Known]) -> list[tuple[str, list[str], bool]]:
    """Return name, the value in each study's best trial, and whether they differ."""
    rows, had = [], {name for one in known for name in one.study.space.settings}
    for name in filter(had.__contains__, PARAMETER_NAMES):
        values = [
            "" if one.best is None else value_text(getattr(one.best.action.params, name))
            for one in known
        ]
        rows.append((name, values, len(set(values)) > 1))
    return rows


def _chosen(known: Known, name: str, images: EmbeddedImages) -> Chosen:
    best = known.best
    liked, disliked = ([], []) if best is None else liked_and_disliked(best.action, images)
    return Chosen(
        name=name,
        prompts=known.study.settings.prompts,
        sides=sides(known, images),
        liked=liked,
        disliked=disliked,
    )
