"""Rating at a prompt: the same tasks as in a browser, by single keys or by lines of a script."""

import time

from fabricbo.rating.choices import choices
from fabricbo.rating.keyboard import STOP, UNDO_KEY, Reader
from fabricbo.rating.screen import Screen
from fabricbo.rating.sitting import Sitting, known_rater, new_rater
from fabricbo.study import Study
from fabricbo.votes import VERDICTS, Task, check_answer

POLL = 1.0
"""Seconds between two looks for new questions."""
SHOWN_FOR = 0.2
"""Seconds for which images are seen before keys count, as in a browser."""
INTRODUCTION = (
    "You will see pictures that a computer drew, and say which you like better. There is no right "
    "or wrong: what counts is your taste. You can stop at any time; everything you said is kept."
)


def rate_here(study: Study, name: str, reader: Reader, screen: Screen) -> None:
    """Ask somebody until nothing is left, or they stop; later calls go on.

    Args:
        study: with a `[rating]`.
        name: of the rater, who is added unless known.
        reader: where keys come from.
        screen: where questions are shown.

    Raises:
        ValueError: nobody judges this study, or the name cannot be used.
    """
    known = known_rater(study, name)
    screen.begin()
    if known is None:
        if not _agrees(study, reader, screen):
            screen.say("nothing was asked, and nobody was added")
            return
        known = new_rater(study.ballots, name)
    sitting = Sitting(study, known)
    while _turn(sitting, reader, screen):
        pass
    screen.say(f"You answered {sitting.given}; everything is kept.")


def _agrees(study: Study, reader: Reader, screen: Screen) -> bool:
    """Tell somebody new what this is about, and ask for consent where the owner wants it."""
    rating = study.settings.rating
    screen.say(INTRODUCTION)
    if rating is not None and rating.instructions:
        screen.say(rating.instructions)
    if rating is None or not rating.consent:
        return True
    screen.say(f"{rating.consent}\ny I agree, begin   any other key: leave")
    return reader.read() in ("y", "yes")


def _turn(sitting: Sitting, reader: Reader, screen: Screen) -> bool:
    """Ask once, or wait; tell whether to go on."""
    task = sitting.next()
    said = _wait(sitting, reader, screen) if task is None else _ask(sitting, task, reader, screen)
    if said == STOP:
        return False
    if said == UNDO_KEY:
        screen.say("taken back" if sitting.undo() else "there is nothing to take back")
    elif task is not None and said is not None:
        sitting.answer(said)
    return True


def _wait(sitting: Sitting, reader: Reader, screen: Screen) -> str | None:
    """Wait until something is asked; return an undo or a stop that came instead."""
    if sitting.finished:
        screen.say("\nThank you, that is all.")
        if reader.single:
            screen.say("u Undo   any other key: leave")
        found = reader.command(reader.afterthought)
        return UNDO_KEY if found == UNDO_KEY else STOP
    screen.say(_why(sitting) + " This goes on by itself.   u Undo   q Stop")
    while sitting.next() is None and not sitting.finished:
        found = reader.command(POLL)
        if found is not None:
            return found
    return None


def _why(sitting: Sitting) -> str:
    if sitting.state == "paused":
        return "\nA pause: the owner has stopped asking for now."
    if sitting.progress.waiting:
        return (
            "\nWhat is ready waits for others: you answered or skipped it, or they were just asked."
        )
    return (
        "\nYou were faster than the computer: new pictures come while "
        f"`fabricbo resume {sitting.study.folder}` runs."
    )


def _ask(sitting: Sitting, task: Task, reader: Reader, screen: Screen) -> str:
    """Show a question and return its answer, an undo or a stop."""
    screen.show(sitting, task)
    if not reader.ahead:
        sitting.shown()
    if reader.single:
        time.sleep(SHOWN_FOR)
        reader.forget()
    if task.question.kind == "like":
        return _verdicts(task, reader, screen)
    if len(task.order) > 9 and reader.single:
        return _number(task, reader, screen)
    while True:
        key = reader.read() or ""
        found = meaning(task, key)
        if found is not None:
            return found
        _other(key, screen)


def meaning(task: Task, key: str) -> str | None:
    """Return the answer, undo or stop that a key or a word stands for; None for nothing."""
    if key in (STOP, UNDO_KEY):
        return key
    if task.question.kind == "pairwise":
        key = {"1": "left", "2": "right"}.get(key, key)
    for choice in choices(task):
        if key in (choice.answer, choice.code):
            return choice.answer
    return None


def _other(key: str, screen: Screen) -> None:
    if key == "b":
        screen.draw()
    else:
        screen.say(f"{key!r} answers nothing here; see the line of keys above")


def _number(task: Task, reader: Reader, screen: Screen) -> str:
    """Read the number of one of many images, ended by Enter."""
    typed = ""
    screen.say("type its number, then Enter")
    while True:
        key = reader.read() or ""
        if key.isdigit():
            typed += key
            continue
        found = meaning(task, typed if key == "Enter" else key)
        if found is not None:
            return found
        typed = ""
        _other(key, screen)


def _verdicts(task: Task, reader: Reader, screen: Screen) -> str:
    """Read a verdict for each image, one after the other, or all in one word."""
    given: list[str] = []
    by_key = {verdict[0]: verdict for verdict in VERDICTS} | {one: one for one in VERDICTS}
    screen.say("for each in turn: l liked, n neither, d disliked; Enter: neither for the rest")
    while len(given) < len(task.order):
        key = reader.read() or ""
        if key in by_key:
            given.append(by_key[key])
            screen.say(f"{len(given)}: {given[-1]}")
        elif key == "Enter":
            given += ["neither"] * (len(task.order) - len(given))
        elif key == UNDO_KEY and given:
            screen.say(f"{len(given)}: {given.pop()} taken back")
        elif (found := _whole(task, key)) is not None:
            return found
        else:
            _other(key, screen)
    return ",".join(given)


def _whole(task: Task, key: str) -> str | None:
    """Return an answer that is given in one word; None if it is none."""
    found = meaning(task, key)
    if found is not None:
        return found
    try:
        check_answer(task, key)
    except ValueError:
        return None
    return key
