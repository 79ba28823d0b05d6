"""The surrogate proposer must learn: better than a Sobol sequence with the same budget."""

import numpy as np
import pytest
import torch

from experiments.proposer_problem import Problem
from fabricbo.proposers import AxProposer, SobolProposer

TRIALS, SEEDS = 25, range(8)


@pytest.fixture
def _one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_one_thread")
def test_beats_sobol_with_the_same_budget() -> None:
    """Measured difference 0.60 with standard error 0.12; the bounds leave a wide margin."""
    ours = np.array([Problem(seed).play(AxProposer(), TRIALS)[-1] for seed in SEEDS])
    sobol = np.array([Problem(seed).play(SobolProposer(), TRIALS)[-1] for seed in SEEDS])
    difference = ours - sobol
    error = difference.std(ddof=1) / np.sqrt(len(SEEDS))
    assert difference.mean() > 0.25
    assert difference.mean() > 2 * error
    assert (difference >= 0).mean() >= 0.75
