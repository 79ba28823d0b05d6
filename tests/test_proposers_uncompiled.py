"""Nothing is compiled while a study runs, and no lock that a killed process left is waited for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUGGEST = """
from dataclasses import replace
from fabricbo.proposers import make_proposer
from fabricbo.scores import Measure
from tests.test_proposers_measures import empty, played, two
start = empty(further=(Measure("other", "minimize"),))
known = played(start, two, {trials}, make_proposer("sobol", None))
print(make_proposer("{name}", None).propose(known).source)
"""


@pytest.mark.parametrize(("name", "source"), [("fabricbo", "bo"), ("ax", "ax-mbm")])
def test_a_lock_that_a_killed_process_left_holds_nobody_up(tmp_path, name, source) -> None:
    place = tmp_path / "logei_fused_ext"
    place.mkdir()
    (place / "lock").touch()
    environment = {**os.environ, "TORCH_EXTENSIONS_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SUGGEST.format(name=name, trials=8)],
        cwd=Path(__file__).parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=150,
    )
    assert done.stdout.split() == [source]
    assert [file.name for file in place.iterdir()] == ["lock"]
