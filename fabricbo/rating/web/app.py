"""The server: pages for raters, a page for the owner, nothing beyond loopback without being told.

It reads and writes the study's store and its images. It loads neither torch nor ax: drawing is the
worker's.
"""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

from fabricbo.rating.progress import Progress, progress
from fabricbo.rating.web.access import Guard, Visitor, enter, visitor_of
from fabricbo.rating.web.owner import owner_routes
from fabricbo.rating.web.pictures import Pictures
from fabricbo.rating.web.rater import rater_routes
from fabricbo.study import Study
from fabricbo.study.ballots import Ballots

FRESH = 0.5
"""Seconds that a count is shown before it is made again."""
THREADS = 16
"""That answer requests; votes that come at once share a commit."""
STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Desk:
    """What the pages work with."""

    study: Study
    ballots: Ballots
    pictures: Pictures
    templates: Environment

    _seen: list[tuple[float, Progress]] = field(default_factory=list)

    def progress(self) -> Progress:
        """Return how far the rating is; counted anew twice a second at most."""
        now = time.monotonic()
        if not self._seen or now - self._seen[0][0] > FRESH:
            self._seen[:] = [(now, progress(self.ballots, self.study.settings))]
        return self._seen[0][1]

    def page(self, name: str, **values: object) -> HTMLResponse:
        """Fill a template."""
        return HTMLResponse(self.templates.get_template(name).render(**values))


def make_app(study: Study, hosts: frozenset[str], *, secure: bool = False) -> Guard:
    """Return the application for one study.

    Args:
        study: opened for reading.
        hosts: names, with port, under which it may be asked.
        secure: whether it is reached by https only, so that cookies may insist on it.
    """
    desk = Desk(
        study,
        study.ballots,
        Pictures(study.images, secrets.token_bytes(32)),
        Environment(
            loader=PackageLoader("fabricbo.rating.web"), autoescape=True, undefined=StrictUndefined
        ),
    )
    app = FastAPI(
        title="fabricbo", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_few_threads
    )
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    visitor = visitor_of(desk.ballots)
    _add_entrance(app, desk, secure=secure)
    app.include_router(rater_routes(desk, visitor))
    app.include_router(owner_routes(desk, visitor))

    @app.get("/")
    async def start(request: Request) -> Response:
        found: Visitor = await visitor(request)
        return RedirectResponse("/owner" if found.role == "owner" else "/rate", 303)

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)

    @app.exception_handler(HTTPException)
    async def told(_request: Request, error: HTTPException) -> Response:
        return PlainTextResponse(str(error.detail), error.status_code, headers=error.headers)

    return Guard(app, hosts)


@asynccontextmanager
async def _few_threads(_app: FastAPI) -> AsyncIterator[None]:
    """Answer with fewer threads than usual: each has a connection to the store, and its memory."""
    current_default_thread_limiter().total_tokens = THREADS
    yield


def _add_entrance(app: FastAPI, desk: Desk, *, secure: bool) -> None:
    """Add the page behind a link: instructions, consent, and a button that gives the cookie.

    The cookie is given by a request of our own page: browsers would not send it along with a
    redirect that another site's link began.
    """

    @app.get("/join/{token}")
    def entrance(token: str) -> Response:
        known = desk.ballots.by_token(token)
        if known is None:
            raise HTTPException(404, "this link is not one of ours, or no longer")
        return desk.page(
            "join.html.j2",
            token=token,
            role=known[1],
            rating=desk.study.settings.rating,
        )

    @app.post("/join")
    def join(
        token: Annotated[str, Form(max_length=100)],
        name: Annotated[str, Form(max_length=100)] = "",
    ) -> Response:
        known = desk.ballots.by_token(token)
        if known is None:
            raise HTTPException(404, "this link is not one of ours, or no longer")
        if known[1] == "invitation":
            token = desk.ballots.add_rater(name.strip() or "somebody")
        response = RedirectResponse("/owner" if known[1] == "owner" else "/rate", 303)
        enter(response, token, secure=secure)
        return response
