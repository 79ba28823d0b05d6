"""What each pass of a network gets: which references, for which rows, how strongly."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fabricbo.sampler.features import FeatureCache, FeatureKey
from fabricbo.sampler.flux import Places, check_size, places_of
from fabricbo.sampler.inputs import FeedbackInputs, ReferenceLatent, Share
from fabricbo.sampler.networks import (
    Network,
    asked,
    inner_levels,
    parts_guidance,
)
from fabricbo.sampler.reference_pass import (
    Pass,
    features_at,
    noised_input,
    passes_together,
    reference_conditions,
    source_of,
)
from fabricbo.sampler.schedule import (
    WeightPair,
    disliked_pair,
    feedback_weight,
    level_weights,
    liked_pair,
)
from fabricbo.sampler.surgery import Features, Injection, UNetPatch, merged


@dataclass(frozen=True)
class _Wanted:
    """References that some rows attend to in one pass."""

    rows: slice
    inputs: FeedbackInputs
    references: Sequence[ReferenceLatent]
    weights: WeightPair
    middle: float
    """`middle_scale`."""
    away: bool
    """Whether the rows are pushed away from them."""


@dataclass(frozen=True)
class _Rows:
    """Which rows of a pass are conditional, and which are not."""

    images: int
    conditional: int | None
    """The first of them; None: there are none."""
    unconditional: int | None


class FeedbackHook:
    """Decides before each pass what is injected, and counts the denoising steps."""

    def __init__(
        self, patch: UNetPatch, unet: Network, scheduler: Any, shares: Sequence[Share]
    ) -> None:
        """Serve a patched network; see `shared_feedback`."""
        self._patch = patch
        self._unet = unet
        self._scheduler = scheduler
        self._shares = shares
        guidance = shares[0].params.guidance_scale
        self._guided = guidance > 1 and getattr(unet.config, "time_cond_proj_dim", None) is None
        self._parted = self._guided and parts_guidance(unet)
        self._in_reference_pass = False
        self._timesteps: Tensor | None = None
        self._step = -1
        self._last: Any = None
        """Timestep of the last pass, if an unconditional one may come after it."""
        self._schedule = ""
        self._stride = 1
        self._needed = 0  # features in a whole run
        # Features that later steps want and no cache may have room for.
        self._ahead: dict[FeatureKey, Features] = {}

    def before(self, _unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run the references that this pass needs, and say what goes where."""
        places = places_of(self._unet, kwargs)
        if not self._in_reference_pass:
            self._prepare(args, kwargs, places)
        self._patch.places = places

    def _prepare(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], places: Places | None
    ) -> None:
        count, timestep = asked(self._unet, args, kwargs)
        is_second = self._count(timestep)
        if places is not None and self._step < len(self._scheduler.timesteps):
            # FLUX is told timesteps in the precision of its latents, so about.
            timestep = self._scheduler.timesteps[self._step]
        if wanted := self._wanted(self._step, self._rows(count, is_second)):
            if places is not None:
                for reference in (r for one in wanted for r in one.references):
                    check_size(kwargs["img_ids"], reference.latents)
            given = wanted[0].inputs
            passing = Pass(self._step, timestep, kwargs, self._guided and not self._parted)
            source = source_of(self._scheduler, self._stride, passing)
            self._ahead = {k: found for k, found in self._ahead.items() if k.step >= source.step}
            rest = (self._schedule, passing.distinct, given.way)
            self._patch.injections = [self._injection(w, source, rest) for w in wanted]
            self._prefetch(self._any_rows(count), rest)

    def _rows(self, count: int, is_second: bool) -> _Rows:
        if self._guided and not self._parted:
            return _Rows(count // 2, count // 2, 0)
        return _Rows(count, None, 0) if is_second else _Rows(count, 0, None)

    def _any_rows(self, images: int) -> _Rows:
        """Return rows of a denoising step, where nothing depends on which they are."""
        return _Rows(images, 0, 0 if self._guided else None)

    def after(self, *_: Any) -> None:
        """Inject nothing any more."""
        if not self._in_reference_pass:
            self._patch.injections = ()

    def _count(self, timestep: Any) -> bool:
        """Count passes; `set_timesteps` makes a new tensor, which tells where a run begins.

        The first pass need not be the first step (image to image); steps are counted from there,
        since a scheduler of second order meets a timestep twice.

        Returns:
            Whether it is the second pass of a denoising step, of the unconditional rows.
        """
        if self._timesteps is not self._scheduler.timesteps:
            self._timesteps = self._scheduler.timesteps
            self._step = _index(timestep, self._scheduler.timesteps) - 1
            self._schedule = _schedule_name(self._scheduler)
            self._stride = self._shares[0].inputs.stride if self._scheduler.order == 1 else 1
            self._needed = self._count_needed(len(self._timesteps))
            self._ahead = {}
            self._last = None
            for cache in self._caches():
                cache.begin_run()
        if self._last is not None and self._last == timestep:
            self._last = None
            return True
        self._last = timestep if self._parted else None
        self._step += 1
        return False

    def _count_needed(self, steps: int) -> int:
        rows = self._any_rows(1)
        wanted = [sum(len(w.references) for w in self._wanted(step, rows)) for step in range(steps)]
        return sum(max(wanted[i : i + self._stride]) for i in range(0, steps, self._stride))

    def _caches(self) -> Sequence[FeatureCache]:
        return list({id(share.inputs.cache): share.inputs.cache for share in self._shares}.values())

    def _wanted(self, step: int, rows: _Rows) -> list[_Wanted]:
        found, first = [], 0
        for share in self._shares:
            last = first + (rows.images if share.images is None else share.images)
            weight = feedback_weight(step, len(self._scheduler.timesteps), share.params)
            away = not self._guided
            opposed = rows.conditional if away else rows.unconditional
            liked, disliked = share.inputs.liked, share.inputs.disliked
            groups = (
                (rows.conditional, liked, liked_pair(weight, share.params), False),
                (opposed, disliked, disliked_pair(weight, share.params), away),
            )
            found += [
                _Wanted(
                    slice(begin + first, begin + last),
                    share.inputs,
                    references,
                    pair,
                    share.params.middle_scale,
                    is_away,
                )
                for begin, references, pair, is_away in groups
                if begin is not None and references and max(pair) > 0
            ]
            first = last
        return found

    def _injection(self, wanted: _Wanted, passing: Pass, rest: tuple[Any, ...]) -> Injection:
        def features(reference: ReferenceLatent) -> Features:
            return wanted.inputs.cache.get(
                _key(wanted, reference, passing.step, rest),
                lambda: self._compute(wanted, reference, passing, rest),
            )

        levels = level_weights(wanted.weights, inner_levels(self._unet), wanted.middle)
        found = [features(reference) for reference in wanted.references]
        weights = [[w * reference.strength for w in levels] for reference in wanted.references]
        return Injection(wanted.rows, found, weights, wanted.away)

    def _prefetch(self, rows: _Rows, rest: tuple[Any, ...]) -> None:
        """Say what the next step will ask for."""
        step = self._step + 1
        wanted = self._wanted(step, rows) if step < len(self._scheduler.timesteps) else ()
        for cache in self._caches():
            cache.prefetch(
                [
                    _key(one, reference, step - step % self._stride, rest)
                    for one in wanted
                    if one.inputs.cache is cache
                    for reference in one.references
                ]
            )

    def _compute(
        self, wanted: _Wanted, reference: ReferenceLatent, passing: Pass, rest: tuple[Any, ...]
    ) -> Features:
        """Return features at a step; those that come along wait in the cache, or here."""
        key = _key(wanted, reference, passing.step, rest)
        if key in self._ahead:
            return self._ahead[key] if self._stride > 1 else self._ahead.pop(key)
        passes = passes_together(self._scheduler, wanted.inputs, passing)
        found = {
            _key(wanted, reference, one.step, rest): self._finished(wanted, features)
            for one, features in zip(passes, self._run(wanted, reference, passes), strict=True)
        }
        mine = found.pop(key)
        for other, features in found.items():
            if not wanted.inputs.cache.add(other, features) and other.step > key.step:
                self._ahead[other] = features
        if self._stride > 1:
            self._ahead[key] = mine
        return mine

    def _run(
        self, wanted: _Wanted, reference: ReferenceLatent, passes: Sequence[Pass]
    ) -> list[Features]:
        inputs, channels = wanted.inputs, self._unet.config.in_channels
        noised = [noised_input(self._scheduler, reference, inputs, p, channels) for p in passes]
        times = [one.timestep for one in passes]
        conditions = reference_conditions(inputs, passes[0])
        self._in_reference_pass = True
        try:
            return features_at(
                self._patch, self._unet, noised, times, inputs.null_embeds, **conditions
            )
        finally:
            self._in_reference_pass = False

    def _finished(self, wanted: _Wanted, found: Features) -> Features:
        if wanted.inputs.merge > 0:
            found = merged(found, wanted.inputs.merge)
        may = not self._patch.lean and self._may_project(wanted, found)
        return self._patch.projected(found) if may else found

    def _may_project(self, wanted: _Wanted, found: Features) -> bool:
        """Tell whether all that a run needs fits as keys and values, twice as large.

        Where it does not, smaller features are worth more: a pass that is saved takes many times
        as long as a projection.
        """
        return wanted.inputs.cache.fits(found, 2 * self._needed)


def _key(
    wanted: _Wanted, reference: ReferenceLatent, step: int, rest: tuple[Any, ...]
) -> FeatureKey:
    # The noise function is part of the key by identity: fixed and fresh never mix.
    return FeatureKey(reference.id, step, (reference.latents.shape, wanted.inputs.noise, *rest))


def _index(timestep: Any, timesteps: Tensor) -> int:
    """Return where among others the one that is nearest to a timestep first is."""
    apart = timesteps.float() - torch.as_tensor(timestep, device=timesteps.device).float()
    return int(apart.abs().argmin())


def _schedule_name(scheduler: Any) -> str:
    """Name all that decides how a reference is noised at a denoising step."""
    config = json.dumps(dict(scheduler.config), sort_keys=True, default=str)
    return f"{type(scheduler).__name__} {scheduler.timesteps.tolist()} {config}"
