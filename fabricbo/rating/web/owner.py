"""The owner's page: how it goes, who rates and how, links, pause and stop, export."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from fabricbo.assessment import Estimate
from fabricbo.raters import rater_rows, summary
from fabricbo.rating.export import votes_csv
from fabricbo.rating.progress import progress
from fabricbo.rating.web.access import Visitor, only
from fabricbo.records import Role, Trial
from fabricbo.report.page import render
from fabricbo.report.wording import expectation, going_on, headline
from fabricbo.study import Study
from fabricbo.study.ballots import RatingState

if TYPE_CHECKING:
    from fabricbo.rating.web.app import Desk


REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'self'; connect-src 'self'; frame-ancestors 'none'"
)
"""Of the study's page, which is one file and asks nobody but us for anything: whether there is more
to show by now."""
_NEWS = Markup(
    '<aside id="news" role="status" data-shown="{shown}" hidden></aside>'
    '<script src="/static/news.js"></script>'
)


MOST_IMAGES = 8
"""A trial."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A trial in the gallery."""

    trial: Trial
    pictures: Sequence["Shown"]
    is_best: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """An image in the gallery."""

    name: str
    """Opaque."""
    verdict: int
    """How often it was liked, less how often it was disliked."""
    wish: Role
    """What the owner wants it to be from the next round on."""


def owner_routes(desk: "Desk", visitor: Callable[[Request], Awaitable[Visitor]]) -> APIRouter:
    """Return what the owner may ask for."""
    router = APIRouter(prefix="/owner")
    study, ballots = desk.study, desk.ballots

    Owner = Annotated[Visitor, Depends(only("owner", visitor))]  # noqa: N806

    @router.get("")
    def page(who: Owner) -> Response:
        if study.settings.rating is None:
            return RedirectResponse("/owner/report", 303)
        return desk.page("owner.html.j2", live=_live(desk, who), study=study)

    @router.get("/live")
    def live(who: Owner) -> HTMLResponse:
        if study.settings.rating is None:
            raise HTTPException(404, "nobody judges this study")
        return HTMLResponse(_live(desk, who))

    @router.get("/report")
    def report(_who: Owner) -> HTMLResponse:
        page = render(study, served=_NEWS.format(shown=_over(study)))
        return HTMLResponse(page, headers={"Content-Security-Policy": REPORT_POLICY})

    @router.get("/news")
    def news(_who: Owner) -> dict[str, int]:
        return {"over": _over(study)}

    @router.get("/votes.csv")
    def votes(_who: Owner) -> Response:
        disposition = {"Content-Disposition": 'attachment; filename="votes.csv"'}
        return Response(votes_csv(study), media_type="text/csv", headers=disposition)

    @router.get("/picture/{name}")
    def picture(who: Owner, name: str) -> Response:
        among = (image for trial in study.trials for image in trial.images)
        found = desk.pictures.find(who.id, name, among)
        if found is None:
            raise HTTPException(404, "there is no such picture")
        return Response(found, media_type="image/png")

    @router.post("/state")
    def state(who: Owner, wanted: Annotated[RatingState, Form()]) -> HTMLResponse:
        ballots.state = wanted
        return HTMLResponse(_live(desk, who))

    @router.post("/exclude")
    def exclude(
        who: Owner,
        rater: Annotated[int, Form()],
        reason: Annotated[str, Form(min_length=1, max_length=500)],
        excluded: Annotated[bool, Form()] = True,
    ) -> HTMLResponse:
        try:
            ballots.exclude(rater, reason, excluded=excluded)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return HTMLResponse(_live(desk, who))

    @router.post("/pool")
    def pool(
        who: Owner, name: Annotated[str, Form(max_length=64)], role: Annotated[Role, Form()]
    ) -> HTMLResponse:
        drawn = (image for trial in study.trials for image in trial.images)
        image = next((one for one in drawn if desk.pictures.name(who.id, one) == name), None)
        if image is None:
            raise HTTPException(404, "there is no such picture")
        ballots.wish(image, role)
        return HTMLResponse(_live(desk, who))

    @router.post("/invite")
    def invite(request: Request, _who: Owner) -> HTMLResponse:
        token = ballots.add_rater("invitation", "invitation")
        link = f"{request.url.scheme}://{request.headers['host']}/join/{token}"
        return desk.page("invitation.html.j2", link=link)

    @router.post("/leave")
    def leave(_who: Owner) -> RedirectResponse:
        response = RedirectResponse("/", 303)
        response.delete_cookie("fabricbo")
        return response

    return router


def _live(desk: "Desk", who: Visitor) -> str:
    """Return what changes while people rate, as a piece of the page."""
    study, ballots = desk.study, desk.ballots
    votes, raters = ballots.votes(), ballots.raters()
    trials, best, counts = study.trials, study.best(), ballots.verdicts()
    wishes = ballots.wishes()
    strips = [
        Strip(
            trial,
            [
                Shown(desk.pictures.name(who.id, i), counts.get(i, 0), wishes.get(i, Role.UNUSED))
                for i in trial.images[:MOST_IMAGES]
            ],
            best is not None and trial.index == best.index,
        )
        for trial in trials
        if trial.images
    ]
    return desk.templates.get_template("live.html.j2").render(
        headline=headline(study),
        expectation=expectation(study),
        going_on=going_on(study),
        progress=progress(ballots, study.settings),
        state=ballots.state,
        drawn=sum(bool(trial.images) for trial in trials),
        planned_trials=study.planned_trials,
        raters=rater_rows(raters, votes),
        summary=summary(raters, votes),
        strips=strips[::-1],
        effects=_effects(desk),
        grows=study.space.roles and study.rounds[-1].index < study.settings.rounds,
    )


def _effects(desk: "Desk") -> list[tuple[str, Estimate, Estimate]]:
    """Return each reference's name and what liking and disliking it does, the largest first."""
    names = {r.id: r.name for current in desk.study.rounds for r in current.pool}
    found = [
        (names[one.reference], one.liked, one.disliked)
        for one in desk.study.assessment.effects
        if one.measure == 0 and one.reference in names
    ]
    return sorted(found, key=lambda row: -abs(row[1].mean))


def _over(study: Study) -> int:
    """Return how many trials are over, or wait for a person's judgement."""
    return sum(not trial.status.is_pending for trial in study.trials)
