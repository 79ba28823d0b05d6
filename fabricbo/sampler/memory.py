"""What feedback holds beyond plain sampling, computed from sizes; how to draw within a bound.

Counted is what a run of denoising steps holds at once besides what the same images need without
references: features in the cache and in use, those of a pass on their way there, and what
attention to them needs in the layer that needs most. Each is counted as if it were all there at
that moment, so that the sum is an upper bound. Not counted are references as latents, some
kilobytes each, and, where a single image is drawn without guidance, the second row that a
reference's pass has and the image's has not.

What is planned follows from the call alone and never from what was drawn before, so that the same
call gives the same images.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel

from fabricbo.sampler.attention import form_for
from fabricbo.sampler.batches import shares_of_batches
from fabricbo.sampler.reference_pass import steps_together
from fabricbo.sampler.surgery import self_attentions

_MASS_BYTES = 4
"""Log-sum-exps are in single precision, whatever else is."""

_Choice = tuple[bool, int]
"""`lean` and `images_at_once`."""


@dataclass(frozen=True)
class LayerSize:
    """A self-attention that feedback acts in."""

    tokens: int
    """Of a row."""
    channels: int
    """Of a token, in hidden states."""
    inner: int
    """Of a token, in keys and in values; of all heads together."""
    heads: int


@dataclass(frozen=True)
class FeatureSizes:
    """What decides how large reference features are."""

    layers: Sequence[LayerSize]
    dtype: torch.dtype
    device: torch.device
    merge: float = 0.0
    """Share of a reference's tokens that are merged away, see `FeedbackInputs.merge`."""

    @property
    def element(self) -> int:
        """Bytes of a number."""
        return self.dtype.itemsize

    def kept(self, layer: LayerSize) -> int:
        """Return how many of a reference's tokens are kept."""
        return layer.tokens - int(layer.tokens * self.merge)

    def computed_bytes(self) -> int:
        """Return the bytes of one reference at one step, as they come from the U-Net."""
        return self.element * sum(layer.tokens * layer.channels for layer in self.layers)

    def held_bytes(self, *, projected: bool) -> int:
        """Return the same as they are kept: hidden states, or keys and values."""
        return self.element * sum(
            self.kept(layer) * (2 * layer.inner if projected else layer.channels)
            + (self.kept(layer) if self.merge else 0)
            for layer in self.layers
        )


@dataclass(frozen=True)
class Ask:
    """Images of one action, and how many references it has."""

    images: int
    liked: int
    disliked: int


@dataclass(frozen=True)
class Batch:
    """What goes through the U-Net together."""

    groups: Sequence[tuple[int, int]]
    """Images, and how many references of one verdict they attend to in a pass."""

    @property
    def references(self) -> int:
        """Of all groups; one that several have counts several times."""
        return sum(references for _, references in self.groups)


def batches_of(asks: Sequence[Ask], images_at_once: int | None) -> list[Batch]:
    """Return the batches that images are drawn in, in order."""
    return [
        Batch(
            [
                (several, references)
                for number, several in shares
                for references in (asks[number].liked, asks[number].disliked)
                if references
            ]
        )
        for shares in shares_of_batches([ask.images for ask in asks], images_at_once)
    ]


@dataclass(frozen=True)
class MemoryPlan:
    """How something is drawn."""

    cache_bytes: int
    """Budget of features on the device."""
    lean: bool
    images_at_once: int


@dataclass(frozen=True)
class Wish:
    """What may not be planned otherwise; None is open."""

    cache_bytes: int | None = None
    lean: bool = False
    """False: as it fits."""
    images_at_once: int | None = None


def feature_sizes(
    unet: UNet2DConditionModel,
    latent_size: tuple[int, int],
    levels: Collection[int] | None = None,
    merge: float = 0.0,
) -> FeatureSizes:
    """Return what a U-Net's features are like for latents of so many rows and columns.

    Args:
        levels: those that feedback acts at; None: all.
        merge: share of the tokens that are merged away.
    """
    deepest = len(unet.down_blocks) - 1  # the last down block does not halve, nor does the middle
    layers = []
    for attention, level in self_attentions(unet, levels):
        halved = 2 ** min(level, deepest)
        rows, columns = (math.ceil(side / halved) for side in latent_size)
        inner = attention.inner_kv_dim
        layers.append(LayerSize(rows * columns, attention.query_dim, inner, attention.heads))
    return FeatureSizes(layers, unet.dtype, unet.device, merge)


def plan_within(
    bound: int, sizes: FeatureSizes, asks: Sequence[Ask], features: int, wish: Wish
) -> MemoryPlan:
    """Plan how to draw while feedback holds at most so many bytes beyond plain sampling.

    All images at once, references as keys and values, if the cache then has room for all features
    of the call; else references one after the other, and as many images at once as leave that
    room; else as many as fit at all.

    Args:
        bound: bytes.
        asks: what is to be drawn, at least one image.
        features: how many features the call meets: one a reference and denoising step.
        wish: what is settled.

    Raises:
        ValueError: it cannot be done; says the least that is needed.
    """

    def left(choice: _Choice) -> int:
        return bound - (wish.cache_bytes or 0) - _need_of(sizes, asks, choice)

    choices = list(_choices(sum(ask.images for ask in asks), wish))
    fitting = [
        MemoryPlan(left(c) if wish.cache_bytes is None else wish.cache_bytes, *c)
        for c in choices
        if left(c) >= 0
    ]
    if not fitting:
        least = bound - max(left(choice) for choice in choices)
        raise ValueError(_too_little(bound, least, asks, wish))
    for plan in fitting:
        if plan.cache_bytes >= features * sizes.held_bytes(projected=not plan.lean):
            return plan
    # Not all fit: hidden states are half as large as keys and values, so that more are known.
    return next((plan for plan in fitting if plan.lean), fitting[0])


def _need_of(sizes: FeatureSizes, asks: Sequence[Ask], choice: _Choice) -> int:
    lean, images_at_once = choice
    return max(need(sizes, one, lean=lean) for one in batches_of(asks, images_at_once))


def _choices(images: int, wish: Wish) -> Iterator[_Choice]:
    """Return what can be chosen, what draws fastest first."""
    several = [wish.images_at_once] if wish.images_at_once else list(_halved(images))
    if not wish.lean:
        yield False, several[0]
    for number in several:
        yield True, number


def _halved(images: int) -> Iterator[int]:
    while images > 1:
        yield images
        images = (images + 1) // 2
    yield 1


def need(sizes: FeatureSizes, batch: Batch, *, lean: bool) -> int:
    """Return the bytes that feedback holds at most beyond plain sampling, an empty cache besides.

    Args:
        lean: whether references are attended to one after the other, and kept as hidden states.
    """
    if not batch.references:
        return 0
    passing = _passing(sizes, batch.references, lean=lean)
    attending = max(
        _attending(sizes, layer, images, references, lean=lean)
        for layer in sizes.layers
        for images, references in batch.groups
    )
    return passing + attending


def _passing(sizes: FeatureSizes, references: int, *, lean: bool) -> int:
    """Return the most that features take which no cache holds: those of the present steps.

    The last one's pass comes when the others' are there; its hidden states are copied step by step,
    and then merged or projected while the copies are still held.
    """
    steps = steps_together(lean=lean)
    held = steps * sizes.held_bytes(projected=not lean)
    computed = steps * sizes.computed_bytes()
    return max((references - 1) * held + 2 * computed, references * held + computed) + max(
        _merging(sizes, layer) for layer in sizes.layers
    )


def _merging(sizes: FeatureSizes, layer: LayerSize) -> int:
    """Return what merging a layer's tokens needs meanwhile: who is like whom, and who joins."""
    if not sizes.merge:
        return 0
    half = (layer.tokens + 1) // 2
    return sizes.element * (2 * half * half + 4 * layer.tokens * layer.channels)


def _attending(
    sizes: FeatureSizes, layer: LayerSize, images: int, references: int, *, lean: bool
) -> int:
    """Return what attention to references needs in a layer besides attention to own tokens.

    Own queries, keys, values and results are there without feedback, too, for at least as many
    rows. Without guidance two more results wait for that of attention to disliked references; this
    is counted for all, since who asks before drawing does not know.
    """
    waiting = 2 * images * layer.tokens * layer.inner
    own, theirs = layer.tokens, sizes.kept(layer)
    form = "merged" if lean else form_for(sizes.device, sizes.dtype, images)
    everything = own + references * theirs
    # Numbers a token: with a bias in it, a head's channels are padded to a multiple of 8.
    wide = layer.inner + 8 * layer.heads
    if form == "merged":
        found = waiting + 3 * images * own * layer.inner + 4 * theirs * layer.inner
        if sizes.merge:
            found += wide * (2 * images * own + 2 * theirs)
        return sizes.element * found + 4 * _MASS_BYTES * images * own * layer.heads
    found = waiting + 2 * references * theirs * layer.inner
    found += 2 * images * everything * layer.inner
    found += 2 * images * everything  # the bias
    if form == "widened":
        found += wide * images * (2 * own + 2 * everything)
    return sizes.element * found


def _too_little(bound: int, least: int, asks: Sequence[Ask], wish: Wish) -> str:
    references = max(ask.liked + ask.disliked for ask in asks)
    settled = [
        *([f"a cache of {wish.cache_bytes / 1e9:g} GB"] if wish.cache_bytes else []),
        *([f"{wish.images_at_once} images at once"] if wish.images_at_once else []),
    ]
    beside = f" beside {' and '.join(settled)}" if settled else ""
    return (
        f"max_memory must be at least {_rounded_up(least)} for {references} references"
        f"{beside}, got {bound / 1e9:g} GB; allow more, or fewer references (max_liked, "
        "max_disliked), a smaller size, or merge_tokens"
    )


def _rounded_up(value: int) -> str:
    """Return gigabytes with three digits that count, at least as many as there are bytes."""
    digits = max(0, 2 - math.floor(math.log10(value / 1e9)))
    return f"{math.ceil(value / 1e9 * 10**digits) / 10**digits:.{digits}f} GB"
