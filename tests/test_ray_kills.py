"""A study goes on through workers and drivers that are killed, and comes out as a quiet one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fabricbo.study import Study
from tests.fakes import ColourSampler, fake_study

DRIVER = """
import sys
from pathlib import Path
from fabricbo.executors import Tools
from fabricbo.executors.ray_workers import RayExecutor, RayOptions
from fabricbo.study import Parts, Study
from tests.fakes import UnitProposer, redness
from tests.test_ray_kills import Slow

def tools():
    return Tools(Slow(), {"redness": redness})

executor = RayExecutor(tools, RayOptions(workers=3, cpus=0.25))
parts = Parts(UnitProposer(), Slow(), redness, executor=lambda _tools: executor)
study = Study.open(Path(sys.argv[1]), parts)
study.run(lambda trial: print(trial.index, flush=True))
study.close()
print("finished", flush=True)
"""


class Slow(ColourSampler):
    """Takes a tenth of a second."""

    def __call__(self, *arguments):
        time.sleep(0.1)
        return super().__call__(*arguments)


def workers_of(driver: int) -> list[int]:
    """Return the processes of Ray's actors whose driver this is."""
    parents, actors = {}, []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
            if (entry / "cmdline").read_bytes().startswith(b"ray::_Actor"):
                actors.append(int(entry.name))
        except (OSError, IndexError, ValueError):  # it has ended
            continue

    def below(process: int) -> bool:
        while process in parents and process != driver:
            process = parents[process]
        return process == driver

    return [actor for actor in actors if below(actor)]


def drive(folder: Path, kills: int, rng: random.Random, *, die: bool) -> int:
    """Run the study in a process of its own and kill workers; returns how many were killed.

    Args:
        folder: of the study.
        kills: how many workers to kill.
        rng: says when and which.
        die: whether the driver is killed once the workers have been.
    """
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    killed = 0
    try:
        assert driver.stdout.readline().strip().isdigit()  # it is under way
        while killed < kills and driver.poll() is None:
            time.sleep(rng.uniform(0.1, 0.7))
            workers = workers_of(driver.pid)
            if workers:
                os.kill(rng.choice(workers), signal.SIGKILL)
                killed += 1
        if die:
            driver.kill()
        else:
            assert "finished" in driver.communicate(timeout=240)[0]
    finally:
        driver.kill()
        driver.wait()
    return killed


def killed_study(place: Path, trials: int, kills: int, drivers: int) -> tuple[Study, int]:
    """Run a study through so many kills of workers, and of drivers; returns it and the kills."""
    rounds = {"rounds": 1, "trials": trials - 1}
    fake_study(place, **rounds).close()
    folder, rng = place / "fake", random.Random(7)
    share = kills // (drivers + 1)
    killed = sum(drive(folder, share, rng, die=True) for _ in range(drivers))
    killed += drive(folder, kills - drivers * share, rng, die=False)
    return Study.open(folder), killed


@pytest.mark.parametrize(
    ("trials", "kills", "drivers"),
    [(40, 6, 1), pytest.param(200, 40, 5, marks=pytest.mark.slow)],
)
@pytest.mark.timeout(900)
def test_killed_workers_and_drivers_lose_nothing(tmp_path, trials, kills, drivers) -> None:
    quiet = fake_study(tmp_path / "quiet", rounds=1, trials=trials - 1)
    quiet.run()
    study, killed = killed_study(tmp_path / "killed", trials, kills, drivers)
    assert killed == kills
    assert len(study.trials) == trials
    assert [(t.action, t.seeds, t.score, t.images) for t in study.trials] == [
        (t.action, t.seeds, t.score, t.images) for t in quiet.trials
    ]
    ended = [event.trial for event in study.events if event.status.is_over]
    assert sorted(ended) == list(range(trials))  # none twice, none lost
    repeated = sum(trial.attempt > 1 for trial in study.trials)
    assert repeated >= kills // 2  # they were killed at work
