"""How an image came to be stands in its file: written, read and written again it is the same."""

import io
import json
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fabricbo.imagefiles import decode_image, png_texts
from fabricbo.interop.webui_text import read_webui_text
from fabricbo.records import FabricParams, TrialStatus
from fabricbo.study.images import images_of
from fabricbo.study.origin import Origin, png_info, png_texts_of
from tests.fakes import ColourSampler, fake_study
from tests.files import file_of
from tests.test_webui_text import TEXTS

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
IDS = st.text("0123456789abcdef", min_size=32, max_size=32)
SEEDS = st.integers(0, 2**63 - 1)
PARAMS = st.builds(
    FabricParams,
    feedback_start=st.floats(0, 0.5),
    feedback_end=st.floats(0.5, 1),
    max_weight=st.floats(0, 1e300),
    guidance_scale=st.floats(0, 1e6),
    denoising_steps=st.integers(1, 1000),
)
ORIGINS = st.builds(
    Origin,
    study=st.just("fake"),
    trial=st.integers(0, 10**6),
    round=st.integers(0, 1000),
    attempt=st.integers(0, 100),
    held_out=st.booleans(),
    prompt=TEXTS,
    negative_prompt=TEXTS,
    seed=SEEDS,
    together=st.lists(SEEDS, max_size=3).map(tuple),
    params=PARAMS,
    liked=st.lists(IDS, max_size=3).map(tuple),
    disliked=st.lists(IDS, max_size=3).map(tuple),
    checkpoint=st.fixed_dictionaries({"name": TEXTS, "lora": st.text(max_size=9)}),
    drawn_with=st.none() | st.dictionaries(st.text(max_size=9), JSON, max_size=3),
)
RED = Image.new("RGB", (5, 3), "red")


@given(ORIGINS)
def test_written_read_and_written_again_is_the_same(origin) -> None:
    stream = io.BytesIO()
    RED.save(stream, "PNG", pnginfo=png_info(origin, RED.size))
    texts = png_texts(stream.getvalue(), "red.png")
    read = Origin.from_text(texts["fabricbo"])
    assert read == origin
    assert png_texts_of(read, RED.size) == texts


@given(ORIGINS)
def test_webui_is_told_the_settings(origin) -> None:
    settings = read_webui_text(png_texts_of(origin, (64, 48))["parameters"]).settings
    assert settings["Steps"] == str(origin.params.denoising_steps)
    assert float(settings["CFG scale"]) == origin.params.guidance_scale
    assert (settings["Seed"], settings["Size"]) == (str(origin.seed), "64x48")
    with_feedback = bool(origin.liked or origin.disliked)
    assert ("fabric_start" in settings) == with_feedback
    if with_feedback:
        assert float(settings["fabric_max_weight"]) == origin.params.max_weight
        assert json.loads(settings["fabric_pos_images"]) == [f"{i}.png" for i in origin.liked]


PLAIN = Origin(
    study="fake",
    trial=1,
    round=1,
    attempt=1,
    prompt="a cat",
    negative_prompt="blurry",
    seed=3,
    together=(3, 4),
    params=FabricParams(),
    liked=("ab",),
    disliked=(),
    checkpoint={"name": "demo.safetensors"},
    drawn_with={"scheduler": "EulerDiscreteScheduler", "x": 1.5},
)


def test_the_texts_are_what_the_documents_say() -> None:
    karras = {"scheduler_options": {"use_karras_sigmas": True}}
    origin = replace(PLAIN, drawn_with={**PLAIN.drawn_with, **karras})
    assert png_texts_of(origin, (64, 64))["parameters"] == (
        "a cat\nNegative prompt: blurry\nSteps: 20, Sampler: Euler, Schedule type: Karras, "
        "CFG scale: 7.5, Seed: 3, Size: 64x64, Model: demo, fabric_start: 0, fabric_end: 0.99, "
        "fabric_min_weight: 0, fabric_max_weight: 0.8, fabric_neg_scale: 0.5, fabric_pos_images: "
        '["ab.png"], fabric_neg_images: [], fabric_feedback_during_high_res_fix: False, '
        "fabric_tome_enabled: False"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"seed": 3', '"seed": "3"'),
        ('"format": 1', '"format": 2'),
        ('"seed": 3', '"sead": 3'),
        ("0.8", "NaN"),
        ("0.8", "-1"),
        ("1.5", "NaN"),
        ("1.5", "[" * 300 + "]" * 300),
        ('["ab"]', '[["ab"]]'),
        ("}", ""),
    ],
)
def test_what_is_no_origin_is_refused(old, new) -> None:
    text = PLAIN.to_text()
    assert old in text
    with pytest.raises(ValueError, match="the text 'fabricbo' cannot be read"):
        Origin.from_text(text.replace(old, new))


def test_too_long_a_text_is_not_read(monkeypatch) -> None:
    monkeypatch.setattr("fabricbo.study.origin.MAX_TEXT", 10)
    with pytest.raises(ValueError, match="too many"):
        Origin.from_text(PLAIN.to_text())


class Described(ColourSampler):
    """Says what it is, and draws something else for each prompt."""

    environment: ClassVar = {"weights": "abc", "scheduler": "DDIMScheduler"}

    def __call__(self, action, prompt, seeds):
        drawn = super().__call__(action, prompt, seeds)
        for image in drawn:
            image.putpixel((0, 7), (ord(prompt[-1]), 0, 0))
        return drawn


def origin_of(study, identity: str) -> Origin:
    data = file_of(study, identity).read_bytes()
    return Origin.from_text(png_texts(data, identity)["fabricbo"])


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "weights.safetensors"
    made = fake_study(
        tmp_path,
        prompt=["a cat", "a dog"],
        negative_prompt="blurry",
        heldout_prompts=["a bird"],
        heldout=3,
        checkpoint={"name": str(folder), "lora": folder},
    )
    object.__setattr__(made._parts, "sampler", Described())
    return made


def test_images_of_trials_say_how_they_were_drawn(study) -> None:
    study.run()
    first: dict[str, int] = {}
    for trial in study.trials:
        planned = [(p, s) for p in study.settings.prompts for s in trial.seeds]
        for image, (prompt, seed) in zip(trial.images, planned, strict=True):
            said = origin_of(study, image)
            if first.setdefault(image, trial.index) != trial.index:
                continue  # it was drawn before, and keeps the text that it has
            action = trial.action
            assert (said.prompt, said.seed, said.trial) == (prompt, seed, trial.index)
            assert (said.round, said.attempt, said.image) == (trial.round, 1, image)
            assert (said.together, said.held_out) == (trial.seeds, False)
            assert (said.params, said.negative_prompt) == (action.params, "blurry")
            assert said.liked == tuple(r.id for r in action.liked)
            assert said.disliked == tuple(r.id for r in action.disliked)
            assert said.drawn_with == Described.environment
            assert said.checkpoint["name"] == said.checkpoint["lora"] == "weights.safetensors"


def test_held_out_images_say_so(study) -> None:
    study.run()
    study.hold_out()
    row = study.heldout_rows[0]
    said = [origin_of(study, image) for image in row.images]
    prompts = ("a cat", "a dog", "a bird")
    assert [(one.prompt, one.seed) for one in said] == [(p, s) for p in prompts for s in row.seeds]
    assert {one.held_out for one in said} == {True}
    assert {one.together for one in said} == {row.seeds[:2], row.seeds[2:]}


def test_references_and_images_that_nobody_can_place_say_nothing(study) -> None:
    reference = study.rounds[0].pool[0]
    assert png_texts(file_of(study, reference.id).read_bytes(), "") == {}
    trial = study.claim(study.ask())
    study.fail(trial, "half of it", [RED])
    assert study.trials[0].status is TrialStatus.FAILED
    assert png_texts(file_of(study, study.trials[0].images[0]).read_bytes(), "") == {}


def test_the_first_text_of_an_image_stays(tmp_path) -> None:
    images = images_of(tmp_path, None)
    identity = images.save(RED, PLAIN)
    assert images.save(RED, replace(PLAIN, trial=2)) == identity
    texts = png_texts(images.read(identity), "")
    assert texts == png_texts_of(replace(PLAIN, image=identity), RED.size)


def test_a_loaded_image_carries_no_text(tmp_path) -> None:
    images = images_of(tmp_path, None)
    assert images.load(images.save(RED, PLAIN)).info == {}


def test_colour_profiles_stay() -> None:
    stream = io.BytesIO()
    RED.save(stream, "PNG", icc_profile=b"profile", pnginfo=png_info(PLAIN, RED.size))
    assert decode_image(stream.getvalue(), "").info == {"icc_profile": b"profile"}
