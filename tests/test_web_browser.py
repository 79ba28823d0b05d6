"""People rate in a real browser, on a real server, while a worker draws."""

import shutil
import time
from pathlib import Path

import pytest

from fabricbo.study import Study
from tests.browsers import inaccessible
from tests.fakes import fake_study, redness
from tests.web_server import Server, fill, rated_study, served, working

KEPT = Path(__file__).parents[1] / ".artefacts"
"""Screenshots to be looked at; not under version control."""
ARMED = "section.task[data-armed=yes]"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=["pairwise", "best-of", "like", "stars"])
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    made = rated_study(tmp_path_factory.mktemp("filled"))
    fill(made)
    made.close()
    return made.folder


@pytest.fixture
def study(filled, tmp_path) -> Study:
    return Study.open(Path(shutil.copytree(filled, tmp_path / "rated")))


@pytest.fixture
def server(study):
    with served(study.folder) as running:
        yield running


def join(context, server: Server, token: str):
    """Open a rater's link and begin; asks of other hosts and errors of the page are failures."""
    page = context.new_page()
    page.strange = []
    host = server.base.removeprefix("http://")
    page.on("request", lambda r: r.url.split("/")[2] == host or page.strange.append(r.url))
    page.on("pageerror", lambda error: page.strange.append(str(error)))
    page.goto(f"{server.base}/join/{token}")
    page.click("button.primary")
    page.wait_for_url("**/rate", wait_until="domcontentloaded")
    return page


def next_after(page, act) -> None:
    """Do something once the question is armed, and wait for the next one."""
    page.wait_for_selector(ARMED)
    before = page.get_attribute("section.task", "data-task")
    act()
    page.wait_for_function(
        "before => document.querySelector('section.task').dataset.task !== before", arg=before
    )


def press(page, key: str) -> None:
    next_after(page, lambda: page.keyboard.press(key))


def shot(page, name: str) -> None:
    KEPT.mkdir(exist_ok=True)
    page.screenshot(path=str(KEPT / f"{name}.png"))


KEYS = {"pairwise": "ArrowLeft", "best-of": "2", "like": "Enter", "stars": "4"}


def test_a_whole_study_by_keyboard(browser, tmp_path, kind: str) -> None:
    study = rated_study(tmp_path, rating={"kind": kind, "options": 3})
    with served(study.folder) as server, working(study) as worker:
        page = join(browser.new_context(), server, study.ballots.add_rater("Ada"))
        page.wait_for_selector(ARMED, timeout=20_000)
        shot(page, f"rate-{kind}")
        while page.locator("text=Thank you").count() == 0:
            page.wait_for_selector(f"{ARMED}, section.waiting", timeout=20_000)
            if page.locator(ARMED).count():
                press(page, KEYS[kind])
            else:
                time.sleep(0.1)
        worker.join(20)
        assert page.strange == []
    votes = study.ballots.votes()
    assert len(votes) == 6
    assert all(vote.seconds >= 0.2 for vote in votes)
    assert study.preferences
    assert study.best() is not None


def test_touch_on_a_phone(browser, study, server) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 780}, has_touch=True)
    page = join(context, server, study.ballots.add_rater("Ada"))
    next_after(page, lambda: page.tap("button.picture >> nth=1"))
    next_after(page, lambda: page.tap("button.tie"))
    shot(page, "rate-phone")
    assert [vote.answer for vote in study.ballots.votes()] == ["right", "tie"]
    overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(overflow)
    for box in page.locator(".choices button, button.picture").all():
        assert box.bounding_box()["height"] >= 44


def test_undo_and_reload(browser, study, server) -> None:
    page = join(browser.new_context(), server, study.ballots.add_rater("Ada"))
    page.wait_for_selector(ARMED)
    first = page.get_attribute("section.task", "data-task")
    press(page, "ArrowLeft")
    press(page, "u")
    assert page.get_attribute("section.task", "data-task") == first
    page.reload()
    page.wait_for_selector(ARMED)
    assert page.get_attribute("section.task", "data-task") == first
    press(page, "ArrowRight")
    assert [vote.answer for vote in study.ballots.votes()] == ["left", "undo", "right"]


def test_fast_keys_do_not_vote_on_what_nobody_saw(browser, study, server) -> None:
    page = join(browser.new_context(), server, study.ballots.add_rater("Ada"))
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    page.wait_for_selector(ARMED)
    votes = study.ballots.votes()
    assert len(votes) <= 3
    assert all(vote.seconds >= 0.2 for vote in votes)


def test_pictures_that_have_not_come_cannot_be_judged(browser, study, server) -> None:
    context = browser.new_context()
    held = []
    context.route("**/picture/*", lambda route: held.append(route))
    page = join(context, server, study.ballots.add_rater("Ada"))
    page.wait_for_timeout(600)
    page.keyboard.press("ArrowLeft")
    assert page.eval_on_selector("fieldset", "answers => answers.disabled")
    assert study.ballots.votes() == []
    for route in held:
        route.continue_()
    context.unroute("**/picture/*")
    press(page, "ArrowLeft")
    assert len(study.ballots.votes()) == 1


def test_two_raters_at_once(browser, study, server) -> None:
    pages = [
        join(browser.new_context(), server, study.ballots.add_rater(name))
        for name in ("Ada", "Bob")
    ]
    for _ in range(3):
        for page in pages:
            press(page, "ArrowLeft")
    votes = study.ballots.votes()
    assert len(votes) == 6
    assert len({vote.task.question.id for vote in votes}) == 6


def test_a_cut_connection_loses_no_vote_and_counts_none_twice(browser, study, server) -> None:
    context = browser.new_context()
    page = join(context, server, study.ballots.add_rater("Ada"))
    page.wait_for_selector(ARMED)
    context.set_offline(True)
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#trouble:visible")
    shot(page, "rate-offline")
    assert study.ballots.votes() == []
    next_after_online(page, context)
    assert [vote.answer for vote in study.ballots.votes()] == ["left"]
    # An answer that was stored, whose reply was lost, is sent again with the same key.
    lost = []

    def lose(route) -> None:
        route.fetch()
        lost.append(route)
        route.abort()

    context.route("**/vote", lose, times=1)
    press(page, "ArrowRight")
    assert len(lost) == 1
    assert [vote.answer for vote in study.ballots.votes()] == ["left", "right"]


def next_after_online(page, context) -> None:
    before = page.get_attribute("section.task", "data-task")
    context.set_offline(False)
    page.wait_for_function(
        "before => document.querySelector('section.task').dataset.task !== before", arg=before
    )


def test_blurred_until_wanted(browser, tmp_path) -> None:
    study = rated_study(tmp_path, rating={"blur": True})
    fill(study)
    with served(study.folder) as server:
        page = join(browser.new_context(), server, study.ballots.add_rater("Ada"))
        page.wait_for_timeout(800)
        assert page.eval_on_selector("fieldset", "answers => answers.disabled")
        assert "Tap a blurred picture" in page.inner_text("section.task header")
        shot(page, "rate-blurred")
        page.keyboard.press("b")
        press(page, "ArrowLeft")
        assert len(study.ballots.votes()) == 1


def test_only_what_breaks_a_bound_is_blurred(browser, tmp_path) -> None:
    """Images of the hand settings are red, those of the weakest action are not."""
    study = rated_study(
        tmp_path,
        {"green": lambda images, _prompt: [0.0] * len(images), "red": redness},
        rating={"blur": "red"},
        constraints=["red <= 100"],
    )
    fill(study)
    with served(study.folder) as server:
        page = join(browser.new_context(), server, study.ballots.add_rater("Ada"))
        task = study.ballots.open_task(study.ballots.raters()[0].id)
        expected = [
            redness([study.images.load(option.image)], "")[0] > 100 for option in task.shown
        ]
        assert (
            page.eval_on_selector_all("figure", "all => all.map(one => one.className === 'veiled')")
            == expected
        )
        assert any(expected)
        assert page.eval_on_selector("fieldset", "answers => answers.disabled")
        for place, hidden in enumerate(expected):
            if hidden:
                page.locator("figure").nth(place).click()
        press(page, "ArrowLeft")
        assert len(study.ballots.votes()) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_looked_at(browser, study, server, scheme) -> None:
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    rater, owner = study.ballots.add_rater("Ada"), server.owner_link
    page = context.new_page()
    page.goto(f"{server.base}/join/{rater}")
    _check(page, f"join-{scheme}")
    page.click("button.primary")
    page.wait_for_selector(ARMED)
    _check(page, f"rate-{scheme}")
    page.goto(owner)
    page.click("button.primary")
    page.wait_for_url("**/owner")
    page.click("text=Invite raters")
    page.wait_for_selector("input.link")
    _check(page, f"owner-{scheme}")


def _check(page, name: str) -> None:
    shot(page, name)
    assert inaccessible(page) == []


def test_the_owner_sees_a_study_go_on(browser, tmp_path) -> None:
    study = fake_study(tmp_path, trials=2, rounds=1, heldout=0)
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    with served(study.folder) as server:
        page = context.new_page()
        strange = []
        page.on("pageerror", lambda error: strange.append(str(error)))
        page.on("console", lambda said: said.type == "error" and strange.append(said.text))
        page.goto(server.owner_link)
        page.click("button.primary")
        page.wait_for_url("**/owner/report")
        assert page.locator("#news").is_hidden()
        study.run()
        page.get_by_text("new trials: show them").click()
        page.wait_for_selector("#news[data-shown='3']", state="attached")
        page.screenshot(path=KEPT / "owner-live.png")
        assert strange == []
    context.close()
