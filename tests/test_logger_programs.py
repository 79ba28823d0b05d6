"""Loggers against the programs that they are for: written with them, read back by their own means.

TensorBoard and Weights & Biases are installed beside us. MLflow and trackio want older versions of
what we use (importlib_metadata, Pillow), so they have an environment of their own on top of ours,
which `make test` sets up in `.venv-loggers`; where it is not, their tests are skipped and say so.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fabricbo.study import Study
from tests.fakes import fake_study

ROOT = Path(__file__).parents[1]
BESIDE = Path(os.environ.get("FABRICBO_LOGGERS_PYTHON", ROOT / ".venv-loggers" / "bin" / "python"))

RUN = """
import json, sys
from pathlib import Path
from dataclasses import replace
from fabricbo.loggers import load_logger
from fabricbo.study import Parts, Study
from tests.fakes import ColourSampler, UnitProposer, redness
folder, name, options = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
for stop in (3, 99):  # stopped, then resumed by what might be another process
    parts = Parts(UnitProposer(), ColourSampler(), redness)
    study = Study.open(folder, replace(parts, loggers={name: load_logger(name, options)}))
    study.run(stop=lambda: len(study.trials) >= stop)
    if stop == 99:
        study.hold_out()
    study.close(120)
assert len((folder / "logged" / f"{name}.txt").read_text().splitlines()) == 7 + 2 + 1
"""
READ = {
    "tensorboard": """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
import io; from PIL import Image
read = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
read.Reload()
scalars = {tag: {e.step: e.value for e in read.Scalars(tag)} for tag in read.Tags()["scalars"]}
assert all(len(scalars[tag]) == len(read.Scalars(tag)) for tag in scalars)
images = [Image.open(io.BytesIO(e.encoded_image_string)).convert("RGB").getpixel((0, 0))
          for e in read.Images("images/1")]
about = {"settings": "a cat" in str(read.Tensors("settings/text_summary"))}
""",
    "wandb": """
import struct, time
from PIL import Image
from wandb.proto import wandb_internal_pb2
def records(file):  # what `wandb sync` reads: blocks of LevelDB's log format
    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        if kind == 0:
            return
        whole, at = whole + data[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            whole = b""
            yield record
runs = sorted((folder / "wandb").glob("offline-run-*"))
assert len(runs) == 2, runs
def written(run):  # by a process of wandb's own, which may be behind
    until = time.monotonic() + 60
    while True:
        found = list(records(next(run.glob("*.wandb"))))
        if any(r.WhichOneof("record_type") == "exit" for r in found):
            return found
        assert time.monotonic() < until, "no end was written"
        time.sleep(0.2)
found = [(run, r) for run in runs for r in written(run)]
assert len({r.run.run_id for _, r in found if r.WhichOneof("record_type") == "run"}) == 1
scalars, images = {}, {}
for run, record in found:
    if record.WhichOneof("record_type") != "history":
        continue
    items = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item}
    for key, value in items.items():
        if isinstance(value, (int, float)):
            known = scalars.setdefault(key, {})
            assert items["trial"] not in known or "score/redness" not in items, "logged twice"
            known.setdefault(items["trial"], value)
    names = items.get("images/filenames")
    if names:
        image = Image.open(run / "files" / names[1]).convert("RGB")
        images[items["trial"]] = image.getpixel((0, 0))
images = [images[trial] for trial in sorted(images)]
config = [u.value_json for _, r in found for u in r.run.config.update if u.key == "prompt"]
about = {"settings": json.loads(config[0]) == "a cat"}
""",
    "mlflow": """
from mlflow import MlflowClient
import tempfile; from PIL import Image
client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
experiment = client.get_experiment_by_name("fabricbo")
(run,) = client.search_runs([experiment.experiment_id])
assert run.info.status == "FINISHED"
scalars = {}
for key in run.data.metrics:
    history = client.get_metric_history(run.info.run_id, key)
    scalars[key] = {m.step: m.value for m in history}
    assert len(scalars[key]) == len(history), "logged twice"
names = [f.path for f in client.list_artifacts(run.info.run_id, "images")]
images = []
for name in sorted(names):
    if name.endswith("-1.png"):
        file = client.download_artifacts(run.info.run_id, name, tempfile.mkdtemp())
        images.append(Image.open(file).convert("RGB").getpixel((0, 0)))
about = {"settings": run.data.params["prompt"] == "a cat"}
""",
    "trackio": """
import os
from PIL import Image
from trackio import Api
from trackio.sqlite_storage import SQLiteStorage
(run,) = Api().runs("fabricbo")
rows = SQLiteStorage.get_logs("fabricbo", run.name)
scalars, images = {}, {}
for row in rows:
    for key, value in row.items():
        if isinstance(value, (int, float)) and key != "step":
            assert row["step"] not in scalars.get(key, {}), "logged twice"
            scalars.setdefault(key, {})[row["step"]] = value
        if key == "images/1":
            file = Path(os.environ["TRACKIO_DIR"]) / "media" / value["file_path"]
            images[row["step"]] = Image.open(file).convert("RGB").getpixel((0, 0))
images = [images[trial] for trial in sorted(images)]
about = {"settings": run.config["prompt"] == "a cat"}
""",
}
TELL = "\nprint(json.dumps({'scalars': scalars, 'images': images, 'about': about}))"


def python_with(package: str) -> str:
    """Return an interpreter that has a package."""
    if find_spec(package) is not None:
        return sys.executable
    if not BESIDE.is_file():
        pytest.skip(f"{package} is not installed: `make test` sets it up in .venv-loggers")
    return str(BESIDE)


@pytest.mark.parametrize("name", READ)
def test_written_and_read_back(tmp_path, name: str) -> None:
    folder = fake_study(tmp_path).folder
    python = python_with(name)
    code = RUN + READ[name] + TELL
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "TRACKIO_DIR": str(tmp_path / "trackio"),
        "WANDB_MODE": "offline",
    }
    done = subprocess.run(
        [python, "-W", "ignore", "-c", code, str(folder), name, "{}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()  # nothing else is printed: it would end up among results
    check(json.loads(line), Study.open(folder))


def check(said: dict[str, Any], study: Study) -> None:
    """Compare what the program knows with what the study does."""
    trials, scalars = study.trials, said["scalars"]
    means = {str(trial.index): trial.score.mean for trial in trials}
    assert scalars["score/redness"] == pytest.approx(means)
    errors = {str(trial.index): trial.score.standard_error for trial in trials}
    assert scalars["standard_error/redness"] == pytest.approx(errors)
    weights = {str(trial.index): trial.action.params.max_weight for trial in trials}
    assert scalars["params/max_weight"] == pytest.approx(weights)
    liked = {str(trial.index): len(trial.action.liked) for trial in trials}
    assert scalars["references/liked"] == liked
    assert scalars["best/redness"]["6"] == pytest.approx(max(means.values()))
    assert study.heldout is not None
    best = str(study.best().index)
    difference = study.heldout.first.difference.mean
    assert scalars["heldout/redness/difference"] == pytest.approx({best: difference})
    second = [study.images.load(trial.images[1]).getpixel((0, 0)) for trial in trials]
    assert [tuple(pixel) for pixel in said["images"]] == second
    assert said["about"] == {"settings": True}
