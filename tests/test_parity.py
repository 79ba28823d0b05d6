"""Our sampler equals recorded results of the FABRIC authors' implementation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests import parity

RECORDINGS = Path(__file__).parent / "data" / "parity"


def test_every_case_within_tolerance() -> None:
    errors = dict(parity.relative_errors(RECORDINGS))
    assert len(errors) == 9
    assert {name: error for name, error in errors.items() if not error <= parity.TOLERANCE} == {}


@pytest.mark.parametrize("name", ["step.both.noise_cond", "trajectory.ddim.final_latents"])
def test_command_exits_1_on_a_wrong_recording(tmp_path: Path, name: str) -> None:
    shutil.copytree(RECORDINGS, tmp_path / "wrong")
    file = tmp_path / "wrong" / "golden.safetensors"
    tensors = load_file(file)
    tensors[name] = tensors[name] * 1.001
    file.unlink()
    save_file(tensors, file)
    done = subprocess.run(
        [sys.executable, "-m", "tests.parity", str(file.parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    lines = [line.split() for line in done.stdout.splitlines()]
    case = name.rsplit(".", 1)[0]
    assert [line[0] for line in lines if float(line[1]) > parity.TOLERANCE] == [case]
