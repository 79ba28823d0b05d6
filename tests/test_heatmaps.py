"""Scans over weight and window: resumed where they stopped, and drawn with the hand settings."""

import json
from pathlib import Path

import pytest

from experiments import demo_response, demo_tasks
from experiments.heatmaps import ENDS, WEIGHTS, position, scan
from fabricbo.demo.tasks import TASKS
from fabricbo.records import FabricParams


def test_a_scan_visits_every_point_once_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file, seen = tmp_path / "results.json", []

    def measure(params: FabricParams) -> dict[str, float]:
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append((params.max_weight, params.feedback_end))
        return {"score": params.max_weight + params.feedback_end}

    with pytest.raises(KeyboardInterrupt):
        scan(file, "one", measure, smoke=False)
    assert len(json.loads(file.read_text())) == 4
    kept, seen[:] = list(seen), []

    def rest(params: FabricParams) -> dict[str, float]:
        seen.append((params.max_weight, params.feedback_end))
        return {"score": params.max_weight + params.feedback_end}

    grid = scan(file, "one", rest, smoke=False)
    assert sorted({*kept, *seen}) == sorted((w, e) for w in WEIGHTS for e in ENDS)
    assert not set(kept) & set(seen)
    assert grid[0.8, 1.0] == {"score": 1.8}
    # Another scan in the same file is another one.
    assert len(scan(file, "two", rest, smoke=True)) == 2


@pytest.mark.parametrize(
    ("value", "expected"), [(0.1, 0.0), (0.5, 1.0), (0.8, 1.6), (2.0, 2.0), (0.0, 0.0)]
)
def test_the_hand_settings_lie_between_cells(value: float, expected: float) -> None:
    assert position([0.1, 0.5, 1.0], value) == pytest.approx(expected)


def test_figures_show_what_was_measured(tmp_path: Path) -> None:
    grid = {(w, e): {"score": w * e} for w in WEIGHTS for e in ENDS}
    grids = {name: {"helpful": grid, "all": grid} for name in TASKS}
    demo_tasks.figure(grids, tmp_path / "tasks.png")
    values = dict.fromkeys(demo_response.MAPS, 0.5)
    response = {1: dict.fromkeys(grid, values), 2: dict.fromkeys(grid, values)}
    demo_response.figure(response, tmp_path / "response.png")
    assert (tmp_path / "tasks.png").stat().st_size > 20_000
    assert (tmp_path / "response.png").stat().st_size > 20_000


def test_groups_share_style_and_leave_their_own_objects_out() -> None:
    groups = demo_response.groups_of(demo_response.bundled(), 6)
    assert len({group.references[0].attributes.style for group in groups}) == 6
    for group in groups:
        shown = [reference.attributes for reference in group.references]
        assert len({attributes.style for attributes in shown}) == 1
        assert not {a.concept for a in shown} & set(group.concepts)
