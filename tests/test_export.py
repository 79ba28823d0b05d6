"""Votes, pairs and images as other programs read them, from the command line."""

import csv
import hashlib
import io
import json
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from fabricbo.cli.app import app
from fabricbo.imagefiles import open_image, pixel_hash
from fabricbo.rating.assignment import next_task
from fabricbo.rating.sitting import new_rater
from fabricbo.study import Study
from fabricbo.votes import Question
from tests.web_server import fill, rated_study

parquet = pytest.importorskip("pyarrow.parquet")

PICK_A_PIC = {
    *("are_different", "best_image_uid", "caption", "created_at", "has_label", "image_0_uid"),
    *("image_0_url", "image_1_uid", "image_1_url", "jpg_0", "jpg_1", "label_0", "label_1"),
    *("model_0", "model_1", "ranking_id", "user_id", "num_example_per_prompt"),
}


def vote(study: Study, rater: int, *answers: str) -> None:
    for place, answer in enumerate(answers):
        task = next_task(study.ballots, study.settings, rater)
        assert task is not None
        study.ballots.vote(task, answer, f"{rater} {place} {len(study.ballots.votes())}", 1.5)


def voted(tmp_path: Path, kind: str = "pairwise", *answers: str, **settings) -> Study:
    """A study in which Ada has answered so, and Bob, who was left out, the first question."""
    study = rated_study(tmp_path, rating={"kind": kind, "judgements": 2, "options": 3}, **settings)
    fill(study)
    ada, bob = (new_rater(study.ballots, name) for name in ("Ada", "Bob"))
    vote(study, ada, *answers)
    vote(study, bob, "skip" if not answers else answers[0])
    study.ballots.exclude(bob, "asleep")
    return study


def export(study: Study, what: str, to: Path, *more: str) -> tuple[int, str]:
    arguments = ["export", str(study.folder), "--what", what, "--to", str(to), *more]
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stderr


def test_votes_read_the_same_from_csv_and_parquet(tmp_path) -> None:
    study = voted(tmp_path, "pairwise", "left", "right", "skip")
    last = study.ballots.last_answered(1)
    study.ballots.vote(last, "undo", "undo")
    for name in ("votes.csv", "votes.parquet"):
        assert export(study, "votes", tmp_path / name) == (0, "")
    rows = list(csv.DictReader((tmp_path / "votes.csv").open(encoding="utf-8", newline="")))
    table = parquet.read_table(tmp_path / "votes.parquet").to_pylist()
    assert [row["answer"] for row in rows] == ["left", "right", "skip", "left", "undo"]
    assert [row["counts"] for row in table] == [True, True, False, False, False]
    for row, other in zip(rows, table, strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in other.items()}
    first = study.ballots.votes()[0]
    assert table[0]["images"].split() == [option.image for option in first.task.shown]
    assert table[0]["trials"].split()[0] == str(first.task.shown[0].trial)
    assert table[0]["created"].endswith("+00:00")
    assert table[0]["seconds"] == 1.5


def test_votes_of_nobody_are_an_empty_table(tmp_path) -> None:
    study = rated_study(tmp_path)
    assert export(study, "votes", tmp_path / "votes.parquet") == (0, "")
    empty = parquet.read_table(tmp_path / "votes.parquet")
    assert empty.num_rows == 0
    assert str(empty.schema.field("seconds").type) == "double"


def test_pairs_are_as_in_pick_a_pic(tmp_path) -> None:
    study = voted(tmp_path, "pairwise", "left", "right", "tie", "skip")
    assert export(study, "pairs", tmp_path / "pairs.parquet") == (0, "")
    rows = parquet.read_table(tmp_path / "pairs.parquet").to_pylist()
    assert {*rows[0]} == PICK_A_PIC
    assert [(row["label_0"], row["label_1"]) for row in rows] == [(1, 0), (0, 1), (0.5, 0.5)]
    for row in rows:
        assert (row["caption"], row["user_id"], row["num_example_per_prompt"]) == ("a cat", 1, 3)
        for side in ("0", "1"):
            image = Image.open(io.BytesIO(row[f"jpg_{side}"]))
            assert pixel_hash(image.convert("RGB")) == row[f"image_{side}_uid"]
    best = [row["best_image_uid"] for row in rows]
    assert best == [rows[0]["image_0_uid"], rows[1]["image_1_uid"], "tie"]


def test_best_of_makes_a_pair_for_each_that_was_not_chosen(tmp_path) -> None:
    study = voted(tmp_path, "best-of", "2")
    assert export(study, "pairs", tmp_path / "pairs.parquet") == (0, "")
    rows = parquet.read_table(tmp_path / "pairs.parquet").to_pylist()
    shown = [option.image for option in study.ballots.votes()[0].task.shown]
    assert [row["image_1_uid"] for row in rows] == [shown[0], *shown[2:]]
    assert {row["image_0_uid"] for row in rows} == {shown[1]}


class PromptSampler:
    """Draws with blue by the length of the prompt, so that no two prompts give the same image."""

    def __call__(self, action, prompt, seeds):
        prompts = [prompt] * len(seeds) if isinstance(prompt, str) else prompt
        red = round(100 * action.params.max_weight)
        colours = [(red, s % 256, 9 * len(p)) for s, p in zip(seeds, prompts, strict=True)]
        return [Image.new("RGB", (8, 8), colour) for colour in colours]


def test_captions_are_those_that_images_were_drawn_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tests.web_server.ColourSampler", PromptSampler)
    prompts = ["a cat", "a hippopotamus"]
    study = voted(tmp_path, "pairwise", *["left"] * 4, prompt=prompts)
    export(study, "pairs", tmp_path / "pairs.parquet")
    rows = parquet.read_table(tmp_path / "pairs.parquet").to_pylist()
    for row in rows:
        blue = Image.open(io.BytesIO(row["jpg_0"])).getpixel((0, 0))[2]
        assert blue == 9 * len(row["caption"])
    assert {row["caption"] for row in rows} == {*prompts}


def test_without_comparisons_there_are_no_pairs(tmp_path) -> None:
    study = voted(tmp_path, "stars", "5")
    status, told = export(study, "pairs", tmp_path / "pairs.parquet")
    assert status == 1
    assert told.startswith("error: no vote that counts compares two images")
    assert [*tmp_path.glob("*.part"), *tmp_path.glob("pairs*")] == []


def test_gold_checks_are_no_pairs(tmp_path) -> None:
    study = voted(tmp_path, "pairwise", "left")
    options = study.ballots.questions()[0].options
    gold = tuple(type(option)(option.image, None) for option in options)
    study.ballots.add_questions([Question(0, "pairwise", gold, "gold", expected=0)])
    number = study.ballots.questions()[-1].id
    task = study.ballots.assign(study.ballots.question(number), 1, [0, 1])
    study.ballots.vote(task, "left", "gold")
    export(study, "pairs", tmp_path / "pairs.parquet")
    assert parquet.read_table(tmp_path / "pairs.parquet").num_rows == 1


def test_images_come_with_what_is_known_of_them(tmp_path) -> None:
    study = voted(tmp_path, "pairwise", "left", "both-bad")
    assert export(study, "images", tmp_path / "images") == (0, "")
    rows = [json.loads(line) for line in (tmp_path / "images/metadata.jsonl").open()]
    drawn = list(dict.fromkeys(image for trial in study.trials for image in trial.images))
    assert [row["identity"] for row in rows] == drawn
    files = {file.name for file in (tmp_path / "images").iterdir()}
    assert files == {row["file_name"] for row in rows} | {"metadata.jsonl"}
    verdicts = study.ballots.verdicts()
    assert sorted(verdicts.values()) != []
    for row in rows:
        assert pixel_hash(open_image(tmp_path / "images" / row["file_name"])) == row["identity"]
        assert row["text"] == "a cat"
        assert row["verdict"] == verdicts.get(row["identity"], 0)
        assert row["action"] == study.trials[row["trial"]].action.to_json()


def test_nothing_is_overwritten_unasked(tmp_path) -> None:
    study = voted(tmp_path, "pairwise", "left")
    for what, name in {"votes": "v.csv", "pairs": "p.parquet", "images": "images"}.items():
        assert export(study, what, tmp_path / name)[0] == 0
    before = _hashes(tmp_path)
    vote(study, 1, "right")
    for what, name in {"votes": "v.csv", "pairs": "p.parquet", "images": "images"}.items():
        status, told = export(study, what, tmp_path / name)
        assert (status, "there already" in told or "exists already" in told) == (1, True)
    assert _hashes(tmp_path) == before
    for what, name in {"votes": "v.csv", "pairs": "p.parquet", "images": "images"}.items():
        assert export(study, what, tmp_path / name, "--force")[0] == 0
    after = _hashes(tmp_path)
    assert after["v.csv"] != before["v.csv"]
    assert after["p.parquet"] != before["p.parquet"]
    assert after["metadata.jsonl"] != before["metadata.jsonl"]


def _hashes(folder: Path) -> dict[str, str]:
    files = [*folder.glob("*.*"), *folder.glob("images/*")]
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()}


def test_force_removes_what_an_export_wrote_and_nothing_else(tmp_path) -> None:
    study = voted(tmp_path, "pairwise", "left")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "diary.txt").write_text("dear")
    status, told = export(study, "images", mine, "--force")
    assert (status, told) == (
        1,
        f"error: {mine} was not written by an export; name another folder\n",
    )
    outside = tmp_path / "outside.png"
    outside.write_text("here")
    (mine / "metadata.jsonl").write_text('{"file_name": "../outside.png"}\n')
    assert export(study, "images", mine, "--force")[0] == 1
    assert outside.read_text() == "here"
    assert (mine / "diary.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("what", "to", "more", "told"),
    [
        ("votes", "votes", (), "no format"),
        ("votes", "votes.xlsx", (), "xlsx"),
        ("pairs", "pairs.csv", (), "parquet"),
        ("images", "images", ("--format", "csv"), "leave --format out"),
        ("opinions", "o.csv", (), "got --what opinions"),
        ("votes", "none/votes.csv", (), "there is no folder"),
    ],
)
def test_what_cannot_be_written_is_told(tmp_path, what, to, more, told) -> None:
    study = rated_study(tmp_path)
    status, said = export(study, what, tmp_path / to, *more)
    assert (status, told in said) == (1, True), said


def test_without_pyarrow_it_says_how_to_get_it(tmp_path, monkeypatch) -> None:
    study = rated_study(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, told = export(study, "votes", tmp_path / "votes.parquet")
    assert (status, "pip install 'fabricbo[web]'" in told) == (1, True)
    assert export(study, "votes", tmp_path / "votes", "--format", "csv") == (0, "")
