"""Flowcharts as Mermaid writes them, as far as docs/ uses them.

GitHub draws a Mermaid block itself; the site has it drawn by `diagram`, since Mermaid's own script
would come from another host.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_ARROW = re.compile(r"\s*-->(?:\|(?P<text>[^|]*)\|)?\s*")
_ONE = re.compile(r"\s*(?P<name>\w+)(?:\[\"(?P<label>[^\"]*)\"\])?\s*")


@dataclass(frozen=True)
class Edge:
    """An arrow."""

    start: str
    end: str
    text: str = ""


@dataclass(frozen=True)
class Flowchart:
    """What a block says."""

    downwards: bool
    """Whether arrows point down (`TD`), or to the right (`LR`)."""
    labels: Mapping[str, str]
    """What each node is called, by its name, in order of appearance."""
    edges: tuple[Edge, ...]

    @property
    def arrows(self) -> set[tuple[str, str]]:
        """Start and end of all edges."""
        return {(edge.start, edge.end) for edge in self.edges}


def parse(text: str) -> Flowchart:
    """Read a flowchart.

    Raises:
        ValueError: something that is not read here.
    """
    first, *lines = [line for line in text.splitlines() if line.strip()]
    direction = re.fullmatch(r"\s*flowchart (TD|LR)\s*", first)
    if direction is None:
        raise ValueError(f"expected 'flowchart TD' or 'flowchart LR', got {first!r}")
    labels: dict[str, str] = {}
    edges: list[Edge] = []
    for line in lines:
        groups = _ARROW.split(line)
        nodes = [_names(group, labels) for group in groups[::2]]
        for starts, said, ends in zip(nodes, groups[1::2], nodes[1:], strict=False):
            edges += [Edge(start, end, said or "") for start in starts for end in ends]
    return Flowchart(direction[1] == "TD", labels, tuple(edges))


def _names(group: str, labels: dict[str, str]) -> list[str]:
    names = []
    for part in group.split("&"):
        match = _ONE.fullmatch(part)
        if match is None:
            raise ValueError(f'expected a name or name["label"], got {part!r}')
        name = match["name"]
        if match["label"] is not None or name not in labels:
            labels[name] = match["label"] or name
        names.append(name)
    return names


def reduced(arrows: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Leave out each arrow that others imply (a graph without cycles)."""
    arrows = set(arrows)
    return {arrow for arrow in arrows if arrow[1] not in _reached(arrow[0], arrows - {arrow})}


def _reached(start: str, arrows: set[tuple[str, str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        at = waiting.pop()
        new = {end for begin, end in arrows if begin == at} - found
        found |= new
        waiting += new
    return found
