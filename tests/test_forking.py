"""Studies that go on from a round of another one."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from fabricbo.rating.assignment import next_task
from fabricbo.records import Role
from fabricbo.study import NameInUseError, Parts, SettingsError, Study, schema
from fabricbo.study.database import Database
from fabricbo.study.location import Location, is_study
from fabricbo.upkeep.examination import examine
from fabricbo.upkeep.forking import Changes, ForkError, fork
from tests import commands, make_store
from tests.fakes import POOL, ColourSampler, UnitProposer, fake_study, redness
from tests.files import file_of
from tests.stores import sqlite_only
from tests.web_server import fill, rated_study

pytestmark = pytest.mark.usefixtures("store_kind")  # on SQLite and on PostgreSQL

PARTS = Parts(UnitProposer(), ColourSampler(), redness)
GROWING = {"grow_liked": 1, "grow_disliked": 1}


def outcomes(study: Study) -> list[tuple]:
    return [
        (t.index, t.round, t.action, t.source, t.seeds, t.score, t.images) for t in study.trials
    ]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Three rounds of three trials, done, whose pool grows from round to round."""
    made = fake_study(tmp_path, rounds=3, growing=GROWING)
    made.run()
    made.hold_out()
    return made


@pytest.mark.parametrize("until", [1, 2])
def test_it_goes_the_way_that_the_other_went(study, until) -> None:
    made = fork(study.folder, "again", until=until)
    assert outcomes(made) == [o for o in outcomes(study) if o[1] <= until]
    assert made.rounds == study.rounds[:until]
    assert (made.complete_rounds, made.planned_trials) == (until, 10)
    assert (made.heldout, made.forked_from.name, made.forked_from.round) == (None, "fake", until)
    assert made.events == [e for e in study.events if study.trials[e.trial].round <= until]
    assert examine(made.folder).good
    again = Study.open(made.folder, PARTS)
    again.run()
    assert outcomes(again) == outcomes(study)
    assert again.rounds == study.rounds
    roles = [(r.id, r.name, r.hand_role) for r in again.rounds[-1].pool]
    assert roles == [(r.id, r.name, r.hand_role) for r in study.rounds[-1].pool]
    assert again.hold_out().comparisons == study.heldout.comparisons
    assert examine(study.folder).good


@sqlite_only
def test_another_seed_or_proposer_goes_another_way(study) -> None:
    class Steady(UnitProposer):
        def propose(self, history, /):
            return type(super().propose(history))(history.trials[0].action, "steady")

    made = fork(study.folder, "other", until=1, changes=Changes(seed=9, proposer="random"))
    assert made.forked_from.before == {"seed": 0, "proposer": "fabricbo"}
    assert (made.settings.seed, made.settings.proposer) == (9, "random")
    other = Study.open(made.folder, PARTS)
    other.run()
    assert outcomes(other)[:4] == outcomes(study)[:4]
    assert outcomes(other)[4] != outcomes(study)[4]
    assert other.rounds[1].seeds != study.rounds[1].seeds
    assert other.rounds[1].pool == study.rounds[1].pool  # grown from the same trials
    seen = {seed for one in other.rounds for seed in one.seeds}
    assert other.hold_out() is not None
    assert seen.isdisjoint(other.heldout_rows[0].seeds)
    steady = fork(study.folder, "steady", until=2)
    going = Study.open(steady.folder, Parts(Steady(), ColourSampler(), redness))
    going.run()
    assert [t.source for t in going.trials] == ["hand"] + ["random"] * 6 + ["steady"] * 3


@sqlite_only
def test_more_may_be_planned(study) -> None:
    made = fork(study.folder, "longer", changes=Changes(rounds=5, trials=4))
    assert (made.forked_from.round, made.planned_trials) == (3, 18)
    longer = Study.open(made.folder, PARTS)
    longer.run()
    assert [t.round for t in longer.trials] == [1] * 4 + [2] * 3 + [3] * 3 + [4] * 4 + [5] * 4
    third = fork(made.folder, "third", until=4)  # a fork of a fork
    assert (len(third.trials), third.planned_trials) == (14, 18)
    assert third.forked_from.name == "longer"


def test_a_study_that_is_drawn_for_can_be_gone_on_from(tmp_path) -> None:
    study = fake_study(tmp_path)

    def fork_in_round_2(trial) -> None:
        if trial.index == 5:
            fork(study.folder, "early")

    study.run(fork_in_round_2)
    early = Study.open(tmp_path / "early", PARTS)
    assert len(early.trials) == 4
    early.run()
    assert outcomes(early) == outcomes(study)


@sqlite_only
def test_what_is_missing_or_taken_is_told(tmp_path, study) -> None:
    for until in (0, 4, -1):
        with pytest.raises(ForkError, match=f"has rounds 1 to 3, there is no round {until}"):
            fork(study.folder, "new", until=until)
    with pytest.raises(ForkError, match="round 3 is taken over and 3 are planned"):
        fork(study.folder, "new")
    with pytest.raises(NameInUseError, match="choose another name"):
        fork(study.folder, "fake", until=1)
    with pytest.raises(SettingsError, match="name"):
        fork(study.folder, "../new", until=1)
    with pytest.raises(SettingsError, match="trials"):
        fork(study.folder, "new", until=1, changes=Changes(trials=0))
    young = fake_study(tmp_path, name="young")
    with pytest.raises(ForkError, match=r"no round .* is complete yet"):
        fork(young.folder, "new")
    for _ in range(5):
        young.draw()
    young.ask()
    with pytest.raises(ForkError, match=r"round 2 .* is not complete: .* round 1 is the last"):
        fork(young.folder, "new", until=2)
    assert not (tmp_path / "new").exists()


@sqlite_only
def test_a_trial_that_waits_leaves_its_round_incomplete(tmp_path) -> None:
    study = fake_study(tmp_path)
    trials = [study.ask() for _ in range(4)]
    for trial in (*trials[:2], trials[3]):
        study.fail(trial, "not today")
    with pytest.raises(ForkError, match="no round is"):
        fork(study.folder, "new", until=1)
    study.abandon(trials[2], "too slow")
    assert [str(t.status) for t in fork(study.folder, "new").trials] == [
        *("failed", "failed", "abandoned", "failed")
    ]


def test_a_missing_image_is_told_and_leaves_no_study(study) -> None:
    references = {reference.id for one in study.rounds for reference in one.pool}
    lost = next(i for t in study.trials[:4] for i in t.images if i not in references)
    path = file_of(study, lost)
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(ForkError, match="doctor --mend"):
        fork(study.folder, "new", until=1)
    target = study.folder.parent / "new"
    assert not is_study(target)
    assert not list(target.glob("study*"))
    path.write_bytes(kept)
    assert len(fork(study.folder, "new", until=1).trials) == 4


KILLED = """
import sys, time
from pathlib import Path
from fabricbo.study.images import ImageStore
from fabricbo.upkeep.forking import Changes, fork
put, calls = ImageStore.put, []
def slow(self, identity, data):
    put(self, identity, data)
    calls.append(identity)
    if len(calls) == 4:
        print("saving", flush=True)
        time.sleep(60)
ImageStore.put = slow
fork(Path(sys.argv[1]), "new", until=1, changes=Changes(database=sys.argv[2]))
"""


def test_a_kill_in_the_middle_leaves_nothing_that_looks_like_a_study(study) -> None:
    target = study.folder.parent / "new"
    location = Location.new(target, None)
    database = location.database or "file"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(study.folder), database],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "saving\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_study(target)
    if location.database is not None:
        engine = sa.create_engine(location.database)
        assert location.schema not in sa.inspect(engine).get_schema_names()
        engine.dispose()
    made = Study.open(fork(study.folder, "new", until=1).folder, PARTS)
    made.run()
    assert outcomes(made) == outcomes(study)


@sqlite_only
def test_from_one_database_to_the_other_and_back(study, postgres) -> None:
    url = postgres.database_for(study.folder.parent)
    there = fork(study.folder, "there", until=1, changes=Changes(database=url))
    assert Location.of(there.folder).database == url
    going = Study.open(there.folder, PARTS)
    going.run()
    assert outcomes(going) == outcomes(study)
    same = fork(there.folder, "same", until=2)
    assert Location.of(same.folder).database == url  # as the other's
    back = fork(there.folder, "back", until=2, changes=Changes(database="file"))
    assert Location.of(back.folder).database is None
    again = Study.open(back.folder, PARTS)
    again.run()
    assert outcomes(again) == outcomes(study)
    for one in (there, same, back, going, again):
        one.close()


# What people said


def test_what_people_said_of_these_trials_comes_along_and_no_more(tmp_path) -> None:
    study = rated_study(tmp_path, rounds=3, rating={"kind": "pairwise", "judgements": 1})
    who, _ = study.ballots.by_token(study.ballots.add_rater("Ada"))
    fill(study)
    answered = 0
    while len(study.rounds) < 3 or answered < 6:
        task = next_task(study.ballots, study.settings, who)
        study.ballots.vote(task, "left", f"key {answered}", 1.0)
        answered += 1
        fill(study)
    trials = study.trials
    study.prefer(trials[1], trials[0], trials[-1])
    study.ballots.exclude(who, "clicked at random")
    study.ballots.exclude(who, "was sorry", excluded=False)
    study.ballots.wish(trials[2].images[0], Role.LIKED)
    study.ballots.wish(trials[-1].images[0], Role.LIKED)
    study.ballots.state = "stopped"
    made = fork(study.folder, "again", until=1)
    kept = {t.index for t in trials if t.round == 1}
    assert {t.index for t in made.trials} == kept
    ballots = made.ballots
    assert ballots.raters() == study.ballots.raters()
    assert [q for q in study.ballots.questions() if q.trials <= kept] == ballots.questions()
    votes = [v for v in study.ballots.votes() if v.task.question.trials <= kept]
    assert 0 < len(votes) < len(study.ballots.votes())
    assert votes == ballots.votes()
    said = [p for p in study.preferences if {p.better, p.worse} <= kept]
    assert made.preferences == said
    assert ballots.wishes() == {trials[2].images[0]: Role.LIKED}
    assert ballots.state == "open"
    ballots.add_rater("Bob")  # numbers go on behind those that came along
    assert [rater.name for rater in ballots.raters()] == ["Ada", "Bob"]


def test_earlier_trials_and_their_references_come_along(tmp_path) -> None:
    before = fake_study(tmp_path, name="before", growing=GROWING)
    before.run()
    settings = before.settings.model_copy(update={"name": "after"})
    study = Study.create(settings, PARTS, POOL, earlier=before)
    study.run()
    made = fork(study.folder, "again", until=1)
    assert [t.action for t in made.history.earlier] == [t.action for t in study.history.earlier]
    again = Study.open(made.folder, PARTS)
    again.run()
    assert outcomes(again) == outcomes(study)


def test_every_table_is_thought_of(tmp_path) -> None:
    """Of a study of everything, what is left out is what is said to be."""
    location = Location.new(tmp_path / "kept", None)
    made = Study.create(make_store.settings(tmp_path), make_store.parts(), POOL)
    make_store.fill(made)
    again = fork(made.folder, "again", until=2)

    def counts(folder: Path) -> dict[str, int]:
        database = Database(Location.of(folder))
        with database.reading() as connection:
            found = {
                table.name: len(connection.execute(sa.select(table)).all())
                for table in schema.metadata.sorted_tables
            }
        database.close()
        return found

    before, after = counts(made.folder), counts(again.folder)
    assert location.folder == made.folder
    gone = {name for name in before if before[name] and not after[name]}
    assert gone == {"assessment", "heldout", "rating_state"}
    assert all(before[name] for name in before if name != "earlier")


# From the command line


@sqlite_only
def test_a_proposer_that_would_not_hear_what_people_say_is_refused(tmp_path) -> None:
    study = rated_study(tmp_path, trials=2)
    for _ in range(3):
        study.draw()
    study.prefer(study.trials[0], *study.trials[1:])
    study.close()
    with pytest.raises(SettingsError, match="proposer: optuna-tpe learns from scores only"):
        fork(study.folder, "other", changes=Changes(proposer="optuna-tpe"))
    assert not is_study(tmp_path / "other")
    assert fork(study.folder, "other", changes=Changes(proposer="sobol")).preferences


@sqlite_only
def test_the_command(study, tmp_path) -> None:
    def fabricbo(*words: str) -> commands.Ended:
        return commands.fabricbo(*words, "--storage", tmp_path)

    done = fabricbo("fork", "fake", "--to", "new", "--round", "2", "--seed", "7", "--rounds", "4")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{tmp_path / 'new'} goes on from round 2 of fake; until then seed was 0: 7 trials taken "
        f"over, 6 to do\nnext: fabricbo resume {tmp_path / 'new'}\n"
    )
    shown = json.loads(fabricbo("show", "new", "--json").stdout)
    assert shown["forked_from"] == {"name": "fake", "round": 2, "before": {"seed": 0}}
    wrong = fabricbo("fork", "fake", "--to", "newer", "--proposer", "fabricbro")
    assert wrong.returncode == 1
    assert "fabricbro" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert not (tmp_path / "newer").exists()
