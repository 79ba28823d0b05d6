"""The diagrams of docs/design.md are true to the code."""

import re
from pathlib import Path

import grimp
import pytest

from docsite.diagram import draw
from docsite.flowchart import Edge, Flowchart, parse, reduced
from fabricbo.records import TrialStatus
from tests.documented import blocks
from tests.fakes import fake_study


def _diagrams() -> list[Flowchart]:
    return [
        parse(b.text) for b in blocks() if b.page == "docs/design.md" and b.language == "mermaid"
    ]


def _imports() -> set[tuple[str, str]]:
    """Arrows between the modules and packages right inside fabricbo."""
    graph = grimp.build_graph("fabricbo")
    parts = {child for child in graph.find_children("fabricbo") if not child.endswith("__main__")}
    of = {m: part for part in parts for m in (part, *graph.find_descendants(part))}
    arrows = {
        (of[module], of[found])
        for module in of
        for found in graph.find_modules_directly_imported_by(module)
        if found in of
    }
    return {(a.split(".")[1], b.split(".")[1]) for a, b in arrows if a != b}


def test_the_arrows_between_modules_are_the_imports() -> None:
    expected = reduced(_imports())
    starts = dict.fromkeys(start for start, _ in sorted(expected))
    ends = {s: " & ".join(e for start, e in sorted(expected) if start == s) for s in starts}
    right = "\n".join(f"    {start} --> {of}" for start, of in ends.items())
    assert _diagrams()[1].arrows == expected, f"docs/design.md should say:\n{right}"


def test_the_path_of_a_trial_is_what_its_events_say(tmp_path: Path) -> None:
    path = _diagrams()[0]
    assert set(path.labels.values()) == {status.value for status in TrialStatus}
    known = {(path.labels[start], path.labels[end]) for start, end in path.arrows}
    study = fake_study(tmp_path)
    study.run()
    failing = fake_study(tmp_path, objective=_broken, name="failing")
    trial = failing.claim(failing.ask())
    failing.keep_images(trial, [])
    failing.fail(trial, "no")
    seen = {
        (before.status.value, after.status.value)
        for of in (study, failing)
        for before, after in zip(of.events, of.events[1:], strict=False)
        if before.trial == after.trial
    }
    assert {("drawn", "done"), ("drawn", "failed")} < seen <= known


def _broken(images, prompt):
    raise ValueError("broken")


def test_a_flowchart_reads_groups_labels_and_texts() -> None:
    chart = parse('flowchart LR\n a["A b"] & c -->|goes| d --> e\n')
    assert dict(chart.labels) == {"a": "A b", "c": "c", "d": "d", "e": "e"}
    assert chart.edges == (Edge("a", "d", "goes"), Edge("c", "d", "goes"), Edge("d", "e"))


@pytest.mark.parametrize(
    "text", ["graph TD\n a --> b", "flowchart TD\n a --x b", "flowchart TD\n a(b)"]
)
def test_what_is_not_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse(text)


def test_arrows_that_others_imply_are_left_out() -> None:
    assert reduced({("a", "b"), ("b", "c"), ("a", "c")}) == {("a", "b"), ("b", "c")}


def test_a_drawing_has_all_nodes_within_its_frame_and_none_upon_another() -> None:
    for chart in _diagrams():
        svg = draw(chart)
        width, height = (float(n) for n in re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups())
        boxes = [
            tuple(float(n) for n in found)
            for found in re.findall(r'x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', svg)
        ]
        assert len(boxes) == len(chart.labels)
        for place, (x, y, w, h) in enumerate(boxes):
            assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
            for a, b, c, d in boxes[:place]:
                assert x >= a + c or a >= x + w or y >= b + d or b >= y + h
