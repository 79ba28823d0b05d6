"""Who may see and do what: tokens, cookies, hosts, origins, limits.

A link holds a token of 128 bits, of which only the hash is stored. It is exchanged for a cookie
that scripts cannot read and that no other site can send, and disappears from the address.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fabricbo.study.ballots import Ballots, Role

COOKIE = "fabricbo"
MAX_BODY = 64 * 2**10
"""Bytes of a request's body that are read at most."""
RATE = 50
"""Requests a second that one visitor may make, averaged over `BURST` seconds."""
BURST = 10
VISITORS = 10_000
"""Visitors that are remembered."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PEOPLE = {"owner": "the study's owner", "rater": "raters"}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody whose cookie is known."""

    id: int
    role: Role


class Guard:
    """Turns away what comes from elsewhere, is too large or too much; adds headers to the rest."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        """Wrap an application.

        Args:
            app: what answers.
            hosts: names, with port, under which this server may be asked.
        """
        self.application = app
        self._hosts = hosts
        self._budgets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        request = Request(scope)
        refused = self._refused(request)
        if refused is not None:
            for name, value in HEADERS.items():
                refused.headers.setdefault(name, value)
            await refused(scope, receive, send)
            return
        await self.application(scope, _capped(receive), _with_headers(send))

    def _refused(self, request: Request) -> Response | None:
        if request.headers.get("host", "") not in self._hosts:
            return PlainTextResponse("unknown host", 421)
        if request.method not in _SAFE and not self._from_here(request):
            return PlainTextResponse("this did not come from our page", 403)
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return PlainTextResponse("too large", 413)
        if not self._within_rate(request):
            return PlainTextResponse("too many requests", 429, headers={"Retry-After": "1"})
        return None

    def _from_here(self, request: Request) -> bool:
        """Tell whether a request that changes something was sent by one of our pages."""
        site = request.headers.get("sec-fetch-site")
        if site is not None and site != "same-origin":
            return False
        origin = request.headers.get("origin")
        host = request.headers.get("host", "")
        return origin in (f"http://{host}", f"https://{host}")

    def _within_rate(self, request: Request) -> bool:
        """Take one from the visitor's budget, which fills up again with time."""
        client = request.client.host if request.client else ""
        key = request.cookies.get(COOKIE) or client
        now = time.monotonic()
        left, since = self._budgets.pop(key, (float(RATE * BURST), now))
        left = min(RATE * BURST, left + (now - since) * RATE)
        self._budgets[key] = (max(left - 1, 0.0), now)
        if len(self._budgets) > VISITORS:
            self._budgets.popitem(last=False)
        return left >= 1


def _capped(receive: Receive) -> Receive:
    """Stop reading a body that is longer than it said."""
    read = 0

    async def capped() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MAX_BODY:
            raise HTTPException(413, "too large")
        return message

    return capped


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            added = [
                (name.lower().encode(), value.encode())
                for name, value in HEADERS.items()
                if name.lower().encode() not in given
            ]
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return sending


def visitor_of(ballots: Ballots) -> Callable[[Request], Awaitable[Visitor]]:
    """Return what finds out who is asking.

    It raises 401 for those who have no cookie, or one that nobody has given.
    """

    known: OrderedDict[str, Visitor] = OrderedDict()  # who a token belongs to never changes

    async def visitor(request: Request) -> Visitor:
        token = request.cookies.get(COOKIE, "")
        if token in known:
            return known[token]
        found = await run_in_threadpool(ballots.by_token, token) if token else None
        if found is None:
            raise HTTPException(401, "please use the link that you were given")
        known[token] = Visitor(*found)
        if len(known) > VISITORS:
            known.popitem(last=False)
        return known[token]

    return visitor


def only(
    role: Role, visitor: Callable[[Request], Awaitable[Visitor]]
) -> Callable[[Request], Awaitable[Visitor]]:
    """Return what finds out who is asking, and raises 403 for those of another role."""

    async def admitted(request: Request) -> Visitor:
        found = await visitor(request)
        if found.role != role:
            raise HTTPException(403, f"this page is for {_PEOPLE[role]}")
        return found

    return admitted


def enter(response: Response, token: str, *, secure: bool) -> None:
    """Give a visitor the cookie."""
    response.set_cookie(
        COOKIE, token, max_age=90 * 86400, httponly=True, samesite="strict", secure=secure
    )
