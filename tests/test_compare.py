"""Several studies on one page, and pages as PDF."""

import re

import pytest
from typer.testing import CliRunner

from fabricbo.cli.app import app
from fabricbo.report import NoBrowserError, pdf, write_comparison, write_pdf
from fabricbo.report.compare import Gain, doubts, headline, labels
from fabricbo.report.known import read
from fabricbo.report.wording import number_text
from fabricbo.study import Study
from tests.browsers import CHROMIUM, inaccessible
from tests.fakes import fake_study, redness


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    """Two finished studies that differ in seed and length, and one that has not begun."""
    folder = tmp_path_factory.mktemp("studies")
    made = [
        fake_study(folder, name="first"),
        fake_study(folder, name="second", seed=1, trials=4, prompt="<i>a dog</i>"),
    ]
    for one in made:
        one.run()
        one.hold_out()
    return [*made, fake_study(folder, name="third", prompt="<i>a dog</i>", trials=4)]


def test_the_page_sets_studies_side_by_side(studies, tmp_path) -> None:
    page = write_comparison(studies, tmp_path / "both.html")
    text = page.read_text("utf-8")
    assert "<h1>first · second · third</h1>" in text
    assert "&lt;i&gt;a dog&lt;/i&gt;" in text and "<i>a dog" not in text
    assert len(re.findall(r"\* plotly\.js v", text)) == 1
    assert text.count("Plotly.newPlot") >= 1
    assert text.count("<figcaption>Hand settings") == 2  # the third has nothing to show
    for study in studies[:2]:
        gain = study.heldout.first.gain
        interval = f"{number_text(gain.mean)} ± {number_text(2 * gain.standard_error)}"
        assert f"<td>{interval}</td>" in text
    assert page.stat().st_size < 8_000_000


def gain(study: str, mean: float, error: float = 0.1) -> Gain:
    return Gain(study, mean, error)


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ([gain("a", 1.0), gain("b", 3.0)], "b gained most over its hand settings, 3.000 (2.800"),
        ([gain("a", 2.9), gain("b", 3.0)], "but not clearly more than a, 2.900 (2.700 to 3.100)."),
        ([gain("a", -1.0), gain("b", 0.1)], "None has a clear gain"),
        ([gain("a", 1.0)], "Fewer than two"),
    ],
    ids=["clear", "unclear", "none", "one only"],
)
def test_the_sentence_claims_what_is_clear_only(studies, gains, said) -> None:
    assert said in headline(gains, [read(study) for study in studies[:2]])


def test_what_keeps_studies_from_being_compared_is_said(studies, tmp_path) -> None:
    known = [read(study) for study in studies]
    said = " ".join(doubts(known))
    assert "Prompts differ" in said
    assert "One drew more trials" in said
    assert "Not finished yet: third." in said
    assert doubts(known[:1]) == []
    other = fake_study(tmp_path, name="other", objective={"blue": redness})
    both = [*known[:1], read(other)]
    assert doubts([*known[1:2], read(other)]) == ["Not finished yet: other."]
    assert headline([gain("a", 1.0), gain("b", 2.0)], both).startswith("The studies measure diff")


def test_a_study_is_named_once_and_those_of_one_name_are_told_apart(studies, tmp_path) -> None:
    with pytest.raises(ValueError, match="needs 2 studies or more, got 1"):
        write_comparison(studies[:1], tmp_path / "page.html")
    with pytest.raises(ValueError, match="cannot be compared with itself"):
        write_comparison([studies[0], Study.open(studies[0].folder)], tmp_path / "page.html")
    twin = fake_study(tmp_path / "elsewhere", name="first")
    here = studies[0].folder.parent.name
    assert labels([studies[0], twin]) == [f"first ({here})", "first (elsewhere)"]


def test_the_command_writes_the_page(studies, tmp_path) -> None:
    storage = studies[0].folder.parent
    target = tmp_path / "page.html"
    arguments = ["compare", "first", "second", "--storage", str(storage), "--to", str(target)]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout.strip()) == (0, str(target))
    assert target.is_file()
    nowhere = CliRunner().invoke(app, [*arguments[:-1], str(tmp_path / "no" / "page.html")])
    assert nowhere.exit_code == 1


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: make test installs it")
def test_pdf(studies, tmp_path) -> None:
    page = write_comparison(studies[:2], tmp_path / "both.html")
    found = write_pdf(page)
    assert found == tmp_path / "both.pdf"
    assert found.read_bytes().startswith(b"%PDF-")
    assert found.stat().st_size > 20_000
    assert {file.name for file in tmp_path.iterdir()} == {"both.html", "both.pdf"}


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_in_a_browser(browser, studies, tmp_path, width: int, scheme: str) -> None:
    file, asked, complaints = write_comparison(studies, tmp_path / "all.html"), [], []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(120_000)  # busy machines
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_selector(".chart .main-svg")
    assert page.locator(".compare .side").count() == 4  # the third study has drawn nothing
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert inaccessible(page) == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert complaints == []
    page.close()


def test_no_browser_is_said_with_the_way_to_get_one(tmp_path, monkeypatch) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>a page</p>")
    monkeypatch.setattr(pdf, "find_spec", lambda name: None)
    with pytest.raises(NoBrowserError, match=r"pip install 'fabricbo\[pdf\]'"):
        write_pdf(page)
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(NoBrowserError, match="playwright install chromium"):
        pdf._browser(tmp_path / "none")
