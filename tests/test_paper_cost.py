"""U-Net evaluations as they are counted are those that are made."""

from typing import Any

import pytest

from experiments.paper.cost import Meter, plain_evaluations
from fabricbo.records import Action, FabricParams
from fabricbo.sampler import FabricSampler
from tests.tiny import reference


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize(
    ("start", "end", "beside"), [(0.5, 0.75, 0), (0.25, 0.5, 2)], ids=["pairs of steps", "halves"]
)
def test_counted_evaluations_are_those_of_the_network(
    pipeline: Any, guidance: float, start: float, end: float, beside: int
) -> None:
    """Three rounds with a growing pool, counted by a hook on the U-Net and by the meter.

    The network runs a reference for two steps at once: at an end of the window that parts such a
    pair it runs one step beside it, which the meter leaves out.
    """
    params = FabricParams(
        feedback_start=start, feedback_end=end, guidance_scale=guidance, denoising_steps=4
    )
    counted, meter = [0], Meter()

    def count(_: Any, args: Any, kwargs: Any) -> None:
        counted[0] += (args[0] if args else kwargs["sample"]).shape[0]

    hook = pipeline.unet.register_forward_pre_hook(count, with_kwargs=True)
    sampler = FabricSampler(pipeline)
    liked, disliked = ("red", "green"), ("blue", "black")
    try:
        for known in range(3):
            action = Action(
                params,
                tuple(reference(colour) for colour in liked[:known]),
                tuple(reference(colour) for colour in disliked[:known]),
            )
            sampler(action, "a cat", [1, 2])
            meter.add(action, 2)
            assert counted[0] == meter.evaluations + 2 * known * beside
    finally:
        hook.remove()


def test_references_cost_nothing_where_their_weight_is_0() -> None:
    meter = Meter()
    params = FabricParams(neg_scale=0.0, max_weight=0.0, denoising_steps=5)
    meter.add(Action(params, (reference("red"),), (reference("blue"),)), 3)
    assert meter.evaluations == plain_evaluations(params, 3) == 30
