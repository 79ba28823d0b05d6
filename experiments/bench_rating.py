"""How the rating server bears up: many raters at once, on a real server and a real store.

    python -m experiments.bench_rating            # 100 raters think for a second, then nobody does
    python -m experiments.bench_rating --raters 20 --votes 2000 --json
    python -m experiments.bench_rating --smoke

First the raters think for a second between answers, for `--seconds`; what is told is the time from
sending a vote to having the next question. Then nobody thinks, until `--votes` votes are stored.
The raters run in this process, on the same machine. Every vote must be answered with status 200 and
be in the store once. Memory is that of the server's process (Linux only).
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode, urlsplit

from PIL import Image

from fabricbo.protocols import History, Proposal
from fabricbo.records import Action
from fabricbo.study import Parts, Study, check_settings
from fabricbo.votes import Option, Question

COOKIE = "fabricbo"


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the server."""

    raters: int = 100
    thought: float = 1.0
    """Seconds between having a question and answering it."""
    seconds: float = 30.0
    votes: int = 10_000
    """Stored in all, most of them without thought."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured."""

    raters: int
    thinking_votes: int
    thinking_median_ms: float
    thinking_p95_ms: float
    votes_a_second: float
    """Without thought."""
    errors: int
    missing: int
    """Acknowledged votes that are not in the store."""
    start_seconds: float
    """From the start of the process to its first answer."""
    memory_mb: tuple[float, ...]
    """Of the server: before, and after each tenth of the votes."""


class _Painter:
    def __call__(self, _action: Action, _prompt: object, seeds: object) -> list[Image.Image]:
        return [Image.effect_noise((64, 64), 40).convert("RGB") for _ in seeds]  # type: ignore[attr-defined]


class _Same:
    def propose(self, history: History, /) -> Proposal:
        return Proposal(history.space.hand_action(history.pool), "hand")


def make_study(folder: Path, questions: int, database: str | None = None) -> Study:
    """Make a study with two drawn trials and as many questions about them."""
    settings = check_settings(
        {
            "name": "load",
            "prompt": "a cat",
            "storage": folder,
            "database": database,
            "trials": 2,
            "rounds": 1,
            "images": 4,
            "heldout": 0,
            "rating": {"repeats": 0.0, "questions": min(questions, 10_000)},
            "space": {"guidance_scale": [1.0, 9.0]},
        }
    )
    study = Study.create(settings, Parts(_Same(), _Painter(), None))
    first, second = study.draw(), study.draw()
    if first is None or second is None:
        raise RuntimeError("nothing was drawn")
    pairs = zip(first.images, second.images, strict=True)
    shown = [(Option(one, 0), Option(other, 1)) for one, other in pairs]
    study.ballots.add_questions(
        [Question(0, "pairwise", shown[k % len(shown)], "load") for k in range(questions)]
    )
    return study


class Rater:
    """One rater with a connection that stays open."""

    def __init__(self, base: str, token: str) -> None:
        """Take where to ask, and the token."""
        parts = urlsplit(base)
        self._place = (parts.hostname, parts.port)
        self._headers = f"Host: {parts.netloc}\r\nOrigin: {base}\r\nCookie: {COOKIE}={token}\r\n"
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.times: list[float] = []
        self.keys: list[str] = []
        self.errors = 0

    async def work(self, thought: float, until: float, enough: "Budget") -> None:
        """Answer question after question."""
        page = await self._ask("GET", "/question")
        while time.monotonic() < until and enough.take():
            form = dict(re.findall(r'name="(task|key)" value="([\w-]+)"', page)[:2])
            if "task" not in form:
                return
            await asyncio.sleep(thought)
            began = time.monotonic()
            page = await self._ask("POST", "/vote", {**form, "answer": "left", "seconds": "1.0"})
            self.times.append(time.monotonic() - began)
            self.keys.append(form["key"])

    async def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> str:
        if self._open is None:
            self._open = await asyncio.open_connection(*self._place)
        reader, writer = self._open
        body = urlencode(form or {}).encode()
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(body)}\r\n"
        head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: (\d+)", answer, re.IGNORECASE)
        text = (await reader.readexactly(int(length[1]))).decode() if length else ""
        if " 200 " not in answer.partition("\r\n")[0]:
            self.errors += 1
        return text


class Budget:
    """How many votes are still to be given."""

    def __init__(self, votes: int) -> None:
        """Take the number."""
        self.left = votes

    def take(self) -> bool:
        """Take one, if there is any left."""
        self.left -= 1
        return self.left >= 0


def measure(load: Load) -> Found:
    """Start a server, have everybody rate, and tell what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        study = make_study(Path(folder), load.votes * 2)
        tokens = [study.ballots.add_rater(str(k)) for k in range(load.raters)]
        began = time.monotonic()
        command = [sys.executable, "-m", "fabricbo", "serve", str(study.folder), "--port", "0"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            line = server.stderr.readline() if server.stderr else ""
            base = line.split(": ", 1)[1].partition("/join/")[0]
            return asyncio.run(_play(load, Scene(base, tokens, server.pid, began, study)))
        finally:
            server.kill()
            server.wait()


@dataclass(frozen=True)
class Scene:
    """A server and who will ask it."""

    base: str
    tokens: list[str]
    pid: int
    began: float
    study: Study


async def _play(load: Load, scene: Scene) -> Found:
    raters = [Rater(scene.base, token) for token in scene.tokens]
    await raters[0]._ask("GET", "/question")
    start = time.monotonic() - scene.began
    memory = [_memory(scene.pid)]
    until = time.monotonic() + load.seconds
    slow = Budget(load.votes)
    await asyncio.gather(*(rater.work(load.thought, until, slow) for rater in raters))
    thinking = [seconds for rater in raters for seconds in rater.times]
    rest, fast = load.votes - len(thinking), 0.0
    for _ in range(10):
        began = time.monotonic()
        budget = Budget(max(rest // 10, 1))
        await asyncio.gather(*(rater.work(0.0, float("inf"), budget) for rater in raters))
        fast += time.monotonic() - began
        memory.append(_memory(scene.pid))
    keys = [key for rater in raters for key in rater.keys]
    stored = {vote.task.id for vote in scene.study.ballots.votes()}
    return Found(
        raters=load.raters,
        thinking_votes=len(thinking),
        thinking_median_ms=1000 * median(thinking),
        thinking_p95_ms=1000 * quantiles(thinking, n=20)[-1],
        votes_a_second=(len(keys) - len(thinking)) / fast,
        errors=sum(rater.errors for rater in raters),
        missing=len(keys) - len(stored),
        start_seconds=start,
        memory_mb=tuple(memory),
    )


def _memory(pid: int) -> float:
    """Return the resident memory of a process in MB; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.is_file():
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text("utf-8"))
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raters", type=int, default=Load().raters)
    parser.add_argument("--seconds", type=float, default=Load().seconds)
    parser.add_argument("--votes", type=int, default=Load().votes)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="5 raters, 60 votes")
    given = parser.parse_args()
    load = Load(given.raters, 1.0, given.seconds, given.votes)
    if given.smoke:
        load = Load(5, 0.2, 1.0, 60)
    found = measure(load)
    if given.json:
        print(json.dumps(asdict(found)))
        return
    for name, value in asdict(found).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
