"""The passes of references: two denoising steps at once, the same two whatever is asked for."""

from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from fabricbo.records import Action, FabricParams
from fabricbo.sampler import FabricSampler, SamplerOptions, reference_pass
from fabricbo.sampler.features import CacheUse
from tests.test_sampler import SCHEDULERS, use
from tests.tiny import reference

RED, BLUE = reference("red"), reference("blue", (50, 20))


def action(start: float = 0.0, end: float = 1.0, steps: int = 5) -> Action:
    window = {"feedback_start": start, "feedback_end": end}
    params = FabricParams(denoising_steps=steps, guidance_scale=3.0, max_weight=1.0, **window)
    return Action(params, (RED,), (BLUE,))


def pixels(sampler: FabricSampler, what: Action) -> np.ndarray:
    return np.asarray(sampler(what, "a cat", [1])[0], dtype=np.int16)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_steps_together_are_those_alone(pipeline: Any, name: str, monkeypatch: Any) -> None:
    use(pipeline, name)
    together = pixels(FabricSampler(pipeline), action())
    monkeypatch.setattr(reference_pass, "STEPS_TOGETHER", 1)
    alone = pixels(FabricSampler(pipeline), action())
    assert np.abs(together - alone).max() <= 1


@pytest.mark.parametrize("name", ["ddim", "euler"])
@pytest.mark.parametrize("cache", [None, 0])
def test_bits_do_not_depend_on_windows_before(pipeline: Any, name: str, cache: int | None) -> None:
    use(pipeline, name)
    sampler = FabricSampler(pipeline, SamplerOptions(cache_bytes=cache))
    windows = [(0.6, 0.8), (0.2, 0.4), (0.0, 1.0), (0.2, 0.4)]
    for start, end in windows:
        fresh = FabricSampler(pipeline)
        found, expected = (pixels(s, action(start, end)) for s in (sampler, fresh))
        assert np.array_equal(found, expected)


def test_what_came_along_is_found_later(pipeline: Any) -> None:
    sampler = FabricSampler(pipeline)
    pixels(sampler, action(0.2, 0.2))  # step 1; step 0 comes along
    assert sampler.cache.use == CacheUse(misses=2)
    runs = []
    pipeline.unet.conv_in.register_forward_hook(lambda _, given, __: runs.append(len(given[0])))
    pixels(sampler, action(0.0, 0.2))
    assert runs == [2] * 5  # guided passes of one image, and none of a reference
    assert sampler.cache.use == CacheUse(misses=4, hits=2)


def test_a_reference_pass_ends_where_its_features_are_known(pipeline: Any) -> None:
    ends: list[int] = []
    starts: list[int] = []
    pipeline.unet.conv_in.register_forward_hook(lambda *_: starts.append(1))
    pipeline.unet.conv_out.register_forward_hook(lambda *_: ends.append(1))
    pixels(FabricSampler(pipeline), action())
    assert len(ends) == 5
    assert len(starts) == 5 + 2 * 3  # of each reference: steps 0 and 1, 2 and 3, 4


def test_schedulers_that_look_at_their_past_and_noise_of_ones_own_go_step_by_step() -> None:
    def steps(scheduler: Any, noise: Any, step: int = 3, timestep: Any = None) -> list[int]:
        scheduler.set_timesteps(6)
        given = reference_pass.FeedbackInputs(torch.zeros(1, 2, 4), noise=noise)
        at = scheduler.timesteps[step] if timestep is None else timestep
        passing = reference_pass.Pass(step, at, {}, guided=True)
        return [p.step for p in reference_pass.passes_together(scheduler, given, passing)]

    (fixed,) = (n for n in reference_pass.ANY_STEP if n.__name__ == "fixed_noise")
    assert steps(diffusers.DDIMScheduler(), fixed) == [2, 3]
    assert steps(diffusers.HeunDiscreteScheduler(), fixed) == [3]
    assert steps(diffusers.DDIMScheduler(), lambda *_: torch.zeros(1)) == [3]
    assert steps(diffusers.DDIMScheduler(), fixed, timestep=torch.tensor(7)) == [3]


def test_the_scheduler_stays_where_it_stands(pipeline: Any) -> None:
    use(pipeline, "euler")
    scheduler = pipeline.scheduler
    scheduler.set_timesteps(5)
    standing = reference_pass._standing_at(scheduler, 3)
    scaled = standing.scale_model_input(torch.ones(1), scheduler.timesteps[3])
    assert float(scaled) == pytest.approx(float((scheduler.sigmas[3] ** 2 + 1) ** -0.5))
    assert scheduler.step_index is None
    assert scheduler.begin_index is None
