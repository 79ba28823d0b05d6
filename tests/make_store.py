"""Make a small study of everything a store can hold, and write down what this code says of it.

`python tests/make_store.py FOLDER` writes `study.db`, `images/` and `expected.json`; with
`--postgres`, what `pg_dump` says of it instead of `study.db`. With the code of an earlier schema on
the path it makes a store of that schema; so were made those in `tests/data/stores`.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from fabricbo.records import Role
from fabricbo.study import Parts, Study, check_settings, schema
from tests.fakes import POOL, ColourSampler, UnitProposer, redness

VERSION = schema.SCHEMA_VERSION
SEVERAL = VERSION >= 3  # objectives, prompts, preferences, earlier trials
RATED = VERSION >= 5


def blueness(images: Sequence[Image.Image], prompt: str) -> list[float]:
    """Score by blue."""
    return [image.getpixel((0, 0))[2] + 0.25 for image in images]


class DescribedSampler(ColourSampler):
    environment: ClassVar = {"weights": "abc", "packages": {"torch": "2.13"}}


class AssessingProposer(UnitProposer):
    """Says what nobody else would, so that it can be told from what is worked out."""

    def estimate(self, history: Any, /) -> Any:
        from fabricbo.protocols import Estimate  # of schema 2

        scored = [trial for trial in history.trials if trial.score is not None]
        return {trial.index: Estimate(trial.index + 0.5, 0.25) for trial in scored}

    def advise(self, history: Any, /) -> Any:
        from fabricbo.protocols import Advice

        return Advice(0.75, 2.0, 0.125)

    def assess(self, history: Any, /) -> Any:
        from fabricbo.assessment import Advice, Assessment, Estimate

        scored = [t.index for t in history.trials if t.score is not None]
        judged = {i for said in history.preferences for i in (said.better, said.worse)}
        several = {index: (Estimate(index + 0.5, 0.25), Estimate(9.5, 0.5)) for index in scored}
        advice = Advice(0.75, 2.0, 0.125)
        if not hasattr(Assessment(), "utilities"):
            known = {*scored, *judged}
            return Assessment({i: several.get(i, (Estimate(0.5, 1.0),) * 2) for i in known}, advice)
        utilities = {index: Estimate(float(index), 0.5) for index in {*scored, *judged}}
        return Assessment(several, advice, utilities=utilities)


def settings(storage: Path, **changes: Any) -> Any:
    """Return those of the study."""
    values: dict[str, Any] = {
        "name": "kept",
        "prompt": ["a cat", "a dog"] if SEVERAL else "a cat",
        "storage": storage,
        "rounds": 3,
        "trials": 3,
        "images": 2,
        "heldout": 4,
        "seed": 5,
        "pool": {"grow_liked": 1},
        **changes,
    }
    if SEVERAL:
        values["constraints"] = ["blue <= 130"]
    if RATED:
        values["rating"] = {"repeats": 0.0, "questions": 4}
    return check_settings(values)


def parts() -> Parts:
    """Return what it works with."""
    scored: Any = {"red": redness, "blue": blueness} if SEVERAL else redness
    return Parts(AssessingProposer(), DescribedSampler(), scored)


def make(folder: Path, **changes: Any) -> None:
    """Make the study in a folder, and write down what it says."""
    folder = folder.absolute()
    with tempfile.TemporaryDirectory() as place, chdir(place):  # no path of ours is kept
        storage = Path("studies")
        more = {"earlier": _earlier(storage)} if SEVERAL else {}
        study = Study.create(settings(storage, **changes), parts(), POOL, **more)
        fill(study)
        expected = describe(study)
        study.close()
        left = [file.name for file in study.folder.glob("study.db-*") if file.stat().st_size]
        if left:
            raise RuntimeError(f"the store is not closed: {left}")
        shutil.copytree(study.folder / "images", folder / "images")
        if not changes:
            shutil.copy(study.folder / "study.db", folder)
    text = json.dumps(expected, indent=1, sort_keys=True)
    (folder / "expected.json").write_text(text + "\n", "utf-8")


def _earlier(storage: Path) -> Study:
    earlier = Study.create(settings(storage, name="earlier", rounds=1), parts(), POOL)
    for _ in range(2):
        _draw(earlier)
    return earlier


def fill(study: Study) -> None:
    """Do what can be done with a study of this schema."""
    for _ in range(2):
        _draw(study)
    failed = study.ask()
    study.fail(failed, "RuntimeError: not today")
    _draw(study)
    _draw(study)
    if SEVERAL:
        waiting = study.ask()
        study.tell(waiting, _images(study, waiting))
        study.prefer(study.trials[1], study.trials[0], waiting)
        study.tie(study.trials[3], study.trials[4])
    else:
        _draw(study)
    _draw(study, seconds=None)
    if RATED:
        _rate(study)
    if VERSION == 2:
        study._estimate()
    elif SEVERAL:
        study.assess()
    study.hold_out()
    study.ask()  # and then the power failed


def _images(study: Study, trial: Any) -> list[Image.Image]:
    prompts = study.settings.prompts if SEVERAL else (study.settings.prompt,)
    sampler = ColourSampler()
    return [i for prompt in prompts for i in sampler(trial.action, prompt, trial.seeds)]


def _draw(study: Study, seconds: float | None = 1.5) -> None:
    trial = study.ask()
    images = _images(study, trial)
    red, blue = redness(images, ""), blueness(images, "")
    more = {"drawn_with": DescribedSampler.environment} if VERSION >= 6 and seconds else {}
    scores: Any = {"red": red, "blue": blue} if SEVERAL else red
    study.tell(trial, images, scores, seconds=seconds, **more)


def _rate(study: Study) -> None:
    from fabricbo.rating.assignment import next_task
    from fabricbo.votes import Option, Question

    ballots, trials = study.ballots, study.trials
    pairs = [(0, 1), (1, 3), (3, 4), (4, 5), (5, 6)]
    ballots.add_questions(
        [
            Question(0, "pairwise", tuple(Option(trials[i].images[0], i) for i in pair), "x")
            for pair in pairs
        ]
    )
    ballots.add_rater("Olga", "owner")
    people = [ballots.by_token(ballots.add_rater(name)) for name in ("Ada", "Bob")]
    answers = ["left", "right", "skip", "tie"]
    for number, said in enumerate(answers):
        who = people[number % 2]
        task = who and next_task(ballots, study.settings, who[0])
        if task is None:
            raise RuntimeError("nothing is left to ask")
        ballots.vote(task, said, f"key {number}", 2.5)
        if number == 1:
            ballots.vote(task, "undo", "key of an undo")
            ballots.vote(task, "left", "key of another answer")
    ballots.exclude(3, "clicked at random")
    ballots.wish(trials[6].images[0], Role.DISLIKED)
    ballots.state = "paused"


def describe(study: Study) -> dict[str, Any]:
    """Return what a study says of itself, in JSON's types."""
    best = study.best()
    found: dict[str, Any] = {
        "schema": VERSION,
        "settings": study.settings.model_dump(mode="json", exclude={"storage"}),
        "objective": [study.objective_name, study.direction],
        "rounds": [
            {
                "index": one.index,
                "seeds": list(one.seeds),
                "pool": [[r.id, r.name, str(r.hand_role)] for r in one.pool],
            }
            for one in study.rounds
        ],
        "trials": [_trial(trial) for trial in study.trials],
        "best": None if best is None else best.index,
        "planned": study.planned_trials,
        "heldout": _heldout(study.heldout),
    }
    if VERSION == 2:
        expected = study.estimates.items()
        found["estimates"] = {str(i): [[e.mean, e.standard_error]] for i, e in expected}
        found["advice"] = _advice(study.advice)
    if SEVERAL:
        found |= _several(study)
    if RATED:
        found |= _rated(study)
    if VERSION >= 6:
        found["drawn_with"] = [study.drawn_with(trial) for trial in study.trials]
    if VERSION >= 7:
        found["events"] = [[e.trial, e.attempt, str(e.status), e.reason] for e in study.events]
    return found


def _trial(trial: Any) -> dict[str, Any]:
    scores = trial.scores if SEVERAL else [] if trial.score is None else [trial.score]
    return {
        "index": trial.index,
        "round": trial.round,
        "action": trial.action.to_json(),
        "source": trial.source,
        "seeds": list(trial.seeds),
        "status": str(trial.status),
        "scores": [list(score.values) for score in scores],
        "images": list(trial.images),
        "reason": trial.reason,
        "seconds": trial.seconds,
    }


def _heldout(heldout: Any) -> dict[str, Any] | None:
    if heldout is None:
        return None
    if VERSION == 3:
        pairs = zip(heldout.baseline_scores, heldout.best_scores, strict=True)
    else:
        compared = heldout.comparisons if SEVERAL else [heldout]
        pairs = [(one.baseline, one.best) for one in compared]
    baseline, best = zip(*pairs, strict=True)
    return {
        "baseline": [list(score.values) for score in baseline],
        "best": [list(score.values) for score in best],
        "images": [list(heldout.baseline_images), list(heldout.best_images)],
    }


def _advice(advice: Any) -> list[float] | None:
    return advice and [advice.probability, advice.tolerance, advice.expected_gain]


def _several(study: Any) -> dict[str, Any]:
    assessed = study.assessment
    return {
        "measures": [[m.name, m.direction, m.bounds_text] for m in study.measures],
        "preferences": [[one.better, one.worse, one.tie] for one in study.preferences],
        "earlier": [
            [t.action.to_json(), [list(score.values) for score in t.scores]]
            for t in study.history.earlier
        ],
        "estimates": {
            str(index): [[one.mean, one.standard_error] for one in several]
            for index, several in assessed.estimates.items()
        },
        "advice": _advice(assessed.advice),
        "utilities": {
            str(index): [one.mean, one.standard_error]
            for index, one in getattr(assessed, "utilities", {}).items()
        },
    }


def _rated(study: Any) -> dict[str, Any]:
    ballots = study.ballots
    return {
        "raters": [[one.id, one.name, one.excluded] for one in ballots.raters()],
        "questions": [
            [q.id, q.kind, [[o.image, o.trial] for o in q.options], q.reason]
            for q in ballots.questions()
        ],
        "votes": [
            [v.id, v.task.id, v.task.question.id, v.task.rater, v.answer, v.seconds]
            for v in ballots.votes()
        ],
        "standing": [[one.question, one.rater, one.answer] for one in ballots.standing()],
        "wishes": {image: str(role) for image, role in ballots.wishes().items()},
        "state": ballots.state,
    }


def make_in_postgres(folder: Path) -> None:
    """Make the study in a PostgreSQL server of our own, and write down its rows as SQL."""
    from tests import postgres

    server = postgres.start()
    try:
        make(folder, database=server.url())
        command = [postgres.program("pg_dump"), "--no-owner", "--inserts", "--schema=fabricbo_kept"]
        address = ["-h", "127.0.0.1", "-p", str(server.port), "-U", postgres.USER, "postgres"]
        text = subprocess.run([*command, *address], capture_output=True, text=True, check=True)
    finally:
        server.stop()
    # What psql needs, and no server.
    lines = [line for line in text.stdout.splitlines() if not line.startswith(("\\", "SET ", "--"))]
    (folder / "study.sql").write_text("\n".join(filter(None, lines)) + "\n", "utf-8")


if __name__ == "__main__":
    (make_in_postgres if "--postgres" in sys.argv else make)(Path(sys.argv[1]))
