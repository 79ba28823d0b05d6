"""Whatever place a study keeps its images at, it gives back what it was given, or says why not."""

import itertools
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from fabricbo.imagefiles import TooLargeError
from fabricbo.study import ImagesGoneError, SettingsError, check_settings, remote_place
from fabricbo.study.images import images_of
from fabricbo.study.places import LocalPlace
from fabricbo.study.remote_place import RemotePlace, check_images_url

NAME = "ab/abcd.png"
_numbers = itertools.count()


def memory_url() -> str:
    """Return one that nobody uses: what is in memory is there for the whole process."""
    return f"memory://images-{next(_numbers)}"


class Shaky(MemoryFileSystem):
    """A file system whose calls fail as often as it is told."""

    protocol = "shaky"
    failures = 0
    error: Exception = ConnectionError("the line is dead")
    calls = 0

    def _perhaps(self) -> None:
        Shaky.calls += 1
        if Shaky.failures:
            Shaky.failures -= 1
            raise Shaky.error

    def info(self, path, **options):
        self._perhaps()
        return super().info(path, **options)

    def pipe_file(self, path, value, **options):
        self._perhaps()
        return super().pipe_file(path, value, **options)

    def cat_file(self, path, *args, **options):
        self._perhaps()
        return super().cat_file(path, *args, **options)


@pytest.fixture
def shaky(monkeypatch) -> RemotePlace:
    fsspec.register_implementation("shaky", Shaky, clobber=True)
    monkeypatch.setattr(remote_place, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(Shaky, "failures", 0)
    monkeypatch.setattr(Shaky, "calls", 0)
    return RemotePlace(memory_url().replace("memory", "shaky"))


@pytest.fixture(params=["local", "file", "memory", "shaky"])
def place(request, tmp_path):
    """Each kind of place; the shaky one fails at every first call."""
    if request.param == "local":
        return LocalPlace(tmp_path / "here")
    if request.param == "file":
        return images_of(tmp_path, f"file://{tmp_path}/a%20folder")._place
    if request.param == "memory":
        return RemotePlace(memory_url())
    place = request.getfixturevalue("shaky")
    Shaky.failures = 1
    return place


def test_what_is_written_is_read(place) -> None:
    assert not place.has(NAME)
    with pytest.raises(FileNotFoundError):
        place.read(NAME)
    for data in (b"one", b"", b"three"):
        place.write(NAME, data)
        assert place.has(NAME)
        assert place.read(NAME) == data


def test_what_is_set_aside_replaces_nothing(place) -> None:
    kept = []
    for data in (b"first", b"second", b"third"):
        place.write(NAME, data)
        kept.append(place.set_aside(NAME))
        assert not place.has(NAME)
    assert [name.rpartition("/")[2] for name in kept] == ["abcd.png", "abcd-2.png", "abcd-3.png"]
    found = [place.read(f"quarantine/{name.rpartition('/')[2]}") for name in kept]
    assert found == [b"first", b"second", b"third"]
    with pytest.raises(FileNotFoundError):
        place.set_aside(NAME)


def test_more_than_an_image_may_have_is_not_read(place, monkeypatch) -> None:
    place.write(NAME, b"x" * 100)
    for module in ("imagefiles", "study.remote_place"):
        monkeypatch.setattr(f"fabricbo.{module}.MAX_BYTES", 99)
    with pytest.raises(TooLargeError, match=r"abcd\.png has 100 bytes; at most 99"):
        place.read(NAME)


def test_more_than_was_said_is_not_read(shaky, monkeypatch) -> None:
    """A place may not know how large its files are, or lie."""
    shaky.write(NAME, b"x" * 100)
    info = Shaky.info
    for said, got in ((None, 100), (7, 7)):
        monkeypatch.setattr(
            Shaky, "info", lambda self, path, said=said: {**info(self, path), "size": said}
        )
        assert len(shaky.read(NAME)) == got
    for module in ("imagefiles", "study.remote_place"):
        monkeypatch.setattr(f"fabricbo.{module}.MAX_BYTES", 50)
    monkeypatch.setattr(Shaky, "info", lambda self, path: {"size": None})
    with pytest.raises(TooLargeError, match="has 51 bytes"):
        shaky.read(NAME)


def test_a_write_that_fails_leaves_no_part(shaky, monkeypatch) -> None:
    def fail(*_args) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Shaky, "mv", fail)
        with pytest.raises(ImagesGoneError, match="gone"):
            shaky.write(NAME, b"one")
    assert Shaky().find(shaky._opened[1]) == []


def test_objects_are_put_whole_without_a_move(shaky, monkeypatch) -> None:
    monkeypatch.setattr(remote_place, "OBJECT_STORES", {"shaky"})
    monkeypatch.setattr(Shaky, "mv", None)
    shaky.write(NAME, b"one")
    assert shaky.read(NAME) == b"one"


@pytest.mark.parametrize("failures", range(4))
def test_calls_are_tried_again_for_a_while(shaky, failures) -> None:
    Shaky.failures = failures
    if failures < 3:
        shaky.write(NAME, b"one")
        assert shaky.read(NAME) == b"one"
    else:
        said = r"shaky://.*abcd\.png cannot be reached: ConnectionError: the line is dead"
        with pytest.raises(ImagesGoneError, match=said):
            shaky.write(NAME, b"one")
        assert not shaky.has(NAME)


@pytest.mark.parametrize("error", [PermissionError("not yours"), NotImplementedError()], ids=repr)
def test_a_refusal_is_told_at_once(shaky, monkeypatch, error) -> None:
    monkeypatch.setattr(Shaky, "error", error)
    Shaky.failures = 1
    with pytest.raises(ImagesGoneError, match=type(error).__name__):
        shaky.write(NAME, b"one")
    assert Shaky.calls == 1


def test_a_place_that_does_not_answer_is_not_one_without_the_image(shaky) -> None:
    Shaky.failures = 99
    with pytest.raises(ImagesGoneError):
        shaky.has(NAME)
    Shaky.failures = 99
    with pytest.raises(ImagesGoneError):
        shaky.read(NAME)


GOOD = (
    "s3://bucket/cats",
    "gs://bucket",
    "memory://cats",
    "file:///somewhere/else",
    "sftp://ada@example.org/cats",
)
BAD = (
    ("cats", "expected a URL such as s3://"),
    ("s3://", "expected a URL such as s3://"),
    ("C:\\cats", "expected a URL such as s3://"),
    ("nosuch://bucket/cats", "no protocol 'nosuch'"),
    ("s3://key:secret@bucket/cats", "leave passwords and keys out"),
    ("s3://AKIA@bucket/cats", "leave passwords and keys out"),
    ("sftp://ada:secret@example.org/cats", "leave passwords and keys out"),
    ("arrow_hdfs://ada:secret@example.org/cats", "leave passwords and keys out"),
    ("s3://bucket/cats?secret=x", "without options"),
    ("simplecache::s3://bucket/cats", "without options"),
    ("s3://bucket/*", "without options"),
    ("file://here/cats", "from the root"),
)


@pytest.mark.parametrize("url", GOOD)
def test_urls_that_can_be_used(url) -> None:
    assert check_images_url(url) == url
    settings = check_settings({"name": "a", "prompt": "b", "images_at": url})
    assert settings.images_at == url


@pytest.mark.parametrize(("url", "said"), BAD)
def test_urls_that_cannot_be_used(url, said) -> None:
    with pytest.raises(SettingsError, match=f"images_at: .*{said}") as told:
        check_settings({"name": "a", "prompt": "b", "images_at": url})
    assert "secret" not in str(told.value)


def test_a_missing_package_is_named(tmp_path, monkeypatch) -> None:
    known = {"class": "no_such_package.Files", "err": "Install it"}
    fsspec.register_implementation("lacking", known["class"], errtxt=known["err"], clobber=True)
    said = r"images_at: lacking:// needs another package here: .*pip install no_such_package"
    with pytest.raises(SettingsError, match=said):
        images_of(tmp_path, "lacking://bucket").check()


def test_a_place_is_tried_before_it_is_used(tmp_path, shaky) -> None:
    images_of(tmp_path, memory_url()).check()
    images_of(tmp_path, f"file://{tmp_path}/new").check()
    assert (tmp_path / "new" / "README.txt").is_file()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ImagesGoneError, match="images_at"):
        images_of(tmp_path, f"file://{tmp_path}/file").check()
    Shaky.failures = 99
    with pytest.raises(ImagesGoneError, match="dead"):
        images_of(tmp_path, "shaky://somewhere").check()


def test_nothing_is_reached_for_by_opening(tmp_path, shaky) -> None:
    Shaky.failures = 99
    assert images_of(tmp_path, "shaky://somewhere").text("ab") == "shaky://somewhere/ab/ab.png"
    assert Shaky.calls == 0


def test_a_folder_of_a_url_is_the_folder(tmp_path) -> None:
    place = images_of(tmp_path, f"file://{tmp_path}/a%20folder")._place
    assert isinstance(place, LocalPlace)
    place.write(NAME, b"one")
    assert Path(place.text(NAME)) == tmp_path / "a folder" / NAME
