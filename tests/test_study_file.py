"""The study file: TOML in, settings out, paths relative to the file."""

import re
from pathlib import Path

import pytest

from fabricbo.study.file import read_study_file, template
from fabricbo.study.settings import SettingsError


def write(folder: Path, text: str, name: str = "cats.toml") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def test_template_is_a_study_file(tmp_path: Path) -> None:
    settings = read_study_file(write(tmp_path, template()))
    assert settings.name == "cats"
    assert settings.objective[0].options == {"text": "a gold cat on a blue background"}
    assert settings.space.to_space().hand.guidance_scale == 3.0


def test_lines_of_the_template_that_are_commented_out_are_valid_too(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=\w+ = )", "", template(), flags=re.MULTILINE)
    settings = read_study_file(write(tmp_path, text))
    assert settings.negative_prompt == "blurry"
    assert settings.checkpoint.width == 512
    assert settings.space.roles is True
    assert settings.pool.folder == tmp_path / "references"


def test_name_is_that_of_the_file_unless_given(tmp_path: Path) -> None:
    assert read_study_file(write(tmp_path, 'prompt = "a cat"')).name == "cats"
    named = write(tmp_path, 'name = "dogs"\nprompt = "a cat"')
    assert read_study_file(named).name == "dogs"


@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["plain", "byte order mark"])
def test_text_is_utf8(tmp_path: Path, start: str) -> None:
    assert (
        read_study_file(write(tmp_path, start + 'prompt = "ein Kätzchen"')).prompt == "ein Kätzchen"
    )


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch) -> None:
    text = """
    prompt = "a cat"
    storage = "kept"
    [checkpoint]
    name = "model"
    lora = "style.safetensors"
    config = "/opt/config"
    [pool]
    folder = "../pool"
    """
    (tmp_path / "in" / "model").mkdir(parents=True)
    file = write(tmp_path / "in", text)
    monkeypatch.chdir(tmp_path)
    settings = read_study_file(file.relative_to(tmp_path))
    here = tmp_path / "in"
    assert settings.storage == here / "kept"
    assert settings.pool.folder == here / ".." / "pool"
    assert settings.checkpoint.name == str(here / "model")
    assert settings.checkpoint.lora == here / "style.safetensors"
    assert settings.checkpoint.config == Path("/opt/config")


def test_home_is_understood(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = read_study_file(write(tmp_path, 'prompt = "a cat"\nstorage = "~/kept"'))
    assert settings.storage == tmp_path / "home" / "kept"


def test_storage_lies_beside_the_file_by_default(tmp_path: Path) -> None:
    settings = read_study_file(write(tmp_path, 'prompt = "a cat"'))
    assert settings.folder == tmp_path / "studies" / "cats"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"mine.py:score"', "{folder}/mine.py:score"),
        ('"other.py:score"', "other.py:score"),
        ('"module:score"', "module:score"),
        ('"colourfulness"', "colourfulness"),
    ],
    ids=["file", "no such file", "module", "installed"],
)
def test_objective_in_a_file_beside_is_found(tmp_path: Path, written: str, expected: str) -> None:
    (tmp_path / "mine.py").write_text("")
    settings = read_study_file(write(tmp_path, f'prompt = "a cat"\nobjective = {written}'))
    assert settings.objective[0].name == expected.format(folder=tmp_path)


def test_options_that_name_a_file_beside_are_located(tmp_path: Path) -> None:
    (tmp_path / "target.png").write_bytes(b"")
    text = 'prompt = "a cat"\n[objective]\nname = "mine"\ntarget = "target.png"\ntext = "gold"'
    settings = read_study_file(write(tmp_path, text))
    expected = {"target": str(tmp_path / "target.png"), "text": "gold"}
    assert settings.objective[0].options == expected


def test_long_option_is_no_path(tmp_path: Path) -> None:
    long = "a gold cat " * 500
    text = f'prompt = "a cat"\n[objective]\nname = "mine"\ntext = "{long}"'
    settings = read_study_file(write(tmp_path, text))
    assert settings.objective[0].options == {"text": long}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"prompt = a cat", r"cats\.toml is no TOML: .*line 1"),
        (b'prompt = "a cat"\nprompt = "a dog"', r"is no TOML: Cannot overwrite a value"),
        (b'prompt = "\xff\xfe"', "is no TOML: 'utf-8' codec"),
        (b"\x89PNG\r\n\x1a\n", "is no TOML"),
        (b"seed = " + b"9" * 5000, "is no TOML"),
        (b"", "prompt: is required"),
        (b'prompt = "a cat"\ntrails = 5', "trails: unknown key"),
        (b'prompt = "a cat"\n[spaec]\nmax_weight = 1', "spaec: unknown key"),
        (b'prompt = "a cat"\n[pool]\nfoldr = "x"', "pool.foldr: unknown key"),
        (b'prompt = "a cat"\nrounds = "four"', "rounds: .*integer, got 'four'"),
        (b'prompt = "a cat"\nstorage = 3', "storage: .*path.*got 3"),
        (b'prompt = "a cat"\npool = "references"', "pool: must be a table, got 'references'"),
        (b'prompt = "a cat"\n[space]\nmax_weight = nan', "max_weight must be finite, got nan"),
        (b'prompt = "a cat"\n[space]\nmax_weight = -1', "max_weight must be at least 0, got -1"),
        (b'prompt = "a cat"\nrounds = 2026-01-01', "rounds: .*integer, got datetime.date"),
    ],
)
def test_bad_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "cats.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        read_study_file(file)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*none\.toml: No such file"):
        read_study_file(tmp_path / "none.toml")


def test_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*: Is a directory"):
        read_study_file(tmp_path)
