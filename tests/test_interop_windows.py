"""The windows of other implementations mean the same U-Net passes as ours, for real schedules."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricbo.interop.comfyui import comfyui_timetable
from fabricbo.interop.solvers import SOLVERS, solver_named, solver_of, spacing_of
from fabricbo.interop.timesteps import Spacing, step_timesteps
from fabricbo.interop.webui import webui_timesteps
from fabricbo.interop.windows import (
    active_by_timestep,
    active_in_comfyui,
    comfyui_window,
    scaled,
    step_window,
    timestep_window,
)
from fabricbo.records import FabricParams
from fabricbo.torchvision_compat import ensure_importable

TRAINED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
"""Stable Diffusion's schedule."""
SPACINGS = {
    Spacing.LINEAR: {"timestep_spacing": "linspace"},
    Spacing.KARRAS: {"use_karras_sigmas": True},
    Spacing.EXPONENTIAL: {"use_exponential_sigmas": True},
}
SHARES = st.floats(0, 1)
WINDOWS = st.tuples(SHARES, SHARES).map(sorted).map(tuple)
STEPS = st.integers(1, 120)


def scheduler(name: str, steps: int, **options: Any) -> Any:
    ensure_importable()
    import diffusers

    made = getattr(diffusers, name).from_config({**TRAINED, **options})
    made.set_timesteps(steps)
    return made


def euler(steps: int, spacing: Spacing) -> list[float]:
    """diffusers' timesteps for Euler, which k-diffusion's are the same as."""
    return [
        float(t) for t in scheduler("EulerDiscreteScheduler", steps, **SPACINGS[spacing]).timesteps
    ]


def ours(window: tuple[float, float], passes: int) -> range:
    return FabricParams(feedback_start=window[0], feedback_end=window[1]).window(passes)


def test_the_same_numbers_mean_other_steps() -> None:
    """What the issue is about: 0 to 0.8 of 20 steps."""
    classic = (0.0, 0.8)
    assert len(active_by_timestep(classic, euler(20, Spacing.LINEAR))) == 16
    assert len(active_by_timestep(classic, euler(20, Spacing.KARRAS))) == 12
    assert len(ours(classic, 20)) == 17
    for spacing in (Spacing.LINEAR, Spacing.KARRAS):
        table = comfyui_timetable(None, spacing, 20)
        assert len(active_in_comfyui((0, int(20 * 0.8)), table.steps, table.passes)) == 16


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [2, 20, 37])
def test_timesteps_are_those_of_diffusers(spacing, steps) -> None:
    assert step_timesteps(spacing, steps) == pytest.approx(euler(steps, spacing), abs=0.02)


@pytest.mark.parametrize("spacing", [Spacing.LINEAR, Spacing.KARRAS])
@pytest.mark.parametrize("name", ["Heun", "DPM2 a"])
def test_second_passes_are_those_of_diffusers(name, spacing) -> None:
    solver = solver_named(name)
    theirs = scheduler(solver.diffusers, 20, **SPACINGS[spacing]).timesteps
    made = webui_timesteps(solver, spacing, 20)
    assert len(made) == len(theirs)
    if not solver.discards:  # diffusers leaves no sigma out
        assert made == pytest.approx([float(t) for t in theirs], abs=0.02)


def test_midpoints_are_those_of_diffusers() -> None:
    from fabricbo.interop.timesteps import Passes, pass_timesteps

    theirs = scheduler("KDPM2DiscreteScheduler", 20, **SPACINGS[Spacing.LINEAR]).timesteps
    made = pass_timesteps(step_timesteps(Spacing.LINEAR, 20), Passes.MIDPOINT)
    # The last step goes to 0, halfway to which nobody can go in log sigma.
    assert made == pytest.approx([float(t) for t in theirs], abs=0.5)


KNOWN = [one for one in SOLVERS if one.diffusers != "DPMSolverSDEScheduler"]  # needs torchsde


@pytest.mark.parametrize("solver", KNOWN, ids=lambda one: one.webui)
def test_passes_are_counted_as_diffusers_has_them(solver) -> None:
    from fabricbo.interop.timesteps import number_of_passes

    options = {**solver.options, "skip_prk_steps": True}
    made = scheduler(solver.diffusers, 20, **options)
    assert number_of_passes(20, solver.passes) == len(made.timesteps)
    assert solver_of(type(made).__name__, made.config) is solver


def test_schedulers_are_known_by_class_and_options() -> None:
    assert solver_of("PNDMScheduler", {"skip_prk_steps": False}) is None
    assert solver_of("FlowMatchEulerDiscreteScheduler", {}) is None
    assert spacing_of({"use_karras_sigmas": True}) is Spacing.KARRAS
    assert spacing_of({}) is None
    with pytest.raises(ValueError, match="no sampler is called 'Eular'"):
        solver_named("Eular")


@given(WINDOWS, STEPS)
def test_our_window_comes_back(window, passes) -> None:
    active = ours(window, passes)
    assert ours(step_window(active, passes), passes) == active


@given(WINDOWS, STEPS, st.sampled_from(Spacing), st.sampled_from([None, *SOLVERS]))
def test_the_plug_in_does_the_same_steps(window, steps, spacing, solver) -> None:
    timesteps = webui_timesteps(solver, spacing, steps).tolist()
    active = ours(window, len(timesteps))
    found = active_by_timestep(timestep_window(active, timesteps), timesteps)
    if solver is None or solver.passes == "one":
        assert found == active
    else:  # passes of equal timesteps cannot be told apart
        assert set(active) <= set(found)
        assert {timesteps[i] for i in found} == {timesteps[i] for i in active}


@pytest.mark.parametrize(
    ("timesteps", "active"),
    [([500.0, 0.0, 0.0], range(2)), ([999.0, 999.0, 500.0], range(1, 3))],
    ids=["the last two alike", "the first two alike"],
)
def test_a_window_stays_in_its_range_where_passes_cannot_be_told_apart(timesteps, active) -> None:
    start, end = timestep_window(active, timesteps)
    assert 0 <= start <= end <= 1
    assert active_by_timestep((start, end), timesteps) == range(3)


@given(WINDOWS, st.integers(2, 120), st.sampled_from(list(SPACINGS)))
def test_the_plug_in_does_the_same_steps_at_diffusers_timesteps(window, steps, spacing) -> None:
    theirs = euler(steps, spacing)
    active = ours(window, steps)
    found = timestep_window(active, step_timesteps(spacing, steps).tolist())
    assert active_by_timestep(found, theirs) == active


@given(WINDOWS, STEPS, st.sampled_from(Spacing))
def test_what_the_plug_in_does_we_do(window, steps, spacing) -> None:
    timesteps = webui_timesteps(None, spacing, steps).tolist()
    active = active_by_timestep(window, timesteps)
    assert ours(step_window(active, len(timesteps)), len(timesteps)) == active


@given(WINDOWS, STEPS, st.sampled_from(Spacing))
def test_few_decimals_are_needed(window, steps, spacing) -> None:
    """Sliders have hundredths: where these can tell the steps apart, they are what is found."""
    timesteps = webui_timesteps(None, spacing, steps).tolist()
    progress = sorted(1 - t / 999 for t in timesteps)
    gaps = [b - a for a, b in pairwise(progress)]
    if min(gaps, default=1) > 0.025:
        found = timestep_window(ours(window, len(timesteps)), timesteps)
        assert all(value == round(value, 2) for value in found)


@given(WINDOWS, STEPS, st.sampled_from(Spacing), st.sampled_from([None, *SOLVERS]))
def test_comfyui_does_the_same_steps_but_for_the_last(window, steps, spacing, solver) -> None:
    table = comfyui_timetable(solver, spacing, steps)
    active = ours(window, len(table.passes))
    found = active_in_comfyui(
        comfyui_window(active, table.steps, table.passes), table.steps, table.passes
    )
    wanted = {table.passes[i] for i in active} - {0.0}
    more = {table.passes[i] for i in found} - wanted
    assert wanted <= {table.passes[i] for i in found}
    assert len(more) <= (0 if solver is None or solver.passes == "one" else 2)


@pytest.mark.parametrize(
    ("start", "end"), [(0, 8), (3, 10_000), (0, 0), (5, 5), (19, 20), (20, 20)]
)
def test_comfyui_counts_from_the_first_to_before_the_last(start, end) -> None:
    table = comfyui_timetable(None, Spacing.SGM, 20)
    found = active_in_comfyui((start, end), table.steps, table.passes)
    assert list(found) == list(range(start, min(end, 20)))


def test_comfyui_has_no_step_behind_the_last() -> None:
    table = comfyui_timetable(None, Spacing.LINEAR, 20)
    with pytest.raises(ValueError, match=r"feedback_start must be in \[0, 20\] steps, got 21"):
        active_in_comfyui((21, 22), table.steps, table.passes)


def test_comfyui_leaves_the_last_step_out_at_timestep_0() -> None:
    for spacing, active in ((Spacing.LINEAR, 19), (Spacing.SIMPLE, 20)):
        table = comfyui_timetable(None, spacing, 20)
        assert len(active_in_comfyui((0, 10_000), table.steps, table.passes)) == active


@given(WINDOWS, STEPS, STEPS)
def test_scaled_windows_stay_inside(window, passes, onto) -> None:
    active = scaled(ours(window, passes), passes, onto)
    assert set(active) <= set(range(onto))
    assert bool(active) == bool(ours(window, passes))
