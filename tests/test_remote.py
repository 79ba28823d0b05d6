"""The HTTP scorer, against a real server on loopback."""

import base64
import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from fabricbo import ObjectiveError
from fabricbo.scoring import evaluate
from fabricbo.testing import check_objective
from objectives import remote
from objectives.remote import HttpScorer

IMAGES = [Image.new("RGB", (4, 4), (k, 0, 0)) for k in (3, 9)]


class Server(ThreadingHTTPServer):
    """Answers with the red of each image, or as the test says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list = []
        self.seen: list = []
        self.delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/score"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, dict(self.headers), body))
        time.sleep(self.server.delay)
        images = [Image.open(io.BytesIO(base64.b64decode(one))) for one in body["images"]]
        scores = [image.getpixel((0, 0))[0] for image in images]
        status, answer = 200, json.dumps({"scores": scores}).encode()
        if self.server.answers:
            status, answer = self.server.answers.pop(0)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(remote, "WAIT", 0.01)
    made = Server()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_scores_come_back_in_order(server) -> None:
    assert HttpScorer(server.url)(IMAGES, "a cat") == [3.0, 9.0]
    path, headers, body = server.seen[0]
    assert (path, body["prompt"], len(body["images"])) == ("/score", "a cat", 2)
    assert headers["Content-Type"] == "application/json"
    check_objective(HttpScorer(server.url))


def test_a_token_comes_from_the_environment(server, monkeypatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "secret")
    HttpScorer(server.url, token_env="MY_TOKEN")(IMAGES, "")
    assert server.seen[0][1]["Authorization"] == "Bearer secret"
    monkeypatch.delenv("MY_TOKEN")
    with pytest.raises(ObjectiveError, match="MY_TOKEN is not set"):
        HttpScorer(server.url, token_env="MY_TOKEN")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(server, status: int) -> None:
    server.answers = [(status, b"")] * 2
    assert HttpScorer(server.url)(IMAGES, "") == [3.0, 9.0]
    assert len(server.seen) == 3


def test_it_gives_up_with_the_reason(server) -> None:
    server.answers = [(503, b"")] * 3
    with pytest.raises(ObjectiveError, match=r"no scores in 3 attempts.*503"):
        HttpScorer(server.url)(IMAGES, "")
    server.answers = [(404, b"")]
    with pytest.raises(ObjectiveError, match="refused: status 404"):
        HttpScorer(server.url)(IMAGES, "")
    assert len(server.seen) == 4


def test_timeout(server) -> None:
    server.delay = 1.0
    with pytest.raises(ObjectiveError, match=r"in 2 attempts of at most 0.1 s: timed out"):
        HttpScorer(server.url, 0.1, attempts=2)(IMAGES, "")


def test_nobody_there() -> None:
    with pytest.raises(ObjectiveError, match="refused"):
        HttpScorer("http://127.0.0.1:9/", attempts=1)(IMAGES, "")


def test_redirects_are_not_followed(server) -> None:
    server.answers = [(302, b"")]
    with pytest.raises(ObjectiveError, match="status 302"):
        HttpScorer(server.url)(IMAGES, "")
    assert [path for path, *_ in server.seen] == ["/score"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html>", "must answer"),
        (b'{"score": [1]}', "must answer"),
        (b'{"scores": ["a", 2]}', "must be numbers"),
        (b'{"scores": 3}', "must be numbers"),
        (b'{"scores": [1]}', "must return 2 numbers for 2 images"),
        (b'{"scores": [1, NaN]}', "finite"),
        (b'{"scores": [1, 2], "more": "' + b"x" * remote.MAX_ANSWER + b'"}', "more than"),
    ],
    ids=["html", "other key", "text", "number", "count", "nan", "long"],
)
def test_answers_that_are_no_scores(server, answer: bytes, said: str) -> None:
    server.answers = [(200, answer)]
    with pytest.raises(ObjectiveError, match=said):
        evaluate(HttpScorer(server.url), IMAGES, "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "file:///etc/passwd"}, "url must be http"),
        ({"url": "http://"}, "url must be http"),
        ({"url": "https://me:secret@host/"}, "got 'host/'"),
        ({"url": "http://a", "timeout": 0}, "timeout must be"),
        ({"url": "http://a", "timeout": float("inf")}, "timeout must be"),
        ({"url": "http://a", "attempts": 0}, "attempts must be"),
    ],
    ids=["file", "no host", "password", "zero", "infinite", "attempts"],
)
def test_options_are_checked_before_anything_is_sent(options, said: str) -> None:
    with pytest.raises(ObjectiveError, match=said):
        HttpScorer(**options)
