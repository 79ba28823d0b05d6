"""The scripts in `experiments/` run with `--smoke`; those of the demo checkpoint have own tests."""

import json
import subprocess
import sys
from itertools import pairwise


def test_compare_proposers() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "experiments.compare_proposers"]
    done = subprocess.run(
        [*command, "--smoke", "--json"], check=True, capture_output=True, text=True
    )
    result = json.loads(done.stdout)
    assert set(result["mean"]) == {"ax", "sobol", "random"}
    assert all(len(curve) == 10 for curve in result["mean"].values())
    assert all(b >= a for curve in result["mean"].values() for a, b in pairwise(curve))
    assert min(result["suggestion_seconds"].values()) > 0


def test_measure_reproducibility() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "experiments.measure_reproducibility"]
    done = subprocess.run([*command, "--smoke"], check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0] == "DDIMScheduler, again: 0.0000% differ, by 0/255 at most"
