"""The feedback schedule: which weight holds at which denoising step and U-Net level.

Pure functions. Window and level weights are those of the FABRIC authors' implementation,
which the recorded results in the tests come from.
"""

from collections.abc import Sequence

from fabricbo.records import FabricParams

WeightPair = tuple[float, float]
"""Feedback weight at the outermost U-Net level and at the bottleneck."""


def feedback_weight(step: int, steps: int, params: FabricParams) -> float:
    """Return `max_weight` inside the feedback window, `min_weight` outside, a ramp between."""
    window = params.window(steps)
    if step not in window:
        return params.min_weight
    share = params.shares(steps)[step - window.start]
    if share == 1:
        return params.max_weight
    return params.min_weight + share * (params.max_weight - params.min_weight)


def liked_pair(weight: float, params: FabricParams) -> WeightPair:
    """Return the weights of liked references at the outermost level and the bottleneck."""
    return weight, weight * params.pos_bottleneck_scale


def disliked_pair(weight: float, params: FabricParams) -> WeightPair:
    """Return the weights of disliked references at the outermost level and the bottleneck."""
    weight = weight * params.neg_scale
    return weight, weight * params.neg_bottleneck_scale


def level_weights(pair: WeightPair, levels: int, middle: float = 1.0) -> Sequence[float]:
    """Interpolate from the outermost of `levels` down blocks (0) to the bottleneck.

    Args:
        pair: the two ends.
        levels: how many down blocks there are.
        middle: `middle_scale`; 1 interpolates linearly.

    Returns:
        `levels + 1` weights; the last is the bottleneck's.
    """
    outermost, bottleneck = pair
    inner = [outermost + (bottleneck - outermost) * level / levels for level in range(levels)]
    if middle != 1:
        nearness = [1 - abs(2 * level / levels - 1) for level in range(levels)]
        inner = [w * (1 + (middle - 1) * near) for w, near in zip(inner, nearness, strict=True)]
    return (*inner, bottleneck)
