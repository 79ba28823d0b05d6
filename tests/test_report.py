"""The page of a study: what it says, what it holds, and that it asks nobody."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fabricbo.records import Score
from fabricbo.report import write_report
from fabricbo.report.embed import MAX_SIDE, EmbeddedImages
from fabricbo.report.wording import compared, headline, score_text
from fabricbo.scoring import objective
from fabricbo.study import Heldout, Parts, Study
from fabricbo.study.images import ImageStore
from tests.fakes import ColourSampler, UnitProposer, fake_study, redness

CHROMIUM = Path("/usr/bin/chromium")


def heldout(baseline: list[float], best: list[float]) -> Heldout:
    return Heldout(Score(tuple(baseline)), Score(tuple(best)), (), ())


@pytest.mark.parametrize(
    ("baseline", "best", "direction", "said"),
    [
        ([1.0, 1.1, 0.9], [2.0, 2.2, 1.9], "maximize", "beat"),
        ([1.0, 1.1, 0.9], [2.0, 2.2, 1.9], "minimize", "worse"),
        ([2.0, 2.2, 1.9], [1.0, 1.1, 0.9], "minimize", "beat"),
        ([1.0, 2.0, 3.0], [1.2, 1.7, 3.3], "maximize", "No clear gain"),
        ([1.0], [2.0], "maximize", "measured once"),
    ],
    ids=["gain", "loss when minimizing", "gain when minimizing", "unclear", "one number"],
)
def test_sentence_is_honest(baseline, best, direction, said) -> None:
    assert said in compared(heldout(baseline, best), direction)


def test_sentence_before_there_is_a_result(tmp_path) -> None:
    study = fake_study(tmp_path)
    assert headline(study) == "No trial has a score yet."
    hand = study.ask()
    study.tell(hand, [Image.new("RGB", (4, 4))] * 2, [1.0, 1.0])
    assert "Nothing that was tried" in headline(study)
    study.tell(study.ask(), [Image.new("RGB", (4, 4))] * 2, [2.0, 2.0])
    assert "still to be drawn" in headline(study)


def test_sentence_without_a_baseline(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.fail(study.ask(), "no memory")
    study.tell(study.ask(), [Image.new("RGB", (4, 4))] * 2, [2.0, 2.0])
    assert "hand settings have no score" in headline(study)


def test_score_text() -> None:
    assert score_text(Score((1.0, 2.0))) == "1.500 ± 0.500"
    assert score_text(Score((1.0,))) == "1.000"
    assert score_text(None) == ""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study with done, failed and pending trials, and a held-out result."""
    calls = iter(range(1000))

    def sometimes(images, prompt):
        if next(calls) == 3:
            raise RuntimeError("a <b>bold</b> failure")
        return redness(images, prompt)

    made = fake_study(
        tmp_path,
        objective=sometimes,
        prompt='<script>alert("1")</script> & a cat',
        trials=3,
        growing={"grow_liked": 1, "grow_disliked": 1},
    )
    made.run()
    made.hold_out()
    return made


def test_page_shows_every_trial(study: Study) -> None:
    text = write_report(study).read_text("utf-8")
    for trial in study.trials:
        assert f"Trial {trial.index} " in text
    assert "a &lt;b&gt;bold&lt;/b&gt; failure" in text
    assert text.count('class="badge"') == 1
    assert "Round 2" in text
    assert "round 1 best 1" in text  # the reference that joined
    assert study.settings.name in text


def test_text_of_others_is_escaped_and_nothing_is_asked_for(study: Study) -> None:
    text = write_report(study).read_text("utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt; &amp; a cat" in text
    ours = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r"(?:src|href)=|url\((?!data:)|@import", ours)
    assert "default-src 'none'" in text


def test_pages_of_unfinished_studies(tmp_path) -> None:
    study = fake_study(tmp_path)
    assert "No trial has a score yet" in write_report(study).read_text("utf-8")
    study.ask()
    assert "pending" in write_report(study).read_text("utf-8")


def test_page_survives_a_damaged_image_and_keeps_no_parts(study: Study) -> None:
    study.images.path(study.trials[0].images[0]).write_bytes(b"damaged")
    page = write_report(study)
    assert 'missing"' in page.read_text("utf-8")
    assert [file.name for file in study.folder.glob("*.part")] == []


def test_batch_objective_and_other_target(tmp_path) -> None:
    @objective(per="batch", direction="minimize")
    def mean(images, prompt):
        return [float(np.mean(redness(images, prompt)))]

    study = fake_study(tmp_path, objective=mean)
    study.run()
    study.hold_out()
    target = tmp_path / "elsewhere.html"
    assert write_report(study, target) == target
    assert "minimize" in target.read_text("utf-8")


def test_each_image_is_embedded_once_and_large_ones_shrink(tmp_path) -> None:
    store = ImageStore(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (900, 700, 3), dtype=np.uint8)
    identity = store.save(Image.fromarray(noise))
    embedded = EmbeddedImages(store)
    assert embedded.name(identity) == embedded.name(identity)
    assert embedded.css.count("data:image") == 1
    assert len(embedded.css) < MAX_SIDE * MAX_SIDE * 2


def test_size_of_a_page_with_240_images(tmp_path) -> None:
    class Noise(ColourSampler):
        def __call__(self, action, prompt, seeds):
            draw = [
                np.random.default_rng(seed + self.calls).integers(0, 255, (64, 64, 3))
                for seed in seeds
            ]
            self.calls += 1
            return [Image.fromarray(pixels.astype(np.uint8)) for pixels in draw]

    study = fake_study(tmp_path, rounds=4, trials=15, images=4)
    study.close()
    study = Study.open(study.folder, Parts(UnitProposer(), Noise(), redness))
    study.run()
    page = write_report(study)
    assert sum(len(trial.images) for trial in study.trials) >= 240
    # Noise does not compress: nothing that is drawn is larger than this.
    assert page.stat().st_size < 10 * 2**20


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: make test installs it")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "light"), (1280, "dark")])
def test_in_a_browser(study: Study, tmp_path: Path, width: int, scheme: str) -> None:
    from playwright.sync_api import sync_playwright

    page_file, asked, complaints = write_report(study), [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(page_file.as_uri())
        page.wait_for_selector(".chart .main-svg")
        assert page.locator("article.card").count() == len(study.trials)
        assert page.locator(".prompt").inner_text().startswith("<script>")
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        unnamed = page.locator(".picture:not([aria-label])").count()
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert complaints == []
    assert overflow <= 0
    assert unnamed == 0
    assert (tmp_path / "page.png").stat().st_size > 10_000
