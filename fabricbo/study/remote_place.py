"""A place that fsspec reaches by URL: `s3://`, `gs://`, `sftp://`, `memory://` and many more.

Where an object is put whole or not at all, it is put; elsewhere it gets its name by a move. Since a
name stands for what the file holds, a call that may have arrived is harmless when it is repeated.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from fabricbo.imagefiles import MAX_BYTES, check_bytes
from fabricbo.study.checked import SettingsError
from fabricbo.study.errors import ImagesGoneError
from fabricbo.study.places import aside_name

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")
OBJECT_STORES = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci", "tos", "tosfs"}
)
"""Protocols where a reader sees a whole object or none."""
LOCAL = ("file", "local")
"""Protocols of folders of this machine."""
PAUSES = (0.2, 1.0, 3.0)
"""Seconds between the attempts at a call that went wrong."""

_log = logging.getLogger(__name__)


class RemotePlace:
    """Files under a URL."""

    def __init__(self, url: str) -> None:
        """Take a URL that `check_images_url` has seen; nothing is reached for yet."""
        self._url = url.rstrip("/")
        self._protocol = url.partition("://")[0]

    @cached_property
    def _system(self) -> "AbstractFileSystem":
        return self._opened[0]

    @cached_property
    def _opened(self) -> "tuple[AbstractFileSystem, str]":
        # Imported late: most studies keep their images at home.
        from fsspec.core import url_to_fs

        try:
            system, root = url_to_fs(self._url)
        except ImportError as error:
            package = package_of(self._protocol)
            install = f" (pip install {package})" if package else ""
            raise SettingsError(
                f"images_at: {self._protocol}:// needs another package here: {error}{install}"
            ) from error
        return system, root.rstrip("/")

    def _path(self, name: str) -> str:
        return f"{self._opened[1]}/{name}"

    def read(self, name: str) -> bytes:
        """Return what a file holds.

        Raises:
            FileNotFoundError: there is none.
            TooLargeError: it has more than `MAX_BYTES`.
            ImagesGoneError: the place does not answer.
        """
        told = self._tried(name, lambda: self._system.info(self._path(name))["size"])
        if told == 0:
            return b""  # some stores have no empty part of an object
        check_bytes(told or 0, self.text(name))
        most = told or MAX_BYTES + 1  # no more is read than it said, or than may be
        data: bytes = self._tried(
            name, lambda: self._system.cat_file(self._path(name), start=0, end=most)
        )
        check_bytes(len(data), self.text(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        """Make a file.

        Raises:
            ImagesGoneError: the place does not answer, or refuses.
        """
        whole = self._protocol in OBJECT_STORES
        try:
            self._tried(name, lambda: (self._put if whole else self._put_and_move)(name, data))
        except FileNotFoundError as error:  # of a bucket, for instance
            self._gone(name, error)

    def _put(self, name: str, data: bytes) -> None:
        self._system.pipe_file(self._path(name), data)

    def _put_and_move(self, name: str, data: bytes) -> None:
        path = self._path(name)
        part = f"{path.rpartition('.')[0]}.{uuid4().hex}.part"
        self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            self._system.pipe_file(part, data)
            self._system.mv(part, path)
        except BaseException:
            with suppress(Exception):  # what went wrong is being raised
                self._system.rm_file(part)
            raise

    def has(self, name: str) -> bool:
        """Tell whether there is such a file.

        Raises:
            ImagesGoneError: the place does not answer.
        """
        try:
            # Not `exists`: that takes a place which does not answer for one without the file.
            self._tried(name, lambda: self._system.info(self._path(name)))
        except FileNotFoundError:
            return False
        return True

    def set_aside(self, name: str) -> str:
        """Move a file into `quarantine/` of the place, and return where it is now.

        Raises:
            FileNotFoundError: there is none.
            ImagesGoneError: the place does not answer, or refuses.
        """
        number, target = 1, f"quarantine/{aside_name(name, 1)}"
        while self.has(target):
            number += 1
            target = f"quarantine/{aside_name(name, number)}"
        self._tried(name, lambda: self._move(name, target))
        return self.text(target)

    def _move(self, name: str, target: str) -> None:
        path = self._path(target)
        if self._protocol not in OBJECT_STORES:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._system.mv(self._path(name), path)

    def text(self, name: str) -> str:
        """Return where a file lies."""
        return f"{self._url}/{name}"

    def _tried(self, name: str, work: Callable[[], T]) -> T:
        """Do something over the network, again where it goes wrong."""
        pauses = iter(PAUSES)
        while True:
            try:
                return work()
            except (FileNotFoundError, SettingsError):
                raise
            except (PermissionError, NotImplementedError) as error:
                self._gone(name, error)
            except (
                Exception
            ) as error:  # each file system has errors of its own; none is passed over
                pause = next(pauses, None)
                if pause is None:
                    self._gone(name, error)
                _log.warning("%s, trying again: %s", self.text(name), _said(error))
                time.sleep(pause)

    def _gone(self, name: str, error: Exception) -> NoReturn:
        raise ImagesGoneError(
            f"{self.text(name)} cannot be reached: {_said(error)}. What was stored before is kept; "
            f"keys and passwords are read from the environment or from fsspec's configuration"
        ) from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def check_images_url(url: str) -> str:
    """Return the URL of a place for images.

    Raises:
        ValueError: it is none, fsspec knows no such protocol, or it holds a password or key, which
            would be kept in the study and in all that is exported from it.
    """
    protocol, found, rest = url.partition("://")
    if not found or not rest.strip("/"):
        raise ValueError(
            f"expected a URL such as s3://BUCKET/FOLDER or file:///FOLDER, got {url!r}"
        )
    if "::" in url or any(sign in rest for sign in "?#*[]{}") or not url.isprintable():
        raise ValueError("expected one URL, without options (?, #) or patterns (*, [ ], { })")
    if protocol not in _protocols():
        raise ValueError(
            f"fsspec knows no protocol {protocol!r}; there are s3, gs, az, sftp, file and others"
        )
    who = urlsplit(f"//{rest}")  # not all protocols are schemes to it
    if who.password is not None or (who.username is not None and protocol in OBJECT_STORES):
        raise ValueError(
            "leave passwords and keys out of the URL, they would be kept in the study; they are "
            "read from the environment or from fsspec's configuration"
        )
    if protocol in LOCAL and not rest.startswith("/"):
        raise ValueError(f"a folder of this machine is file:///FOLDER, from the root, got {url!r}")
    return url


def package_of(protocol: str) -> str | None:
    """Return the package that a protocol needs besides fsspec, where it tells by its name."""
    from fsspec.registry import known_implementations

    module = str(known_implementations.get(protocol, {}).get("class", "")).partition(".")[0]
    return module if module not in ("", "fsspec") else None


def _protocols() -> Any:
    from fsspec import available_protocols

    return available_protocols()
