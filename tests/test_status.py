"""`fabricbo status`, and what programs get, on both databases, while somebody draws or not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from fabricbo.cli.answers.status import status_told
from fabricbo.cli.status_text import status_lines, summary
from fabricbo.records import TrialStatus
from fabricbo.report.wording import duration
from fabricbo.study import Parts, Study
from fabricbo.study.status import StudyState, read_status
from tests.fakes import ColourSampler, UnitProposer, fake_study, redness
from tests.stores import sqlite_only
from tests.test_driver import holder
from tests.web_server import rated_study

ROOT = Path(__file__).parents[1]
PARTS = Parts(UnitProposer(), ColourSampler(), redness)
COMMAND = [sys.executable, "-m", "fabricbo", "status"]


class CountingSampler(ColourSampler):
    """Computes the features of a reference once a run."""

    @property
    def counts(self) -> dict[str, int]:
        return {"features_found": 3 * self.calls, "features_computed": self.calls}


@pytest.mark.usefixtures("store_kind")
def test_what_the_sampler_counted_is_kept_with_each_trial(tmp_path) -> None:
    folder = fake_study(tmp_path).folder
    study = Study.open(folder, Parts(UnitProposer(), CountingSampler(), redness))
    study.run()
    drawn = [event for event in study.events if event.counts]
    assert [event.trial for event in drawn] == list(range(7))
    assert all(e.counts == {"features_found": 3, "features_computed": 1} for e in drawn)
    status = read_status(Study.open(folder))
    assert status.sampler == {"features_found": 21, "features_computed": 7}
    assert "reference features: 75% were known, 7 computed" in status_lines(status)
    assert status_told(status).sampler == status.sampler


@pytest.mark.usefixtures("store_kind")
def test_from_the_first_look_to_the_last(tmp_path) -> None:
    study = fake_study(tmp_path)
    new = read_status(study)
    assert (new.state, new.planned, new.finished, new.leader) == (StudyState.PAUSED, 7, 0, None)
    looks = []
    study.run(lambda _trial: looks.append(read_status(Study.open(study.folder))))
    first, last = looks[0], looks[-1]
    assert first.state is StudyState.DRAWING
    assert first.driver is not None
    assert first.driver.process == os.getpid()
    assert (first.round, last.round, last.rounds) == (1, 2, 2)
    assert (first.finished, last.finished) == (1, 7)
    assert last.pace.seconds_left == 0
    assert [share.trials for share in last.workers] == [7]
    left = read_status(study)
    assert (left.state, left.heldout) == (StudyState.PAUSED, False)
    assert any("the comparison at the end is left" in line for line in status_lines(left))
    study.hold_out()
    done = read_status(study)
    assert (done.state, done.heldout) == (StudyState.COMPLETE, True)
    assert done.leader is not None
    assert study.heldout is not None
    assert done.leader.difference == study.heldout.first.difference.mean
    assert done.leader.on_fresh_seeds


@pytest.mark.usefixtures("store_kind")
def test_stopped_in_the_middle(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.claim(study.ask())
    study.claim(study.trials[0], "somebody")
    found = read_status(study)
    assert found.state is StudyState.STOPPED
    assert [(one.trial, one.attempt, one.worker) for one in found.going] == [(0, 2, "somebody")]
    assert found.counts[TrialStatus.RUNNING] == 1
    lines = "\n".join(status_lines(found))
    assert f"stopped in the middle. Go on with: fabricbo resume {study.folder}" in lines
    assert "trial 0, attempt 2: running by somebody for" in lines


@pytest.mark.usefixtures("store_kind")
def test_who_draws_elsewhere_and_that_looking_hinders_nobody(tmp_path) -> None:
    study = fake_study(tmp_path)
    other = holder(study.folder)
    try:
        found = read_status(study)
        assert found.driver is not None
        assert (found.driver.process, found.state) == (other.pid, StudyState.DRAWING)
        assert found.driver.since is not None
        assert abs((found.taken - found.driver.since).total_seconds()) < 60
    finally:
        other.kill()
        other.wait()
    assert read_status(study).driver is None
    with study.driving():  # nobody who looked has it
        pass


def test_failures_are_named_the_latest_first(tmp_path) -> None:
    study = fake_study(tmp_path)
    for number in range(4):
        study.fail(study.ask(), f"reason {number}")
    lost = read_status(study).lost
    assert [(one.trial, one.reason) for one in lost] == [
        (3, "reason 3"),
        (2, "reason 2"),
        (1, "reason 1"),
    ]


def test_an_unknown_interval_is_not_made_up(tmp_path) -> None:
    study = fake_study(tmp_path, images=1)
    study.run()
    leader = read_status(study).leader
    assert leader is not None
    assert leader.difference is not None
    assert leader.standard_error is None


def test_questions_where_people_judge(tmp_path) -> None:
    study = rated_study(tmp_path)
    found = read_status(study)
    assert found.questions is not None
    assert found.questions.planned == study.settings.questions_a_round * study.settings.rounds
    assert found.heldout is None
    assert found.state is StudyState.PAUSED
    study.ballots.state = "stopped"
    assert read_status(study).state is StudyState.COMPLETE


def test_json_has_a_version_and_only_json(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.run()
    said = json.loads(status_told(read_status(study)).to_json())
    assert said["format"] == 1
    assert said["trials"]["done"] == 7
    assert said["best"]["measure"] == "redness"
    assert set(said["trials"]) == {str(status) for status in TrialStatus}


def run(*arguments: object) -> str:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=100
    )
    return done.stdout


def test_the_command_prints_once_or_follows_to_the_end(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.run()
    assert "trial 7 of 7" in run(study.folder)
    study.hold_out()
    assert run("fake", "--storage", tmp_path, "--follow").count("complete: 7 of 7 trials") == 1
    lines = run(study.folder, "--follow", "--json").splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["complete"]


@sqlite_only
@pytest.mark.usefixtures("store_kind")
def test_it_loads_nothing_heavy(tmp_path) -> None:
    study = fake_study(tmp_path)
    code = (
        "import sys; from fabricbo.cli.following import print_status; from pathlib import Path\n"
        f"print_status({str(study.folder)!r}, Path(), follow=False, as_json=False)\n"
        "print(sorted({'torch', 'ax', 'botorch', 'diffusers', 'plotly'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "['plotly']"


def test_followed_in_a_narrow_terminal_until_ctrl_c(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.draw()
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "xterm"}
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], str(study.folder), "--follow"],
        env=environment,
        dimensions=(24, 60),
        encoding="utf-8",
        timeout=60,
    )
    child.expect("trial 1 of 7")
    study.draw()  # in the meantime somebody goes on
    child.expect("trial 2 of 7")
    shown = child.before
    assert "\x1b[2J" not in shown  # nothing is wiped, so nothing flickers
    assert not any(f"\x1b[{colour}m" in shown for colour in range(30, 38))
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


READ_ONLY = """
import os, sys
from pathlib import Path
import tests.test_status
from fabricbo.cli.following import print_status
from fabricbo.study.status import read_status
study = tests.test_status.Study.open(Path(sys.argv[1]))
read_status(study)  # all is imported that lies where others may not look
study.close()
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print_status(sys.argv[1], Path(), follow=True, as_json=False)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody who may not write")
def test_a_folder_that_may_only_be_read(tmp_path) -> None:
    study = fake_study(tmp_path / "studies")
    study.run()
    study.hold_out()
    study.close()
    for path in (*tmp_path.parents, tmp_path):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(study.folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert "complete: 7 of 7 trials" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "0.5 s"),
        (59.4, "59 s"),
        (61, "1 min 1 s"),
        (240, "4 min"),
        (3599, "59 min"),
        (3700, "1 h 1 min"),
        (172800, "2 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_summary_is_one_line(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.draw()
    assert summary(read_status(study)).startswith("paused: 1 of 7 trials, round 1, best trial 0 ")
