"""A whole study as one file, which may come from anybody."""

import shutil
import zipfile
from functools import partial
from pathlib import Path

import pytest

from fabricbo.study import NameInUseError, NotAStudyError, Study
from fabricbo.upkeep.archive import ArchiveError, pack, unpack
from fabricbo.upkeep.examination import examine
from tests import commands
from tests.fakes import fake_study
from tests.files import file_of
from tests.web_server import fill, rated_study

pytestmark = pytest.mark.usefixtures("store_kind")  # on SQLite and on PostgreSQL


@pytest.fixture
def study(tmp_path: Path) -> Study:
    made = fake_study(tmp_path / "here")
    made.run()
    made.hold_out()
    return made


IMPORTED = "the study is in studies/fake\nnext: fabricbo status studies/fake\n"


def test_what_is_packed_and_unpacked_is_the_same(study, tmp_path) -> None:
    count = pack(study.folder, tmp_path / "fake.zip")
    folder = unpack(tmp_path / "fake.zip", tmp_path / "there")
    again = Study.open(folder)
    assert folder == tmp_path / "there" / "fake"
    assert again.trials == study.trials
    assert again.settings == study.settings
    assert again.rounds == study.rounds
    assert again.heldout == study.heldout
    assert examine(folder).images == count
    assert sorted(p.name for p in (tmp_path / "there").iterdir()) == ["fake"]


def test_votes_and_raters_come_along_while_people_rate(tmp_path) -> None:
    study = rated_study(tmp_path / "here")
    fill(study)
    study.ballots.add_rater("Ada")
    pack(study.folder, tmp_path / "rated.zip")
    again = Study.open(unpack(tmp_path / "rated.zip", tmp_path / "there"))
    assert again.ballots.raters() == study.ballots.raters()
    assert again.ballots.questions() == study.ballots.questions()


def test_nothing_is_replaced(study, tmp_path) -> None:
    pack(study.folder, tmp_path / "fake.zip")
    with pytest.raises(FileExistsError):
        pack(study.folder, tmp_path / "fake.zip")
    with pytest.raises(NameInUseError):
        unpack(tmp_path / "fake.zip", study.folder.parent)
    assert examine(study.folder).good


def test_a_damaged_study_is_not_packed(study, tmp_path) -> None:
    file_of(study, study.trials[1].images[0]).unlink()
    with pytest.raises(ArchiveError, match="doctor --mend"):
        pack(study.folder, tmp_path / "fake.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def rewritten(source: Path, target: Path, change) -> Path:
    """Copy an archive, giving each entry's name and data to a function."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            for name, data in change(entry.filename, old.read(entry)):
                new.writestr(name, data)
    return target


@pytest.mark.parametrize(
    "name",
    ["../evil", "/tmp/evil", "images/../../evil.png", "images/aa/bb.png", "x.py", "images\\aa.png"],
)
def test_names_that_do_not_belong_are_refused(study, tmp_path, name) -> None:
    pack(study.folder, tmp_path / "fake.zip")
    bad = rewritten(
        tmp_path / "fake.zip",
        tmp_path / "bad.zip",
        lambda known, data: [(known, data), *([(name, b"x")] if known == "study.db" else [])],
    )
    with pytest.raises(ArchiveError):
        unpack(bad, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []
    assert not Path("/tmp/evil").exists()


def test_other_pixels_or_missing_ones_are_refused(study, tmp_path) -> None:
    pack(study.folder, tmp_path / "fake.zip")
    one, other = study.trials[1].images
    place = f"images/{one[:2]}/{one}.png"
    swapped = file_of(study, other).read_bytes()
    for change, said in (
        (lambda name, data: [(name, swapped if name == place else data)], "does not hold"),
        (lambda name, data: [(name, b"junk" if name == place else data)], "no readable image"),
        (lambda name, data: [] if name == place else [(name, data)], "missing: image"),
        (lambda name, data: [(name, data)] if name != "study.db" else [], "no study.db"),
    ):
        bad = rewritten(tmp_path / "fake.zip", tmp_path / "bad.zip", change)
        with pytest.raises(ArchiveError, match=said):
            unpack(bad, tmp_path / "there")
        assert list((tmp_path / "there").iterdir()) == []


def test_archives_cut_off_or_of_something_else_are_refused(study, tmp_path) -> None:
    pack(study.folder, tmp_path / "fake.zip")
    whole = (tmp_path / "fake.zip").read_bytes()
    bad = tmp_path / "bad.zip"
    for step in range(12):
        bad.write_bytes(whole[: len(whole) * step // 12])
        with pytest.raises(ArchiveError):
            unpack(bad, tmp_path / "there")
    bad = rewritten(tmp_path / "fake.zip", bad, lambda n, d: [(n, b"x" if n == "study.db" else d)])
    with pytest.raises((ArchiveError, NotAStudyError)):
        unpack(bad, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_too_much_is_refused_before_it_is_unpacked(study, tmp_path, monkeypatch) -> None:
    pack(study.folder, tmp_path / "fake.zip")
    monkeypatch.setattr("fabricbo.upkeep.archive.MOST_BYTES", 1000)
    with pytest.raises(ArchiveError, match="more than"):
        unpack(tmp_path / "fake.zip", tmp_path / "there")


def test_the_commands(study, tmp_path) -> None:
    fabricbo = partial(commands.fabricbo, cwd=tmp_path)
    export = ("export", str(study.folder), "--what", "study", "--to", "fake.zip")
    assert fabricbo(*export).returncode == 0
    again = fabricbo(*export)
    assert (again.returncode, "name another file" in again.stderr) == (1, True)
    done = fabricbo("import", "fake.zip")
    assert (done.returncode, done.stdout) == (0, IMPORTED)
    assert fabricbo("doctor", "fake").returncode == 0
    shutil.rmtree(tmp_path / "studies")
    assert "there is no file" in fabricbo("import", "none.zip").stderr
