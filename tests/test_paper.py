"""The parts of the paper's experiments: tasks, cost, rounds, curves, directions, results."""

import csv
import json
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.paper.cost import Meter, plain_evaluations
from experiments.paper.curves import (
    MEASURES,
    Interval,
    as_rows,
    bootstrap,
    centred_curve,
    curve,
    difference,
)
from experiments.paper.directions import DIRECTIONS, RIVALS, Direction, check, table
from experiments.paper.lora_training import WEIRD, Drawn, choose, published_names
from experiments.paper.panel import Panel, demo_judge, diversity, similarity
from experiments.paper.results import Outcome, Results, RoundResult, fingerprint
from experiments.paper.rounds import Artist, Plan, best_of_n, play
from experiments.paper.search import Found, SearchFile, search, space
from experiments.paper.systems import EQUAL_TO, HAND, SYSTEMS
from experiments.paper.tasks import TUNING_FIRST, Task, TasksError, demo_tasks, file_tasks
from fabricbo.demo import references
from fabricbo.imagefiles import open_image
from fabricbo.proposers import make_proposer
from fabricbo.records import Action, FabricParams
from fabricbo.sampler import FabricSampler
from tests.tiny import reference

PARAMS = FabricParams(
    feedback_end=0.5, max_weight=0.3, neg_scale=0.5, guidance_scale=3.0, denoising_steps=4
)
TASK = Task(3, "a cat")
PLAN = Plan(rounds=3, images=2)


def brightness(images: Sequence[Image.Image], _task: Task) -> list[float]:
    return [float(np.asarray(image).mean()) for image in images]


def colours(images: Sequence[Image.Image]) -> torch.Tensor:
    means = torch.tensor(np.array([np.asarray(i, np.float32).mean((0, 1)) for i in images]))
    return torch.nn.functional.normalize(means, dim=-1)


PANEL = Panel(brightness, colours, brightness)


class Recorder:
    """Stands in for a sampler: draws grey by seed, remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Action, tuple[int, ...]]] = []

    def __call__(self, action: Action, prompt: Any, seeds: Sequence[int]) -> list[Image.Image]:
        self.asked.append((action, tuple(seeds)))
        more = len(action.liked)
        greys = [random.Random(seed).randrange(200) + more for seed in seeds]
        return [Image.new("RGB", (8, 8), (grey, grey, grey // 2)) for grey in greys]


# Tasks


def test_demo_tasks_are_always_the_same_and_share_no_prompt_with_the_tuning_ones() -> None:
    reported, tuning = demo_tasks(100, 12)
    assert (len(reported), len(tuning)) == (100, 12)
    assert demo_tasks(100, 12) == (reported, tuning)
    assert demo_tasks(40, 12)[0] == reported[:40]
    assert not {task.prompt for task in reported} & {task.prompt for task in tuning}
    assert tuning[0].index == TUNING_FIRST
    for task in (*reported, *tuning):
        assert task.shown is not None
        assert task.shown.concept in task.prompt
        assert task.shown.style in task.prompt or "style" not in task.prompt


def write(file: Path, text: str) -> Path:
    file.write_text(text, "utf-8")
    return file


def test_prompts_from_text(tmp_path: Path) -> None:
    file = write(tmp_path / "prompts.txt", "a cat\n\n  a dog \nan owl\n")
    reported, tuning = file_tasks(file, 2, 1, with_targets=False)
    assert [task.prompt for task in reported] == ["a cat", "a dog"]
    assert [(task.index, task.prompt) for task in tuning] == [(TUNING_FIRST, "an owl")]


def test_prompts_and_targets_from_csv(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    file = write(tmp_path / "p.csv", 'prompt,image\n"a cat, gold",red.png\na dog,red.png\n')
    (task,), (other,) = file_tasks(file, 1, 1, with_targets=True)
    assert (task.prompt, other.prompt) == ("a cat, gold", "a dog")
    assert task.target is not None
    assert task.target.getpixel((0, 0)) == (255, 0, 0)


def test_prompts_from_parquet_or_a_word_on_what_is_missing(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    file = tmp_path / "prompts.parquet"
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        file.write_bytes(b"PAR1")
        with pytest.raises(TasksError, match="pip install pandas pyarrow"):
            file_tasks(file, 1, 1, with_targets=False)
        return
    pandas.DataFrame({"prompt": ["a cat", "a dog"]}).to_parquet(file)
    (task,), (other,) = file_tasks(file, 1, 1, with_targets=False)
    assert (task.prompt, other.prompt) == ("a cat", "a dog")


def test_parquet_is_read_through_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without pyarrow: bytes as data sets of the hub hold them."""
    pandas = pytest.importorskip("pandas")
    Image.new("RGB", (4, 4), "blue").save(tmp_path / "blue.png")
    image = {"bytes": (tmp_path / "blue.png").read_bytes(), "path": None}
    frame = pandas.DataFrame({"prompt": ["a cat", "a dog"], "image": [image, image]})
    monkeypatch.setattr(pandas, "read_parquet", lambda _: frame)
    file = write(tmp_path / "prompts.parquet", "")
    (task,), _ = file_tasks(file, 1, 1, with_targets=True)
    assert task.target is not None
    assert task.target.getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize(
    ("name", "text", "with_targets", "message"),
    [
        ("none.csv", None, False, "no file"),
        ("prompts.json", "[]", False, r"must be a \.csv, \.parquet or \.txt file"),
        ("prompts.txt", "a cat\n", True, r"need a \.csv or \.parquet file with a column image"),
        ("prompts.txt", "a cat\n", False, "has 1 prompts; 1 to report and 1 to search"),
        ("prompts.csv", "text\na cat\n", False, "needs a column prompt, its columns: text"),
        ("prompts.csv", "prompt,image\na,none.png\nb,none.png\n", True, "target of 'a'"),
        ("prompts.csv", "prompt\na\nb\n", True, "target of 'a'"),
    ],
)
def test_bad_files_of_prompts_are_refused(
    tmp_path: Path, name: str, text: str | None, with_targets: bool, message: str
) -> None:
    if text is not None:
        write(tmp_path / name, text)
    with pytest.raises(TasksError, match=message):
        file_tasks(tmp_path / name, 1, 1, with_targets=with_targets)


# Cost


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_counted_evaluations_are_those_of_the_network(pipeline: Any, guidance: float) -> None:
    """Three rounds with a growing pool, counted by a hook on the U-Net and by the meter."""
    params = FabricParams(
        feedback_start=0.25, feedback_end=0.5, guidance_scale=guidance, denoising_steps=4
    )
    counted, meter = [0], Meter()

    def count(_: Any, args: Any, kwargs: Any) -> None:
        counted[0] += (args[0] if args else kwargs["sample"]).shape[0]

    hook = pipeline.unet.register_forward_pre_hook(count, with_kwargs=True)
    sampler = FabricSampler(pipeline)
    liked, disliked = ("red", "green"), ("blue", "black")
    try:
        for known in range(3):
            action = Action(
                params,
                tuple(reference(colour) for colour in liked[:known]),
                tuple(reference(colour) for colour in disliked[:known]),
            )
            sampler(action, "a cat", [1, 2])
            meter.add(action, 2)
            assert meter.evaluations == counted[0]
    finally:
        hook.remove()


def test_references_cost_nothing_where_their_weight_is_0() -> None:
    meter = Meter()
    params = FabricParams(neg_scale=0.0, max_weight=0.0, denoising_steps=5)
    meter.add(Action(params, (reference("red"),), (reference("blue"),)), 3)
    assert meter.evaluations == plain_evaluations(params, 3) == 30


# Rounds


def test_best_is_liked_and_worst_disliked_and_both_are_kept() -> None:
    recorder = Recorder()
    rounds = play(TASK, SYSTEMS["fabric"], PARAMS, Artist(recorder), PANEL, PLAN)
    actions = [action for action, _ in recorder.asked]
    assert [len(action.liked) for action in actions] == [0, 1, 2]
    assert [len(action.disliked) for action in actions] == [0, 1, 2]
    assert actions[2].liked[0] == actions[1].liked[0]
    first = recorder(Action(PARAMS), "", PLAN.seeds(TASK, 0))
    best_image = max(first, key=lambda image: brightness([image], TASK))
    assert actions[1].liked[0].image.tobytes() == best_image.tobytes()
    assert (rounds[0].liked, rounds[0].disliked) == (None, None)
    assert rounds[1].liked == pytest.approx(
        similarity(colours(recorder(actions[1], "", PLAN.seeds(TASK, 1))), colours([best_image]))
    )


@pytest.mark.parametrize(
    ("system", "liked", "disliked"), [("sd", 0, 0), ("fabric-liked", 2, 0), ("fabric", 2, 2)]
)
def test_systems_get_the_feedback_that_is_theirs(system: str, liked: int, disliked: int) -> None:
    recorder = Recorder()
    rounds = play(TASK, SYSTEMS[system], PARAMS, Artist(recorder), PANEL, PLAN)
    action, _ = recorder.asked[-1]
    assert (len(action.liked), len(action.disliked)) == (liked, disliked)
    assert rounds[-1].liked is not None  # measured for all of them


def test_all_systems_meet_the_same_seeds_and_no_two_rounds_do() -> None:
    seeds = [PLAN.seeds(Task(index, ""), number) for index in (0, 1) for number in range(3)]
    assert len({seed for some in seeds for seed in some}) == 12


def test_images_alike_to_the_pixel_are_one_reference() -> None:
    def same(_action: Action, _prompt: Any, seeds: Sequence[int]) -> list[Image.Image]:
        return [Image.new("RGB", (8, 8), "red") for _ in seeds]

    rounds = play(TASK, SYSTEMS["fabric"], PARAMS, Artist(same), PANEL, PLAN)
    assert [one.diversity for one in rounds] == pytest.approx([0.0] * 3, abs=1e-6)


def test_artist_remembers_images_without_feedback_alone() -> None:
    recorder = Recorder()
    artist = Artist(recorder)
    first = artist(Action(PARAMS), "a cat", [1, 2])
    assert artist(Action(PARAMS), "a cat", [1, 2, 3])[:2] == first
    assert [seeds for _, seeds in recorder.asked] == [(1, 2), (3,)]
    artist(Action(PARAMS), "a dog", [1])
    artist(Action(PARAMS, (reference("red"),)), "a cat", [1])
    artist(Action(PARAMS, (reference("red"),)), "a cat", [1])
    assert len(recorder.asked) == 5


def test_best_of_n_has_the_baseline_s_images_and_spends_no_more() -> None:
    artist = Artist(Recorder())
    spent = [one.evaluations for one in play(TASK, SYSTEMS["fabric"], PARAMS, artist, PANEL, PLAN)]
    baseline = play(TASK, SYSTEMS["sd"], PARAMS, artist, PANEL, PLAN)
    rival = best_of_n(TASK, PARAMS, artist, PANEL, PLAN, spent)
    for one, allowed in zip(rival, spent, strict=True):
        assert one.evaluations <= allowed < one.evaluations + plain_evaluations(PARAMS, 1)
    drawn = [score for one in baseline for score in one.scores]
    assert rival[-1].scores[: len(drawn)] == tuple(drawn)
    assert len(rival[-1].scores) > len(drawn)


@pytest.mark.parametrize(("rounds", "images"), [(0, 4), (3, 1), (100, 4), (3, 101)])
def test_bad_plans_are_refused(rounds: int, images: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Plan(rounds, images)


def test_diversity_is_of_pairs_that_differ() -> None:
    vectors = torch.eye(3)[[0, 0, 1]]
    assert diversity(vectors) == pytest.approx(1 - 1 / 3)


def test_demo_judge_knows_the_bundled_pictures() -> None:
    judge_taste, judge_target = demo_judge(of_target=False), demo_judge(of_target=True)
    from experiments.demo_data import Attributes

    pictures = references()[:4]
    for picture in pictures:
        shown = Attributes(picture.concept, picture.style, picture.background)
        task = Task(0, shown.caption(), None, shown)
        assert judge_target([open_image(picture.path)], task) == [1.0]
        assert judge_taste([open_image(picture.path)], task)[0] >= 1.5
    with pytest.raises(ValueError, match="nobody knows what task 7 is to show"):
        judge_taste([open_image(pictures[0].path)], Task(7, "a cat"))


# Search


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


# Curves


def test_bootstrap_agrees_with_an_independent_one() -> None:
    values = [random.Random(1).gauss(0, 1) + i / 20 for i in range(40)]
    found = bootstrap(values)
    rng = random.Random(7)
    means = sorted(statistics.fmean(rng.choices(values, k=40)) for _ in range(20_000))
    assert found.mean == pytest.approx(statistics.fmean(values))
    assert found.low == pytest.approx(means[500], abs=0.02)
    assert found.high == pytest.approx(means[19_500], abs=0.02)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    intervals = [bootstrap(rng.normal(1.0, 1.0, 60)) for _ in range(200)]
    covered = sum(i.low <= 1.0 <= i.high for i in intervals)
    assert 175 <= covered <= 199


@pytest.mark.parametrize("values", [[], np.zeros((2, 2))], ids=["none", "two dimensions"])
def test_bootstrap_refuses_what_is_no_list(values: Any) -> None:
    with pytest.raises(ValueError, match="one value a prompt"):
        bootstrap(values)


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


OUTCOMES = {
    name: [outcome(name, task, shift) for task in range(20)]
    for name, shift in (("sd", 0.0), ("fabric", 1.0))
}


def test_differences_are_taken_prompt_by_prompt() -> None:
    last = difference(OUTCOMES, "score", "fabric", "sd")[-1]
    assert last is not None
    assert (last.low, last.mean, last.high) == pytest.approx((0.5, 0.5, 0.5))
    assert curve(OUTCOMES["sd"], "liked")[0] is None


def test_centred_curves_keep_their_means_and_lose_the_spread_of_prompts() -> None:
    plain = curve(OUTCOMES["sd"], "score")
    centred = centred_curve(OUTCOMES, "score", "sd", "sd")
    for one, other in zip(plain, centred, strict=True):
        assert one is not None
        assert other is not None
        assert other.mean == pytest.approx(one.mean)
        assert other.high - other.low < 1e-9 < one.high - one.low
    assert centred_curve(OUTCOMES, "liked", "fabric", "sd")[0] is None
    assert centred_curve(OUTCOMES, "score", "sd", "none") == plain


def test_best_so_far_never_falls_and_is_judged_as_the_image_it_is() -> None:
    rounds = tuple(
        RoundResult(scores, judged, None, None, 0.0, 0)
        for scores, judged in (((1.0, 5.0), (0.1, 0.2)), ((2.0, 3.0), (0.3, 0.4)))
    )
    one = Outcome("sd", 0, "key", rounds)
    assert MEASURES["best"](one) == [5.0, 5.0]
    assert MEASURES["judge_best"](one) == [0.2, 0.2]


def test_rows_hold_every_measure_that_exists() -> None:
    rows = as_rows(OUTCOMES)
    assert {row["measure"] for row in rows} == set(MEASURES)
    assert all(row["prompts"] == 20 for row in rows)
    assert not any(row["measure"] == "liked" and row["round"] == 1 for row in rows)


@pytest.mark.parametrize(
    ("one", "other", "more", "answer"),
    [
        ("fabric", "sd", True, "yes"),
        ("fabric", "sd", False, "no"),
        ("sd", "sd", True, "not distinguishable"),
    ],
)
def test_directions_are_answered(one: str, other: str, more: bool, answer: str) -> None:
    (verdict,) = check(OUTCOMES, [Direction("claimed", "score", one, other, more=more)])
    assert (verdict.answer, verdict.round) == (answer, 2)
    assert f"| claimed | 2 | {verdict.difference} | {answer} |" in table([verdict])


def test_directions_name_systems_and_measures_that_exist() -> None:
    for direction in (*DIRECTIONS, *RIVALS):
        assert {direction.one, direction.other} <= set(SYSTEMS)
        assert direction.measure in MEASURES
    assert EQUAL_TO in SYSTEMS


def test_systems_differ_from_the_hand_settings_in_what_they_say() -> None:
    assert SYSTEMS["fabric"].params(HAND, None) == HAND
    assert SYSTEMS["fabric-dropout"].params(HAND, None).prompt_dropout == 0.3
    assert SYSTEMS["fabric-found"].params(HAND, PARAMS) == PARAMS
    with pytest.raises(ValueError, match="needs settings that were found"):
        SYSTEMS["fabric-found"].params(HAND, None)


# Results


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


# LoRA training


def test_lora_learns_from_what_the_scorer_is_sure_of() -> None:
    latents = torch.arange(4.0).view(4, 1, 1, 1)
    sure, unsure = (9.0, 8.9, 8.8, 4.0), (5.0, 5.0, 5.0, 5.1)
    drawn = [Drawn("a cat", latents, sure), Drawn("a dog", latents + 10, unsure)]
    chosen, everything = choose(drawn)
    assert chosen.captions == [f"{WEIRD}a cat"]
    assert chosen.latents.flatten().tolist() == [3.0]
    assert everything.captions == ["a cat"] * 4 + ["a dog"] * 4
    with pytest.raises(ValueError, match="sure of none"):
        choose(drawn[1:])


def test_lora_is_written_under_the_published_names() -> None:
    stem = "down_blocks.0.attentions.0.transformer_blocks.0.attn2"
    values = torch.ones(1)
    found = published_names(
        {f"{stem}.to_out.0.lora_A.weight": values, f"{stem}.to_q.lora_B.weight": values}
    )
    assert set(found) == {
        f"{stem}.processor.to_out_lora.down.weight",
        f"{stem}.processor.to_q_lora.up.weight",
    }


def test_interval_is_told_with_three_digits() -> None:
    assert str(Interval(0.12345, -0.1, 0.3)) == "0.123 (-0.100 to 0.300)"


def test_csv_can_be_read_by_others(tmp_path: Path) -> None:
    from experiments.paper.command import _write_csv

    _write_csv(OUTCOMES, tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["system", "measure", "round", "prompts", "mean", "low", "high"]
    assert len(rows) == len(as_rows(OUTCOMES))
    assert sys.float_info.max > float(rows[0]["mean"])
