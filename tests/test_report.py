"""The page of a study: what it says, what it holds, and that it asks nobody."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fabricbo.assessment import (
    Assessment,
    Contour,
    Estimate,
    ReferenceEffect,
    Sensitivity,
    Slice,
)
from fabricbo.records import Action, FabricParams, Role, Trial, TrialStatus
from fabricbo.report import write_report
from fabricbo.report.curve import score_curve
from fabricbo.report.effects import EffectRow, effect_rows
from fabricbo.report.embed import MAX_SIDE, EmbeddedImages
from fabricbo.report.front import front_figure, plane
from fabricbo.report.known import read
from fabricbo.report.leaders import leads
from fabricbo.report.measures import broken_texts, unkept
from fabricbo.report.parallel import parallel_coordinates
from fabricbo.report.pictures import drawn_pictures
from fabricbo.report.plot import figure_html
from fabricbo.report.slices import BOTTOM, LEFT, RIGHT, TOP, slice_plots, ticks_between
from fabricbo.report.wording import compared, headline, score_text
from fabricbo.scores import Direction, Measure, Score
from fabricbo.scoring import objective
from fabricbo.space import Choice, Range
from fabricbo.study import Parts, Study
from fabricbo.study.heldout import Comparison
from fabricbo.study.images import images_of
from tests.browsers import inaccessible
from tests.fakes import POOL, ColourSampler, UnitProposer, fake_study, redness
from tests.files import file_of
from tests.tiny import reference

CHROMIUM = Path("/usr/bin/chromium")


def comparison(baseline: list[float], best: list[float], direction: Direction) -> Comparison:
    measure = Measure("redness", direction)
    return Comparison(measure, Score(tuple(baseline)), Score(tuple(best)))


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
    assert said in compared(comparison(baseline, best, direction))


def test_sentence_names_the_interval() -> None:
    clear = compared(comparison([1.0, 1.0], [2.0, 3.0], "maximize"))
    said = "on average 1.500 better, most likely between 0.500 and 2.500 better."
    assert clear.endswith(f": 2.500 against 1.000, {said}")
    lost = compared(comparison([1.0, 1.0], [2.0, 3.0], "minimize"))
    assert lost.endswith("on average 1.500 worse, most likely between 0.500 and 2.500 worse.")
    unclear = compared(comparison([1.0, 1.0], [0.5, 2.5], "maximize")).partition(", on average ")
    assert unclear[2] == "0.500 better, most likely between 1.500 worse and 2.500 better."


def test_sentence_before_there_is_a_result(tmp_path) -> None:
    study = fake_study(tmp_path)
    assert headline(study) == "No trial has a score yet."
    hand = study.ask()
    study.tell(hand, [Image.new("RGB", (4, 4))] * 2, [1.0, 1.0])
    assert "Nothing that was tried" in headline(study)
    study.tell(study.ask(), [Image.new("RGB", (4, 4))] * 2, [2.0, 2.0])
    assert "still to be drawn" in headline(study)


def test_without_fresh_seeds_the_headline_says_that_it_flatters(tmp_path) -> None:
    study = fake_study(tmp_path, heldout=0)
    study.run()
    assert "(heldout = 0) that flatters the best." in headline(study)


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
    assert "proposed" in write_report(study).read_text("utf-8")


def test_page_survives_a_damaged_image_and_keeps_no_parts(study: Study) -> None:
    file_of(study, study.trials[0].images[0]).write_bytes(b"damaged")
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
    store = images_of(tmp_path, None)
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
    assert page.stat().st_size < 8_000_000


class AssessingProposer(UnitProposer):
    """Says of each reference and parameter what can be told apart on the page."""

    def assess(self, history):
        estimates = {
            t.index: tuple(Estimate(score.mean, 0.5) for score in t.scores)
            for t in history.trials
            if t.scores
        }
        effects = (
            ReferenceEffect(r.id, Estimate(2.5 * n, 1.0), Estimate(-0.1, 0.1))
            for n, r in enumerate(history.pool)
        )
        found = (
            Slice(name, (0.0, 0.4, 0.5, 1.0), tuple(Estimate(v, 0.1) for v in (1, 2, 2, 4)))
            for name in history.space.parameters
        )
        contour = Contour(
            "feedback_start", "max_weight", (0.0, 1.0), (0.0, 1.5), ((Estimate(1, 0.1),) * 2,) * 2
        )
        return Assessment(
            estimates,
            None,
            tuple(effects),
            tuple(found),
            left_out=estimates,
            contours=(contour,),
            sensitivities=(Sensitivity("references", 0.6, 0.4, 0.8),),
        )


def blueness(images, prompt):
    return [255 - sum(image.getpixel((0, 0))) / 3 for image in images]


def greenness(images, prompt):
    return [float(image.getpixel((0, 0))[1]) for image in images]


OBJECTIVES = {"red": redness, "blue": blueness, "green": greenness}


def with_parts(study: Study, proposer: UnitProposer, objective: Any) -> Study:
    study.close()
    return Study.open(study.folder, Parts(proposer, ColourSampler(), objective))


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of all there is: two objectives, a bound, two prompts, an assessment."""
    made = fake_study(
        tmp_path_factory.mktemp("several"),
        objective=OBJECTIVES,
        prompt=['<script>alert("1")</script> & a cat', "a dog"],
        constraints=["green <= 100"],
        pool=(*POOL, reference("orange", (8, 8))),
    )
    made = with_parts(made, AssessingProposer(), OBJECTIVES)
    made.run()
    made.hold_out()
    return made


def effects_of(
    tmp_path: Path, direction: Direction, *pairs: tuple[Estimate, Estimate]
) -> list[EffectRow]:
    effects = [
        ReferenceEffect(r.id, liked, disliked)
        for r, (liked, disliked) in zip(POOL, pairs, strict=False)
    ]
    references = {r.id: r for r in POOL}
    best = Action(liked=POOL[:1])
    embedded = EmbeddedImages(images_of(tmp_path, None))
    return effect_rows(effects, references, best, direction, embedded)


NOTHING = Estimate(0.0, 0.1)


@pytest.mark.parametrize(
    ("change", "direction", "verdict", "right"),
    [
        (Estimate(2.0, 0.5), "maximize", "better", True),
        (Estimate(2.0, 0.5), "minimize", "worse", False),
        (Estimate(-2.0, 0.5), "maximize", "worse", False),
        (Estimate(-2.0, 0.5), "minimize", "better", True),
        (Estimate(2.0, 1.5), "maximize", "unclear", True),
        (Estimate(-2.0, 1.0), "minimize", "unclear", True),
    ],
    ids=["up", "up when minimizing", "down", "down when minimizing", "noisy", "touches zero"],
)
def test_effects_are_better_or_worse_by_direction(
    tmp_path, change, direction, verdict, right
) -> None:
    (row,) = effects_of(tmp_path, direction, (change, NOTHING))
    lane = row.lanes[0]
    assert (lane.verdict, lane.dot > 50) == (verdict, right)
    assert lane.amount == ("2.000 better" if right else "2.000 worse")
    assert lane.text.endswith("unclear") == (verdict == "unclear")


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_most_helpful_reference_comes_first(tmp_path, direction) -> None:
    sign = 1 if direction == "maximize" else -1
    pairs = [(Estimate(sign * v, 0.1), Estimate(sign * 9.0, 0.1)) for v in (1.0, 3.0, -2.0)]
    rows = effects_of(tmp_path, direction, *pairs)
    assert [row.picture.text for row in rows] == ["green", "red", "blue"]
    assert [row.role for row in rows] == [Role.UNUSED, Role.LIKED, Role.UNUSED]


def test_bars_share_one_scale_and_stay_in_their_lane(tmp_path) -> None:
    rows = effects_of(
        tmp_path,
        "maximize",
        (Estimate(3.0, 0.5), Estimate(-1.5, 0.25)),
        (NOTHING, Estimate(0.0, 0.0)),
    )
    (liked, disliked), (_, none) = (row.lanes for row in rows)
    assert liked.dot - 50 == pytest.approx(2 * (50 - disliked.dot))
    assert liked.high - liked.low == pytest.approx(2 * (disliked.high - disliked.low))
    assert liked.high == pytest.approx(97)
    assert (none.verdict, none.amount, none.dot) == ("unclear", "no change", 50)
    assert (
        "liked instead of unused: 3.000 better, between 2.000 better and 4.000 better" in liked.text
    )


def test_effects_on_other_measures_are_left_out(tmp_path) -> None:
    effects = [ReferenceEffect(POOL[0].id, NOTHING, NOTHING, measure=1)]
    embedded = EmbeddedImages(images_of(tmp_path, None))
    assert effect_rows(effects, {}, Action(), "maximize", embedded) == []


def a_slice(name: str, values: list[float], means: list[float], error: float = 0.5) -> Slice:
    return Slice(name, tuple(values), tuple(Estimate(mean, error) for mean in means))


def many(low: float, high: float) -> list[float]:
    return [low + (high - low) * i / 32 for i in range(33)]


def test_slices_have_one_scale_and_the_largest_difference_first() -> None:
    slices = [
        a_slice("neg_scale", many(0, 1), [2.0] * 33),
        a_slice("max_weight", many(0, 1.5), many(0, 4)),
    ]
    domains = {"neg_scale": Range(0, 1), "max_weight": Range(0, 1.5)}
    plots = slice_plots(slices, domains, best=FabricParams(max_weight=1.5), hand=FabricParams())
    assert [plot.parameter for plot in plots] == ["max_weight", "neg_scale"]
    steep, flat = plots
    assert steep.ticks == flat.ticks
    # From -1 to 5 with the bands: 2 is in the middle.
    assert {point.y for point in flat.points} == {(TOP + BOTTOM) / 2}
    assert flat.points[0].low - flat.points[0].high == pytest.approx((BOTTOM - TOP) * 2 / 6)
    assert steep.points[0].low == pytest.approx(BOTTOM)
    assert steep.points[-1].high == pytest.approx(TOP)
    assert (steep.best.x, steep.best.value) == (RIGHT, "1.5")
    assert steep.hand.x == pytest.approx(LEFT + (RIGHT - LEFT) * 0.8 / 1.5)
    assert "score 0.000 at 0, expected score 4.000 at 1.5" in steep.text
    assert not steep.separate


def test_slice_of_a_choice_and_of_a_logarithm() -> None:
    slices = [
        a_slice("denoising_steps", [10, 20, 50], [1, 2, 3]),
        a_slice("guidance_scale", [1, 10, 100], [1, 2, 3]),
    ]
    domains = {"denoising_steps": Choice((10, 20, 50)), "guidance_scale": Range(1, 100, log=True)}
    outside = FabricParams(guidance_scale=0.5, denoising_steps=30)
    steps, guidance = slice_plots(slices, domains, best=FabricParams(), hand=outside)
    assert steps.separate
    assert [text for _, text, _ in steps.values] == ["10", "20", "50"]
    assert steps.best.x == steps.points[1].x
    assert steps.hand.x is None
    assert (guidance.hand.x, guidance.hand.value) == (None, "0.5")
    assert guidance.points[1].x == pytest.approx((LEFT + RIGHT) / 2)


def test_slices_without_any_difference_or_of_other_measures() -> None:
    flat = a_slice("neg_scale", many(0, 1), [2.0] * 33, error=0.0)
    settings = FabricParams()
    domains = {"neg_scale": Range(0, 1)}
    (plot,) = slice_plots([flat], domains, best=settings, hand=settings)
    assert TOP < plot.points[0].y < BOTTOM
    other = Slice("neg_scale", flat.values, flat.estimates, measure=1)
    assert slice_plots([other], domains, best=settings, hand=settings) == []


@given(low=st.floats(-1e9, 1e9), length=st.floats(1e-6, 1e9))
def test_ticks_lie_between_and_are_few(low: float, length: float) -> None:
    high = low + length
    if high - low < 1e-9 * abs(low):  # nothing that a plot could show
        return
    ticks = ticks_between(low, high)
    assert 1 <= len(ticks) <= 6
    slack = 1e-9 * max(abs(low), abs(high))
    assert all(low - slack <= value <= high + slack for value, _ in ticks)


def test_ticks_say_what_they_are() -> None:
    assert [text for _, text in ticks_between(0.234, 0.931)] == ["0.4", "0.6", "0.8"]
    assert [text for _, text in ticks_between(-11.0, 24.0)] == ["-10", "0", "10", "20"]


def test_ticks_of_the_smallest_floats_are_their_ends() -> None:
    assert ticks_between(5e-324, 1e-323) == [(5e-324, "4.94e-324"), (1e-323, "9.88e-324")]


def done(index: int, *scores: float, **params: float) -> Trial:
    return Trial(
        index=index,
        round=1,
        action=Action(FabricParams(**params)),
        source="hand" if index == 0 else "bo",
        seeds=(1,),
        status=TrialStatus.DONE,
        score=Score((scores[0],)),
        further=tuple(Score((score,)) for score in scores[1:]),
    )


def test_parallel_coordinates_need_five_scores() -> None:
    trials = [done(index, float(index), max_weight=index / 10) for index in range(4)]
    domains, measures = {"max_weight": Range(0, 1)}, [Measure("red")]
    failed = Trial(9, 1, Action(), "bo", (1,), TrialStatus.FAILED)
    assert parallel_coordinates([*trials, failed], domains, measures, None) is None
    assert parallel_coordinates([*trials, done(4, 4.0)], domains, measures, None) is not None


def heights(corners: str) -> list[float]:
    return [float(corner.split(",")[1]) for corner in corners.split()]


def test_parallel_coordinates_put_better_scores_up() -> None:
    values = [0.1, 0.5, 0.2, 0.4, 0.9]
    trials = [done(i, v, v, v, max_weight=v) for i, v in enumerate(values)]
    measures = [Measure("error", "minimize"), Measure("red"), Measure("nsfw", at_most=0.5)]
    drawing = parallel_coordinates(trials, {"max_weight": Range(0, 1)}, measures, trials[0])
    assert drawing is not None
    assert [axis.label[0] for axis in drawing.axes] == ["max_weight", "error", "red", "nsfw"]
    assert [axis.top for axis in drawing.axes] == ["0.9", "0.100", "0.900", "0.100"]
    best = drawing.lines[-1]
    assert best.is_best
    assert "trial 0: max_weight 0.1, error 0.100" in best.text
    weight, error, red, nsfw = heights(best.corners)
    assert error == nsfw < weight == red
    assert best.colour != drawing.lines[0].colour


def test_parallel_coordinates_where_hand_settings_lie_outside_or_nothing_differs() -> None:
    trials = [done(i, 1.0, guidance_scale=g) for i, g in enumerate((0.0, 2.0, 4.0, 6.0, 8.0))]
    domains = {"guidance_scale": Range(1, 8, log=True), "neg_scale": Range(0, 1)}
    drawing = parallel_coordinates(trials, domains, [Measure("red")], None)
    assert drawing is not None
    rows = [heights(line.corners) for line in drawing.lines]
    assert len({scale for scale, _, _ in rows}) == 5
    assert len({(fixed, score) for _, fixed, score in rows}) == 1


@pytest.mark.parametrize(
    ("direction", "best"),
    [("maximize", [1, 1, 3]), ("minimize", [1, 1, 1])],
)
def test_curve_passes_over_trials_that_break_a_bound(direction, best) -> None:
    trials = [done(0, 9), done(1, 1), done(2, -9), done(3, 3)]
    led = leads(trials, direction, {}, broken={0, 2})
    assert [(lead.at, lead.mean) for lead in led] == list(zip((1, 2, 3), best, strict=True))
    *band, line, hand, others = score_curve(trials, led, breaking=[trials[0], trials[2]]).data
    assert list(line.y) == best
    assert len(band) == 2
    assert list(hand.marker.symbol) == ["x"]
    assert list(others.marker.symbol) == ["circle", "x", "circle"]


@pytest.mark.parametrize(
    ("across", "up", "front", "shape"),
    [
        ("maximize", "maximize", [2, 1], "vh"),
        ("minimize", "minimize", [0, 3], "hv"),
        ("minimize", "maximize", [3, 1], "hv"),
    ],
)
def test_front_is_sorted_and_its_stairs_keep_to_the_worse_side(across, up, front, shape) -> None:
    trials = [done(0, 1, 2), done(1, 3, 4), done(2, 4, 3), done(3, 0.5, 3)]
    measures = [Measure("red", across), Measure("<b>blue</b>", up)]
    chosen = [trials[index] for index in sorted(front)]
    found = plane(trials, measures, {}, front=chosen, breaking=trials[:1])
    assert found is not None
    assert [spot.trial for spot in found.front] == [
        t.index for t in sorted(chosen, key=lambda t: t.scores[0].mean, reverse=across[1] == "a")
    ]
    figure = front_figure(found)
    assert figure.data[0].line.shape == shape
    assert list(figure.data[0].x) == sorted(figure.data[0].x)
    assert "x" in figure.data[1].marker.symbol  # trial 0 breaks a bound
    assert "&lt;b&gt;blue" in figure.layout.yaxis.title.text


def test_front_is_where_trials_are_expected_and_only_with_several_objectives() -> None:
    trials = [done(0, 1, 2)]
    one = [Measure("red"), Measure("nsfw", at_most=1)]
    assert plane(trials, one, {}, front=trials, breaking=()) is None
    measures = [Measure("red"), Measure("nsfw", at_most=1), Measure("blue"), Measure("third")]
    trials = [done(0, 1, 2, 3, 4)]
    expected = {0: tuple(Estimate(10.0 * n, 1) for n in range(4))}
    found = plane(trials, measures, expected, front=trials, breaking=())
    assert found is not None
    assert [(spot.x, spot.y) for spot in found.spots] == [(0, 20)]
    assert [trace.mode for trace in front_figure(found).data] == ["markers"]  # no stairs


def test_figures_cannot_break_out_of_their_script() -> None:
    measures = [Measure("</script><b>"), Measure("blue")]
    found = plane([done(0, 1, 2)], measures, {}, front=(), breaking=())
    assert found is not None
    text = figure_html(front_figure(found))
    assert "</script><b>" not in text
    assert len(text) < 50_000


def test_images_are_grouped_by_prompt(tmp_path) -> None:
    store = images_of(tmp_path, None)
    saved = [store.save(Image.new("RGB", (2, 2), (shade, 0, 0))) for shade in range(6)]
    embedded = EmbeddedImages(store)
    groups = drawn_pictures(saved, "trial 3", ("a cat", "a dog"), embedded)
    assert [group.caption for group in groups] == ["a cat", "a dog"]
    shown = [picture.css for group in groups for picture in group.pictures]
    assert shown == [embedded.name(identity) for identity in saved]
    assert groups[1].pictures[0].text == "image 1 of trial 3, a dog"
    (whole,) = drawn_pictures(saved, "trial 3", ("a cat",), embedded)
    assert (whole.caption, len(whole.pictures)) == (None, 6)
    assert drawn_pictures((), "trial 3", ("a cat", "a dog"), embedded) == []


def section(text: str, name: str) -> str:
    found = re.search(rf'<section id="{name}">.*?</section>', text, flags=re.DOTALL)
    return "" if found is None else found[0]


SECTIONS = ("front", "effects", "slices", "contours", "sensitivity", "calibration", "parallel")


def test_sections_of_a_study_with_everything(several: Study) -> None:
    text = write_report(several).read_text("utf-8")
    found = {name: section(text, name) for name in SECTIONS}
    assert all(found.values())
    assert len(re.findall(r"\* plotly\.js v", text)) == 1
    assert text.count('class="plotly-graph-div"') == 4  # by trial, by round, the front, calibration
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt; &amp; a cat</p>" in text
    assert "<script>alert" not in text
    assert len(re.findall(r'class="dot"', found["effects"])) == 2 * len(several.rounds[-1].pool)
    assert len(re.findall(r'"lane disliked unclear"', found["effects"])) == 4
    assert len(re.findall(r'"lane liked better"', found["effects"])) == 3  # of 0, 2.5, 5, 7.5
    assert found["effects"].index('title="orange"') < found["effects"].index('title="red"')
    assert "How much red is expected to change" in found["effects"]
    assert len(re.findall("<polyline", found["parallel"])) == len(several.trials)
    for trial in several.trials:
        listed = f"Trial {trial.index} " in found["front"]
        assert listed == (trial in several.pareto())
    assert "<td>green &lt;= 100</td>" in text


def test_nothing_is_said_where_nothing_was_assessed(study: Study) -> None:
    assert study.assessment == Assessment()
    text = write_report(study).read_text("utf-8")
    assert [name for name in SECTIONS if section(text, name)] == ["parallel"]
    assert len(re.findall(r"\* plotly\.js v", text)) == 1


def test_names_of_references_are_escaped(tmp_path) -> None:
    odd = replace(reference("orange"), name='odd <i>name</i> "x"')
    made = fake_study(tmp_path, pool=(*POOL, odd))
    made = with_parts(made, AssessingProposer(), redness)
    made.run()
    text = write_report(made).read_text("utf-8")
    assert "odd &lt;i&gt;name&lt;/i&gt; &#34;x&#34;, liked instead of unused" in text
    assert "odd <i>" not in text


def bounded_study(tmp_path: Path, *bounds: str) -> Study:
    return fake_study(
        tmp_path,
        objective=OBJECTIVES,
        constraints=list(bounds),
    )


def tell(study: Study, red: float, green: float, blue: float) -> Trial:
    trial = study.ask()
    scores = {"red": [red], "green": [green], "blue": [blue]}
    study.tell(trial, [Image.new("RGB", (4, 4))] * 2, scores)
    return study.trials[trial.index]


def test_a_bound_that_no_trial_keeps_is_named(tmp_path) -> None:
    study = bounded_study(tmp_path, "green <= 10", "blue >= 5")
    assert unkept(read(study)) is None
    tell(study, 1.0, green=20.0, blue=9.0)
    last = tell(study, 2.0, green=30.0, blue=1.0)
    said = unkept(read(study))
    assert said is not None
    assert said.startswith("No trial keeps green <= 10 yet")
    assert "blue" not in said
    text = write_report(study).read_text("utf-8")
    assert "No trial keeps green &lt;= 10 yet" in text
    assert broken_texts(read(study), last) == ["breaks blue >= 5", "breaks green <= 10"]
    assert text.count("breaks green &lt;= 10") == 2
    assert text.count('class="score breaks"') == 3
    tell(study, 0.0, green=5.0, blue=1.0)
    assert "No trial keeps all bounds at once" in (unkept(read(study)) or "")
    tell(study, 0.0, green=5.0, blue=9.0)
    assert unkept(read(study)) is None


def test_headline_knows_bounds_and_further_objectives(tmp_path) -> None:
    study = bounded_study(tmp_path, "green <= 10")
    tell(study, 9.0, green=20.0, blue=0.0)
    assert "Nothing that was tried is better, by all that is measured" in headline(study)
    tell(study, 8.0, green=1.0, blue=0.0)
    said = headline(study)
    assert said.startswith("By red, the first of 2 objectives, trial 1 scored 8.000 where")
    assert said.endswith("The hand settings do not keep green <= 10, the best settings do.")


@pytest.mark.parametrize(
    ("measured", "expected", "said"),
    [
        (5.0, 15.0, ["keeps green <= 10 here, but is expected to break it"]),
        (15.0, 5.0, ["breaks green <= 10 here, but is expected to keep it"]),
        (15.0, 16.0, ["breaks green <= 10"]),
        (5.0, 6.0, []),
    ],
)
def test_what_is_expected_of_a_bound_may_differ_from_what_was_measured(
    tmp_path, measured, expected, said
) -> None:
    class Doubter(UnitProposer):
        def assess(self, history):
            guess = (Estimate(1, 1), Estimate(1, 1), Estimate(expected, 1))
            return Assessment({t.index: guess for t in history.trials})

    made = with_parts(bounded_study(tmp_path, "green <= 10"), Doubter(), OBJECTIVES)
    assert [measure.name for measure in made.measures] == ["red", "blue", "green"]
    trial = tell(made, 1.0, green=measured, blue=0.0)
    made.assess()
    assert broken_texts(read(made), trial) == said


def test_page_of_a_study_that_people_judge(tmp_path) -> None:
    study = fake_study(tmp_path, objective=None, rating={"kind": "pairwise"})
    one, other, third = (study.draw() for _ in range(3))
    text = write_report(study).read_text("utf-8")
    assert "3 trials drawn, waiting for a person&#39;s judgement." in text
    assert text.count(">waits for a person&#39;s judgement<") == 3
    assert "Plotly.newPlot" not in text
    study.prefer(other, one)
    text = write_report(study).read_text("utf-8")
    assert "Trial 1 is preferred, going by 1 judgement." in text
    assert text.count(">judged by eye<") == 2
    assert text.count(">waits for a person&#39;s judgement<") == 1
    study.prefer(one, other)
    study.prefer(one, third)
    assert headline(study).startswith("Nothing that was tried is preferred")


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_in_a_browser(browser: Any, several: Study, width: int, scheme: str) -> None:
    page_file, asked, complaints = write_report(several), [], []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(120_000)  # busy machines
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_file.as_uri())
    page.wait_for_selector(".chart .main-svg")
    assert page.locator("article.card").count() == len(several.trials)
    assert page.locator(".prompt").first.inner_text().startswith("<script>")
    assert page.locator("#front .main-svg").first.is_visible()
    for section in ("#effects", "#slices", "#sensitivity", "#parallel"):
        box = page.locator(f"{section} svg").last.bounding_box()
        assert box is not None and box["width"] > 60 and box["height"] > 15, section
    _check_details(page)
    assert page.locator(".picture:not([aria-label]):not(button *)").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    found = inaccessible(page)
    page.close()
    assert found == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert complaints == []


def _check_details(page: Any) -> None:
    """A trial's card is shown while it is pointed at, and stays when it is chosen."""
    details, frames = page.locator("#details"), page.locator(".frame")
    assert details.is_hidden()
    frames.nth(1).hover()
    assert details.locator("h4").inner_text().startswith("Trial 1 ")
    page.mouse.move(0, 0)
    assert details.is_hidden()
    frames.nth(2).focus()
    page.keyboard.press("Enter")
    frames.nth(1).hover()
    assert details.locator("h4").inner_text().startswith("Trial 2 ")
    assert details.locator("dt").count() > 0
    page.keyboard.press("Escape")
    assert details.is_hidden()
    assert frames.nth(2).evaluate("one => one === document.activeElement")
    # A point of a chart does the same.
    page.locator("#curve .plotly-graph-div").first.evaluate(
        "one => one.emit('plotly_click', { points: [{ customdata: 3 }] })"
    )
    assert details.locator("h4").inner_text().startswith("Trial 3 ")
    assert page.evaluate("document.querySelectorAll('#trial-3').length") == 1
    details.locator(".close").click()
    assert details.is_hidden()
