"""Rounds with automatic feedback, and who looks at their images."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.paper.cost import plain_evaluations
from experiments.paper.panel import Panel, demo_judge, diversity, similarity
from experiments.paper.rounds import Artist, Plan, best_of_n, play
from experiments.paper.systems import SYSTEMS
from experiments.paper.tasks import Task
from fabricbo.demo import references
from fabricbo.imagefiles import open_image
from fabricbo.records import Action, FabricParams
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
