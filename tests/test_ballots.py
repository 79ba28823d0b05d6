"""Raters, tasks and votes on disk, and who is asked what."""

import threading
from collections import Counter

import pytest
from PIL import Image

from fabricbo.rating.assignment import DISTANCE, next_task
from fabricbo.rating.progress import progress
from fabricbo.rating.questions import plan
from fabricbo.rating.worker import Worker
from fabricbo.records import Role
from fabricbo.study import Parts, SettingsError, Study, check_settings
from fabricbo.study.ballots import Ballots
from fabricbo.study.rounds import growth_by_votes
from fabricbo.votes import Option, Question
from tests.fakes import POOL, ColourSampler, UnitProposer
from tests.stores import sqlite_only

pytestmark = pytest.mark.usefixtures("store_kind")  # on SQLite and on PostgreSQL


def rated(storage, pool=POOL, **settings) -> Study:
    values = {"name": "rated", "prompt": "a cat", "rounds": 2, "trials": 3, "images": 2}
    rating = {"repeats": 0.0, **settings.pop("rating", {})}
    checked = check_settings({**values, "storage": storage, "rating": rating, **settings})
    return Study.create(checked, Parts(UnitProposer(), ColourSampler(), None), pool)


def pair(one: int, other: int, **more) -> Question:
    return Question(
        0, "pairwise", (Option(f"i{one}", one), Option(f"i{other}", other)), "x", **more
    )


@pytest.fixture
def study(tmp_path) -> Study:
    made = rated(tmp_path)
    made.draw()
    made.draw()
    made.draw()
    made.ballots.add_questions([pair(0, 1), pair(1, 2), pair(0, 2)])
    return made


def rater(ballots: Ballots, name: str = "Ada") -> int:
    return ballots.by_token(ballots.add_rater(name))[0]


def answer(study: Study, who: int, said: str = "left", key: str | None = None):
    task = next_task(study.ballots, study.settings, who)
    if task is not None:
        study.ballots.vote(task, said, key or f"key of {task.id}", 1.5)
    return task


@sqlite_only
def test_tokens_let_in_and_are_stored_as_hashes_only(study) -> None:
    token = study.ballots.add_rater("Ada")
    assert study.ballots.by_token(token) == (1, "rater")
    assert study.ballots.by_token(token + "x") is None
    assert study.ballots.by_token("") is None
    raw = (study.folder / "study.db").read_bytes() + (study.folder / "study.db-wal").read_bytes()
    assert token.encode() not in raw
    assert len(token) >= 22  # 128 bits in base64


def test_a_vote_is_stored_once_however_often_it_is_sent(study) -> None:
    who = rater(study.ballots)
    task = next_task(study.ballots, study.settings, who)
    first = study.ballots.vote(task, "left", "the same key", 2.0)
    assert study.ballots.vote(task, "left", "the same key", 2.0) == first
    other = next_task(study.ballots, study.settings, who)
    with pytest.raises(ValueError, match="another task"):
        study.ballots.vote(other, "left", "the same key")
    assert [(v.id, v.answer, v.seconds) for v in study.ballots.votes()] == [(first, "left", 2.0)]
    with pytest.raises(ValueError, match="answer must be"):
        study.ballots.vote(other, "up", "another key")


def test_what_was_asked_is_asked_until_it_is_answered(study) -> None:
    who = rater(study.ballots)
    first = next_task(study.ballots, study.settings, who)
    again = Study.open(study.folder)
    assert next_task(again.ballots, again.settings, who) == first
    answer(study, who)
    assert next_task(study.ballots, study.settings, who).id != first.id


def test_undo_asks_again_and_nothing_is_deleted(study) -> None:
    who = rater(study.ballots)
    first = answer(study, who)
    assert study.ballots.last_answered(who) == first
    study.ballots.vote(first, "undo", "an undo key")
    assert study.ballots.standing(who) == []
    assert study.preferences == []
    assert next_task(study.ballots, study.settings, who) == first
    answer(study, who, "right", "a later key")
    assert [vote.answer for vote in study.ballots.votes()] == ["left", "undo", "right"]
    assert len(study.preferences) == 1


def test_each_question_gets_as_many_judgements_as_it_needs(tmp_path) -> None:
    study = rated(tmp_path, rating={"judgements": 2})
    study.ballots.add_questions([pair(0, 1), pair(1, 2)])
    people = [rater(study.ballots, name) for name in "abc"]
    asked = Counter()
    for who in people * 3:
        task = answer(study, who)
        if task is not None:
            asked[task.question.id] += 1
    assert asked == {1: 2, 2: 2}
    assert progress(study.ballots, study.settings).answered == 2


def test_somebody_who_is_thinking_is_not_doubled_but_a_skip_is_made_up_for(study) -> None:
    ada, bob = rater(study.ballots, "Ada"), rater(study.ballots, "Bob")
    thinking = next_task(study.ballots, study.settings, ada)
    assert next_task(study.ballots, study.settings, bob).question.id != thinking.question.id
    study.ballots.vote(thinking, "skip", "skipped it then")
    for _ in range(3):
        answer(study, bob)
    assert progress(study.ballots, study.settings).answered == 3


def test_sides_are_a_matter_of_chance_and_recorded(tmp_path) -> None:
    study = rated(tmp_path)
    study.ballots.add_questions([pair(k, k + 1) for k in range(40)])
    who = rater(study.ballots)
    tasks = [answer(study, who) for _ in range(40)]
    swapped = sum(task.order == (1, 0) for task in tasks)
    assert 8 < swapped < 32
    assert all(study.ballots.task(task.id).order == task.order for task in tasks)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_repeats_are_swapped_and_have_their_share(tmp_path, share) -> None:
    study = rated(tmp_path, rating={"repeats": share})
    study.ballots.add_questions([pair(k, k + 1) for k in range(100)])
    who = rater(study.ballots)
    tasks = []
    while (task := answer(study, who)) is not None:
        tasks.append(task)
    repeats = [task for task in tasks if task.question.repeat_of is not None]
    assert len(repeats) / len(tasks) == pytest.approx(share, abs=0.02)
    places = {task.question.id: place for place, task in enumerate(tasks)}
    for task in repeats:
        first = tasks[places[task.question.repeat_of]]
        assert task.order == first.order[::-1]
        assert places[task.question.id] - places[first.question.id] >= DISTANCE
    assert len({task.question.repeat_of for task in repeats}) == len(repeats)
    assert progress(study.ballots, study.settings).answered == 100


def test_gold_checks_come_now_and_then(tmp_path) -> None:
    for name in ("good", "bad"):
        Image.new("RGB", (8, 8), "white" if name == "good" else "black").save(
            tmp_path / f"{name}.png"
        )
    gold = [{"better": str(tmp_path / "good.png"), "worse": str(tmp_path / "bad.png")}]
    study = rated(tmp_path, rating={"gold": gold})
    study.ballots.add_questions([pair(k, k + 1) for k in range(20)])
    who = rater(study.ballots)
    tasks = [answer(study, who) for _ in range(21)]
    checks = [place for place, task in enumerate(tasks) if task.question.expected is not None]
    assert len(checks) == 1
    assert 2 <= checks[0] <= 10
    assert len(study.preferences) == 20


def test_gold_is_checked_before_anything_is_made(tmp_path) -> None:
    gold = [{"better": str(tmp_path / "none.png"), "worse": str(tmp_path / "none.png")}]
    with pytest.raises(FileNotFoundError):
        rated(tmp_path, rating={"gold": gold})
    assert not (tmp_path / "rated" / "study.db").exists()
    with pytest.raises(SettingsError, match="kind pairwise"):
        check_settings({"name": "x", "prompt": "p", "rating": {"kind": "stars", "gold": gold}})


def test_excluding_a_rater_is_recorded_and_can_be_taken_back(study) -> None:
    ada, bob = rater(study.ballots, "Ada"), rater(study.ballots, "Bob")
    answer(study, ada)
    answer(study, bob)
    assert len(study.preferences) == 2
    study.ballots.exclude(ada, "clicked through")
    assert [one.rater for one in study.preferences] == [bob]
    study.ballots.exclude(ada, "was somebody else", excluded=False)
    assert len(study.preferences) == 2
    assert len(study.ballots.votes()) == 2
    for wrong, said in ((99, "no rater 99"), (ada, "needs a reason")):
        with pytest.raises(ValueError, match=said):
            study.ballots.exclude(wrong, " ")


def test_votes_that_somebody_else_stores_are_seen(study) -> None:
    ada, bob = rater(study.ballots, "Ada"), rater(study.ballots, "Bob")
    answer(study, ada)
    assert len(study.preferences) == 1
    other = Study.open(study.folder)
    answer(other, bob)
    assert len(study.preferences) == 2
    other.ballots.exclude(ada, "clicked through")
    assert [one.rater for one in study.preferences] == [bob]


def test_paused_and_stopped_studies_ask_nobody(study) -> None:
    who = rater(study.ballots)
    for state in ("paused", "stopped"):
        study.ballots.state = state
        assert next_task(study.ballots, study.settings, who) is None
    study.ballots.state = "open"
    assert next_task(study.ballots, study.settings, who) is not None


def test_votes_at_the_same_time_are_all_kept(study) -> None:
    study.ballots.add_questions([pair(k, k + 1) for k in range(200)])
    people = [rater(study.ballots, str(k)) for k in range(4)]
    errors = []

    def work(who: int) -> None:
        opened = Study.open(study.folder)
        try:
            for _ in range(25):
                answer(opened, who)
        except Exception as error:  # told below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    votes = study.ballots.votes()
    assert len(votes) == 100
    assert len({vote.task.id for vote in votes}) == 100


def test_growth_takes_what_people_liked(tmp_path) -> None:
    study = rated(tmp_path)
    trials = [study.draw() for _ in range(3)]
    a, b, c = images = [trial.images[0] for trial in trials]
    found = growth_by_votes(images, (), {a: 2, b: -1, c: 1}, 1, 2)
    assert (found.liked, found.disliked) == ((a,), (b,))
    assert growth_by_votes(images, (), {}, 2, 2).liked == ()
    assert growth_by_votes(images, {a}, {a: 2, b: -1, c: 1}, 1, 2).liked == (c,)


# The worker


def drive(study: Study, choose, **limits) -> list[str]:
    """Let a worker and one rater take turns until the study is done."""
    events: list[str] = []
    worker = Worker(study, lambda event: events.append(event.what))
    who = rater(study.ballots)

    def pause(_seconds: float) -> bool:
        task = next_task(study.ballots, study.settings, who)
        if task is None:
            return True
        study.ballots.vote(task, choose(task), f"key of {task.id}")
        return False

    worker.run(pause)
    return events


def greener(study: Study):
    def choose(task) -> str:
        left, right = (study.images.load(option.image).getpixel((0, 0))[0] for option in task.shown)
        return "left" if left > right else "right" if right > left else "tie"

    return choose


@pytest.mark.parametrize("kind", ["pairwise", "best-of", "like", "stars"])
def test_a_study_is_worked_and_rated_to_its_end(tmp_path, kind: str) -> None:
    study = rated(tmp_path, rating={"kind": kind, "options": 3})
    says = {
        "pairwise": greener(study),
        "best-of": lambda task: "1",
        "like": lambda task: ",".join(["liked"] * len(task.order)),
        "stars": lambda task: "3",
    }
    events = drive(study, says[kind])
    assert events[-1] == "done"
    assert progress(study.ballots, study.settings).done
    assert len(study.trials) == study.planned_trials == 7
    assert study.preferences
    assert Study.open(study.folder).best() is not None


def test_rounds_stay_queued_while_people_rate(tmp_path) -> None:
    study = rated(tmp_path, rounds=4, rating={"ahead": 2})
    worker = Worker(study)
    while worker.step():
        pass
    assert progress(study.ballots, study.settings).waiting == 6  # two rounds of three
    assert len(study.trials) == 7
    answer(study, rater(study.ballots))
    while worker.step():
        pass
    assert progress(study.ballots, study.settings).waiting == 6
    assert len(study.trials) == 8  # one with each question, so that the next knows more


@pytest.mark.parametrize(
    ("kind", "same"), [("pairwise", True), ("best-of", True), ("like", False), ("stars", False)]
)
def test_images_that_are_compared_have_the_same_seeds_in_all_rounds(tmp_path, kind, same) -> None:
    study = rated(tmp_path, rating={"kind": kind})
    while study.draw() is not None:
        pass
    first, second = study.rounds
    assert (first.seeds == second.seeds) == same


@pytest.mark.parametrize(("ahead", "pools"), [(1, [0, 2, 4, 6, 8]), (2, [0, 0, 2, 4, 6])])
def test_likes_grow_the_pool_as_in_fabrics_own_loop(tmp_path, ahead, pools) -> None:
    """Hand settings without references at first; what is liked and disliked joins them."""
    settings = check_settings(
        {
            "name": "loop",
            "prompt": "a cat",
            "rounds": 5,
            "trials": 1,
            "images": 2,
            "storage": tmp_path,
            "rating": {"kind": "like", "ahead": ahead, "repeats": 0.0},
            "pool": {"grow_liked": 2, "grow_disliked": 2},
        }
    )
    study = Study.create(settings, Parts(UnitProposer(), ColourSampler(), None))
    drive(study, lambda _task: "liked,disliked")
    assert [len(opened.pool) for opened in study.rounds] == pools
    assert len(study.trials) == study.planned_trials == 5
    verdicts = study.ballots.verdicts()
    for reference in study.rounds[-1].pool:
        assert (verdicts[reference.id] > 0) == (reference.hand_role is Role.LIKED)


def test_a_pair_comes_again_with_other_images(tmp_path) -> None:
    class Insisting(UnitProposer):
        def compare(self, _history, _count, _waiting):
            return [(0, 1)]

    values = {"name": "rated", "prompt": "a cat", "rounds": 1, "trials": 1, "images": 3}
    rating = {"repeats": 0.0, "questions": 4}
    settings = check_settings({**values, "storage": tmp_path, "rating": rating})
    study = Study.create(settings, Parts(Insisting(), ColourSampler(), None), POOL)
    drive(study, greener(study))
    asked = [question.options[0].image for question in study.ballots.questions()]
    assert len(asked) == 4
    assert {*asked[:3]} == {*study.trials[0].images}


def test_unasked_questions_are_chosen_anew_after_a_vote(tmp_path) -> None:
    study = rated(tmp_path)
    worker = Worker(study)
    while worker.step():
        pass
    before = {question.id for question in study.ballots.questions()}
    who = rater(study.ballots)
    task = answer(study, who)
    while worker.step():
        pass
    after = {question.id for question in study.ballots.questions()}
    assert before & after == {task.question.id}


@pytest.mark.parametrize("kind", ["pairwise", "best-of", "like", "stars"])
def test_what_is_asked_while_the_worker_chooses_takes_a_place(tmp_path, monkeypatch, kind) -> None:
    study = rated(tmp_path, rating={"kind": kind})
    worker = Worker(study)
    while worker.step():
        pass
    who = rater(study.ballots)
    answers = {"pairwise": "left", "best-of": "1", "like": "liked,liked", "stars": "4"}
    answer(study, who, answers[kind])

    def slowly(*args):
        made = plan(*args)
        next_task(study.ballots, study.settings, who)
        return made

    monkeypatch.setattr("fabricbo.rating.worker.plan", slowly)
    while worker.step():
        pass
    standing = study.ballots.questions()
    assert len(standing) == 6
    if kind in ("like", "stars"):
        assert len({question.trials for question in standing}) == 6


def test_a_question_that_has_just_been_withdrawn_is_not_put_to_anybody(study, monkeypatch) -> None:
    who, wanted = rater(study.ballots), study.ballots.wanted

    def replaced_meanwhile(*args):
        monkeypatch.undo()
        found = wanted(*args)
        study.ballots.replace_unasked(study.ballots.unasked(), [pair(0, 1)])
        return found

    monkeypatch.setattr(study.ballots, "wanted", replaced_meanwhile)
    task = next_task(study.ballots, study.settings, who)
    assert [task.question.id] == [question.id for question in study.ballots.questions()]


def test_a_worker_goes_on_where_another_was_killed(tmp_path) -> None:
    study = rated(tmp_path)
    worker = Worker(study)
    for _ in range(3):
        worker.step()
    study.ask()  # in flight when it was killed
    reopened = Study.open(study.folder, Parts(UnitProposer(), ColourSampler(), None))
    drive(reopened, greener(reopened))
    assert len(reopened.trials) == 7


def test_the_owner_stops_it(tmp_path) -> None:
    study = rated(tmp_path)
    study.ballots.state = "stopped"
    events: list[str] = []
    Worker(study, lambda event: events.append(event.what)).run(lambda _seconds: True)
    assert events == ["done"]
