"""The server is killed at random moments: what it acknowledged is there, once."""

import http.client
import os
import random
import re
import threading
import time
from urllib.parse import urlencode

import pytest

from fabricbo.rating.web.access import COOKIE
from fabricbo.study import Study
from fabricbo.votes import Option, Question
from tests.web_server import rated_study, start

RATERS = 4
QUESTIONS = 4000
RESTART = 3.0
"""Seconds."""
MANY = int(os.environ.get("FABRICBO_KILLS", "100"))


class Robot(threading.Thread):
    """Votes as fast as it can; a vote that got no answer is sent again with the same key."""

    def __init__(self, token: str, port: int, enough: threading.Event) -> None:
        super().__init__(daemon=True)
        self.token, self.port, self.enough = token, port, enough
        self.acknowledged: list[str] = []
        self.odd: list[str] = []

    def run(self) -> None:
        pending: dict[str, str] | None = None
        while not self.enough.is_set():
            try:
                page = self._ask("GET", "/question") if pending is None else ""
                pending = pending or self._answer(page)
                if pending is None:
                    time.sleep(0.05)
                    continue
                self._ask("POST", "/vote", pending)
                self.acknowledged.append(pending["key"])
                pending = None
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)

    def _answer(self, page: str) -> dict[str, str] | None:
        values = dict(re.findall(r'name="(task|key)" value="([\w-]+)"', page)[:2])
        return {**values, "answer": "left", "seconds": "1"} if "task" in values else None

    def _ask(self, method: str, path: str, values: dict[str, str] | None = None) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        headers = {"Cookie": f"{COOKIE}={self.token}", "Origin": f"http://127.0.0.1:{self.port}"}
        if values is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, urlencode(values) if values else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            self.odd.append(f"{answer.status} {text[:80]}")
        return text


@pytest.mark.parametrize(
    "kills", [10, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
def test_no_acknowledged_vote_is_lost_or_counted_twice(tmp_path, kills: int) -> None:
    study = rated_study(tmp_path)
    study.draw()
    study.draw()
    image = study.trials[0].images[0]
    options = (Option(image, 0), Option(study.trials[1].images[0], 1))
    study.ballots.add_questions([Question(0, "pairwise", options, "x")] * QUESTIONS)
    tokens = [study.ballots.add_rater(str(k)) for k in range(RATERS)]
    study.close()
    server, enough, rng = start(study.folder), threading.Event(), random.Random(0)
    port = int(server.base.rpartition(":")[2])
    robots = [Robot(token, port, enough) for token in tokens]
    for robot in robots:
        robot.start()
    times: list[float] = []
    for _ in range(kills):
        time.sleep(rng.uniform(0.05, 0.6))
        server.kill()
        server = start(study.folder, port)
        times.append(server.seconds)
    time.sleep(0.5)
    enough.set()
    for robot in robots:
        robot.join(10)
    server.kill()
    acknowledged = [key for robot in robots for key in robot.acknowledged]
    reopened = Study.open(study.folder)
    with reopened._database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT key, task FROM votes").all()
    keys = [key for key, _ in rows]
    assert [odd for robot in robots for odd in robot.odd] == []
    assert len(acknowledged) > kills
    assert set(acknowledged) <= set(keys)
    assert len(keys) == len(set(keys))
    assert len({task for _, task in rows}) == len(rows)
    assert sorted(times)[len(times) // 2] < RESTART
