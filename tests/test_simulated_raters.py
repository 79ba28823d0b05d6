"""Simulated people: what they answer, the worlds that they judge, and the command that asks."""

from pathlib import Path

import pytest

from experiments.benchmark.synthetic import SHAPES, Caricature
from experiments.raters.caricature_world import caricature_world
from experiments.raters.dashboard import rate_in_dashboard
from experiments.raters.demo_world import demo_world
from experiments.raters.people import INDIFFERENT, PEOPLE, Habits, Person
from experiments.raters.rating import rate
from experiments.raters.runs import Point, Run
from experiments.raters.telling import saved, table
from experiments.raters.ways import WAYS
from tests.commands import script

EXACT = Habits(noise=0.0)


def shares(person: Person, likings: tuple[float, float], count: int = 1000) -> dict[str, float]:
    answers = [person.answer("pairwise", likings) for _ in range(count)]
    return {answer: answers.count(answer) / count for answer in ("left", "right", "tie")}


def test_without_noise_the_better_one_is_chosen_and_equals_are_a_tie() -> None:
    person = Person(EXACT, 0)
    assert person.answer("pairwise", (0.4, 0.5)) == "right"
    assert person.answer("pairwise", (0.5, 0.4)) == "left"
    assert person.answer("pairwise", (0.5, 0.5 + INDIFFERENT / 2)) == "tie"
    assert person.answer("best-of", (0.1, 0.9, 0.5)) == "2"
    assert person.answer("stars", (0.2, 0.2)) == "2"
    assert person.answer("stars", (1.0, 1.0)) == "5"
    assert person.judgements == 6


def test_likes_compare_with_what_was_seen_and_cost_one_an_image() -> None:
    person = Person(EXACT, 0)
    assert person.answer("like", (0.0, 1.0)) == "disliked,liked"
    assert person.answer("like", (0.5, 0.5)) == "neither,neither"
    assert person.judgements == 4


def test_habits_show() -> None:
    careful, noisy, lazy, left = (
        shares(Person(PEOPLE[name], 0), (0.0, 0.2))
        for name in ("careful", "noisy", "lazy", "left-biased")
    )
    assert careful["right"] > 0.95
    assert 0.6 < noisy["right"] < 0.8
    assert 0.75 < lazy["right"] < 0.9
    assert left["left"] > careful["left"]
    assert left["right"] < careful["right"]
    drifting = Person(PEOPLE["drifting"], 0)
    before = sum(int(drifting.answer("stars", (0.7,))) for _ in range(20))
    after = sum(int(drifting.answer("stars", (0.7,))) for _ in range(100)) / 5
    assert after < before


def test_a_drawn_caricature_is_the_one_that_is_scored() -> None:
    world, made = caricature_world("pool-4", 3), Caricature(SHAPES["pool-4"], 3)
    hand = world.space.hand_action(world.pool)
    assert world.regret(hand) == 1
    assert world.ideal > world.hand
    attributes = made.attributes(made.space.hand_action(made.pool(0)))
    seeds = tuple(range(1000, 1400))
    likings = [world.taste(image) for image in world.sampler(hand, "", seeds)]
    assert sum(likings) / len(likings) == pytest.approx(world.hand, abs=0.05)
    assert world.sampler(hand, "", (1,))[0].tobytes() == world.sampler(hand, "", (1,))[0].tobytes()
    assert len(attributes) * 4 == len(world.sampler(hand, "", (1,))[0].tobytes())


def test_references_are_embedded_by_what_they_show() -> None:
    world = caricature_world("pool-4", 3)
    images = [reference.image for reference in world.pool]
    embedded = world.embed([*images, images[0]])
    assert embedded.shape == (5, 16)
    assert (embedded[0] == embedded[4]).all()
    assert (embedded[0] != embedded[1]).any()


@pytest.mark.parametrize("way", [*WAYS])
def test_each_way_asks_until_patience_ends(way: str) -> None:
    world, person = caricature_world("pool-4", 0), Person(PEOPLE["careful"], 0)

    def look(study) -> tuple[int, float]:
        trial = study.trials[WAYS[way].outcome(study)]
        return person.judgements, world.regret(trial.action)

    looks = list(rate(world, WAYS[way], person, range(4, 9, 4), look))
    assert [judgements for judgements, _ in looks] == [4, 8]
    assert all(regret >= 0 for _, regret in looks)


def test_the_dashboard_is_asked_the_same_person() -> None:
    world, person = caricature_world("scalars-2", 0), Person(PEOPLE["careful"], 0)
    points = list(rate_in_dashboard(world, 0, person, range(4, 9, 4)))
    assert [point.judgements for point in points] == [4, 8]
    assert points[-1].trials == 9  # the first two, and one more after each but the last
    assert points[-1].regret <= 1


def test_a_taste_in_demo_pictures_likes_the_task_solved() -> None:
    world = demo_world("style-and-background", 1)
    assert world.value(world.space.hand_action(world.pool)) < world.ideal
    assert world.settings["prompt"]


def run(way: str, seed: int, *regrets: float) -> Run:
    points = tuple(Point(4 * (i + 1), regret, 7) for i, regret in enumerate(regrets))
    return Run("w", way, "careful", seed, 4 * len(regrets), points, 1.0)


def test_votes_saved_are_those_to_where_the_other_ends() -> None:
    runs = [run("fabricbo", s, 0.6, 0.2, 0.1) for s in range(3)]
    runs += [run("random pairs", s, 0.9, 0.5, 0.3) for s in range(3)]
    (told,) = saved(runs)
    assert told.startswith("where random pairs is after 12, fabricbo is after 8 ")
    assert "| w | careful | random pairs | " in table(runs)


def test_the_command(tmp_path: Path) -> None:
    command = ("experiments.simulated_raters", "--smoke")
    options = ["--ways", "fabricbo,stars", "--results", str(tmp_path / "runs.jsonl")]
    figure = ["--kept", "--figure", str(tmp_path / "figure.png")]
    done = script(*command, *options)
    again = script(*command, *options, *figure)
    assert (done.returncode, again.returncode) == (0, 0)
    assert done.stdout == again.stdout
    assert (tmp_path / "figure.png").stat().st_size > 1000
    wrong = script(*command, "--ways", "magic")
    assert "'magic' is none of fabricbo" in wrong.stderr
