"""`fabricbo convert`: from studies and files, to all forms; files may come from anybody."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from fabricbo.cli.app import app
from fabricbo.imagefiles import open_image, pixel_hash
from fabricbo.interop.code import diffusers_code
from fabricbo.interop.forms import FORMS
from fabricbo.interop.recipe import Recipe
from fabricbo.records import Action, FabricParams
from fabricbo.study import Study, check_settings
from fabricbo.study.origin import png_info
from fabricbo.study.recipe import recipe_of_trial
from tests.fakes import POOL, ColourSampler, fake_study
from tests.files import file_of
from tests.test_interop import PLAIN
from tests.test_origin import PLAIN as ORIGIN
from tests.tiny import tiny_xl_pipeline
from tests.tiny_transformers import tiny_flux, tiny_sd3

RED = Image.new("RGB", (8, 8), "red")


class Karras(ColourSampler):
    """Says that it draws with Karras' sigmas."""

    environment: ClassVar = {
        "scheduler": "EulerDiscreteScheduler",
        "scheduler_options": {"use_karras_sigmas": True},
    }


def convert(*words: object):
    return CliRunner().invoke(app, ["convert", *map(str, words)])


def notes(done) -> str:
    return " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    made = fake_study(tmp_path_factory.mktemp("studies"), prompt=["a cat", "a dog"], rounds=1)
    object.__setattr__(made._parts, "sampler", Karras())
    made.run()
    return made


def test_a_trial_is_told_as_webui_has_it(study) -> None:
    done = convert(study.folder, "--to", "webui", "--trial", 0)
    assert done.exit_code == 0
    assert done.stdout.startswith("a cat\nSteps: 20, Sampler: Euler, Schedule type: Karras, ")
    assert "fabric_end: 0.99, " in done.stdout  # 17 of 20 steps, as 0.8 is here
    assert "note: the first of 2 prompts was taken" in notes(done)


def test_json_has_all_of_it(study) -> None:
    done = convert(study.folder, "--to", "comfyui", "--trial", 0, "--json")
    said = json.loads(done.stdout)
    assert (said["to"], list(said["files"])) == ("comfyui", ["workflow.json"])
    nodes = json.loads(said["files"]["workflow.json"]).values()
    sampler = next(n["inputs"] for n in nodes if n["class_type"] == "KSamplerFABRICAdv")
    assert (sampler["feedback_start"], sampler["feedback_end"]) == (0, 17)
    assert said["notes"] == [
        "the first of 2 prompts was taken",
        "the bundled checkpoint is fabricbo's own: draw with another one there",
    ]


def test_shortcuts_of_the_sampler_are_told(study, monkeypatch) -> None:
    changes = {"feedback_levels": (0, 1), "merge_tokens": 0.5, "reference_stride": 2}
    changes["distilled_guidance"] = 2.0
    checkpoint = study.settings.checkpoint.model_copy(update=changes)
    settings = study.settings.model_copy(update={"checkpoint": checkpoint})
    monkeypatch.setattr(study, "settings", settings)
    assert recipe_of_trial(study, study.trials[0]).notes[-4:] == (
        "feedback acted at U-Net levels [0, 1] only",
        "FLUX was told a guidance of 2: draw.py tells it 3.5",
        "0.5 of the tokens of each reference were merged away",
        "references went through the U-Net once in 2 steps",
    )


FOLDERS = {
    "webui": {"images"},
    "comfyui": {"input"},
    "diffusers": {"references"},
    "authors": {"references"},
    "fabricbo": {"references/liked"},
}


@pytest.mark.parametrize("form", FORMS)
def test_everything_is_written_with_references(study, form, tmp_path) -> None:
    out = tmp_path / "out"
    done = convert(study.folder, "--to", form, "--trial", 0, "--out", out)
    assert (done.exit_code, done.stdout) == (0, "")
    trial = study.trials[0]
    expected = FORMS[form](recipe_of_trial(study, trial).value).files
    assert {file.name: file.read_text() for file in out.iterdir() if file.is_file()} == expected
    images = list(out.rglob("*.png"))
    assert {str(image.parent.relative_to(out)) for image in images} == FOLDERS[form]
    found = {image.stem: pixel_hash(open_image(image)) for image in images}
    assert found == {reference.id: reference.id for reference in trial.action.liked}
    assert done.stderr.count(str(out / next(iter(expected)))) == 1


def test_the_best_is_taken(study) -> None:
    best = study.best()
    done = convert(study.folder, "--to", "diffusers", "--json")
    (arguments,) = [
        json.loads(text)
        for name, text in json.loads(done.stdout)["files"].items()
        if name == "pipeline.json"
    ]
    assert arguments["max_weight"] == best.action.params.max_weight
    assert arguments["num_images"] == len(best.seeds)


def test_images_of_ours_are_read_exactly(study) -> None:
    trial = study.trials[1]
    file = file_of(study, trial.images[0])
    done = convert(file, "--to", "fabricbo", "--json")
    said = json.loads(done.stdout)
    assert said["notes"] == []
    settings = check_settings({"name": "x", **tomllib.loads(said["files"]["study.toml"])})
    assert settings.space.to_space().hand == trial.action.params


def test_references_are_found_where_a_study_has_them(study, tmp_path) -> None:
    file = file_of(study, study.trials[0].images[0])
    done = convert(file, "--to", "webui", "--out", tmp_path / "out")
    assert "not found" not in notes(done)
    written = {image.stem for image in (tmp_path / "out" / "images").iterdir()}
    assert written == {reference.id for reference in study.trials[0].action.liked}


def written(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    RED.save(path, pnginfo=info)
    return path


WEBUI = (
    "a cat\nSteps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 5, Size: 512x512, Model: v1, "
    'fabric_start: 0.0, fabric_end: 0.8, fabric_pos_images: "[\\"cat 1.png\\", \\"../cat 1.png\\"]"'
)


def test_webui_images_become_studies(tmp_path) -> None:
    RED.save(tmp_path / "cat 1.png")
    file = written(tmp_path / "theirs.png", parameters=WEBUI)
    done = convert(file, "--to", "fabricbo", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "say where the checkpoint v1.safetensors lies" in notes(done)
    files = [str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*.png")]
    assert sorted(files) == ["references/liked/cat_1-1.png", "references/liked/cat_1.png"]
    settings = check_settings(
        {"name": "x", **tomllib.loads((tmp_path / "out/study.toml").read_text())}
    )
    assert len(settings.space.to_space().hand.window(20)) == 12


def test_what_is_not_found_is_named(tmp_path) -> None:
    file = written(tmp_path / "theirs.png", parameters=WEBUI)
    done = convert(file, "--to", "comfyui")
    assert "not found, to be copied by hand" in notes(done)
    assert "cat_1.png" in notes(done)
    (tmp_path / "there").mkdir()
    RED.save(tmp_path / "there" / "cat 1.png")
    found = convert(file, "--to", "comfyui", "--references", tmp_path / "there")
    assert "not found" not in notes(found)


def test_another_sampler_does_the_same_steps(study) -> None:
    words = (study.folder, "--to", "webui", "--trial", 0, "--sampler", "euler")
    assert "fabric_end: 0.87" in convert(*words).stdout
    assert "fabric_end: 0.99" in convert(*words, "--schedule", "karras").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "invoke"), "--to must be one of webui, comfyui"),
        (("--to", "webui", "--trial", 99), "the study has no trial 99; there: 0 to 3"),
        (("--to", "webui", "--sampler", "Eular"), "no sampler is called 'Eular'"),
        (("--to", "webui", "--schedule", "Karras"), "--schedule needs a --sampler"),
        (("--to", "webui", "--sampler", "Euler", "--schedule", "x"), "schedule must be one of"),
        (("--to", "webui", "--out", "."), "exists and is not empty"),
    ],
)
def test_bad_wishes_are_told(study, words, message, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").touch()
    done = convert(study.folder, *words)
    assert done.exit_code == 1
    assert message in notes(done)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.png", b"no image", "a.png is no readable image"),
        ("a.json", b"{", "it is no JSON"),
        ("a.toml", b"", "expected an image"),
    ],
)
def test_bad_files_are_told(tmp_path, name, data, message) -> None:
    (tmp_path / name).write_bytes(data)
    done = convert(tmp_path / name, "--to", "webui")
    assert (done.exit_code, message in notes(done)) == (1, True)
    assert convert(tmp_path / "none.png", "--to", "webui").exit_code == 1
    trial = convert(tmp_path / name, "--to", "webui", "--trial", 1)
    assert "--trial is about a study" in notes(trial)


def test_a_study_without_a_best_trial_says_so(tmp_path) -> None:
    done = convert(fake_study(tmp_path).folder, "--to", "webui")
    assert (done.exit_code, "has no best trial yet" in notes(done)) == (1, True)


def test_nothing_reaches_the_terminal_as_a_command(tmp_path) -> None:
    text = "a \x1b]0;title\x07 cat\nSteps: 20, Sampler: \x1b[31m, CFG scale: 7, fabric_end: 0.8"
    for form in FORMS:
        done = convert(written(tmp_path / "a.png", parameters=text), "--to", form)
        assert done.exit_code == 0, done.output
        assert not {"\x1b", "\x07"} & set(done.output)


def test_our_own_text_wins(tmp_path) -> None:
    path = tmp_path / "ours.png"
    RED.save(path, pnginfo=png_info(replace(ORIGIN, liked=()), RED.size))
    done = convert(path, "--to", "diffusers")
    assert "SIZE = (8, 8)" in done.stdout
    assert "SEEDS = [3]" in done.stdout


def test_strengths_go_along_with_references(tmp_path) -> None:
    """From the text of an image, under the names that files get."""
    strengths = {"0" * 64: 2.0, "1" * 64: 0.5}
    origin = replace(ORIGIN, liked=("0" * 64,), disliked=("1" * 64,), strengths=strengths)
    path = tmp_path / "ours.png"
    RED.save(path, pnginfo=png_info(origin, RED.size))
    done = convert(path, "--to", "diffusers")
    named = {f"{key}.png": value for key, value in strengths.items()}
    assert f"STRENGTHS = {named}" in done.stdout
    assert "strengths of references have no counterpart" in notes(convert(path, "--to", "webui"))


def drawn(recipe: Recipe, folder: Path) -> list[str]:
    """Run the program of a recipe in a folder, and return what its images are."""
    (folder / "references").mkdir()
    for one in POOL:
        one.image.save(folder / "references" / f"{one.id}.png")
    exec(compile(diffusers_code(recipe), "draw.py", "exec"), {})
    return [pixel_hash(open_image(folder / f"{seed}.png")) for seed in recipe.seeds]


DRAWN = replace(
    PLAIN,
    params=FabricParams(
        max_weight=0.7, min_weight=0.1, feedback_start=0.3, denoising_steps=3, guidance_scale=3.0
    ),
    prompt="a cat",
    negative_prompt="a dog",
    seeds=(7, 2**40),
    size=None,
    checkpoint="demo",
    liked=tuple(f"{r.id}.png" for r in POOL[:1]),
    disliked=tuple(f"{r.id}.png" for r in POOL[1:]),
    solver=None,
    spacing=None,
)


@pytest.mark.parametrize("strengths", [{}, {POOL[0].id: 4.0, POOL[2].id: 0.25}], ids=str)
def test_the_program_draws_what_we_draw(tmp_path, monkeypatch, strengths) -> None:
    """As printed, against `FabricSampler`: bit for bit."""
    monkeypatch.chdir(tmp_path)
    named = {f"{key}.png": value for key, value in strengths.items()}
    params = replace(DRAWN.params, prompt_dropout=0.5)
    recipe = replace(DRAWN, strengths=named, params=params, prompt="a cat on a blue background")
    assert drawn(recipe, tmp_path) == drawn_by_us(recipe, strengths)


@pytest.mark.parametrize("tiny", [tiny_xl_pipeline, tiny_sd3, tiny_flux])
def test_the_program_draws_with_other_checkpoints(tmp_path, monkeypatch, tiny) -> None:
    monkeypatch.chdir(tmp_path)
    tiny(folder=tmp_path / "words").save_pretrained(tmp_path / "other")
    recipe = replace(DRAWN, checkpoint=str(tmp_path / "other"), size=(32, 32))
    found = drawn(recipe, tmp_path)
    assert found == drawn_by_us(recipe)
    without = replace(recipe, params=replace(recipe.params, min_weight=0.0, max_weight=0.0))
    assert found != drawn_by_us(without)


def drawn_by_us(recipe: Recipe, strengths: Mapping[str, float] | None = None) -> list[str]:
    """Return what the images of `FabricSampler` are."""
    from fabricbo import Checkpoint, FabricSampler, SamplerOptions, load_pipeline

    options = SamplerOptions(recipe.negative_prompt, *(recipe.size or (None, None)))
    sampler = FabricSampler(load_pipeline(Checkpoint(recipe.checkpoint)), options)
    action = Action(recipe.params, POOL[:1], POOL[1:], strengths or {})
    return [pixel_hash(image) for image in sampler(action, recipe.prompt, recipe.seeds)]


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        (PLAIN, "EulerDiscreteScheduler.from_config(pipeline.scheduler.config, use_karras_sigmas"),
        (replace(PLAIN, checkpoint="v1.ckpt"), "CHECKPOINT = 'v1.safetensors'"),
        (replace(PLAIN, checkpoint="art/x"), "CHECKPOINT = 'art/x'"),
        (replace(PLAIN, prompt='"""\n\u202e'), 'PROMPT = \'"""\\n\\u202e\''),
    ],
)
def test_programs_say_what_they_load(recipe, line) -> None:
    code = diffusers_code(recipe)
    compile(code, "draw.py", "exec")
    assert line in code
