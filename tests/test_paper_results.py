"""Outcomes survive a kill, and what is returned is what is kept."""

import json
import random
from pathlib import Path

from experiments.paper.results import Outcome, Results, RoundResult, fingerprint


def outcome(system: str, task: int, shift: float) -> Outcome:
    noise = random.Random(task).random()
    rounds = tuple(
        RoundResult(
            scores=(noise, noise + shift * number),
            judged=(1.0, 2.0),
            liked=None if number == 0 else 0.5,
            disliked=None if number == 0 else 0.4,
            diversity=0.3 - 0.1 * number,
            evaluations=100 * (number + 1),
        )
        for number in range(2)
    )
    return Outcome(system, task, "key", rounds)


def test_results_survive_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    results = Results(file)
    first = results.add(outcome("sd", 0, 1 / 3))
    with file.open("a") as stream:
        stream.write('{"system": "sd", "ta')
    results = Results(file)
    assert results.get("sd", 0, "key") == first
    second = results.add(outcome("sd", 1, 1.0))
    assert Results(file).get("sd", 1, "key") == second
    assert Results(file).get("sd", 1, "other") is None


def test_what_is_returned_is_what_is_kept(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    kept = results.add(outcome("sd", 0, 1 / 3))
    assert Results(tmp_path / "results.jsonl").get("sd", 0, "key") == kept
    assert json.dumps(kept.rounds[1].scores[1]) == str(round(kept.rounds[1].scores[1], 4))


def test_fingerprints_tell_settings_apart() -> None:
    assert fingerprint(1, {"a": 2}) == fingerprint(1, {"a": 2})
    assert fingerprint(1, {"a": 2}) != fingerprint(1, {"a": 3})
