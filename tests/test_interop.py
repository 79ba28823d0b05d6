"""What one program is told comes back from it, or is said to be lost."""

import json
import tomllib
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fabricbo.interop.authors import authors_config, authors_yaml, read_authors_config
from fabricbo.interop.comfyui import comfyui_timetable, comfyui_workflow
from fabricbo.interop.comfyui_reading import read_workflow
from fabricbo.interop.community import community_arguments, community_json
from fabricbo.interop.files import MAX_BYTES, MAX_YAML, read_data, read_texts
from fabricbo.interop.forms import FORMS
from fabricbo.interop.recipe import Recipe
from fabricbo.interop.solvers import SOLVERS, solver_named
from fabricbo.interop.study_file import study_fragment
from fabricbo.interop.timesteps import Spacing
from fabricbo.interop.webui import preset, ui_defaults, webui_text
from fabricbo.interop.webui_reading import read_text
from fabricbo.records import OPTIONAL, FabricParams
from fabricbo.study import check_settings
from tests.test_webui_text import TEXTS

EULER = solver_named("Euler")
NAMES = st.lists(st.from_regex(r"[a-f0-9]{4}\.png", fullmatch=True), max_size=3, unique=True)
WEIGHTS = st.floats(0, 3).map(lambda x: round(x, 6))
PARAMS = st.builds(
    FabricParams,
    feedback_start=st.floats(0, 0.5),
    feedback_end=st.floats(0.5, 1),
    min_weight=WEIGHTS,
    max_weight=WEIGHTS,
    neg_scale=WEIGHTS,
    pos_bottleneck_scale=WEIGHTS,
    neg_bottleneck_scale=WEIGHTS,
    guidance_scale=WEIGHTS,
    denoising_steps=st.integers(1, 60),
)
PROMPTS = st.text(st.characters(codec="utf-8"), max_size=20)
RECIPES = st.builds(
    Recipe,
    params=PARAMS,
    prompt=PROMPTS,
    negative_prompt=PROMPTS,
    seeds=st.integers(0, 2**32).map(lambda seed: (seed,)),
    size=st.just((512, 768)),
    checkpoint=st.just("art/paint"),
    liked=NAMES.map(tuple),
    disliked=NAMES.map(tuple),
    solver=st.sampled_from(SOLVERS),
    spacing=st.sampled_from([Spacing.LINEAR, Spacing.KARRAS, Spacing.EXPONENTIAL]),
)
WEIGHT_NAMES = ("min_weight", "max_weight", "neg_scale")
PLAIN = Recipe(
    params=FabricParams(guidance_scale=7.0),
    prompt="a cat",
    seeds=(3,),
    size=(512, 512),
    liked=("a.png",),
    disliked=("b.png", "c.png"),
    solver=EULER,
    spacing=Spacing.KARRAS,
)


def with_params(**values) -> Recipe:
    return replace(PLAIN, params=replace(PLAIN.params, **values))


@given(RECIPES, TEXTS)
def test_webui_tells_it_back(recipe, prompt) -> None:
    recipe = replace(recipe, prompt=prompt.replace("\n", " "), liked=(*recipe.liked, "last.png"))
    read = read_text(webui_text(recipe).value).value
    assert (read.seed, read.size, read.solver) == (recipe.seed, recipe.size, recipe.solver)
    assert (read.liked, read.disliked) == (recipe.liked, recipe.disliked)
    for name in (*WEIGHT_NAMES, "denoising_steps", "guidance_scale"):
        assert getattr(read.params, name) == getattr(recipe.params, name)
    if recipe.solver.passes == "one" and recipe.solver.webui_spacing != "leading":
        assert read.active == recipe.active


def test_webui_counts_by_timestep() -> None:
    """The plug-in's own figures: its 0.8 is 12 of 20 Karras steps, our 0.8 is 17."""
    text = webui_text(PLAIN).value
    assert "fabric_end: 0.99" in text
    read = read_text(text.replace("fabric_end: 0.99", "fabric_end: 0.8")).value
    assert (len(PLAIN.active), len(read.active)) == (17, 12)
    linear = text.replace("Karras", "Uniform").replace("fabric_end: 0.99", "fabric_end: 0.8")
    assert len(read_text(linear).value.active) == 16


@pytest.mark.parametrize(
    ("sampler", "spacing"),
    [
        ("Sampler: DPM++ 2M Karras", Spacing.KARRAS),
        ("Sampler: DPM++ 2M, Schedule type: Automatic", Spacing.KARRAS),
        ("Sampler: DPM++ 2M", Spacing.LINEAR),
        ("Sampler: Euler, Schedule type: Automatic", Spacing.LINEAR),
        ("Sampler: Euler, Schedule type: SGM Uniform", Spacing.SGM),
    ],
)
def test_webui_has_named_schedules_in_many_ways(sampler, spacing) -> None:
    read = read_text(f"a cat\nSteps: 20, {sampler}, CFG scale: 7, Seed: 1")
    assert read.value.spacing is spacing
    assert read.notes == ("it was drawn without FABRIC",)


def test_what_webui_did_besides_is_named() -> None:
    text = webui_text(PLAIN).value.replace("tome_enabled: False", "tome_enabled: True")
    read = read_text(f"{text}, Hires upscale: 2, Clip skip: 2, Sampler: Restart")
    assert read.notes == (
        "sampler 'Restart' has no known counterpart: one U-Net pass a step is assumed",
        "token merging has no counterpart here",
        "hires. fix has no counterpart here: this is about the first pass",
        "clip skip has no counterpart here",
    )


@pytest.mark.parametrize(
    ("recipe", "note"),
    [
        (with_params(pos_bottleneck_scale=0.5), "the bottleneck scales have no counterpart"),
        (with_params(max_weight=1.2), "sliders end at 1, below max_weight"),
        (with_params(max_weight=0.0, min_weight=0.3), "the plug-in is off"),
        (with_params(prompt_dropout=0.3), "prompt_dropout has no counterpart"),
        (with_params(ramp=0.5), "ramp has no counterpart"),
        (replace(PLAIN, solver=None), "the scheduler is not known"),
        (replace(PLAIN, solver=solver_named("DDIM")), "WebUI runs the U-Net 19 times, fabricbo 20"),
        (replace(PLAIN, prompt="a (gold:1.2) cat"), "WebUI reads brackets"),
    ],
)
def test_what_the_plug_in_cannot_do_is_named(recipe, note) -> None:
    assert any(note in one for one in FORMS["webui"](recipe).notes)


@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_settings_are_lost_but_to_us(name) -> None:
    recipe = with_params(**{name: 0.5})
    for form in ("webui", "comfyui", "authors"):
        assert f"{name} has no counterpart there: it is off" in FORMS[form](recipe).notes
    own = FORMS["diffusers"](recipe)
    assert f"pipeline.json: {name} has no counterpart there: it is off" in own.notes
    assert f"{name}=0.5," in own.files["draw.py"]
    assert f"{name} = 0.5" in FORMS["fabricbo"](recipe).files["study.toml"]


def test_strengths_are_named_where_they_are_lost() -> None:
    recipe = replace(PLAIN, strengths={"a.png": 2.0, "c.png": 0.5})
    lost = "strengths of references have no counterpart there: all count alike"
    for form in ("webui", "comfyui", "authors"):
        assert lost in FORMS[form](recipe).notes
        assert FORMS[form](recipe).files == FORMS[form](PLAIN).files
    own = FORMS["diffusers"](recipe)
    assert f"pipeline.json: {lost}" in own.notes
    assert "STRENGTHS = {'a.png': 2.0, 'c.png': 0.5}" in own.files["draw.py"]
    assert "STRENGTHS" not in FORMS["diffusers"](PLAIN).files["draw.py"]
    study = FORMS["fabricbo"](recipe)
    assert study.files == FORMS["fabricbo"](PLAIN).files
    assert "strengths = [0.5, 1, 2] in [space]" in study.notes[-1]


def test_nothing_is_lost_where_nothing_is() -> None:
    assert FORMS["webui"](PLAIN).notes == ()
    assert FORMS["diffusers"](replace(PLAIN, checkpoint="art/x", solver=None)).notes == ()


def test_references_are_a_preset() -> None:
    read = read_data(preset(PLAIN).encode(), ".json")
    assert (read.value.liked, read.value.disliked) == (PLAIN.liked, PLAIN.disliked)
    assert "a preset holds no settings" in read.notes[0]
    assert len(read.value.active) == 16  # the plug-in's own 0 to 0.8, on linear timesteps


def test_sliders_begin_where_they_should() -> None:
    recipe = replace(with_params(max_weight=1.5, min_weight=0.1), spacing=Spacing.LINEAR)
    found = ui_defaults(recipe)
    assert found["customscript/fabric.py/txt2img/Feedback Strength/maximum"] == 1.5
    read = read_data(json.dumps(found).encode(), ".json").value
    assert read.active == recipe.active
    assert (read.params.max_weight, read.params.min_weight) == (1.5, 0.1)


@given(RECIPES)
def test_comfyui_tells_it_back(recipe) -> None:
    workflow = comfyui_workflow(recipe)
    read = read_workflow(json.loads(json.dumps(workflow.value))).value
    assert (read.prompt, read.negative_prompt) == (recipe.prompt, recipe.negative_prompt)
    assert (read.seed, read.size) == (recipe.seed, recipe.size)
    params = recipe.params
    assert read.disliked == recipe.disliked
    if recipe.disliked:
        disliked = min(params.max_weight * params.neg_scale, 1.0)
        assert read.params.max_weight * read.params.neg_scale == pytest.approx(disliked, rel=1e-9)
    if recipe.liked and params.max_weight > 0:
        assert read.params.max_weight == min(params.max_weight, 1.0)
        assert read.liked == recipe.liked
    if recipe.solver.comfyui and recipe.solver.passes == "one" and read.passes == recipe.passes:
        # Its nodes look for whole timesteps: equal ones are alike, and 0 is never reached.
        seen = comfyui_timetable(read.solver, read.spacing, params.denoising_steps).passes
        if len(seen) == read.passes:
            unsure = {i for i, t in enumerate(seen) if t == 0 or seen.count(t) > 1}
            assert set(recipe.active) ^ set(read.active) <= unsure


def test_what_comfyui_cannot_do_is_named() -> None:
    recipe = with_params(min_weight=0.1, max_weight=1.5, feedback_end=1.0, feedback_start=0.5)
    notes = FORMS["comfyui"](recipe).notes
    assert notes == (
        "the smaller kind of references is filled up with zeros there, which weaken it",
        "min_weight has no counterpart there: no feedback outside the window",
        "weights end at 1 there: 1.5 of liked references became 1",
        "its nodes give the last step, at timestep 0, no feedback",
    )


def test_no_references_have_no_weight_in_comfyui() -> None:
    """Else zeros would stand in for them."""
    for recipe, weight in ((replace(PLAIN, disliked=()), "neg"), (replace(PLAIN, liked=()), "pos")):
        nodes = comfyui_workflow(recipe).value.values()
        inputs = next(n["inputs"] for n in nodes if n["class_type"] == "KSamplerFABRICAdv")
        assert (inputs[f"{weight}_weight"], f"{weight}_latents" in inputs) == (0.0, False)


def patched(**sampler) -> dict:
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x.safetensors"}},
        "2": {
            "class_type": "FABRICPatchModel",
            "inputs": {"model": ["1", 0], "clip": ["1", 1], "pos_weight": 0.4, "neg_weight": 0.1},
        },
        "3": {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["2", 0]}},
        "4": {
            "class_type": "KSampler",
            "inputs": {"model": ["3", 0], "steps": 10, "sampler_name": "euler", **sampler},
        },
    }


def test_a_patched_model_has_feedback_all_the_time() -> None:
    read = read_workflow(patched()).value
    assert list(read.active) == list(range(10))
    assert read.params.neg_scale == pytest.approx(0.25)
    assert read.checkpoint == "x.safetensors"


def test_the_simple_node_takes_a_share() -> None:
    data = {"5": {"class_type": "KSamplerFABRIC", "inputs": {"steps": 15, "feedback_percent": 0.5}}}
    assert list(read_workflow(data).value.active) == list(range(7))


def test_disliked_references_act_alone_in_comfyui() -> None:
    nodes = {
        "5": {
            "class_type": "KSamplerFABRICAdv",
            "inputs": {"pos_weight": 0, "neg_weight": 0.3, "neg_latents": ["6", 0]},
        },
        "6": {"class_type": "VAEEncode", "inputs": {"pixels": ["7", 0]}},
        "7": {"class_type": "LoadImage", "inputs": {"image": "ugly.png"}},
    }
    read = read_workflow(nodes).value
    assert (read.liked, read.disliked) == ((), ("ugly.png",))
    assert read.params.max_weight * read.params.neg_scale == pytest.approx(0.3)


def test_workflows_that_go_in_circles_end() -> None:
    data = patched(positive=["4", 0], latent_image=["3", 0])
    data["3"]["inputs"]["model"] = ["4", 0]
    with pytest.raises(ValueError, match="no KSampler samples the model"):
        read_workflow(data)


@given(RECIPES)
def test_the_community_pipeline_tells_all_back(recipe) -> None:
    read = read_data(community_json(recipe).encode(), ".json").value
    assert read.params == replace(recipe.params, prompt_dropout=0.0)
    assert (read.prompt, read.seeds) == (recipe.prompt, recipe.seeds)
    assert (read.liked, read.disliked, read.size) == (recipe.liked, recipe.disliked, recipe.size)


def test_the_community_pipeline_does_not_scale_references_for_every_scheduler() -> None:
    assert "does not scale references" in community_arguments(PLAIN).notes[0]
    assert community_arguments(replace(PLAIN, solver=solver_named("Euler a"))).notes == ()


@settings(max_examples=40)
@given(RECIPES)
def test_the_authors_tell_it_back(recipe) -> None:
    config = authors_config(recipe)
    text = authors_yaml(recipe)
    assert yaml.safe_load(text) == json.loads(json.dumps(config.value))
    read = read_data(text.encode(), ".yaml").value
    lost = {"pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0}
    assert read.params == replace(recipe.params, **lost)
    assert (read.prompt, read.checkpoint) == (recipe.prompt, recipe.checkpoint)
    assert (read.liked, read.disliked) == (recipe.liked, recipe.disliked)


def test_what_the_authors_cannot_do_is_named() -> None:
    recipe = with_params(neg_bottleneck_scale=0.5)
    recipe = replace(recipe, size=(640, 512), checkpoint="art/x")
    assert authors_config(recipe).notes == (
        "run_single.py hands over no bottleneck scales: call generate with "
        "pos_bottleneck_scale=1, neg_bottleneck_scale=0.5",
        "it draws 512 x 512 pixels only",
        "it draws with Euler ancestral, whatever the checkpoint's scheduler is",
    )


@settings(max_examples=40)
@given(RECIPES)
def test_a_study_begins_with_it(recipe) -> None:
    checked = check_settings({"name": "begun", **tomllib.loads(study_fragment(recipe))})
    space = checked.space.to_space()
    assert space.hand == recipe.params
    assert all(getattr(space.hand, name) in space.domains[name] for name in space.parameters)
    assert checked.prompt == (recipe.prompt or "a cat")
    assert checked.negative_prompt == recipe.negative_prompt


STEPS = "a cat\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1"
BAD = {
    "a page": (b'{"nodes": [], "links": []}', ".json", "save it as API format"),
    "no nodes": (b'{"1": {"class_type": "KSampler"}}', ".json", "none of FABRIC's nodes"),
    "no object": (b"[1]", ".json", "must be an object"),
    "no JSON": (b"{", ".json", "it is no JSON"),
    "deep": (b"[" * 10**5, ".json", "it is no JSON"),
    "deep YAML": (b"[" * 2000, ".yaml", "it is no YAML"),
    "a tag": (b"a: !!python/object/apply:os.system [ls]", ".yaml", "it is no YAML"),
    "no feedback": (b"prompt: a cat", ".yaml", "has a table `feedback`"),
    "no text": (b"\xff\xfe", ".json", "no text in UTF-8"),
    "too large": (b" " * (MAX_BYTES + 1), ".json", f"at most {MAX_BYTES} are read"),
    "YAML too large": (b" " * (MAX_YAML + 1), ".yaml", f"at most {MAX_YAML} are read"),
    "half a preset": (b'{"liked_paths": []}', ".json", "liked_paths and disliked_paths"),
    "no names": (b'{"liked_paths": [1], "disliked_paths": []}', ".json", "list of file names"),
    "unknown": (b'{"prompt": "a", "strength": 1}', ".json", "has no argument 'strength'"),
    "NaN": (b'{"max_weight": NaN}', ".json", "must be a finite number"),
    "huge": (b'{"max_weight": 1' + b"0" * 4000 + b"}", ".json", "must be a finite number"),
    "negative": (b'{"max_weight": -1}', ".json", "max_weight must be at least 0"),
    "a text": (b'{"num_images": "4"}', ".json", "num_images must be a number"),
    "too many": (b'{"num_images": 1e15}', ".json", "number of images must be in"),
    "half a step": (b'{"num_inference_steps": 2.5}', ".json", "must be a whole number"),
    "a table": (b"a = 1", ".toml", "expected an image, or"),
    "no settings": (b"a cat", ".txt", "has no settings of WebUI"),
    "no number": (f"{STEPS}, fabric_end: soon".encode(), ".txt", "fabric_end must be a number"),
    "outside": (f"{STEPS}, fabric_end: 1.5".encode(), ".txt", "feedback end must be in"),
    "many steps": (STEPS.replace("20", "2000").encode(), ".txt", "denoising_steps must be in"),
    "no list": (f"{STEPS}, fabric_pos_images: 7".encode(), ".txt", "must be a list of file names"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_files_are_told(bad) -> None:
    data, suffix, message = bad
    with pytest.raises(ValueError, match=message):
        read_data(data, suffix)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"steps": ["9", 0]}, "steps must be a number"),
        ({"feedback_start": -1}, "feedback_start must be in"),
        ({"feedback_end": -1}, "feedback_end must be at least 0"),
        ({"pos_weight": True}, "pos_weight must be a number"),
        ({"steps": 10**9}, "denoising_steps must be in"),
    ],
)
def test_bad_nodes_are_told(inputs, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_workflow({"1": {"class_type": "KSamplerFABRICAdv", "inputs": inputs}})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NODES = st.fixed_dictionaries(
    {
        "class_type": st.sampled_from(["KSamplerFABRICAdv", "FABRICPatchModel", "KSampler"]),
        "inputs": JSON | st.dictionaries(st.sampled_from(["steps", "model", "pos_latents"]), JSON),
    }
)


@given(st.dictionaries(st.sampled_from("123"), NODES | JSON))
def test_any_nodes_are_read_or_refused(data) -> None:
    try:
        read_workflow(data)
    except ValueError as error:
        assert str(error)


@given(st.text())
def test_any_text_is_read_or_refused(text) -> None:
    for suffix in (".txt", ".json", ".yaml"):
        try:
            read_data(text.encode("utf-8", "replace"), suffix)
        except ValueError as error:
            assert str(error)


def test_comfyui_says_it_in_images() -> None:
    workflow = json.dumps(comfyui_workflow(PLAIN).value)
    read = read_texts({"prompt": workflow, "workflow": "{}"}).value
    assert (read.liked, read.disliked) == (PLAIN.liked, PLAIN.disliked)
    with pytest.raises(ValueError, match="does not say how it was drawn"):
        read_texts({"Comment": "hello"})


def test_authors_configs_need_no_model() -> None:
    read = read_authors_config({"feedback": {}}).value
    assert (read.params.max_weight, read.params.min_weight) == (1.0, 0.1)
    assert read.checkpoint == ""
