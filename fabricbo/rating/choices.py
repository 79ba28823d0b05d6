"""What raters are asked and can choose from, with its keys: alike in browser and terminal."""

from dataclasses import dataclass

from fabricbo.votes import Kind, Task

ASK: dict[Kind, str] = {
    "pairwise": "Which do you like better?",
    "best-of": "Which do you like best?",
    "like": "What do you think of each?",
    "stars": "How do you like these?",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A button, or a key."""

    answer: str
    label: str
    key: str
    """As people read it."""
    code: str
    """As a browser names it."""


PAIR = (
    Choice("left", "Left", "←", "ArrowLeft"),
    Choice("right", "Right", "→", "ArrowRight"),
    Choice("tie", "As good", "↑", "ArrowUp"),
    Choice("both-bad", "Both bad", "↓", "ArrowDown"),
    Choice("skip", "Skip", "space", " "),
)
SKIP = (Choice("skip", "Skip", "space", " "),)


def choices(task: Task) -> tuple[Choice, ...]:
    """Return what can be chosen; verdicts on each image come besides."""
    kind, count = task.question.kind, len(task.order)
    if kind == "pairwise":
        return PAIR
    if kind == "stars":
        stars = (Choice(str(n), "★" * n, str(n), str(n)) for n in range(1, 6))
        return (*stars, *SKIP)
    if kind == "best-of":
        places = (str(place) for place in range(1, count + 1))
        return (*(Choice(p, f"Picture {p}", p, p) for p in places), *SKIP)
    return SKIP
