"""Rating in a notebook: `rate(study)` shows one question after the other, with buttons."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as widgets

from fabricbo.rating.choices import ASK, choices
from fabricbo.rating.sitting import Sitting, known_rater, logged_in, new_rater
from fabricbo.rating.veil import veiled
from fabricbo.study import Study
from fabricbo.votes import VERDICTS, Task

WIDTH = "320px"


def rate(study: Study | Path | str, name: str | None = None) -> widgets.VBox:
    """Return a widget that asks somebody about a study; the last line of a cell shows it.

    Args:
        study: or its folder; with a `[rating]`.
        name: who rates; somebody of this name goes on where they stopped. Who is logged in, unless
            given.

    Raises:
        NotAStudyError: there is none in this folder.
        ValueError: nobody is to judge it, or the name is missing or cannot be used.
    """
    opened = study if isinstance(study, Study) else Study.open(Path(study))
    return RatingWidget(opened, logged_in() if name is None else name).box


class RatingWidget:
    """One question, its buttons and how far it is."""

    def __init__(self, study: Study, name: str) -> None:
        """Begin with what is asked now, or with what somebody new must agree to.

        Raises:
            ValueError: nobody is to judge it, or the name cannot be used.
        """
        self._study = study
        self._name = name
        self.box = widgets.VBox()
        rating, known = study.settings.rating, known_rater(study, name)
        if known is None and rating is not None and (rating.instructions or rating.consent):
            said = "I agree, begin" if rating.consent else "Begin"
            texts = [_text(text) for text in (rating.instructions, rating.consent) if text]
            self.box.children = (*texts, _button(said, self._begin))
        else:
            self._begin()

    def _begin(self) -> None:
        known = known_rater(self._study, self._name)
        rater = new_rater(self._study.ballots, self._name) if known is None else known
        self._sitting = Sitting(self._study, rater)
        self._show()

    def _show(self) -> None:
        """Show what is asked now."""
        task = self._sitting.next()
        left = max(self._sitting.progress.planned - self._sitting.progress.answered, 0)
        said = f"You answered {self._sitting.given}. {left} to go for all of you together."
        undo = _button("Undo", self._undo, disabled=not self._sitting.given)
        parts = self._waiting() if task is None else self._question(task)
        self.box.children = (*parts, widgets.HBox([undo, _text(said)]))
        self._sitting.shown()

    def _waiting(self) -> Sequence[widgets.Widget]:
        if self._sitting.finished:
            return (_text("Thank you, that is all. Everything you said is kept."),)
        return (
            _text("Nothing is ready for you at the moment."),
            _button("Look again", self._show),
        )

    def _question(self, task: Task) -> Sequence[widgets.Widget]:
        pictures = [self._picture(option.image) for option in task.shown]
        asked = _text(f"{ASK[task.question.kind]} {self._study.settings.prompt_text}")
        shown = [
            _veiled(picture) if veil else picture
            for picture, veil in zip(pictures, veiled(self._study, task), strict=True)
        ]
        verdicts = [widgets.ToggleButtons(options=VERDICTS, value="neither") for _ in shown]
        buttons = [_button(c.label, self._answering(task, c.answer)) for c in choices(task)]
        if task.question.kind == "like":
            shown = [widgets.VBox(both) for both in zip(shown, verdicts, strict=True)]
            buttons.append(_button("Done", lambda: self._answer(task, _said(verdicts))))
        return (asked, _row(shown), _row(buttons))

    def _picture(self, identity: str) -> widgets.Widget:
        file = io.BytesIO()
        self._study.images.load(identity).save(file, "PNG")
        layout = widgets.Layout(width=WIDTH, height="auto", object_fit="contain")
        return widgets.Image(value=file.getvalue(), format="png", layout=layout)

    def _answering(self, task: Task, answer: str) -> Callable[[], None]:
        return lambda: self._answer(task, answer)

    def _answer(self, task: Task, answer: str) -> None:
        if task == self._sitting.task:  # a second click must not answer the next question
            self._sitting.answer(answer)
            self._show()

    def _undo(self) -> None:
        self._sitting.undo()
        self._show()


def _said(verdicts: Sequence[widgets.ToggleButtons]) -> str:
    return ",".join(verdict.value for verdict in verdicts)


def _veiled(picture: widgets.Widget) -> widgets.Widget:
    """Return an image that its owner blurs in browsers, behind a button."""
    box = widgets.VBox()

    def show() -> None:
        box.children = (picture,)

    box.children = (_button("Show this picture", show),)
    return box


def _row(parts: Sequence[widgets.Widget]) -> widgets.Widget:
    return widgets.HBox(parts, layout=widgets.Layout(flex_flow="row wrap"))


def _text(text: str) -> widgets.Widget:
    return widgets.Label(text)  # text, not markup


def _button(label: str, then: Callable[[], None], *, disabled: bool = False) -> widgets.Button:
    button = widgets.Button(description=label, disabled=disabled)
    button.on_click(lambda _button: then())
    return button
