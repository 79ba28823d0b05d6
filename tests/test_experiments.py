"""The scripts in `experiments/` run with `--smoke`; those of the demo checkpoint have own tests."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.commands import script


def test_compare_proposers(tmp_path: Path) -> None:
    command, results = ("experiments.compare_proposers", "--smoke"), tmp_path / "runs.jsonl"
    done = script(*command, "--results", results)
    again = script(*command, "--results", results, "--kept")
    nothing = script(*command, "--results", tmp_path / "none.jsonl", "--kept")
    lines = done.stdout.splitlines()
    assert sum(line.startswith("| pool-4 |") for line in lines) == 3
    assert lines[-2].startswith("| `sobol` | ")
    assert again.stdout == done.stdout
    assert again.stderr == ""
    assert (done.returncode, again.returncode, nothing.returncode) == (0, 0, 1)
    assert "keeps no run" in nothing.stderr


def test_feedback_pictures(tmp_path: Path) -> None:
    done = script("experiments.feedback_pictures", "--smoke", "--figures", tmp_path)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    names = list(dict.fromkeys(one["picture"] for one in told))
    assert len(told) == 2 * len(names) > 2
    assert {f"feedback-{name}.png" for name in names} == {f.name for f in tmp_path.iterdir()}
    assert all(len(one) > 2 for one in told)  # each column has a score


def test_transformer_feedback(tmp_path: Path) -> None:
    done = script("experiments.transformer_feedback", "--smoke", "--json", "--folder", tmp_path)
    rows = json.loads(done.stdout.splitlines()[-1])
    assert [row["kind"] for row in rows] == 7 * ["sd3"] + 7 * ["pixart"] + 7 * ["flux"]
    assert all(row["ground_difference"] == [0, 0] for row in rows if row["weight"] == 0)
    assert all(0 <= row[name] <= 1 for row in rows for name in ("color", "ground", "shape"))
    assert {"sd3.png", "pixart.png", "flux.png"} < {file.name for file in tmp_path.iterdir()}


def test_unguided_dislikes() -> None:
    rows = json.loads(script("experiments.unguided_dislikes", "--smoke", "--json").stdout)
    assert [(row["guidance"], row["weight"], row["images"]) for row in rows] == [
        (1.0, 0.0, 8),
        (1.0, 0.2, 8),
    ]
    assert all(0 <= row[name] <= 1 for row in rows for name in ("style", "background", "concept"))


def test_optional_fields(tmp_path: Path) -> None:
    fields = ("--field", "ramp", "--field", "strengths")
    command = ("experiments.optional_fields", "--smoke", *fields, "--json", "--results", tmp_path)
    done, again = script(*command), script(*command, "--kept")
    told = json.loads(done.stdout)
    assert again.stdout == done.stdout
    assert [(row["field"], row["seeds"]) for row in told["search"]] == [
        ("ramp", 1),
        ("strengths", 1),
    ]
    assert all(row["difference"] == row["with"] - row["without"] for row in told["search"])
    settings = [row["setting"] for row in told["slices"]]
    assert settings == 2 * [0.0, 0.3, 0.6, 1.0] + 2 * [1.0, 0.5, 2.0, 4.0]
    assert all(-1 <= row["score"] <= 1 for row in told["slices"])


def test_time_suggestions() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "experiments.time_suggestions"]
    done = subprocess.run(
        [*command, "--smoke", "--json"], check=True, capture_output=True, text=True
    )
    told = json.loads(done.stdout)
    assert 0 < told["seconds"]["4 references, 10 trials"] < 60
    assert 1e8 < told["peak_bytes"] < 1e9


def test_measure_reproducibility() -> None:
    lines = script("experiments.measure_reproducibility", "--smoke").stdout.splitlines()
    assert len(lines) == 4
    assert lines[0] == "DDIMScheduler, again: 0.0000% differ, by 0/255 at most"


def test_bench_rating() -> None:
    command = [sys.executable, "-m", "experiments.bench_rating", "--smoke", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert (found["errors"], found["missing"]) == (0, 0)
    assert found["votes_a_second"] > 0


def test_time_saving() -> None:
    done = script("experiments.time_saving", "--smoke", "--json")
    found = json.loads(done.stdout)["64 x 64"]
    assert found.keys() == {"no texts", "both texts", "memory://"}
    assert all(0 < seconds < 10 for seconds in found.values())


def test_simulate_cluster() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "experiments.simulate_cluster"]
    with TemporaryDirectory() as folder:
        options = ["--smoke", "--results", f"{folder}/cells.jsonl"]
        done = subprocess.run(
            [*command, *options, "--json"], check=True, capture_output=True, text=True
        )
        again = subprocess.run(
            [*command, *options, "--kept", "--figure", f"{folder}/figure.png"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert Path(folder, "figure.png").stat().st_size > 1000
    simulated, asleep = json.loads(done.stdout)
    assert (simulated["clock"], asleep["clock"]) == ("simulated", "asleep")
    for found in (simulated, asleep):
        assert found["trials"] >= 4
        assert 1 < found["trials_a_second"] < 6  # two workers, half a second each
        assert found["commits"] == 3
        assert 0 <= found["idle"] < 0.9
    assert again.stdout.count("| sobol | sqlite") == 2


def test_bench_resume() -> None:
    command = [sys.executable, "-m", "experiments.bench_resume", "--smoke", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found.keys() == {"sqlite, 6 trials", "sqlite, 6 votes"}
    for seconds in found.values():
        assert 0 < seconds["all but imports"] < seconds["the whole process"]


def test_bench_attention() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "experiments.bench_attention", "--smoke"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    heading, _, row = done.stdout.splitlines()
    assert heading.endswith("masked | widened | merged |")
    assert row.startswith("| 64 | 40 | 1 | 2 |")


def test_price_of_shortcuts() -> None:
    lines = script("experiments.price_of_shortcuts", "--smoke").stdout.splitlines()
    rows = {row.split(" | ")[0].strip("| "): row.split(" | ")[1:] for row in lines[2:]}
    assert rows["usual"][1] == "0.0"
    assert float(rows["lean"][1]) < 1 < float(rows["no feedback"][1])
    held = {name: float(row[-1].strip(" |")) for name, row in rows.items()}
    assert held["reference_stride 2"] < 0.6 * held["usual"]
    assert held["merge_tokens 0.5"] < held["usual"]


@pytest.mark.slow
def test_bench_compile() -> None:
    rows = script("experiments.bench_compile", "--smoke").stdout.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| plain", "| feedback"]
    assert all(int(row.strip(" |").split(" | ")[-1]) <= 1 for row in rows)


def test_distil_decoder() -> None:
    with TemporaryDirectory() as folder:
        done = script("experiments.distil_decoder", "--smoke", "--to", folder)
        assert Path(folder, "diffusion_pytorch_model.safetensors").exists()
    rows = [row.strip("| ").split(" | ") for row in done.stdout.splitlines() if " dB |" in row]
    full = [float(row[1].removesuffix(" dB")) for row in rows]
    assert full == sorted(full)  # later previews are nearer to the image
    assert full[-1] > 30


def test_weighing_the_sampler() -> None:
    done = script("experiments.bench_sampler", "--weigh", "--smoke", "--cpu")
    _, _, *rows = done.stdout.splitlines()
    for row in rows:
        _, _, plain, cold, bounded, authors = map(float, row.strip("| ").split(" | "))
        assert plain <= bounded <= cold < authors


def test_timing_some_ways_of_the_sampler() -> None:
    command = ("experiments.bench_sampler", "--time", "--smoke", "--cpu", "--json", "--ways")
    rows = json.loads(script(*command, "plain,cold").stdout)["rows"]
    assert [row.keys() for row in rows] == [{"references", "images", "plain", "cold"}] * 2


def test_memory_of_the_sampler() -> None:
    done = script("experiments.bench_sampler", "--memory", "--unet", "tiny", "--references", "1,4")
    one, four = (
        [float(number) for number in row.strip("| ").split(" | ")]
        for row in done.stdout.splitlines()[2:4]
    )
    assert (one[:2], four[:2]) == ([1, 1], [4, 1])
    assert one[2] >= one[3]
    assert 3.5 < four[4] / one[4] < 4.5


def test_operations_of_the_sampler() -> None:
    done = script("experiments.bench_sampler", "--operations", "--smoke")
    _, _, row = done.stdout.splitlines()
    _, _, plain, cold, strided, warm, _, authors, ratio = row.strip("| ").split(" | ")
    assert float(plain) <= float(warm) < float(strided) < float(cold) <= float(authors)
    assert 0.8 < float(ratio) < 1


def test_bench_sampler() -> None:
    done = script("experiments.bench_sampler", "--smoke", "--json", "--cpu")
    rows = json.loads(done.stdout)["rows"]
    assert [(row["references"], row["images"]) for row in rows] == [(1, 1), (4, 1)]
    for row in rows:
        assert min(row[name] for name in ("plain", "cold", "strided", "warm", "authors")) > 0
        assert row["authors_bytes"] > row["warm_bytes"]  # of a whole matrix of probabilities
        assert row["lean_bytes"] < row["warm_bytes"]
