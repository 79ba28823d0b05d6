"""The search for settings goes on where it stopped and chooses by what it expects."""

from pathlib import Path

import pytest

from experiments.paper.cost import Meter
from experiments.paper.results import RoundResult
from experiments.paper.search import Found, SearchFile, search, space
from fabricbo.proposers import make_proposer
from fabricbo.records import Action, FabricParams
from tests.tiny import reference


def test_search_goes_on_where_it_stopped_and_never_costs_more_than_the_hand_settings(
    tmp_path: Path,
) -> None:
    hand = FabricParams(feedback_end=0.8, max_weight=0.3, guidance_scale=6.0)
    tried_by: list[FabricParams] = []

    def measure(params: FabricParams) -> list[tuple[RoundResult, ...]]:
        tried_by.append(params)
        score = -abs(params.max_weight - 0.9) - params.feedback_start
        meter = Meter()
        meter.add(Action(params, (reference("red"),), (reference("blue"),)), 2)
        return [(RoundResult((score, score + 0.1), (), None, None, 0.0, meter.evaluations),)]

    file, where = tmp_path / "search.jsonl", space(hand)

    def run(trials: int, key: str = "k") -> Found:
        return search(make_proposer("sobol"), measure, where, trials, SearchFile(file, key))

    whole = run(6)
    assert run(6) == whole
    assert len(tried_by) == 6
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]) + '{"key": "k", "pa')
    assert SearchFile(file, "k").found(6) is None
    assert run(6) == whole
    assert len(tried_by) == 9
    assert whole.trials[0].params == hand
    assert all(one.evaluations <= whole.trials[0].evaluations for one in whole.trials)
    assert whole.trials[whole.chosen].mean == max(one.mean for one in whole.trials)
    assert whole.evaluations == sum(one.evaluations for one in whole.trials)
    assert run(1, "other").params == hand


def test_surrogate_chooses_by_what_it_expects(tmp_path: Path) -> None:
    """Prompts differ a lot; told as gains over the hand settings, the best weight is found."""
    hand = FabricParams(feedback_end=0.8, max_weight=0.3, guidance_scale=6.0)

    def measure(params: FabricParams) -> list[tuple[RoundResult, ...]]:
        gain = 1 - (params.max_weight * (params.feedback_end - params.feedback_start) - 0.6) ** 2
        scores = [5.0 * prompt + gain + 0.02 * (prompt % 3) for prompt in range(6)]
        return [(RoundResult((s, s), (), None, None, 0.0, 1),) for s in scores]

    file = SearchFile(tmp_path / "search.jsonl", "k")
    found = search(make_proposer("fabricbo"), measure, space(hand), 9, file)
    assert found.chosen > 0
    true_gain = found.trials[found.chosen].mean - found.trials[0].mean
    assert found.expected == pytest.approx(true_gain, abs=0.05)
    assert file.found(9) == found
