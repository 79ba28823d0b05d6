"""A rater's pages: one question after the other, with undo, and nothing about parameters."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from fabricbo.rating.assignment import next_task
from fabricbo.rating.choices import choices
from fabricbo.rating.progress import progress
from fabricbo.rating.sitting import LONGEST
from fabricbo.rating.veil import veiled
from fabricbo.rating.web.access import Visitor, only
from fabricbo.study.ballots import Ballots
from fabricbo.votes import UNDO, VERDICTS, Task

if TYPE_CHECKING:
    from fabricbo.rating.web.app import Desk

LISTEN = 1.0
"""Seconds between two looks for new questions, for those who wait."""


def rater_routes(desk: "Desk", visitor: Callable[[Request], Awaitable[Visitor]]) -> APIRouter:
    """Return what raters may ask for."""
    router = APIRouter()

    Rater = Annotated[Visitor, Depends(only("rater", visitor))]  # noqa: N806

    @router.get("/rate")
    def page(who: Rater) -> HTMLResponse:
        return desk.page("rate.html.j2", question=_question(desk, who))

    @router.get("/question")
    def question(who: Rater) -> HTMLResponse:
        return HTMLResponse(_question(desk, who))

    @router.post("/vote")
    def vote(
        who: Rater,
        task: Annotated[str, Form(max_length=64)],
        answer: Annotated[str, Form(max_length=400)],
        key: Annotated[str, Form(min_length=16, max_length=64)],
        seconds: Annotated[float | None, Form(ge=0)] = None,
    ) -> HTMLResponse:
        asked = _own(desk.ballots, who, task)
        _store(desk.ballots, asked, answer, key, seconds)
        return HTMLResponse(_question(desk, who))

    @router.post("/undo")
    def undo(who: Rater, key: Annotated[str, Form(min_length=16, max_length=64)]) -> HTMLResponse:
        last = desk.ballots.last_answered(who.id)
        if last is not None:
            _store(desk.ballots, last, UNDO, key, None)
        return HTMLResponse(_question(desk, who))

    @router.get("/picture/{name}")
    def picture(who: Rater, name: str) -> Response:
        asked = desk.ballots.open_task(who.id)
        among = () if asked is None else (option.image for option in asked.shown)
        found = desk.pictures.find(who.id, name, among)
        if found is None:
            raise HTTPException(404, "there is no such picture")
        return Response(found, media_type="image/png")

    @router.get("/events")
    async def events(who: Rater, request: Request) -> StreamingResponse:
        return StreamingResponse(_events(desk, who, request), media_type="text/event-stream")

    return router


def _own(ballots: Ballots, who: Visitor, name: str) -> Task:
    """Return a task, if it is this rater's: others' are as unknown as those that never were."""
    task = ballots.task(name)
    if task is None or task.rater != who.id:
        raise HTTPException(404, "there is no such question")
    return task


def _store(ballots: Ballots, task: Task, answer: str, key: str, seconds: float | None) -> None:
    credited = None if seconds is None else min(seconds, LONGEST)
    try:
        ballots.vote(task, answer, key, credited)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error


def _question(desk: "Desk", who: Visitor) -> str:
    """Return the question that this rater is asked now, as a piece of the page."""
    ballots, settings = desk.ballots, desk.study.settings
    task = next_task(ballots, settings, who.id)
    given = ballots.given(who.id)
    values = {
        "prompt": settings.prompt_text,
        "given": given,
        # Whether it is all over must be true now, how far it is may be half a second old.
        "progress": progress(ballots, settings) if task is None else desk.progress(),
        "state": ballots.state,
        "key": secrets.token_urlsafe(16),
        "undo_key": secrets.token_urlsafe(16),
    }
    if task is None:
        return desk.templates.get_template("waiting.html.j2").render(**values)
    return desk.templates.get_template("question.html.j2").render(
        task=task,
        pictures=[desk.pictures.name(who.id, option.image) for option in task.shown],
        veiled=veiled(desk.study, task),
        choices=choices(task),
        verdicts=VERDICTS,
        **values,
    )


async def _events(desk: "Desk", who: Visitor, request: Request) -> AsyncIterator[str]:
    """Tell somebody who waits when there is something to do, and how the drawing goes."""
    told = ""
    while not await request.is_disconnected():
        if await run_in_threadpool(_worth_asking, desk, who):
            yield "event: ready\ndata: 1\n\n"
            return
        trials = await run_in_threadpool(lambda: desk.study.trials)
        drawn = f"{sum(bool(trial.images) for trial in trials)} {desk.study.planned_trials}"
        if drawn != told:
            yield f"event: drawn\ndata: {drawn}\n\n"
            told = drawn
        await asyncio.sleep(LISTEN)


def _worth_asking(desk: "Desk", who: Visitor) -> bool:
    """Tell whether who waits should ask again: there is a question, or it is all over."""
    ballots, settings = desk.ballots, desk.study.settings
    over = ballots.state == "stopped" or progress(ballots, settings).done
    return over or next_task(ballots, settings, who.id) is not None
