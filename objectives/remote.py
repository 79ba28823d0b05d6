"""Scores from a server of the user's: images go there, numbers come back."""

import base64
import io
import json
import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from fabricbo import Card, ObjectiveError, objective
from fabricbo.imagefiles import to_rgb

MAX_ANSWER = 2**20
"""Bytes of an answer that are read at most."""
WAIT = 1.0
"""Seconds before the second attempt; twice as long before each further one."""
PASSING = frozenset({429, 500, 502, 503, 504})
"""Status codes that another attempt may mend."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Images go to the address that the user named, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


@objective(
    name="http",
    card=Card(
        scale="whatever the server gives; maximized",
        source='POST {"prompt", "images": [base64 PNG]} gives {"scores": [...]}, one an image',
        licence="this project",
    ),
)
class HttpScorer:
    """Scores from an address that images are posted to; the prompt goes along. Maximized.

    The body is JSON: `{"prompt": "...", "images": ["base64 of a PNG", ...]}`; the answer must be
    `{"scores": [0.1, ...]}`, one finite number an image, in their order. Redirects are not
    followed.
    """

    def __init__(
        self, url: str, timeout: float = 60.0, *, attempts: int = 3, token_env: str | None = None
    ) -> None:
        """Check the address; nothing is sent before the first images.

        Args:
            url: `https://...` or `http://...`, without a password in it.
            timeout: seconds to wait for an answer.
            attempts: how often to ask before giving up, where the network or the server fails.
            token_env: environment variable that holds a bearer token, so that it is in no file.

        Raises:
            ObjectiveError: no such address, or the variable is not set.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
            raise ObjectiveError(f"url must be http://... or https://..., got {_without(url)!r}")
        if not _is_number(timeout) or not 0 < timeout < math.inf:
            raise ObjectiveError(f"timeout must be seconds above 0, got {timeout!r}")
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise ObjectiveError(f"attempts must be a whole number from 1, got {attempts!r}")
        self._url, self._timeout, self._attempts = url, timeout, attempts
        self._token_env = token_env
        self._headers()

    def __call__(self, images: Sequence[Image.Image], prompt: str) -> list[float]:
        """Return one number an image.

        Raises:
            ObjectiveError: no answer in time, or one that is no list of so many numbers.
        """
        body = {"prompt": prompt, "images": [_encoded(image) for image in images]}
        answer = self._ask(json.dumps(body).encode())
        try:
            scores = json.loads(answer)["scores"]
        except (ValueError, KeyError, TypeError) as error:
            raise ObjectiveError(
                f'{self._host} must answer {{"scores": [...]}}, got {_start(answer)!r}'
            ) from error
        if not isinstance(scores, list) or not all(_is_number(score) for score in scores):
            raise ObjectiveError(f"{self._host}: scores must be numbers, got {_start(answer)!r}")
        return [float(score) for score in scores]

    @property
    def _host(self) -> str:
        return urlsplit(self._url).netloc

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token_env is None:
            return headers
        token = os.environ.get(self._token_env)
        if not token:
            raise ObjectiveError(f"token_env: the variable {self._token_env} is not set")
        return {**headers, "Authorization": f"Bearer {token}"}

    def _ask(self, body: bytes) -> bytes:
        request = urllib.request.Request(self._url, body, self._headers(), method="POST")
        for attempt in range(1, self._attempts + 1):
            try:
                with _opener.open(request, timeout=self._timeout) as response:
                    answer: bytes = response.read(MAX_ANSWER + 1)
                break
            except urllib.error.HTTPError as error:
                reason = f"status {error.code} ({error.reason})"
                if error.code not in PASSING:
                    raise ObjectiveError(f"{self._host} refused: {reason}") from error
            except OSError as error:  # timeouts, and no connection
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            if attempt == self._attempts:
                raise ObjectiveError(
                    f"{self._host} gave no scores in {attempt} attempts of at most "
                    f"{self._timeout:g} s: {reason}"
                )
            time.sleep(WAIT * 2 ** (attempt - 1))
        if len(answer) > MAX_ANSWER:
            raise ObjectiveError(f"{self._host}: the answer has more than {MAX_ANSWER} bytes")
        return answer


def _encoded(image: Image.Image) -> str:
    stream = io.BytesIO()
    to_rgb(image).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _start(answer: bytes) -> str:
    return answer[:80].decode("utf-8", "replace")


def _without(url: str) -> str:
    """Leave out what may be a password."""
    return url.rpartition("@")[2]
