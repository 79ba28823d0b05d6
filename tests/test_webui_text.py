"""The text of WebUI: what is written is read, and what is read and written again is the same."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricbo.interop.webui_text import WebuiText, read_webui_text, write_webui_text

NASTY = st.sampled_from(
    [
        "\n",
        ",",
        ", ",
        ":",
        '"',
        "\\",
        "Negative prompt: ",
        "Steps: 20, Sampler: x, Seed: 1",
        "é",
        " ",
    ]
)
TEXTS = st.lists(st.one_of(NASTY, st.text(max_size=8)), max_size=8).map("".join)
VALUES = st.one_of(TEXTS, st.floats(allow_nan=False).map(str), st.just("512x768"))
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_ \-/]{1,12}", fullmatch=True)


def settings(least: int = 3) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(KEYS, VALUES, min_size=least, max_size=6)


EXAMPLE = """a cat, (gold:1.2)
by the sea
Negative prompt: blurry, "dull"
Steps: 20, Sampler: DPM++ 2M, CFG scale: 7.5, Seed: 965400086, Size: 512x768, Model: v1-5, \
Lora hashes: "style: 45de, ink: 52b", Version: v1.9.4"""


def test_a_text_of_webui_is_read() -> None:
    said = read_webui_text(EXAMPLE)
    assert said.prompt == "a cat, (gold:1.2)\nby the sea"
    assert said.negative_prompt == 'blurry, "dull"'
    assert said.settings["CFG scale"] == "7.5"
    assert said.settings["Lora hashes"] == "style: 45de, ink: 52b"
    assert write_webui_text(said) == EXAMPLE


@given(settings())
def test_settings_come_back(given) -> None:
    said = WebuiText("a cat", "", given)
    assert read_webui_text(write_webui_text(said)).settings == given


@given(TEXTS, TEXTS, settings())
def test_read_and_written_again_is_the_same(prompt, negative, given) -> None:
    once = read_webui_text(write_webui_text(WebuiText(prompt, negative, given)))
    assert once.settings == given
    assert read_webui_text(write_webui_text(once)) == once


@given(TEXTS)
def test_any_text_is_read(text) -> None:
    once = read_webui_text(text)
    assert read_webui_text(write_webui_text(once)) == once


# Written anew from what WebUI's reader is documented to do, to hold our writer to it.
_THEIR_SETTING = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1))
def test_webui_reads_our_settings(value) -> None:
    given = {"Steps": "20", "CFG scale": "7", "Model": value, "Seed": "1"}
    line = write_webui_text(WebuiText("", "", given))
    found = dict(_THEIR_SETTING.findall(line))
    read = found["Model"]
    assert (json.loads(read) if read[0] == read[-1] == '"' else read) == value
    assert (found["Steps"], found["Seed"]) == ("20", "1")


@pytest.mark.parametrize("text", ["", "a cat", "a cat\nSteps: 20, Seed: 1", "Steps:", '": "'])
def test_what_is_no_setting_is_prompt(text) -> None:
    assert read_webui_text(text) == WebuiText(text)
