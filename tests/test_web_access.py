"""Who may see and do what: every route, role and origin; limits; what people may have typed."""

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from PIL import Image
from schemathesis.core import NOT_SET
from starlette.testclient import TestClient

from fabricbo.rating.assignment import next_task
from fabricbo.rating.web import access
from fabricbo.rating.web.access import COOKIE, MAX_BODY
from fabricbo.rating.web.app import make_app
from fabricbo.records import Role
from fabricbo.study import Parts, Study
from tests.fakes import ColourSampler, UnitProposer, fake_study
from tests.web_server import fill, rated_study

HOST = "testserver"
HERE = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
XSS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "{{7*7}}",
    "</title><svg/onload=alert(1)>",
    "javascript:alert(1)",
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    made = rated_study(
        folder, prompt=XSS[0], rounds=3, rating={"instructions": XSS[1], "consent": XSS[4]}
    )
    fill(made)
    made.close()
    return made.folder


@pytest.fixture
def study(filled, tmp_path) -> Iterator[Study]:
    opened = Study.open(Path(shutil.copytree(filled, tmp_path / "rated")))
    yield opened
    opened.close()


@pytest.fixture
def app(study):
    return make_app(study, frozenset({HOST}))


def client(app, token: str | None = None) -> TestClient:
    made = TestClient(app, headers=HERE, follow_redirects=False)
    if token is not None:
        made.cookies.set(COOKIE, token)
    return made


@pytest.fixture
def tokens(study) -> dict[str, str | None]:
    add = study.ballots.add_rater
    return {
        "owner": add("owner", "owner"),
        "rater": add("Ada"),
        "stranger": None,
        "forged": "x" * 22,
    }


ROUTES = {
    ("GET", "/"): {"owner": 303, "rater": 303, "stranger": 401},
    ("GET", "/rate"): {"owner": 403, "rater": 200, "stranger": 401},
    ("GET", "/question"): {"owner": 403, "rater": 200, "stranger": 401},
    ("POST", "/vote"): {"owner": 403, "rater": 422, "stranger": 401},
    ("POST", "/undo"): {"owner": 403, "rater": 422, "stranger": 401},
    ("GET", "/picture/{name}"): {"owner": 403, "rater": 404, "stranger": 401},
    ("GET", "/events"): {"owner": 403, "rater": 200, "stranger": 401},
    ("GET", "/owner"): {"owner": 200, "rater": 403, "stranger": 401},
    ("GET", "/owner/live"): {"owner": 200, "rater": 403, "stranger": 401},
    ("GET", "/owner/report"): {"owner": 200, "rater": 403, "stranger": 401},
    ("GET", "/owner/news"): {"owner": 200, "rater": 403, "stranger": 401},
    ("GET", "/owner/votes.csv"): {"owner": 200, "rater": 403, "stranger": 401},
    ("GET", "/owner/picture/{name}"): {"owner": 404, "rater": 403, "stranger": 401},
    ("POST", "/owner/state"): {"owner": 422, "rater": 403, "stranger": 401},
    ("POST", "/owner/exclude"): {"owner": 422, "rater": 403, "stranger": 401},
    ("POST", "/owner/pool"): {"owner": 422, "rater": 403, "stranger": 401},
    ("POST", "/owner/invite"): {"owner": 200, "rater": 403, "stranger": 401},
    ("POST", "/owner/leave"): {"owner": 303, "rater": 403, "stranger": 401},
    ("GET", "/join/{token}"): {"owner": 404, "rater": 404, "stranger": 404},
    ("POST", "/join"): {"owner": 422, "rater": 422, "stranger": 422},
    ("GET", "/favicon.ico"): {"owner": 204, "rater": 204, "stranger": 204},
}


def test_every_route_is_in_the_table(app) -> None:
    described = app.application.openapi()["paths"]
    found = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert found == set(ROUTES)


@pytest.mark.parametrize("role", ["owner", "rater", "stranger", "forged"])
@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda part: part)
def test_route_by_role(app, tokens, role: str, method: str, path: str) -> None:
    expected = ROUTES[method, path]["stranger" if role == "forged" else role]
    made = client(app, tokens[role]).request(method, re.sub(r"\{\w+\}", "0" * 32, path))
    assert made.status_code == expected
    for name, value in access.HEADERS.items():
        if not (path == "/owner/report" and name == "Content-Security-Policy"):
            assert made.headers[name] == value


FOREIGN = {
    "no origin": {},
    "other origin": {"Origin": "http://evil.example"},
    "null": {"Origin": "null"},
    "other port": {"Origin": "http://testserver:81"},
    "cross-site": {"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"},
    "same-site": {"Origin": "http://testserver", "Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "POST"])
def test_nothing_changes_from_elsewhere(app, study, tokens, path: str, headers) -> None:
    made = TestClient(app, headers=headers, follow_redirects=False)
    made.cookies.set(COOKIE, tokens["owner"])
    assert made.post(path, data={"wanted": "stopped"}).status_code == 403
    assert study.ballots.state == "open"


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "127.0.0.1", ""])
def test_other_hosts_are_turned_away(app, tokens, host: str) -> None:
    made = client(app, tokens["owner"])
    assert made.get("/owner", headers={"Host": host}).status_code == 421


def test_a_link_becomes_a_cookie_and_leaves_the_address(app, tokens) -> None:
    made = client(app)
    page = made.get(f"/join/{tokens['rater']}")
    assert page.status_code == 200
    assert COOKIE not in made.cookies  # looking at a link, as previews do, changes nothing
    joined = made.post("/join", data={"token": tokens["rater"]})
    assert (joined.status_code, joined.headers["location"]) == (303, "/rate")
    cookie = joined.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert tokens["rater"] not in made.get("/rate").text


def test_https_makes_the_cookie_secure(study, tokens) -> None:
    made = client(make_app(study, frozenset({HOST}), secure=True))
    assert "Secure" in made.post("/join", data={"token": tokens["rater"]}).headers["set-cookie"]


def test_an_invitation_makes_a_rater_each_time(app, study, tokens) -> None:
    page = client(app, tokens["owner"]).post("/owner/invite").text
    token = re.search(r"/join/([\w-]+)", page)[1]
    for name in ("Bob", XSS[0], ""):
        made = client(app)
        assert made.post("/join", data={"token": token, "name": name}).status_code == 303
        assert made.get("/rate").status_code == 200
    assert [one.name for one in study.ballots.raters()] == ["Ada", "Bob", XSS[0], "somebody"]


def test_what_people_type_is_text(app, study, tokens) -> None:
    for text in XSS:
        study.ballots.add_rater(text)
    owner, rater = client(app, tokens["owner"]), client(app, tokens["rater"])
    pages = [
        *(owner.get(path).text for path in ("/owner", "/owner/live", "/owner/report")),
        *(rater.get(path).text for path in ("/rate", "/question", f"/join/{tokens['rater']}")),
    ]
    for page in pages:
        for text in XSS[:2] + XSS[4:5]:
            assert text not in page


def test_raters_see_no_parameter_path_or_trial(app, study, tokens) -> None:
    page = client(app, tokens["rater"]).get("/rate").text
    task = next_task(study.ballots, study.settings, 2)
    assert "max_weight" not in page
    assert str(study.folder) not in page
    assert "trial" not in page.lower()
    for option in task.shown:
        assert option.image not in page


def vote(made: TestClient, answer: str = "left", **more: str):
    page = made.get("/question").text
    values = dict(re.findall(r'name="(task|key)" value="([\w-]+)"', page)[:2])
    return made.post("/vote", data={**values, "answer": answer, "seconds": "1.2", **more})


def test_votes_are_stored_and_wrong_ones_are_not(app, study, tokens) -> None:
    made = client(app, tokens["rater"])
    assert vote(made).status_code == 200
    for wrong in ({"answer": "up"}, {"seconds": "-1"}, {"key": "short"}, {"seconds": "nan"}):
        assert vote(made, **wrong).status_code == 422
    assert [(one.answer, one.seconds) for one in study.ballots.votes()] == [("left", 1.2)]


def test_others_tasks_are_unknown(app, study, tokens) -> None:
    mine = next_task(study.ballots, study.settings, 2)
    bob = client(app, study.ballots.add_rater("Bob"))
    for task in (mine.id, "no-such-task"):
        data = {"task": task, "answer": "left", "key": "k" * 20}
        assert bob.post("/vote", data=data).status_code == 404
    assert study.ballots.votes() == []


def pictures(page: str) -> list[str]:
    return re.findall(r"/picture/(\w+)", page)


def test_pictures_have_names_for_one_visitor_and_no_metadata(app, study, tokens) -> None:
    drawn = [image for trial in study.trials for image in trial.images]
    assert all(b"parameters" in study.images.read(image) for image in drawn)
    ada, bob = client(app, tokens["rater"]), client(app, study.ballots.add_rater("Bob"))
    name = pictures(ada.get("/rate").text)[0]
    found = ada.get(f"/picture/{name}")
    assert found.headers["content-type"] == "image/png"
    assert not any(said in found.content for said in (b"parameters", b"fabricbo", b"a cat"))
    with Image.open(io.BytesIO(found.content)) as image:
        assert image.info == {}
        image.load()
    bob.get("/rate")
    assert bob.get(f"/picture/{name}").status_code == 404


@pytest.mark.parametrize(
    "name",
    ["../study.db", "..%2Fstudy.db", "%2e%2e%2fstudy.db", "....//study.db", "a" * 5000, "\x00"],
)
def test_paths_lead_nowhere(app, tokens, name: str) -> None:
    for role, prefix in (
        ("rater", "/picture/"),
        ("owner", "/owner/picture/"),
        ("owner", "/static/"),
    ):
        made = client(app, tokens[role]).get(f"{prefix}{name.replace(chr(0), '%00')}")
        assert made.status_code in (404, 405, 400)
        assert b"SQLite" not in made.content


def test_large_bodies_are_not_read(app, tokens) -> None:
    made = client(app, tokens["rater"])
    assert made.post("/vote", content=b"a" * (MAX_BODY + 1)).status_code == 413

    def chunks():
        for _ in range(100):
            yield b"a=" + b"b" * 4096

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert made.post("/vote", content=chunks(), headers=form).status_code == 413
    assert made.post("/vote", headers={"Content-Length": "-5"}).status_code == 413


def test_too_many_requests_are_refused_and_others_are_not(app, tokens, monkeypatch) -> None:
    monkeypatch.setattr(access, "RATE", 1)
    made = client(app, tokens["rater"])
    statuses = [made.get("/favicon.ico").status_code for _ in range(access.BURST * 2)]
    assert statuses.count(429) > 0
    assert statuses[0] == 204
    assert client(app, tokens["owner"]).get("/favicon.ico").status_code == 204


def test_who_waits_is_told_when_something_is_ready(app, tokens) -> None:
    with client(app, tokens["rater"]).stream("GET", "/events") as stream:
        assert next(stream.iter_lines()) == "event: ready"


def test_the_last_answer_is_thanked_for_at_once(tmp_path) -> None:
    """Progress is counted twice a second only; whether it is over is not."""
    short = rated_study(tmp_path)
    fill(short)
    made = client(make_app(short, frozenset({HOST})), short.ballots.add_rater("Ada"))
    pages = []
    for _ in range(6):
        pages.append(vote(made).text)
    assert ["Thank you" in page for page in pages] == [False] * 5 + [True]
    assert 'data-waiting="over"' in pages[-1]


def test_who_waits_is_told_when_it_is_over(app, study, tokens) -> None:
    study.ballots.state = "stopped"
    with client(app, tokens["rater"]).stream("GET", "/events") as stream:
        assert next(stream.iter_lines()) == "event: ready"


def test_the_owner_pauses_excludes_and_exports(app, study, tokens) -> None:
    rater, owner = client(app, tokens["rater"]), client(app, tokens["owner"])
    vote(rater)
    assert "paused" in owner.post("/owner/state", data={"wanted": "paused"}).text
    assert "A pause." in rater.get("/rate").text
    owner.post("/owner/state", data={"wanted": "open"})
    page = owner.post("/owner/exclude", data={"rater": "2", "reason": "asleep", "excluded": "true"})
    assert 'class="excluded"' in page.text
    assert study.preferences == []
    csv = owner.get("/owner/votes.csv").text
    assert csv.splitlines()[0].startswith("vote,task,question")
    assert len(csv.splitlines()) == 2
    again = {"rater": "2", "reason": "awake", "excluded": "false"}
    assert 'class="excluded"' not in owner.post("/owner/exclude", data=again).text
    assert owner.post("/owner/exclude", data={"rater": "9", "reason": "x"}).status_code == 422


def test_one_click_makes_a_picture_a_reference_of_the_next_round(app, study, tokens) -> None:
    owner = client(app, tokens["owner"])
    names = pictures(owner.get("/owner").text)
    for name, role in ((names[0], "liked"), (names[2], "disliked"), (names[4], "liked")):
        owner.post("/owner/pool", data={"name": name, "role": role})
    page = owner.post("/owner/pool", data={"name": names[4], "role": "unused"}).text
    assert page.count('aria-pressed="true"') == 2
    wishes = study.ballots.wishes()
    assert sorted(wishes.values()) == [Role.DISLIKED, Role.LIKED]
    assert owner.post("/owner/pool", data={"name": "0" * 32, "role": "liked"}).status_code == 404
    study = Study.open(study.folder, Parts(UnitProposer(), ColourSampler(), None))
    while len(study.rounds) < 3:
        study.draw()
    grown = {reference.id: reference.hand_role for reference in study.rounds[2].pool}
    assert wishes.items() <= grown.items()


def test_no_input_breaks_a_page(app, study, tokens) -> None:
    """Whatever is sent to whatever route is answered, and never by a failure of the server."""
    schema = schemathesis.openapi.from_dict(app.application.openapi())
    made = [client(app, tokens[role]) for role in ("owner", "rater")]
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == len(ROUTES)
    for operation in operations:
        if operation.path != "/events":  # it goes on as long as somebody listens
            _probe(operation, made)


def _probe(operation, made) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    def check(case) -> None:
        body = None if case.body is NOT_SET or not isinstance(case.body, dict) else case.body
        for visitor in made:
            answer = visitor.request(case.method, case.formatted_path, data=body)
            assert answer.status_code < 500

    check()


def test_a_study_that_nobody_judges_is_its_page_live_and_nothing_else(tmp_path) -> None:
    drawn = fake_study(tmp_path)
    opened = Study.open(drawn.folder)
    owner = client(make_app(opened, frozenset({HOST})), opened.ballots.add_rater("owner", "owner"))
    assert owner.get("/owner").headers["location"] == "/owner/report"
    assert owner.get("/owner/live").status_code == 404
    assert 'data-shown="0"' in owner.get("/owner/report").text
    drawn.run()
    assert owner.get("/owner/news").json() == {"over": 7}
    page = owner.get("/owner/report")
    assert 'data-shown="7"' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    opened.close()
