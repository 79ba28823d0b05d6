"""`--json`: every command has it, answers have one shape, and schemas are kept."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from fabricbo.cli.answers.answer import Answer, command
from fabricbo.cli.app import app
from fabricbo.cli.schemas import ANSWERS, schema_text
from fabricbo.study import Study
from tests.answered import SCHEMAS, answered
from tests.fakes import fake_study

COMMANDS = typer.main.get_command(app).commands
FORK = ("fork", "--to", "new", "--round", "1")
ASKS = {"rate"}
"""Commands that ask a person, and tell programs nothing."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = fake_study(tmp_path_factory.mktemp("studies"))
    made.run()
    made.hold_out()
    return made


def run(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == status, done.output
    return done.stdout


def test_every_command_has_it_and_a_schema() -> None:
    options = {name: {o for p in c.params for o in p.opts} for name, c in COMMANDS.items()}
    assert {name for name, known in options.items() if "--json" not in known} == ASKS
    assert {*ANSWERS} - {"doctor-study"} == {*COMMANDS} - ASKS


@pytest.mark.parametrize("name", ANSWERS)
def test_schemas_are_as_kept(name: str) -> None:
    kept = (SCHEMAS / f"{name}.json").read_text("utf-8")
    assert schema_text(name) == kept, "python -m fabricbo.cli.schemas docs/schemas; see docs/api.md"


def test_no_schema_is_left_over() -> None:
    assert {file.stem for file in SCHEMAS.iterdir()} == {*ANSWERS}


@pytest.mark.parametrize("name", ANSWERS)
def test_one_shape(name: str) -> None:
    """A version, which the schema names, then what follows; then what is the command's own."""
    assert issubclass(ANSWERS[name], Answer)
    schema = ANSWERS[name].model_json_schema(mode="serialization")
    assert [*schema["properties"]][:2] == ["format", "next"]
    assert isinstance(schema["properties"]["format"]["const"], int)
    assert {"format", "next"} <= {*schema["required"]}
    assert schema["description"].startswith("`fabricbo ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("list", ["list", "--storage", "STORAGE"]),
        ("show", ["show", "STUDY"]),
        ("status", ["status", "STUDY"]),
        ("report", ["report", "STUDY"]),
        ("doctor-study", ["doctor", "STUDY"]),
        ("objectives", ["objectives"]),
        ("doctor", ["doctor", "--storage", "STORAGE"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_answers_are_as_their_schemas_say(study, name: str, words: list[str]) -> None:
    places = {"STUDY": study.folder, "STORAGE": study.folder.parent}
    found = answered(name, run(*(places.get(word, word) for word in words)))
    assert found["format"] == 1


def test_files_made_and_read(study, tmp_path: Path) -> None:
    made = answered("init", run("init", tmp_path / "cat.toml"))
    assert made["next"] == [f"fabricbo run {tmp_path / 'cat.toml'}"]
    zipped = tmp_path / "fake.zip"
    sent = answered("export", run("export", study.folder, "--what", "study", "--to", zipped))
    assert sent["next"] == [f"fabricbo import {zipped}"]
    there = tmp_path / "there"
    got = answered("import", run("import", zipped, "--storage", there))
    assert Study.open(Path(got["study"])).best() == study.best()
    forked = answered("fork", run(*FORK, got["study"], "--storage", there))
    assert forked["next"] == [f"fabricbo resume {there / 'new'}"]
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    (told,) = answered("about", run("about", tmp_path / "red.png"))["images"]
    assert (told["origin"], told["parameters"]) == (None, None)
    scored = answered("score", run("score", tmp_path / "red.png", "--objective", "brightness"))
    assert scored["mean"] == scored["scores"][0]


def test_what_follows_depends_on_how_it_stands(tmp_path) -> None:
    made = fake_study(tmp_path / "some where")
    for name in ("show", "status"):
        said = answered(name, run(name, made.folder))
        assert said["next"] == [f"fabricbo resume '{made.folder}'"]
    assert answered("list", run("list", "--storage", tmp_path))["next"] == [
        "fabricbo demo",
        "fabricbo init",
    ]


def test_a_study_that_cannot_be_read_is_named_beside_the_others(study, tmp_path) -> None:
    shutil.copytree(study.folder, tmp_path / "whole")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "study.db").write_bytes(b"no store")
    found = answered("list", run("list", "--storage", tmp_path))
    assert [one["name"] for one in found["studies"]] == ["fake"]
    assert [Path(one["folder"]).name for one in found["broken"]] == ["damaged"]


def test_people_are_told_what_follows(study, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*FORK, str(study.folder), "--storage", "y z"])
    assert done.stdout.splitlines()[-1] == "next: fabricbo resume 'y z/new'"
    assert command("show", "it's") == """fabricbo show 'it'"'"'s'"""


def test_nothing_but_numbers_goes_out_as_numbers() -> None:
    class Told(Answer):
        format: int = 1
        value: float

    assert json.loads(Told(value=0.1).to_json()) == {"format": 1, "next": [], "value": 0.1}
    with pytest.raises(ValueError, match="not JSON compliant"):
        Told(value=float("nan")).to_json()
