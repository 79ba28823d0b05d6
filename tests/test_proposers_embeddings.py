"""What embeddings of references tell the surrogate: distances, kernel, and what is learnt."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from experiments.proposer_problem import Problem
from fabricbo.proposers.bayes import SurrogateProposer
from fabricbo.proposers.embeddings import Embeddings
from fabricbo.proposers.kernel import ActionKernel
from fabricbo.proposers.surrogate import fit_surrogate
from fabricbo.protocols import History
from fabricbo.records import Action, FabricParams, Reference, Trial, TrialStatus
from fabricbo.scores import Score

VECTORS = {"a": [1.0, 0.0], "b": [2.0, 0.0], "c": [0.0, 1.0], "d": [0.1, 1.0]}


def references(names: str = "abcd") -> tuple[Reference, ...]:
    """Return references whose image is their name."""
    return tuple(Reference(name, name, name) for name in names)  # type: ignore[arg-type]


def embed(images: Sequence[Any]) -> list[list[float]]:
    return [VECTORS[image] for image in images]


def test_distances_are_those_of_unit_vectors_in_units_of_their_median() -> None:
    distances = Embeddings(embed).distances(references())
    assert distances is not None
    unit = np.array([v / np.linalg.norm(v) for v in VECTORS.values()])
    expected = np.square(unit[:, None] - unit[None]).sum(-1)
    expected /= np.median(expected[np.triu_indices(4, 1)])
    assert distances == pytest.approx(expected, abs=6e-4)
    assert distances[0, 1] == 0  # only the length differs


def test_every_reference_is_embedded_once() -> None:
    seen: list[str] = []

    def counting(images: Sequence[Any]) -> list[list[float]]:
        seen.extend(images)
        return embed(images)

    embeddings = Embeddings(counting)
    embeddings.distances(references("ab"))
    embeddings.distances(references("abcd"))
    assert seen == list("abcd")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda images: [[1.0]] * (len(images) + 1), "expected 3 vectors"),
        (lambda _images: 1 / 0, "division by zero"),
        (lambda images: ["x"] * len(images), "could not convert"),
    ],
    ids=["too many", "raises", "no numbers"],
)
def test_without_embeddings_the_search_goes_on_and_says_so(
    broken: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert Embeddings(broken).distances(references("abc")) is None
    assert reason in caplog.text


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_embeddings_that_tell_nothing_are_left_out(value: float) -> None:
    constant = Embeddings(lambda images: [[value, 0.0]] * len(images))
    assert constant.distances(references("abc")) is None
    assert Embeddings(embed).distances(references("a")) is None


def test_kernel_equals_its_formula_with_embeddings() -> None:
    distances = torch.tensor([[0.0, 0.5], [0.5, 0.0]]).double()
    kernel = ActionKernel(0, 2, distances)
    rows = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]).double()
    _, liked, _, verdict, b = kernel.variances.tolist()
    alike = np.exp(-0.5 / (2 * kernel.reach.item() ** 2))
    # One member each, t = 1/2: the columns are scaled by the root of 2 / 1.
    product = 2 * 0.5 * alike
    expected = (liked + verdict) * product * (1 + b)
    alone = kernel.variances[0].item()
    assert kernel(rows).to_dense()[0, 1].item() == pytest.approx(alone + expected, rel=1e-6)


@pytest.mark.parametrize("count", [2, 7, 32])
def test_kernel_with_embeddings_is_a_covariance(count: int) -> None:
    rng = np.random.default_rng(count)
    points = rng.normal(size=(count, 3))
    distances = torch.from_numpy(np.square(points[:, None] - points[None]).sum(-1))
    kernel = ActionKernel(2, count, distances)
    roles = rng.integers(3, size=(40, count))
    columns = np.concatenate([rng.random((40, 2)), roles == 1, roles == 2], axis=1)
    rows = torch.from_numpy(columns.astype(float))
    with torch.no_grad():
        matrix = kernel(rows).to_dense()
        assert torch.allclose(matrix, matrix.T)
        assert torch.linalg.eigvalsh(matrix).min() > -1e-8
        assert torch.allclose(matrix.diagonal(), kernel(rows, diag=True))


def scored(pool: tuple[Reference, ...], values: dict[str, float]) -> History:
    """Return a history in which each of some references was liked alone, with these scores."""
    history = History(Problem(0).space, pool, (), "maximize", 0)
    by_name = {reference.name: reference for reference in pool}
    trials = tuple(
        Trial(i, 1, Action(FabricParams(), (by_name[n],)), "test", (1,), TrialStatus.DONE,
              Score((value, value + 0.02)))
        for i, (n, value) in enumerate(values.items())
    )  # fmt: skip
    return replace(history, trials=trials)


def test_what_is_learnt_about_a_reference_holds_for_those_like_it() -> None:
    pool = references("abcdef")
    vectors = {"a": 0.0, "b": 0.1, "c": 0.2, "d": 3.0, "e": 3.1, "f": 3.2}

    def angles(images: Sequence[Any]) -> list[list[float]]:
        return [[np.cos(vectors[image]), np.sin(vectors[image])] for image in images]

    history = scored(pool, {"a": 1.0, "b": 0.9, "d": -1.0, "e": -0.8})
    unseen = [Action(FabricParams(), (pool[2],)), Action(FabricParams(), (pool[5],))]
    differences = []
    for embeddings in (Embeddings(angles), None):
        surrogate = fit_surrogate(history, embeddings)
        rows = torch.from_numpy(surrogate.features(unseen))
        mean = surrogate.model.posterior(rows).mean.squeeze(-1).detach()
        differences.append(float(mean[0] - mean[1]))
    assert differences[0] > 0.5
    assert abs(differences[1]) < 0.1


def test_order_of_the_pool_does_not_matter_with_embeddings() -> None:
    history = scored(references("abcd"), {"a": 1.0, "c": -1.0, "d": -0.5})
    action = Action(FabricParams(), (history.pool[1],))
    means = []
    for pool in (history.pool, history.pool[::-1]):
        surrogate = fit_surrogate(replace(history, pool=pool), Embeddings(embed))
        rows = torch.from_numpy(surrogate.features([action]))
        means.append(surrogate.model.posterior(rows).mean.item())
    assert means[0] == pytest.approx(means[1], abs=1e-2)


def test_the_proposer_learns_from_embeddings_of_a_pool_that_grows() -> None:
    proposer = SurrogateProposer(embed)
    history = scored(references("ab"), {"a": 1.0, "b": -1.0})
    grown = replace(history, pool=references("abcd"))
    assert proposer.propose(history) == SurrogateProposer(embed).propose(history)
    assert proposer.propose(grown) == SurrogateProposer(embed).propose(grown)
