"""The benchmark of proposers: problems, the loop that plays them, and the arithmetic of results."""

import json
import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.benchmark.demo import IMAGES, demo_problem
from experiments.benchmark.demo import OWN as TASKS
from experiments.benchmark.play import FIRST_TRIALS, Results, Run, play
from experiments.benchmark.problem import ProblemError, adapted, load_problem
from experiments.benchmark.quality import quality
from experiments.benchmark.several import several
from experiments.benchmark.summary import (
    best_known,
    median_trials,
    regret,
    summarise,
    trials_to_share,
    wins,
)
from experiments.benchmark.synthetic import SHAPES, Caricature, synthetic
from fabricbo.proposers import RandomProposer, SobolProposer
from fabricbo.records import Action, FabricParams
from fabricbo.scores import Measure, Score
from fabricbo.space import ActionSpace, Range
from tests.commands import script

OWN = """
from fabricbo.scores import Score
from fabricbo.space import ActionSpace, Range

class Near:
    space = ActionSpace({"guidance_scale": Range(1.0, 12.0)})
    optimum = 0.0
    def value(self, action):
        return -(action.params.guidance_scale - 4.0) ** 2
    def evaluate(self, action, seed):
        return Score((self.value(action), self.value(action) + 0.01 * (seed % 2)))

near = Near()
nothing = object()
"""


def run(values: list[float], proposer: str = "a", seed: int = 0, optimum: float | None = 1.0):
    seconds = tuple(0.5 for _ in values)
    return Run("p", proposer, seed, tuple(values), seconds, optimum)


@pytest.mark.parametrize("name", SHAPES)
def test_synthetic_problems_have_an_optimum_that_chance_does_not_beat(name: str) -> None:
    problem = synthetic(name, 7)
    pool = problem.pool(1000)
    dimensions = problem.space.dimensions(pool)
    rng = np.random.default_rng(1)
    actions = [problem.space.from_unit(p.tolist(), pool) for p in rng.random((300, dimensions))]
    assert problem.value is not None and problem.optimum is not None
    assert max(map(problem.value, actions)) <= problem.optimum <= 1.0
    assert 2 <= dimensions <= 40


def test_synthetic_scores_are_the_value_and_noise_that_the_seed_decides() -> None:
    problem = Caricature(SHAPES["pool-8"], 3)
    action = problem.space.hand_action(problem.pool(0))
    assert problem.evaluate(action, 1) == problem.evaluate(action, 1)
    assert problem.evaluate(action, 1) != problem.evaluate(action, 2)
    many = np.concatenate([problem.evaluate(action, seed).values for seed in range(500)])
    assert many.mean() == pytest.approx(problem.value(action), abs=0.01)
    assert many.std() == pytest.approx(problem.shape.noise, rel=0.1)


def test_synthetic_feedback_of_nothing_changes_nothing() -> None:
    problem = Caricature(SHAPES["pool-8"], 3)
    pool = problem.pool(0)
    assert problem.value(Action(FabricParams(), ())) == pytest.approx(0)
    assert problem.value(Action(FabricParams(max_weight=0.0), pool[:3])) == pytest.approx(0)
    assert problem.value(Action(FabricParams(), pool[:3])) != pytest.approx(0)


def test_synthetic_references_that_look_alike_act_alike() -> None:
    """Else embeddings could not help, and the comparison would say nothing about them."""
    distances, effects = [], []
    for seed in range(12):
        problem = Caricature(SHAPES["pool-16"], seed)
        vectors = problem.embed([r.image for r in problem.pool(0)])
        alone = [problem.value(Action(FabricParams(), (r,))) for r in problem.pool(0)]
        upper = np.triu_indices(16, 1)
        distances.append(np.square(vectors[:, None] - vectors).sum(-1)[upper])
        effects.append(np.abs(np.subtract.outer(alone, alone))[upper])
    assert np.corrcoef(np.concatenate(distances), np.concatenate(effects))[0, 1] > 0.2


def test_the_growing_pool_grows_to_its_end() -> None:
    problem = synthetic("growing-12", 0)
    sizes = [len(problem.pool(trials)) for trials in (0, 1, 6, 7, 13, 100)]
    assert sizes == [4, 4, 4, 8, 12, 12]


@pytest.mark.parametrize("name", ["bounded-scalars-4", "front-scalars-4"])
def test_problems_of_several_measures_have_an_optimum_that_chance_does_not_beat(name: str) -> None:
    problem = several(name, 7)
    pool = problem.pool(0)
    rng = np.random.default_rng(1)
    points = rng.random((300, problem.space.dimensions(pool)))
    actions = [problem.space.from_unit(point.tolist(), pool) for point in points]
    assert problem.value is not None and problem.optimum is not None
    values = [problem.value(action) for action in actions]
    assert 0 < quality(problem.measures, values) <= problem.optimum  # type: ignore[arg-type]


def test_what_is_wanted_and_what_the_prompt_says_pull_apart() -> None:
    bounded, free = several("bounded-pool-4", 102).optimum, synthetic("pool-4", 102).optimum
    assert bounded is not None and free is not None
    assert 0 < bounded < 0.9 * free


def test_several_scores_are_the_values_and_noise_that_the_seed_decides() -> None:
    problem = several("front-pool-4", 3)
    action = problem.space.hand_action(problem.pool(0))
    assert problem.value is not None
    assert problem.evaluate(action, 1) == problem.evaluate(action, 1)
    drawn = [problem.evaluate(action, seed) for seed in range(500)]
    for number, value in enumerate(problem.value(action)):  # type: ignore[arg-type]
        means = [scores[number].mean for scores in drawn]  # type: ignore[index]
        assert np.mean(means) == pytest.approx(value, abs=0.01)


def test_all_proposers_meet_the_same_start_and_the_same_noise() -> None:
    problem = synthetic("pool-4", 1)
    first, second = (play(problem, "x", p(), 8, 5) for p in (RandomProposer, SobolProposer))
    assert first.values[:FIRST_TRIALS] == second.values[:FIRST_TRIALS]
    assert first.values[FIRST_TRIALS:] != second.values[FIRST_TRIALS:]
    assert len(first.seconds) == 8 - FIRST_TRIALS
    assert play(problem, "x", SobolProposer(), 8, 5).values == second.values


def test_results_are_kept_and_a_line_cut_off_is_not(tmp_path: Path) -> None:
    file, key = tmp_path / "runs.jsonl", ("p", "a", 0, 2)
    assert key not in Results(file)
    Results(file).add(run([0.0, 0.5]))
    # Other numbers of trials are other runs.
    Results(file).add(run([0.0, 0.5, 0.6]))
    assert Results(file)[key] == run([0.0, 0.5])
    file.write_text(file.read_text()[:-30])
    kept = Results(file)
    assert key in kept
    assert ("p", "a", 0, 3) not in kept


def test_regret_is_the_share_of_the_way_still_to_go() -> None:
    one = run([0.2, 0.1, 0.6, 0.96])
    assert regret(one, 1.0) == pytest.approx([1.0, 1.0, 0.5, 0.05])
    assert trials_to_share(one, 1.0) == 4
    assert trials_to_share(run([0.2, 0.6]), 1.0) is None
    assert regret(run([1.0, 0.3]), 1.0) == pytest.approx([0, 0])


def test_regret_of_what_is_minimized() -> None:
    down = Run("p", "a", 0, (1.0, 2.0, 0.5), (0.1,) * 3, 0.0, "minimize")
    assert down.best == [1.0, 1.0, 0.5]
    assert regret(down, 0.0) == pytest.approx([1, 1, 0.5])
    assert best_known([down, run([9.0], seed=1)])["p", 0] == 0.0


def test_without_an_optimum_the_best_that_anybody_found_counts() -> None:
    runs = [run([0.0, 0.4], "a", optimum=None), run([0.0, 0.8], "b", optimum=None)]
    assert best_known(runs) == {("p", 0): 0.8}
    summary = summarise(runs)["p"]
    assert summary["a"].regret == pytest.approx([1.0, 0.5])
    assert summary["b"].trials_to_share == [2]


def test_summary_over_seeds() -> None:
    runs = [
        run([0.0, 0.95, 1.0], seed=0),
        run([0.0, 0.5, 0.5], seed=1),
        run([0.0, 0.2, 1.0], seed=2),
    ]
    found = summarise(runs)["p"]["a"]
    assert found.regret == pytest.approx([1.0, (0.05 + 0.5 + 0.8) / 3, 0.5 / 3])
    assert found.standard_error[2] == pytest.approx(np.std([0, 0.5, 0], ddof=1) / 3**0.5)
    assert found.trials_to_share == [2, None, 3]
    assert median_trials(found) == 3
    assert (found.median_seconds, found.total_seconds) == (0.5, 1.5)
    assert median_trials(summarise(runs[1:2])["p"]["a"]) == math.inf


def test_wins_count_fewer_trials_first_and_regret_where_nobody_arrives() -> None:
    runs = [
        *(run([0.0, 1.0, 1.0], "a", 0), run([0.0, 0.5, 1.0], "b", 0)),
        *(run([0.0, 0.5, 0.5], "a", 1), run([0.0, 0.5, 0.6], "b", 1)),
        *(run([0.0, 0.95, 1.0], "a", 2), run([0.0, 1.0, 1.0], "b", 2)),
        run([0.0, 1.0, 1.0], "a", 3),  # nobody to compare with
    ]
    assert wins(runs, "a", "b") == (1, 1, 1)
    assert wins(runs, "b", "a") == (1, 1, 1)


def test_what_a_problem_leaves_out_is_filled_in() -> None:
    score = Score((1.0,))
    given = SimpleNamespace(space=ActionSpace(), evaluate=lambda *_: score)
    problem = adapted("mine", given)
    assert (problem.pool(3), problem.value, problem.optimum) == ((), None, None)
    assert problem.direction == "maximize"
    assert adapted("same", problem) is problem


def test_tasks_of_the_bundled_checkpoint_are_problems() -> None:
    problem = demo_problem("demo:style-only")
    action = problem.space.hand_action(problem.pool(0))
    first = problem.evaluate(action, 3)
    assert len(first.values) == IMAGES
    assert problem.evaluate(action, 3) == first != problem.evaluate(action, 4)
    assert problem.value is not None and problem.embed is not None
    assert problem.value(action) == pytest.approx(first.mean, abs=0.3)
    assert problem.embed([r.image for r in problem.pool(0)]).shape[0] == len(problem.pool(0))
    with pytest.raises(ProblemError, match="tasks are style-and-background"):
        demo_problem("demo:nothing")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pool-5", "must be module:name or file.py:name"),
        ("{file}:missing", "has no attribute 'missing'"),
        ("{file}:nothing", "needs 'space'"),
        ("no_such_module:x", "No module named"),
        ("no/such/file.py:x", "no file"),
    ],
)
def test_unknown_problems(name: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    with pytest.raises(ProblemError, match=message):
        load_problem(name.format(file=file))


command = partial(script, "experiments.compare_proposers")


def test_anybodys_problem_is_played_and_drawn(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    results, figure = tmp_path / "runs.jsonl", tmp_path / "figure.png"
    arguments = ["--problem", f"{file}:near", "--proposers", "fabricbo,sobol", "--trials", "12"]
    arguments += ["--seeds", "2", "--results", str(results), "--figure", str(figure), "--json"]
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    near = found["problems"][f"{file}:near"]
    assert set(near) == {"fabricbo", "sobol"}
    assert len(near["fabricbo"]["regret"]) == 12
    assert near["fabricbo"]["regret"][0] == 1.0
    assert near["fabricbo"]["regret"][-1] < 0.05
    assert sum(found["wins_ties_losses"]["sobol"]) == 2
    assert figure.stat().st_size > 5000
    again = command(*arguments)
    assert again.stdout == done.stdout
    assert "seed" not in again.stderr


def test_unknown_proposer_is_told_before_anything_is_played() -> None:
    done = command("--proposers", "fabricbo,anneal")
    assert done.returncode == 1
    assert "proposer must be one of" in done.stderr


# Several measures


LIKE, NSFW = Measure("like"), Measure("nsfw", "minimize", at_most=0.1)


def test_quality_of_one_objective_is_its_best_that_keeps_the_bounds() -> None:
    values = [(0.2, 0.5), (0.9, 0.2), (0.4, 0.1), (0.3, 0.0)]
    assert [quality((LIKE, NSFW), values[: i + 1]) for i in range(4)] == [0.2, 0.2, 0.4, 0.4]
    down = Measure("like", "minimize")
    assert quality((down, NSFW), values) == 0.2


def test_quality_of_several_objectives_is_the_area_of_their_front() -> None:
    measures = (Measure("a", reference_point=0.0), Measure("b", "minimize", reference_point=1.0))
    assert quality(measures, [(-1.0, 0.0)]) == 0.0
    assert quality(measures, [(0.5, 0.5)]) == pytest.approx(0.25)
    assert quality(measures, [(0.5, 0.5), (1.0, 0.8), (0.4, 0.6)]) == pytest.approx(0.35)
    bounded = (*measures, NSFW)
    assert quality(bounded, [(0.5, 0.5, 0.0), (1.0, 0.0, 0.9)]) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="b has none"):
        quality((measures[0], Measure("b")), [(0.5, 0.5)])


class Two:
    """Guidance near 4 and, told apart, near 8."""

    space = ActionSpace({"guidance_scale": Range(1.0, 12.0)})
    further = (Measure("eight", reference_point=-50.0),)
    reference_point = -50.0

    def value(self, action):
        guidance = action.params.guidance_scale
        return (-((guidance - 4.0) ** 2), -((guidance - 8.0) ** 2))

    def evaluate(self, action, seed):
        return tuple(Score((value, value + 0.01)) for value in self.value(action))


def test_a_problem_of_several_objectives_is_played_by_its_hypervolume() -> None:
    played = play(adapted("two", Two()), "sobol", SobolProposer(), 10, 1)
    assert len(played.values) == 10
    assert list(played.values) == sorted(played.values)
    assert played.values[-1] > played.values[0] > 0
    assert played.direction == "maximize"
    assert played.best == list(played.values)


@pytest.mark.parametrize("task", TASKS)
def test_tasks_of_the_benchmark_are_problems(task: str) -> None:
    problem = demo_problem(f"demo:{task}")
    action = problem.space.hand_action(problem.pool(0))
    given = problem.evaluate(action, 1)
    assert given == problem.evaluate(action, 1)
    scores = given if problem.further else (given,)
    assert len(scores) == len(problem.measures)
    prompts = 2 if task == "several-prompts" else 1
    assert len(scores[0].values) == IMAGES * prompts
    assert problem.embed is not None
