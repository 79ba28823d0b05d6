"""The action space: which settings vary, in which bounds, and what a reference may be.

An `ActionSpace` belongs to a study, a pool to a round: every method that needs to know
the references takes the pool. Points map to a unit cube with one coordinate for each
varying parameter (in the order of `PARAMETER_NAMES`) and one for each reference.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from fabricbo.records import (
    ACT_ALONE,
    OPTIONAL,
    PARAMETER_NAMES,
    Action,
    FabricParams,
    Reference,
    Role,
    check_strength,
    strength_text,
)

MAX_POOL = 32
"""Most references that a pool may hold."""

_ROLE_ORDER = (Role.DISLIKED, Role.UNUSED, Role.LIKED)

RoleChoice = tuple[Role, float]
"""A role, and the strength that a reference has in it; 1 where it is unused."""


@dataclass(frozen=True, slots=True)
class Range:
    """An interval, ends included.

    Raises:
        ValueError: bounds that are reversed, equal, not finite, or not positive on a log scale.
    """

    low: float
    high: float
    log: bool = False
    """Whether the parameter acts by its ratio: the unit interval is spread over its logarithm."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError(f"bounds must be finite, got {self.low} to {self.high}")
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a log scale needs low above 0, got {self.low}")
        if self.log and math.log(self.low) == math.log(self.high):
            raise ValueError(f"low and high are too close, got {self.low} and {self.high}")

    def to_unit(self, value: float) -> float:
        """Map a value between the bounds to [0, 1]."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low)

    def from_unit(self, position: float) -> float:
        """Map a position in [0, 1] to a value between the bounds."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            value = math.exp(low + position * (high - low))
        else:
            value = self.low + position * (self.high - self.low)
        return min(max(value, self.low), self.high)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Choice:
    """A list of values.

    Raises:
        ValueError: fewer than two values, or one of them twice.
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2 or len(set(self.values)) != len(self.values):
            raise ValueError(f"a choice needs two or more different values, got {self.values}")

    def to_unit(self, value: float) -> float:
        """Map a listed value to the middle of its share of [0, 1]."""
        return (self.values.index(value) + 0.5) / len(self.values)

    def from_unit(self, position: float) -> float:
        """Map a position in [0, 1] to the value whose share it lies in."""
        return self.values[_share(position, len(self.values))]

    def __contains__(self, value: float) -> bool:
        return value in self.values


Domain = Range | Choice

DEFAULT_DOMAINS: Mapping[str, Domain] = {
    "feedback_start": Range(0.0, 1.0),
    "feedback_end": Range(0.0, 1.0),
    "max_weight": Range(0.0, 1.5),
    "neg_scale": Range(0.0, 1.0),
}
"""The paper's own knobs, from no feedback to somewhat beyond the strongest of its settings."""


@dataclass(frozen=True)
class ActionSpace:
    """What a proposer may vary.

    Raises:
        ValueError: an unknown parameter, a domain outside what `FabricParams` allows,
            a window that can never be valid, a negative cap, or strengths that cannot be chosen
            among.
    """

    domains: Mapping[str, Domain] = field(default_factory=lambda: dict(DEFAULT_DOMAINS))
    """The parameters that vary."""
    hand: FabricParams = field(default_factory=FabricParams)
    """The hand settings: the baseline, and the values of all parameters that do not vary."""
    roles: bool = True
    """Whether the roles of the references vary, or stay as under the hand settings."""
    max_liked: int = 4
    """Most liked references in one action, at least 0."""
    max_disliked: int = 4
    """Most disliked references in one action, at least 0."""
    strengths: tuple[float, ...] = (1.0,)
    """What a reference with a role may have as its strength, above 0 and in any order; 1 is among
    them."""

    def __post_init__(self) -> None:
        for name in self.domains:
            if name not in PARAMETER_NAMES:
                known = ", ".join(PARAMETER_NAMES)
                raise ValueError(f"unknown parameter {name!r}; known are {known}")
        for name in ("max_liked", "max_disliked"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        self._check_strengths()
        self._check_domains()

    def _check_strengths(self) -> None:
        for value in self.strengths:
            check_strength(value)
        if len(set(self.strengths)) != len(self.strengths):
            raise ValueError(f"strengths must be different numbers, got {list(self.strengths)}")
        if 1 not in self.strengths:
            raise ValueError(
                f"strengths must have 1 among them, which the hand settings use, got "
                f"{list(self.strengths)}"
            )
        if len(self.strengths) > 1 and not self.roles:
            raise ValueError("strengths vary with the roles of references; let roles vary, too")
        object.__setattr__(self, "strengths", tuple(sorted(map(float, self.strengths))))

    def _check_domains(self) -> None:
        for name, domain in self.domains.items():
            values = domain.values if isinstance(domain, Choice) else _ends(domain)
            for value in values:
                # The other end of the window must not be what is complained about here.
                FabricParams(**{"feedback_start": 0.0, "feedback_end": 1.0, name: value})  # type: ignore[arg-type]
        start, end = self._ends_of("feedback_start")[0], self._ends_of("feedback_end")[1]
        if start > end:
            raise ValueError(
                "feedback_start must be able to stay below feedback_end, "
                f"got at least {start:g} against at most {end:g}"
            )

    def _ends_of(self, name: str) -> tuple[float, float]:
        domain = self.domains.get(name)
        fixed = getattr(self.hand, name)
        return _ends(domain) if domain is not None else (fixed, fixed)

    @property
    def acts_without_references(self) -> bool:
        """Whether anything that varies changes an image that is drawn without references."""
        return not set(self.domains).isdisjoint(ACT_ALONE)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that vary, in the order of their coordinates."""
        return tuple(name for name in PARAMETER_NAMES if name in self.domains)

    @cached_property
    def settings(self) -> tuple[str, ...]:
        """Names of all settings that the study has: of optional ones those that can be on."""
        return tuple(
            name
            for name in PARAMETER_NAMES
            if name in self.domains or OPTIONAL.get(name) != getattr(self.hand, name)
        )

    @cached_property
    def role_choices(self) -> Mapping[str, RoleChoice]:
        """What a reference may be, by the names of `role_choice`."""
        return {
            _choice_name(role, strength): (role, strength)
            for role in Role
            for strength in (self.strengths if role is not Role.UNUSED else (1.0,))
        }

    def dimensions(self, pool: Sequence[Reference]) -> int:
        """Return the number of coordinates with this pool."""
        return len(self.parameters) + (len(pool) if self.roles else 0)

    def check_pool(self, pool: Sequence[Reference]) -> None:
        """Check that a pool fits the space.

        Raises:
            ValueError: too many references, or the same pixels twice.
        """
        if len(pool) > MAX_POOL:
            raise ValueError(f"a pool may hold {MAX_POOL} references, got {len(pool)}")
        ids = [reference.id for reference in pool]
        if len(set(ids)) != len(ids):
            names = sorted(r.name for r in pool if ids.count(r.id) > 1)
            raise ValueError(f"the pool holds the same pixels twice: {', '.join(names)}")

    def hand_action(self, pool: Sequence[Reference]) -> Action:
        """Return the baseline: hand settings, each reference in its hand role, caps respected."""
        return self._action(
            self.hand, {reference.id: reference.hand_role for reference in pool}, pool
        )

    def contains(self, action: Action, pool: Sequence[Reference]) -> bool:
        """Tell whether an action may be proposed with this pool."""
        inside = all(self._allows(n, getattr(action.params, n)) for n in PARAMETER_NAMES)
        known = set(pool).issuperset((*action.liked, *action.disliked))
        capped = len(action.liked) <= self.max_liked and len(action.disliked) <= self.max_disliked
        hand = self.hand_action(pool)
        free = self.roles or (action.liked, action.disliked) == (hand.liked, hand.disliked)
        return inside and known and capped and free and self.has_strengths_of(action)

    def has_strengths_of(self, action: Action) -> bool:
        """Tell whether references may have the strengths that they have in an action."""
        return set(self.strengths).issuperset(action.strengths.values())

    def to_unit(self, action: Action, pool: Sequence[Reference]) -> tuple[float, ...]:
        """Map an action to the unit cube; roles: 1/6 disliked, 1/2 unused, 5/6 liked.

        Where strengths vary, the thirds of liked and disliked are parted further, the stronger
        the farther from unused.

        Raises:
            ValueError: a value or a strength that may not be chosen.
        """
        scalars = [self.domains[n].to_unit(getattr(action.params, n)) for n in self.parameters]
        chosen = ((action.role(r), action.strength(r)) for r in pool)
        return (*scalars, *(self._to_third(*one) for one in chosen if self.roles))

    def _to_third(self, role: Role, strength: float) -> float:
        """Return the coordinate of a role: the middle of its third, or of a part of it."""
        if role is Role.UNUSED:
            return 0.5
        part = (self.strengths.index(strength) + 0.5) / len(self.strengths)
        return (2 + part if role is Role.LIKED else 1 - part) / 3

    def _strengths_at(self, coordinates: Mapping[str, float]) -> Mapping[str, float]:
        """Return the strengths that references have at coordinates, where they have a role."""
        parts = len(self.strengths)
        if parts == 1:  # as nearly always, thousands of times a suggestion
            return {}
        places = {key: 3 * abs(position - 0.5) - 0.5 for key, position in coordinates.items()}
        return {key: self.strengths[_share(place, parts)] for key, place in places.items()}

    def from_unit(self, point: Sequence[float], pool: Sequence[Reference]) -> Action:
        """Map any point of the unit cube to an action of the space.

        A reversed window is turned round, whole numbers are rounded, and references above a
        cap become unused, those nearest to unused first.

        Raises:
            ValueError: wrong number of coordinates, or one outside [0, 1].
        """
        expected = self.dimensions(pool)
        if len(point) != expected or not all(0.0 <= x <= 1.0 for x in point):
            raise ValueError(f"expected {expected} coordinates in [0, 1], got {list(point)}")
        names = self.parameters
        values = {n: self.domains[n].from_unit(x) for n, x in zip(names, point, strict=False)}
        params = self._params(values)
        if not self.roles:
            return self._action(params, {r.id: r.hand_role for r in pool}, pool)
        coordinates = dict(zip((r.id for r in pool), point[len(names) :], strict=True))
        ordered = sorted(pool, key=lambda r: -abs(coordinates[r.id] - 0.5))
        roles = {r.id: _ROLE_ORDER[min(int(coordinates[r.id] * 3), 2)] for r in ordered}
        return self._action(params, roles, pool, self._strengths_at(coordinates))

    def action(
        self,
        values: Mapping[str, float],
        roles: Mapping[str, Role],
        pool: Sequence[Reference],
        strengths: Mapping[str, float] | None = None,
    ) -> Action:
        """Make an action from values by parameter name and roles by reference identity.

        Parameters that are not named keep the hand settings, references that are not named
        are unused. A reversed window is turned round and caps are applied as in `from_unit`,
        references named first being kept.

        Args:
            values: by the name of the parameter.
            roles: by the reference's identity.
            pool: the references that there are.
            strengths: by the reference's identity; those that are not named have 1, those of
                references without a role are left out.
        """
        return self._action(self._params(values), roles, pool, strengths)

    @cached_property
    def _hand_values(self) -> Mapping[str, float]:
        return self.hand.to_json()

    def _params(self, values: Mapping[str, float]) -> FabricParams:
        merged = {**self._hand_values, **values}
        merged["denoising_steps"] = round(merged["denoising_steps"])
        window = self._window(merged["feedback_start"], merged["feedback_end"])
        merged["feedback_start"], merged["feedback_end"] = window
        return FabricParams.from_json(merged)

    def _window(self, start: float, end: float) -> tuple[float, float]:
        """Turn a reversed window round, or take the next best that the domains allow."""
        for s, e in ((start, end), (end, start), (end, end), (start, start)):
            if s <= e and self._allows("feedback_start", s) and self._allows("feedback_end", e):
                return s, e
        return self._ends_of("feedback_start")[0], self._ends_of("feedback_end")[1]

    def _allows(self, name: str, value: float) -> bool:
        domain = self.domains.get(name)
        return value in domain if domain is not None else value == getattr(self.hand, name)

    def _action(
        self,
        params: FabricParams,
        roles: Mapping[str, Role],
        pool: Sequence[Reference],
        strengths: Mapping[str, float] | None = None,
    ) -> Action:
        """Keep the first references of each role up to its cap, in the order of the pool."""
        liked = [key for key, role in roles.items() if role is Role.LIKED][: self.max_liked]
        disliked = [k for k, role in roles.items() if role is Role.DISLIKED][: self.max_disliked]
        return Action(
            params,
            liked=tuple(r for r in pool if r.id in liked),
            disliked=tuple(r for r in pool if r.id in disliked),
            strengths={k: s for k, s in (strengths or {}).items() if k in (*liked, *disliked)},
        )


def role_choice(action: Action, reference: Reference) -> str:
    """Name what a reference is in an action: its role, with a strength other than 1."""
    return _choice_name(action.role(reference), action.strength(reference))


def _choice_name(role: Role, strength: float) -> str:
    return f"{role} {strength_text(strength)}".rstrip()


def _share(position: float, count: int) -> int:
    """Return which of equal shares of [0, 1] a position lies in."""
    return min(max(int(position * count), 0), count - 1)


def _ends(domain: Domain) -> tuple[float, float]:
    if isinstance(domain, Range):
        return domain.low, domain.high
    return min(domain.values), max(domain.values)
