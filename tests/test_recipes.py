"""The recipes for clusters: their shell is shell, their fields and options are there."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fabricbo.study import check_settings
from tests.commands import fabricbo

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "docs" / "recipes"
SLURM = RECIPES / "slurm.sh"
JOB_NAMES = Path(__file__).parent / "data" / "kuberay-rayjob-names.json"


def test_the_slurm_script_is_shell() -> None:
    subprocess.run(["bash", "-n", str(SLURM)], check=True)


@pytest.mark.parametrize("command", ["run", "resume"])
def test_options_of_the_slurm_script_are_known(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    told = fabricbo(command, "--help")
    text = SLURM.read_text("utf-8")
    lines = [line for line in text.splitlines() if f"fabricbo {command}" in line or "with=" in line]
    options = set(re.findall(r"--[\w-]+", " ".join(lines)))
    assert {"--executor", "--address", "--workers"} <= options
    known = set(re.findall(r"--[\w-]+", told.stdout))
    assert options - {"--storage"} <= known
    assert ("--storage" in options) == (command == "resume")


def test_no_cluster_of_the_recipes_lets_everybody_in() -> None:
    assert "export RAY_AUTH_MODE=token" in SLURM.read_text("utf-8")
    _, job = yaml.safe_load_all((RECIPES / "kuberay.yaml").read_text("utf-8"))
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_fields_of_the_rayjob_are_in_kuberays_schema() -> None:
    """The names at those places that the recipe uses, taken from the schema."""
    volume, job = yaml.safe_load_all((RECIPES / "kuberay.yaml").read_text("utf-8"))
    assert volume["kind"] == "PersistentVolumeClaim"
    known = json.loads(JOB_NAMES.read_text("utf-8"))["rayjob"]
    assert unknown_names(job, known) == []
    job["spec"]["rayClusterSpec"]["authOption"] = {}
    assert unknown_names(job, known) == [".spec.rayClusterSpec.authOption"]


def unknown_names(value: Any, known: Any, path: str = "") -> list[str]:
    if isinstance(value, list):
        return [name for one in value for name in unknown_names(one, known, path)]
    if not isinstance(value, dict) or "names" not in known:  # a value, or any names will do
        return []
    found = [f"{path}.{name}" for name in value if name not in known["names"]]
    inside = known.get("inside", {})
    for name in value.keys() & inside.keys():
        found += unknown_names(value[name], inside[name], f"{path}.{name}")
    return found


def test_the_study_file_that_kuberay_is_given_is_one() -> None:
    text = (RECIPES / "kuberay.yaml").read_text("utf-8")
    _, job = yaml.safe_load_all(text)
    storage = re.search(r'storage = "([^"]+)"', text)
    database = re.search(r'database = "([^"]+)"', text)
    workers = re.search(r"workers = (\d+)", text)
    assert storage and database and workers
    executor = {"kind": "ray", "address": "auto", "workers": int(workers[1])}
    given = {"storage": storage[1], "database": database[1], "executor": executor}
    check_settings({"name": "cat", "prompt": "a cat", **given})
    spec = job["spec"]
    (group,) = spec["rayClusterSpec"]["workerGroupSpecs"]
    assert group["replicas"] == int(workers[1])
    assert f"{storage[1]}/cat" in spec["entrypoint"]
    mounts = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert storage[1] in [mount["mountPath"] for mount in mounts["volumeMounts"]]
