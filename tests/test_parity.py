"""Our sampler equals recorded results of the FABRIC authors' implementation."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests import parity
from tests.commands import script

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
    keep_cases(file.with_suffix(".json"), step="both", trajectory="ddim")  # all: see above
    done = script("tests.parity", file.parent)
    assert done.returncode == 1
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["step.both", "trajectory.ddim"]
    case = name.rsplit(".", 1)[0]
    assert [line[0] for line in lines if float(line[1]) > parity.TOLERANCE] == [case]


def keep_cases(file: Path, **names: str) -> None:
    """Leave one case of each kind."""
    cases = json.loads(file.read_text())
    file.unlink()
    file.write_text(json.dumps(cases | {kind: {n: cases[kind][n]} for kind, n in names.items()}))
