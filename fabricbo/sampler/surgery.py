"""Surgery on a network: its self-attentions can be read, and given more tokens to attend to.

`patched(network)` puts a processor of our own in front of each self-attention's processor and
puts the very objects it found back, also after an exception. As long as nothing is read or
injected, the processors found do all the work, on the very tensors they would have got. Where image
and text share one attention, its image tokens are what is read and given more.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from jaxtyping import Float
from torch import Tensor, nn

from fabricbo.sampler.attention import Form, Offer, ReferenceTokens, attention_both_ways
from fabricbo.sampler.compiling import is_compiled, left_out
from fabricbo.sampler.flux import Places, Rotation
from fabricbo.sampler.joint import Asked, heads, joint_attention, single_attention
from fabricbo.sampler.merging import merge_alike
from fabricbo.sampler.networks import Network, is_transformer, transformer_attentions

Hidden = Float[Tensor, "1 _ _"]
"""Hidden states of a reference before one self-attention, `1 tokens channels`."""


@dataclass(frozen=True)
class Merged:
    """The same, tokens that are alike merged."""

    hidden: Hidden
    log_sizes: Float[Tensor, " tokens"]
    """Of how many tokens each is the mean, as a logarithm."""

    @property
    def tensors(self) -> Sequence[Tensor]:
        """All that it holds."""
        return [self.hidden, self.log_sizes]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Merged":
        """Return the same, each tensor changed."""
        return Merged(change(self.hidden), change(self.log_sizes))


@dataclass(frozen=True)
class Projected:
    """The same as keys and values of that self-attention: twice the memory, nothing left to do."""

    key: Float[Tensor, "rows heads tokens head_channels"]
    value: Float[Tensor, "rows heads tokens head_channels"]
    log_sizes: Float[Tensor, " tokens"] | None = None

    @property
    def tensors(self) -> Sequence[Tensor]:
        """All that it holds."""
        more = [] if self.log_sizes is None else [self.log_sizes]
        return [self.key, self.value, *more]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Projected":
        """Return the same, each tensor changed."""
        sizes = None if self.log_sizes is None else change(self.log_sizes)
        return Projected(change(self.key), change(self.value), sizes)


Feature = Hidden | Merged | Projected
"""What one reference offers in one layer."""
Features = tuple[Feature, ...]
"""What one reference offers, in the order of the layers, which differ in tokens and channels."""
Attended = Tensor | tuple[Tensor, Tensor]
"""What an attention gives back: `batch tokens channels` of the image, and of the text where both
share it."""


@dataclass(frozen=True)
class Injection:
    """Reference features for some rows of a batch."""

    rows: slice
    features: Sequence[Features]
    """Of one or more references."""
    level_weights: Sequence[Sequence[float]]
    """Feedback weights of each reference by U-Net level, the bottleneck's last (see
    `schedule.level_weights`)."""
    away: bool = False
    """Whether the rows are pushed away from them (see `attention.attention_both_ways`)."""


class _AllCaptured(Exception):  # noqa: N818  no error
    """Ends a pass of which only hidden states are wanted."""


@dataclass
class UNetPatch:
    """What a patched U-Net is to do in its next pass."""

    layers: Sequence["_Layer"]
    injections: Sequence[Injection] = ()
    captured: dict[int, Hidden] | None = None
    lean: bool = False
    """Whether references are attended to one after the other."""
    places: Places | None = None
    """Of the tokens of the next pass, where they enter each attention (FLUX)."""

    @contextmanager
    def capturing(self) -> Iterator[Mapping[int, Hidden]]:
        """Record the hidden states before each self-attention, by layer; inject nothing.

        The pass inside the `with` ends where all are recorded: nobody needs what it would predict.
        """
        saved, self.injections, self.captured = self.injections, (), {}
        try:
            yield self.captured
        except _AllCaptured:
            pass
        finally:
            self.injections, self.captured = saved, None

    def capture(self, layer: int, hidden: Tensor) -> None:
        """Record hidden states, if that is what the pass is for."""
        if self.captured is None:
            return
        self.captured[layer] = hidden.detach()
        if len(self.captured) == len(self.layers):
            raise _AllCaptured

    @torch.no_grad()
    def projected(self, features: Features) -> Features:
        """Return features as keys and values; each reference by itself, so that the numbers do
        not depend on what it is used with."""
        return tuple(
            _project(layer.attention, found, self.rotation)
            for layer, found in zip(self.layers, features, strict=True)
        )

    @property
    def rotation(self) -> Rotation | None:
        """Of the keys of references, where there is one."""
        return None if self.places is None else self.places.references

    @contextmanager
    def injecting(self, injections: Sequence[Injection]) -> Iterator[None]:
        """Let the given rows attend to reference features."""
        self.injections = injections
        try:
            yield
        finally:
            self.injections = ()


def merged(features: Features, share: float) -> Features:
    """Merge a share of the tokens of each layer into others that are like them."""
    return tuple(_merged(found, share) for found in features)


def _merged(found: Feature, share: float) -> Feature:
    if not isinstance(found, Tensor):
        return found
    hidden, sizes = merge_alike(found, share)
    return Merged(hidden, sizes.log())


@contextmanager
def patched(unet: Network, levels: Collection[int] | None = None) -> Iterator[UNetPatch]:
    """Open a network's self-attentions for reading and injection; restore them on leaving.

    Args:
        levels: those whose self-attentions are opened; None: all.
    """
    layers = _self_attentions(unet)
    patch = UNetPatch([one for one in layers if levels is None or one.level in levels])
    originals = [layer.attention.processor for layer in patch.layers]
    kind = left_out(_FeedbackProcessor) if is_compiled(unet) else _FeedbackProcessor
    try:
        for index, (layer, original) in enumerate(zip(patch.layers, originals, strict=True)):
            layer.attention.set_processor(kind(patch, index, original))
        yield patch
    finally:
        for layer, original in zip(patch.layers, originals, strict=True):
            layer.attention.set_processor(original)


@dataclass(frozen=True)
class _Layer:
    attention: Any
    """A self-attention, diffusers' `Attention`."""
    level: int
    """0 for the outermost blocks and all of a transformer, the number of down blocks for the
    bottleneck."""


def levels_of(unet: Network) -> frozenset[int]:
    """Return the levels that have self-attentions."""
    return frozenset(layer.level for layer in _self_attentions(unet))


def self_attentions(unet: Network, levels: Collection[int] | None = None) -> list[tuple[Any, int]]:
    """Return the self-attentions that `patched` opens (diffusers' `Attention`), with levels."""
    layers = _self_attentions(unet)
    return [(one.attention, one.level) for one in layers if levels is None or one.level in levels]


def _self_attentions(unet: Network) -> list[_Layer]:
    if is_transformer(unet):
        return [_Layer(attention, 0) for attention in transformer_attentions(unet)]
    down, up = list(unet.down_blocks), list(unet.up_blocks)
    blocks = [*enumerate(down), *((len(up) - 1 - i, block) for i, block in enumerate(up))]
    if unet.mid_block is not None:
        blocks.append((len(down), unet.mid_block))
    return [
        _Layer(module.attn1, level)
        for level, block in blocks
        for module in block.modules()
        if isinstance(module, BasicTransformerBlock) and not module.only_cross_attention
    ]


class _FeedbackProcessor:
    """Stands before one self-attention's own processor."""

    def __init__(self, patch: UNetPatch, index: int, original: Any) -> None:
        self._patch = patch
        self._index = index
        self._original = original

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Any = None,
        **kwargs: Any,
    ) -> Attended:
        """Stand in for an attention processor.

        Args:
            attn: the attention.
            hidden_states: of the image, in FLUX's single blocks of text and image.
            encoder_hidden_states: of the text, where both share the attention.
            attention_mask: none where there is feedback.
            temb: the timestep's embedding; in FLUX, in the same place, the rotation of text and
                image tokens.
            kwargs: what else is handed to attentions.
        """

        def original(image: Tensor, text: Tensor | None) -> Attended:
            result: Attended = self._original(attn, image, text, attention_mask, temb, **kwargs)
            return result

        patch = self._patch
        joined = patch.places if encoder_hidden_states is None else None
        first = 0 if joined is None else joined.text_tokens
        patch.capture(self._index, hidden_states[:, first:])
        active = self._parts()
        if not active:
            return original(hidden_states, encoder_hidden_states)
        if attention_mask is not None:
            raise NotImplementedError("feedback in a self-attention that has a mask of its own")

        def attend(image: Tensor, text: Tensor | None, part: _Part) -> Attended:
            def tokens(references: Sequence[tuple[Feature, float]]) -> Iterator[ReferenceTokens]:
                for features, weight in references:
                    found = _project(attn, features, patch.rotation)
                    yield ReferenceTokens(found.key, found.value, weight, found.log_sizes)

            offer = Offer(*(tokens(those) if those else None for those in (part.toward, part.away)))
            form: Form | None = "merged" if patch.lean else None
            rotation: Rotation | None = None if patch.places is None else temb
            if joined is not None:
                return single_attention(_asked(attn, image, rotation), first, offer, form)
            if text is None:
                return _attend(attn, image, offer, form)
            of_text, of_image = (
                None if rotation is None else (rotation[0][some], rotation[1][some])
                for some in (slice(text.shape[1]), slice(text.shape[1], None))
            )
            asked = _asked(attn, image, of_image)
            return joint_attention(attn, asked, text, offer, form, of_text)

        return _by_rows(hidden_states, encoder_hidden_states, active, original, attend)

    def _parts(self) -> list["_Part"]:
        """Return what is injected here, by rows."""
        parts: dict[tuple[int, int], _Part] = {}
        for injection in self._patch.injections:
            rows = injection.rows
            part = parts.setdefault((rows.start, rows.stop), _Part(rows))
            (part.away if injection.away else part.toward).extend(self._weighted(injection))
        return [part for part in parts.values() if part.toward or part.away]

    def _weighted(self, injection: Injection) -> Iterator[tuple[Feature, float]]:
        level = self._patch.layers[self._index].level
        for features, weights in zip(injection.features, injection.level_weights, strict=True):
            if weights[level] > 0:
                yield features[self._index], weights[level]


@dataclass(frozen=True)
class _Part:
    """What some rows attend to in one layer, besides themselves."""

    rows: slice
    toward: list[tuple[Feature, float]] = field(default_factory=list)
    """References with their feedback weights."""
    away: list[tuple[Feature, float]] = field(default_factory=list)


def _by_rows(
    image: Float[Tensor, "batch tokens channels"],
    text: Float[Tensor, "batch text_tokens channels"] | None,
    active: Sequence[_Part],
    original: Callable[[Tensor, Tensor | None], Attended],
    attend: Callable[[Tensor, Tensor | None, _Part], Attended],
) -> Attended:
    """Compute each group of rows with its own references, the rest as it would have been."""

    def of(rows: slice) -> tuple[Tensor, Tensor | None]:
        return image[rows], None if text is None else text[rows]

    done, found = 0, []
    for part in sorted(active, key=lambda part: part.rows.start):
        if done < part.rows.start:
            found.append(original(*of(slice(done, part.rows.start))))
        found.append(attend(*of(part.rows), part))
        done = part.rows.stop
    if done < image.shape[0]:
        found.append(original(*of(slice(done, None))))
    return _stacked(found)


def _stacked(found: Sequence[Attended]) -> Attended:
    """Put rows under each other again: those of the image, or of image and text."""
    if isinstance(found[0], Tensor):
        return torch.cat(found)  # type: ignore[arg-type]
    image, text = zip(*found, strict=True)
    return torch.cat(image), torch.cat(text)


def _attend(
    attn: Any,
    hidden_states: Float[Tensor, "batch tokens channels"],
    offer: Offer,
    form: Form | None,
) -> Float[Tensor, "batch tokens channels"]:
    """Run diffusers' `Attention` with reference tokens; LoRA layers inside it apply to them too."""
    mixed = attention_both_ways(*_asked(attn, hidden_states), offer, form)
    out: Tensor = attn.to_out[0](mixed.transpose(1, 2).flatten(2))
    return attn.to_out[1](out) / attn.rescale_output_factor  # type: ignore[no-any-return]


def _asked(attn: Any, hidden_states: Tensor, rotation: Rotation | None = None) -> Asked:
    """Return queries, keys and values of tokens, rotated by where they are."""
    own = _project(attn, hidden_states, rotation)
    query = heads(attn, attn.to_q(hidden_states), attn.norm_q, rotation)
    return query, own.key, own.value


def _project(
    attn: Any, features: Tensor | Merged | Projected, rotation: Rotation | None = None
) -> Projected:
    if isinstance(features, Projected):
        return features
    if isinstance(features, Merged):
        return replace(_project(attn, features.hidden), log_sizes=features.log_sizes)
    return Projected(
        heads(attn, attn.to_k(features), attn.norm_k, rotation),
        heads(attn, attn.to_v(features), None),
    )
