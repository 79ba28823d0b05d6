"""Both experiments of the paper, and the training of the demo's LoRA, run as commands."""

import csv
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from experiments import train_demo_lora
from experiments.paper import drawing
from experiments.paper.command import run
from experiments.paper.systems import SYSTEMS
from experiments.train_demo_lora import LORA_FILE

PROTOCOLS = ("preference", "target")


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command in this process, which has imported everything already."""

    def run_it(protocol: str, *options: str) -> str:
        monkeypatch.setattr(sys, "argv", ["test", "--smoke", "--device", "cpu", *options])
        run(protocol, "")
        return capsys.readouterr().out

    return run_it


@pytest.mark.parametrize(
    ("protocol", "systems"),
    [
        ("preference", tuple(SYSTEMS)),
        ("target", ("sd", "fabric", "fabric-found", "best-of-n")),  # the same code, so a few do
    ],
    ids=PROTOCOLS,
)
def test_smoke_is_played_once_and_told_again(
    protocol: str,
    systems: tuple[str, ...],
    tell: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results, curves = tmp_path / "results.jsonl", tmp_path / "curves.csv"
    options = [protocol, "--results", str(results), "--systems", ",".join(systems)]
    done = tell(*options, "--figure", str(tmp_path / "figure.png"), "--csv", str(curves))
    assert "| FABRIC scores above the baseline | 2 |" in done
    assert "Settings found in 2 trials on 1 other prompts" in done
    lines = results.read_text().splitlines()
    assert len(lines) == 2 * len(systems)
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    with curves.open() as stream:
        assert {row["system"] for row in csv.DictReader(stream)} == set(systems)

    # A kill in the middle of a line loses that line and nothing else.
    results.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:40])
    assert tell(*options) == done
    assert len(results.read_text().splitlines()) == len(lines) + 1

    # What is kept is told without drawing anything.
    monkeypatch.setattr(drawing, "load_pipeline", lambda *_: pytest.fail("loaded"))
    assert tell(*options, "--kept") == done
    told = json.loads(tell(*options, "--kept", "--json"))
    assert set(told) == {"curves", "verdicts", "search", "found"}
    assert len(told["search"]) == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scripts_are_commands(
    protocol: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["test", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module(f"experiments.{protocol}_feedback", run_name="__main__")
    assert f"docs/data/paper-{protocol}.jsonl" in capsys.readouterr().out


def test_prompts_from_a_file(tell: Callable[..., str], tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a cat\na dog\na fox\n", "utf-8")
    done = tell(
        *("preference", "--prompts", str(prompts), "--systems", "sd,fabric"),
        *("--results", str(tmp_path / "results.jsonl")),
    )
    assert "Last round, mean over 2 prompts" in done
    assert "judge, who chooses nothing" not in done  # nobody knows what they should show


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--systems", "sd,none"), "--systems must be of sd, .*got 'none'"),
        (("--systems", "sd,best-of-n"), "best-of-n spends what fabric does"),
        (("--prompts", "none.csv"), r"prompts: no file none\.csv"),
        (("--lora", "none.safetensors"), r"lora: no file none\.safetensors"),
        (("--lora", "none.bin"), r"lora: no file none\.bin"),
        (("--scorer", "none"), "objective must be .* got 'none'"),
        (("--scorer", "palette-distance"), "palette-distance"),
        (("--judge", "vendi"), "vendi cannot choose or judge images"),
        (("--judge", "none"), "objective must be .* got 'none'"),
        (("--clip", "none"), "got 'none'"),
        (("--checkpoint", "none/none"), "--prompts FILE is needed"),
        (("--images", "1"), "images must be 2 to 100 a round, got 1"),
        (("--steps", "0"), r"denoising_steps must be in \[1, 1000\], got 0"),
        (("--proposer", "none"), "must be one of .* got 'none'"),
        (("--kept",), "keeps no task that all of these systems have played"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_wrong_is_said_before_anything_is_loaded(
    options: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drawing, "load_pipeline", lambda *_: pytest.fail("loaded"))
    results = str(tmp_path / "results.jsonl")
    monkeypatch.setattr(sys, "argv", ["test", "--results", results, *options])
    with pytest.raises(SystemExit, match=message):
        run("preference", "")
    assert not list(tmp_path.iterdir())


def test_networks_that_are_missing_are_missed_before_anything_is_drawn(
    tell: Callable[..., str], tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    options = ("preference", "--results", str(results), "--scorer-options", "{}")
    with pytest.raises(SystemExit, match="yuvalkirstain/PickScore_v1"):
        tell(*options)
    assert not list(tmp_path.iterdir())


def test_lora_of_the_demo_can_be_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "lora.safetensors"
    options = ("--smoke", "--folder", str(tmp_path / "state"), "--output", str(output))
    monkeypatch.setattr(sys, "argv", ["test", *options])
    train_demo_lora.main()
    assert "preferred" in capsys.readouterr().out
    trained, shipped = load_file(output), load_file(LORA_FILE)
    assert {n: v.shape for n, v in trained.items()} == {n: v.shape for n, v in shipped.items()}
    assert all(".processor.to_" in name for name in shipped)
    assert LORA_FILE.stat().st_size < 2**20
