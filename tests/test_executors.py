"""One suite for every executor: what is submitted is drawn, scored and reported, wherever."""

import os
import signal
import threading
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from fabricbo.executors import (
    Crashed,
    Drawn,
    ExecutorError,
    Failed,
    InlineExecutor,
    Scored,
    Tools,
    Work,
)
from fabricbo.executors.drawing import Plan
from fabricbo.executors.ray_workers import RayExecutor, RayOptions
from fabricbo.imagefiles import pixel_hash
from fabricbo.records import Action, FabricParams
from fabricbo.scoring import ObjectiveError
from fabricbo.study import Parts, RepeatedFailureError, Study
from tests.fakes import POOL, ColourSampler, UnitProposer, fake_study, redness

PLAN = Plan({"a cat": (1, 2)}, 2)


def tools(**more) -> Tools:
    return Tools(**{"sampler": ColourSampler(), "objectives": {"redness": redness}, **more})


class Moody:
    """Draws, unless its weight is its mood."""

    def __init__(self, mood: Exception) -> None:
        self.mood = mood

    def __call__(self, action, prompt, seeds):
        if action.params.max_weight == 1.5:
            raise self.mood
        return ColourSampler()(action, prompt, seeds)


def unwilling(images, prompt):
    raise ObjectiveError("too dark in here")


def ray_executor(make_tools, **options) -> RayExecutor:
    return RayExecutor(make_tools, RayOptions(cpus=0.5, **options))


KINDS = ["inline", "inline ahead", "inline together", "inline beside", "ray"]


@pytest.fixture(params=KINDS)
def made(request):
    """Make an executor of the kind that is tested; it is closed at the end."""
    executors = []

    def make(**more):
        if request.param == "ray":
            executors.append(ray_executor(partial(tools, **more), workers=1))
        else:
            ahead = 1 if request.param in ("inline ahead", "inline beside") else 0
            together = 3 if request.param == "inline together" else 1
            beside = nullcontext if request.param == "inline beside" else None
            executors.append(InlineExecutor(tools(**more), ahead, together, beside=beside))
        return executors[-1]

    make.kind = request.param
    yield make
    for one in executors:
        one.close()


def work(key: str = "one", weight: float = 1.0, **more) -> Work:
    return Work(key, Action(FabricParams(max_weight=weight)), PLAN, **more)


def heard(executor, keys=1):
    """Return all reports until so many works have ended."""
    found = []
    while sum(not isinstance(report, Drawn) for report in found) < keys:
        found.append(executor.take())
    return found


def test_work_is_drawn_then_scored(made) -> None:
    executor = made()
    executor.submit(work())
    drawn, scored = heard(executor)
    assert isinstance(drawn, Drawn)
    assert [image.size for image in drawn.images] == [(8, 8)] * 2
    assert isinstance(scored, Scored)
    assert scored.values == {"redness": redness(drawn.images, "a cat")}
    assert scored.seconds >= 0


def test_images_that_are_there_are_only_scored(made) -> None:
    executor = made()
    images = (Image.new("RGB", (8, 8), (9, 0, 0)), Image.new("RGB", (8, 8), (7, 0, 0)))
    executor.submit(work(images=images))
    (scored,) = heard(executor)
    assert scored == Scored("one", {"redness": [9.0, 7.0]}, None)


def test_what_goes_wrong_is_reported(made) -> None:
    executor = made(sampler=Moody(RuntimeError("no such kernel")), objectives={"u": unwilling})
    executor.submit(work("objective"))
    drawn, failed = heard(executor)
    assert isinstance(drawn, Drawn)
    assert failed == Failed("objective", "unwilling: too dark in here")
    executor.submit(work("sampler", 1.5))
    assert heard(executor) == [
        Failed("sampler", "drawing failed with RuntimeError: no such kernel")
    ]


def test_errors_of_the_code_itself_are_raised(made) -> None:
    executor = made(sampler=Moody(KeyError("a bug")))
    executor.submit(work("bug", 1.5))
    with pytest.raises(KeyError, match="a bug"):
        heard(executor)


def test_several_works_all_end_and_closing_forgets(made) -> None:
    executor = made()
    for number in range(executor.slots):
        executor.submit(work(f"{number}", number / 4))
    reports = heard(executor, executor.slots)
    assert {report.key for report in reports} == {str(n) for n in range(executor.slots)}
    executor.submit(work("forgotten"))
    executor.close()
    executor.submit(work("after"))
    assert {report.key for report in heard(executor)} == {"after"}


class Small(ColourSampler):
    """Has memory for two images at once."""

    def __call__(self, action, prompt, seeds):
        if len(seeds) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().__call__(action, prompt, seeds)


def test_out_of_memory_draws_half_as_many_at_once(made) -> None:
    executor = made(sampler=Small())
    executor.submit(Work("four", Action(), Plan({"a cat": (1, 2, 3, 4)}, 4)))
    drawn, scored = heard(executor)
    assert [pixel_hash(i) for i in drawn.images] == [
        pixel_hash(i) for i in ColourSampler()(Action(), "a cat", (1, 2, 3, 4))
    ]
    assert len(scored.values["redness"]) == 4
    executor.submit(Work("eight", Action(), Plan({"a cat": tuple(range(8))}, 8)))
    (failed,) = heard(executor)  # once, not until a single one fits
    assert isinstance(failed, Failed)
    assert "out of memory" in failed.reason


def done(study: Study) -> list[tuple]:
    return [(t.action, t.seeds, t.score, t.images, t.source) for t in study.trials]


def opened(study: Study, executor) -> Study:
    parts = Parts(UnitProposer(), ColourSampler(), redness, executor=lambda _tools: executor)
    study.close()
    return Study.open(study.folder, parts)


def test_a_study_is_the_same_whoever_draws(tmp_path, made) -> None:
    quiet = fake_study(tmp_path / "quiet", trials=6, growing={"grow_liked": 1})
    quiet.run()
    quiet.hold_out()
    study = opened(fake_study(tmp_path, trials=6, growing={"grow_liked": 1}), made())
    study.run()
    assert done(study) == done(quiet)
    assert study.hold_out() == quiet.heldout
    statuses = [[str(e.status) for e in study.events if e.trial == 3]]
    assert statuses == [["proposed", "running", "drawn", "done"]]
    study.close()


def test_three_failures_in_a_row_stop_it_and_the_rest_can_go_on(tmp_path, made) -> None:
    study = opened(fake_study(tmp_path), made(objectives={"redness": unwilling}))
    with pytest.raises(RepeatedFailureError):
        study.run()
    study = opened(study, made())
    study.run()
    assert sum(str(t.status) == "done" for t in study.trials) == len(study.trials) - 3


class NeedsHand:
    """Scores by how far an image is from what the hand settings drew."""

    def __call__(self, images, prompt, *, baseline):
        (red, *_), *_ = (image.getpixel((0, 0)) for image in baseline)
        return [abs(image.getpixel((0, 0))[0] - red) for image in images]


def test_the_hand_settings_come_first_where_an_objective_compares_with_them(tmp_path) -> None:
    study = fake_study(tmp_path, objective=NeedsHand())
    study.close()
    executor = InlineExecutor(tools(objectives={"NeedsHand": NeedsHand()}), ahead=3)
    parts = Parts(UnitProposer(), ColourSampler(), NeedsHand(), executor=lambda _tools: executor)
    study = Study.open(study.folder, parts)
    study.run()
    assert study.trials[0].score.mean == 0
    assert any(trial.score.mean > 0 for trial in study.trials)
    study.close()


# Workers that die


@pytest.fixture
def on_ray():
    executors = []

    def make(make_tools, **options):
        executors.append(ray_executor(make_tools, **options))
        return executors[-1]

    yield make
    for one in executors:
        one.close()


class Deadly(ColourSampler):
    """Kills its process at a certain weight, as often as it is told in a file."""

    def __init__(self, lives: Path) -> None:
        super().__init__()
        self.lives = lives

    def __call__(self, action, prompt, seeds):
        left = int(self.lives.read_text())
        if left:
            self.lives.write_text(str(left - 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(action, prompt, seeds)


@pytest.mark.parametrize("deaths", [1, 4])
def test_a_worker_that_dies_is_replaced_and_its_trial_drawn_again(tmp_path, on_ray, deaths) -> None:
    (tmp_path / "lives").write_text(str(deaths))
    executor = on_ray(partial(tools, sampler=Deadly(tmp_path / "lives")), workers=1, ahead=0)
    study = opened(fake_study(tmp_path / "study"), executor)
    study.run()
    quiet = fake_study(tmp_path / "quiet")
    quiet.run()
    assert done(study) == done(quiet)
    assert study.trials[0].attempt == 1 + deaths
    assert {trial.attempt for trial in study.trials[1:]} == {1}
    study.close()


def test_a_trial_that_kills_whoever_draws_it_is_given_up(tmp_path, on_ray) -> None:
    (tmp_path / "lives").write_text("5")
    executor = on_ray(partial(tools, sampler=Deadly(tmp_path / "lives")), workers=1, ahead=0)
    study = opened(fake_study(tmp_path / "study"), executor)
    study.run()
    assert [str(trial.status) for trial in study.trials] == ["abandoned"] + ["done"] * 6
    assert "5 workers died of it" in study.trials[0].reason
    assert study.best().status.is_over
    study.close()


def broken_tools() -> Tools:
    raise FileNotFoundError("no checkpoint here")


def deadly_tools() -> Tools:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_what_workers_cannot_load_is_said(on_ray) -> None:
    executor = on_ray(broken_tools, workers=2)
    with pytest.raises(FileNotFoundError, match="no checkpoint here"):
        executor.load()
    executor = on_ray(broken_tools, workers=1)
    executor.submit(work())
    with pytest.raises(FileNotFoundError, match="no checkpoint here"):
        executor.take()


def test_workers_that_die_before_they_are_ready_are_not_replaced_for_ever(on_ray) -> None:
    executor = on_ray(deadly_tools, workers=1)
    executor.submit(work())
    with pytest.raises(ExecutorError, match="before they are ready"):
        executor.take()


class Sleepy(ColourSampler):
    def __call__(self, action, prompt, seeds):
        time.sleep(30 if action.params.max_weight == 1.5 else 0)
        return super().__call__(action, prompt, seeds)


def test_a_worker_that_takes_too_long_is_given_up(on_ray) -> None:
    executor = on_ray(partial(tools, sampler=Sleepy()), workers=1, patience=2.0)
    executor.submit(work("asleep", 1.5))
    (crashed,) = heard(executor)
    assert isinstance(crashed, Crashed)
    assert "has not answered for 2 s" in crashed.reason
    executor.submit(work("awake"))
    assert isinstance(heard(executor)[-1], Scored)


def test_no_room_and_no_cluster_are_said_at_once() -> None:
    with pytest.raises(ExecutorError, match="a worker needs 4096 CPUs"):
        RayExecutor(tools, RayOptions(cpus=4096))


def test_several_workers_work_at_once_and_say_how_busy_they_were(on_ray) -> None:
    executor = on_ray(partial(tools, sampler=Napping()), workers=2)
    assert executor.slots == 3
    began, naps, names = time.monotonic(), 0, set()
    while len(names) < 2:  # the second one may be long in loading
        for number in range(3):
            executor.submit(work(f"{number}"))
        names |= {report.worker for report in heard(executor, 3) if isinstance(report, Drawn)}
        naps += 3
    assert naps * NAP / 2 / (time.monotonic() - began) <= executor.utilisation <= 1


NAP = 0.3
"""Seconds."""


class Napping(ColourSampler):
    def __call__(self, action, prompt, seeds):
        time.sleep(NAP)
        return super().__call__(action, prompt, seeds)


def test_embeddings_come_from_the_workers(on_ray) -> None:
    executor = on_ray(tools, workers=1)
    assert executor.embed(sizes, [POOL[0].image]) == [POOL[0].image.size]


def sizes(_tools: Tools):
    return lambda images: [image.size for image in images]


class BatchingSampler(ColourSampler):
    """Draws several actions in one batch, no more than three images of each."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    @property
    def counts(self) -> dict[str, int]:
        return {"images": sum(self.batches)}

    def together(self, drawings):
        self.batches.append(sum(len(drawing.seeds) for drawing in drawings))
        if any(drawing.action.params.max_weight == 1.5 for drawing in drawings):
            raise RuntimeError("CUDA out of memory")
        return [self(d.action, d.prompt, d.seeds) for d in drawings]


def reports(executor: InlineExecutor, several: list[Work]) -> list[Drawn | Scored | Failed]:
    for one in several:
        executor.submit(one)
    found = []
    while sum(isinstance(report, Scored | Failed) for report in found) < len(several):
        found.append(executor.take())
    executor.close()
    return found


@pytest.mark.parametrize(("ahead", "beside"), [(0, None), (1, None), (1, nullcontext)])
def test_what_fits_is_drawn_in_one_batch_and_each_gets_its_own(ahead, beside) -> None:
    sampler = BatchingSampler()
    several = [work(f"work {i}", 0.2 * i) for i in range(4)]
    executor = InlineExecutor(tools(sampler=sampler), ahead, together=4, beside=beside)
    found = reports(executor, several)
    if not ahead:  # else the first may have begun before the others came
        assert sampler.batches == [8]
    alone = reports(InlineExecutor(tools()), several)
    if beside:  # what is drawn may be told while the one before is scored
        alone.sort(key=lambda report: isinstance(report, Scored))
        found.sort(key=lambda report: isinstance(report, Scored))
    assert [r.key for r in found] == [r.key for r in alone]
    for one, other in zip(found, alone, strict=True):
        if isinstance(one, Drawn):
            assert one.images == other.images
        else:
            assert one.values == other.values
            assert one.seconds is not None
    assert sum(r.counts["images"] for r in found if isinstance(r, Drawn)) == sum(sampler.batches)


def test_other_steps_or_guidance_make_another_batch_and_known_images_none() -> None:
    sampler = BatchingSampler()
    other = Work("other", Action(FabricParams(denoising_steps=7)), PLAN)
    known = work("known", images=tuple(Image.new("RGB", (8, 8)) for _ in range(2)))
    several = [work("a"), work("b"), other, known, work("c"), work("d")]
    executor = InlineExecutor(tools(sampler=sampler), together=6)
    found = reports(executor, several)
    assert sampler.batches == [4, 4]
    assert [r.key for r in found if isinstance(r, Scored)] == [w.key for w in several]


def test_a_batch_that_fails_is_drawn_one_by_one() -> None:
    sampler = BatchingSampler()
    several = [work("good"), work("too heavy", 1.5), work("fine", 0.5)]
    found = reports(InlineExecutor(tools(sampler=sampler), together=3), several)
    assert sampler.batches == [6]
    assert sampler.calls == 3
    assert [r.key for r in found if isinstance(r, Scored)] == [w.key for w in several]


def test_a_study_that_draws_together_ends_like_any_other(tmp_path) -> None:
    study = fake_study(tmp_path, trials=4)
    sampler = BatchingSampler()
    parts = Parts(UnitProposer(), sampler, redness, executor=partial(InlineExecutor, together=3))
    study = Study.open(study.folder, parts)
    study.run()
    assert all(trial.score is not None for trial in study.trials)
    assert max(sampler.batches) == 3 * study.settings.images


class DeferringSampler(ColourSampler):
    """Leaves images for later; says in which thread it did what."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[tuple[str, str]] = []

    def begin(self, drawings):
        self.threads.append(("draws", threading.current_thread().name))
        images = [self(d.action, d.prompt, d.seeds) for d in drawings]

        def rest():
            self.threads.append(("decodes", threading.current_thread().name))
            if drawings[0].action.params.max_weight == 1.5:
                raise RuntimeError("cannot decode")
            return images

        return rest


def test_the_next_is_drawn_and_decoded_while_one_is_scored() -> None:
    sampler, decoded = DeferringSampler(), threading.Event()

    def objective(images, prompt):
        assert decoded.wait(20)  # else nothing went on beside this
        return redness(images, prompt)

    executor = InlineExecutor(
        tools(sampler=sampler, objectives={"waits": objective}), ahead=2, beside=nullcontext
    )
    for name in ("first", "second", "third"):
        executor.submit(work(name))
    told = [executor.take() for _ in range(3)]
    assert [type(report) for report in told] == [Drawn] * 3
    decoded.set()
    assert [executor.take().key for _ in range(3)] == ["first", "second", "third"]
    executor.close()
    assert {name for what, name in sampler.threads if what == "draws"} == {"fabricbo draws"}
    assert {name for what, name in sampler.threads if what == "decodes"} == {"fabricbo decodes"}


def test_what_ends_is_told_in_order_whatever_fails_where() -> None:
    executor = InlineExecutor(
        tools(sampler=DeferringSampler(), objectives={"slow": slow_redness}),
        ahead=3,
        beside=nullcontext,
    )
    several = [work("fine"), work("broken", 1.5), work("after", 0.5)]
    ended = [one for one in reports(executor, several) if not isinstance(one, Drawn)]
    assert [one.key for one in ended] == ["fine", "broken", "after"]
    assert ended[1] == Failed("broken", "drawing failed with RuntimeError: cannot decode")
    assert isinstance(ended[2], Scored)


def test_where_nothing_can_go_on_beside_it_is_said() -> None:
    def no_stream():
        raise RuntimeError("no stream")

    executor = InlineExecutor(tools(), ahead=1, beside=no_stream)
    executor.submit(work("one"))
    with pytest.raises(RuntimeError, match="no stream"):
        executor.take()
    executor.close()


def slow_redness(images, prompt):
    time.sleep(0.2)
    return redness(images, prompt)


def test_a_batch_waits_for_what_is_being_scored() -> None:
    sampler = BatchingSampler()
    executor = InlineExecutor(
        tools(sampler=sampler, objectives={"slow": slow_redness}),
        ahead=1,
        together=2,
        beside=nullcontext,
    )
    executor.submit(work("0"))
    waiting, ended = [work(str(n)) for n in range(1, 7)], 0
    while ended < 7:  # as a study does: another for each that ends
        if isinstance(executor.take(), Scored):
            ended += 1
            for _ in range(2):
                if waiting:
                    executor.submit(waiting.pop(0))
    executor.close()
    assert sampler.batches.count(4) >= 2
