"""Loggers are told all, once, in order, and can do a study no harm."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fabricbo.events import HeldOut, RoundOver, StudyBegun, StudyEnded, StudyEvent, TrialOver
from fabricbo.loggers import LoggerError, load_logger
from fabricbo.loggers.jsonl import JsonLines
from fabricbo.records import TrialStatus
from fabricbo.study import Parts, SettingsError, Study, channel, check_settings
from fabricbo.study.file import read_study_file
from tests.fakes import ColourSampler, UnitProposer, fake_study, redness


class Remembers:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[StudyEvent] = []

    def log(self, event: StudyEvent) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


class Raises(Remembers):
    """Breaks at the third event."""

    def log(self, event: StudyEvent) -> None:
        super().log(event)
        if len(self.events) == 3:
            raise SystemExit("no more")


def logged(folder: Path, **loggers: object) -> Study:
    parts = Parts(UnitProposer(), ColourSampler(), redness)
    return Study.open(folder, replace(parts, loggers=loggers))


def test_all_is_told_once_and_in_order(tmp_path) -> None:
    folder, keeps = fake_study(tmp_path).folder, Remembers()
    study = logged(folder, keeps=keeps)
    study.run()
    study.hold_out()
    study.close()
    kinds = [type(event).__name__ for event in keeps.events]
    trial = ["TrialOver"]
    assert kinds == [
        "StudyBegun",
        *trial * 4,
        "RoundOver",
        *trial * 3,
        "RoundOver",
        "HeldOut",
        "StudyEnded",
    ]
    over = keeps.of(TrialOver)
    assert [event.trial.index for event in over] == list(range(7))
    assert all(len(event.images) == 2 for event in over)
    means = [event.trial.score.mean for event in over]
    assert [event.best.score.mean for event in over] == [max(means[: n + 1]) for n in range(7)]
    begun, ended = keeps.events[0], keeps.events[-1]
    assert isinstance(begun, StudyBegun)
    assert (begun.resumed, begun.about.planned) == (False, 7)
    assert isinstance(ended, StudyEnded)
    assert ended.complete
    (held,) = keeps.of(HeldOut)
    assert study.heldout is not None
    assert held.comparisons[0].difference == study.heldout.first.difference


def test_a_resumed_study_goes_on_and_a_new_logger_is_told_the_past(tmp_path) -> None:
    folder, first, second, new = fake_study(tmp_path).folder, *(Remembers() for _ in range(3))
    study = logged(folder, keeps=first)
    study.run(stop=lambda: len(study.trials) >= 3)
    study.close()
    study = logged(folder, keeps=second, new=new)
    study.run()
    study.close()
    told = [event.trial.index for one in (first, second) for event in one.of(TrialOver)]
    assert told == list(range(7))
    assert [event.trial.index for event in new.of(TrialOver)] == list(range(7))
    assert [event.round for event in new.of(RoundOver)] == [1, 2]
    assert len({event.about.id for event in (*first.events, *second.events)}) == 1
    assert second.of(StudyBegun)[0].resumed
    assert not first.of(StudyEnded)[0].complete


def test_one_that_raises_is_left_out_and_told_the_rest_next_time(tmp_path, caplog) -> None:
    folder, broken, whole = fake_study(tmp_path).folder, Raises(), Remembers()
    study = logged(folder, broken=broken, whole=whole)
    assert study.run() is not None
    study.close()
    assert len(broken.events) == 3
    assert len(whole.of(TrialOver)) == 7
    assert caplog.text.count("logger broken raised SystemExit: no more") == 1
    mended = Remembers()
    study = logged(folder, broken=mended)
    study.run()
    study.close()
    assert [event.trial.index for event in mended.of(TrialOver)] == list(range(1, 7))


def test_one_that_hangs_is_left_out(tmp_path, caplog, monkeypatch) -> None:
    enough = threading.Event()

    class Hangs:
        def log(self, _event: StudyEvent) -> None:
            enough.wait(60)

    monkeypatch.setattr(channel, "PATIENCE", 0.0)
    study = logged(fake_study(tmp_path).folder, hangs=Hangs())
    began = time.monotonic()
    assert study.run() is not None
    study.close(patience=0.1)
    enough.set()
    assert time.monotonic() - began < 30
    assert caplog.text.count("logger hangs has not answered") == 1
    assert all(trial.status is TrialStatus.DONE for trial in study.trials)


def test_ask_and_tell_are_told_too(tmp_path) -> None:
    keeps = Remembers()
    study = logged(fake_study(tmp_path).folder, keeps=keeps)
    trial = study.ask()
    study.tell(trial, ColourSampler()(trial.action, "", trial.seeds), [1.0, 2.0])
    study.fail(study.ask(), "nothing came")
    study.close()
    assert [(e.trial.status, e.trial.reason) for e in keeps.of(TrialOver)] == [
        (TrialStatus.DONE, None),
        (TrialStatus.FAILED, "nothing came"),
    ]


# JSON lines


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_json_lines_append_and_survive_half_a_line(tmp_path) -> None:
    folder = fake_study(tmp_path).folder
    study = logged(folder, jsonl=JsonLines())
    study.run(stop=lambda: len(study.trials) >= 3)
    study.close()
    file = folder / "log.jsonl"
    assert [one["event"] for one in lines(file)] == ["begun", *["trial"] * 3, "ended"]
    # Killed while it wrote the third trial, and before it noted the second.
    text = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*text[:3], text[3][:40]]))
    note = folder / "logged" / "jsonl.txt"
    note.write_text(note.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    study = logged(folder, jsonl=JsonLines())
    study.run()
    study.hold_out()
    study.close()
    found = lines(file)
    assert [one["trial"] for one in found if one["event"] == "trial"] == list(range(7))
    assert [one["event"] for one in found].count("heldout") == 1
    assert {one["schema"] for one in found} == {1}
    trial = next(one for one in found if one["event"] == "trial")
    assert trial["numbers"]["score/redness"] == pytest.approx(study.trials[0].score.mean)
    assert trial["time"].endswith("+00:00")
    assert trial["images"] == list(study.trials[0].images)
    assert found[0]["directions"] == {"redness": "maximize"}


# Settings


def settings(**more: object) -> dict:
    return {"name": "cat", "prompt": "a cat", "objective": "brightness", **more}


def test_loggers_of_a_study_file(tmp_path) -> None:
    (tmp_path / "mine.py").write_text("class Mine:\n    def log(self, event): pass\n")
    file = tmp_path / "cat.toml"
    file.write_text(
        'prompt = "a cat"\nobjective = "brightness"\n'
        '[[loggers]]\nname = "jsonl"\n[[loggers]]\nname = "mine.py:Mine"\n'
    )
    found = read_study_file(file).loggers
    assert [one.called for one in found] == ["jsonl", "Mine"]
    assert load_logger(found[1].name).log(None) is None
    assert [one.name for one in check_settings(settings(loggers="jsonl")).loggers] == ["jsonl"]


WRONG = {
    "twice": (["jsonl", "jsonl"], "different names"),
    "no option": ([{"name": "jsonl", "file": [1]}], "option 'file'"),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG)
def test_wrong_settings(given: object, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        check_settings(settings(loggers=given))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("nonsense", {}, "must be jsonl, tensorboard"),
        ("jsonl", {"colour": "red"}, "colour"),
        ("nowhere.py:Mine", {}, "cannot be imported"),
        ("json:JSONDecoder", {}, "no method `log`"),
        ("wandb", {"mode": "sometimes"}, "mode must be"),
    ],
)
def test_what_is_no_logger_is_told_before_anything_is_drawn(name, options, said) -> None:
    with pytest.raises(LoggerError, match=said):
        load_logger(name, options)


def test_a_missing_package_is_named(monkeypatch) -> None:
    monkeypatch.setattr("fabricbo.loggers.loading.find_spec", lambda _name: None)
    with pytest.raises(LoggerError, match=r"pip install 'fabricbo\[mlflow\]'"):
        load_logger("mlflow")
