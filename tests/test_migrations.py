"""Stores of all earlier schemas, each made by the code of its time, which said what is in it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from fabricbo.cli.upkeep import check_study
from fabricbo.study import NewerStoreError, NotAStudyError, Parts, Study, schema
from fabricbo.study.database import Database, connect, creating
from fabricbo.study.errors import MigrationError
from fabricbo.study.location import Location
from fabricbo.study.migrations import running
from fabricbo.study.migrations.backup import backups
from fabricbo.upkeep.archive import pack, unpack
from fabricbo.upkeep.examination import examine
from tests import make_store
from tests.fakes import ColourSampler, UnitProposer, fake_study, redness
from tests.postgres import Server

STORES = Path(__file__).parent / "data" / "stores"
IN_POSTGRES = sorted(folder.name for folder in STORES.iterdir() if (folder / "study.sql").exists())
IN_FILES = sorted(folder.name for folder in STORES.iterdir() if (folder / "study.db").exists())
PARTS = Parts(UnitProposer(), ColourSampler(), redness)
HEAD, REVISIONS = schema.SCHEMA_VERSION, running.REVISIONS


def copied(name: str, tmp_path: Path) -> Path:
    """Return the folder of a study of an earlier schema."""
    return Path(shutil.copytree(STORES / name, tmp_path / name))


def restored(name: str, tmp_path: Path, postgres: Server) -> Location:
    """Return a study of an earlier schema whose rows are in PostgreSQL, as `pg_dump` wrote them."""
    folder = copied(name, tmp_path)
    location = Location(folder, postgres.database_for(tmp_path), "fabricbo_kept")
    engine = sa.create_engine(location.database)
    with engine.begin() as connection:
        connection.exec_driver_sql((folder / "study.sql").read_text().replace("%", "%%"))
    engine.dispose()
    location.point()
    return location


# What is in them

_NOW = {"pending": "proposed", "drawn": "awaiting-rating"}
"""What a status is called since schema 7."""


def check(study: Study, expected: dict[str, Any]) -> None:
    """Compare what today's code says of a study with what the code that made it said."""
    version, found = expected["schema"], make_store.describe(study)
    for trial in expected["trials"] if version < 7 else ():
        trial["status"] = _NOW.get(trial["status"], trial["status"])
    same = ["objective", "rounds", "trials", "planned", "measures", "preferences", "earlier"]
    same += ["raters", "questions", "votes", "standing", "wishes", "state", "drawn_with", "events"]
    if version not in (3, 4):  # they had no utilities, so that theirs is asked for anew
        same += ["best", "heldout", "estimates", "advice", "utilities"]
    for key in same:
        if key in expected:
            assert found[key] == expected[key], key
    kept = found["settings"]
    assert {key: kept[key] for key in ("name", "rounds", "trials", "seed", "pool")} == {
        key: expected["settings"][key] for key in ("name", "rounds", "trials", "seed", "pool")
    }
    held = expected["heldout"]
    for index, values in ((0, held["baseline"]), (expected["best"], held["best"])):
        row = study.heldout_rows[index]
        names = [measure.name for measure in study.measures]
        assert [list(row.values[name]) for name in names] == values


def stored_assessment(folder: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        return json.loads(*connection.execute("SELECT data FROM assessment").fetchone())


@pytest.mark.parametrize("name", IN_FILES)
def test_a_store_says_what_it_said_to_the_code_that_made_it(tmp_path, name) -> None:
    folder = copied(name, tmp_path)
    expected = json.loads((folder / "expected.json").read_text())
    study = Study.open(folder)
    check(study, expected)
    if expected["schema"] in (3, 4):
        found = stored_assessment(folder)
        means = {
            key: [[e["mean"], e["standard_error"]] for e in one]
            for key, one in found["estimates"].items()
        }
        assert means == expected["estimates"]
        assert list(found["advice"].values()) == expected["advice"]
    study.close()
    check(Study.open(folder), json.loads((folder / "expected.json").read_text()))
    assert examine(folder).good


@pytest.mark.parametrize("name", IN_FILES)
def test_a_store_can_be_gone_on_with(tmp_path, name) -> None:
    folder = copied(name, tmp_path)
    parts = make_store.parts() if name != "schema-1" and name != "schema-2" else PARTS
    study = Study.open(folder, parts)
    before = study.trials
    study.run()
    assert len(study.trials) == study.planned_trials == 10
    assert study.trials[:7] == before[:7]
    assert study.trials[7].score is not None


@pytest.mark.parametrize("name", IN_POSTGRES)
def test_a_store_in_postgresql_says_what_it_said(tmp_path, postgres, name) -> None:
    """Only schema 7 and later were ever there."""
    location = restored(name, tmp_path, postgres)
    expected = json.loads((location.folder / "expected.json").read_text())
    study = Study.open(location.folder, make_store.parts())
    check(study, expected)
    study.run()
    assert len(study.trials) == 10


@pytest.mark.parametrize(
    ("names", "first"), [(IN_FILES, 1), (IN_POSTGRES, 7)], ids=["sqlite", "postgres"]
)
def test_every_schema_has_a_store_here(names, first) -> None:
    made = {json.loads((STORES / n / "expected.json").read_text())["schema"] for n in names}
    assert made == set(range(first, HEAD)), "see CONTRIBUTING.md: keep a store before a change"


# What they become


def shape(connection: sa.Connection) -> dict[str, Any]:
    """Return all that makes a schema."""
    found: dict[str, Any] = {}
    inspector = sa.inspect(connection)
    for table in inspector.get_table_names():
        columns = inspector.get_columns(table)
        found[table] = {
            "columns": {
                c["name"]: (str(c["type"]), c["nullable"], c["default"], c.get("autoincrement"))
                for c in columns
            },
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "refers": sorted(
                (f["constrained_columns"], f["referred_table"], f["referred_columns"])
                for f in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(u["column_names"] for u in inspector.get_unique_constraints(table)),
            "indexes": sorted(
                (i["name"], i["column_names"], bool(i["unique"]))
                for i in inspector.get_indexes(table)
            ),
        }
    return found


def shape_of(location: Location) -> dict[str, Any]:
    engine = connect(location, writes=False)
    with engine.connect() as connection:
        found = shape(connection)
    engine.dispose()
    return found


@pytest.fixture
def new(store_kind, tmp_path) -> Location:
    """A store of today."""
    location = Location.new(tmp_path / "new", None)
    with creating(location):
        pass
    return location


def test_revisions_make_what_the_model_says(new, tmp_path) -> None:
    """From nothing, one after the other."""
    other = Location.new(tmp_path / "other", None)
    with creating(other) as connection:
        schema.metadata.drop_all(connection)
        directory = ScriptDirectory(running.REVISIONS)
        with Operations.context(MigrationContext.configure(connection)):
            for script in reversed([*directory.walk_revisions()]):
                script.module.upgrade()
    assert shape_of(other) == shape_of(new)
    assert set(shape_of(new)) == set(schema.metadata.tables)


@pytest.mark.parametrize("name", IN_FILES)
def test_an_old_store_becomes_what_a_new_one_is(tmp_path, name) -> None:
    new = Location(tmp_path / "new")
    with creating(new):
        pass
    folder = copied(name, tmp_path)
    Database(Location(folder)).close()
    assert shape_of(Location(folder)) == shape_of(new)


@pytest.mark.parametrize("name", IN_POSTGRES)
def test_an_old_store_in_postgresql_becomes_what_a_new_one_is(tmp_path, postgres, name) -> None:
    old = restored(name, tmp_path, postgres)
    new = Location(tmp_path / "new", old.database, "fabricbo_new")
    with creating(new):
        pass
    assert shape_of(old) != shape_of(new)
    Database(old).close()
    assert shape_of(old) == shape_of(new)


def test_revisions_are_the_numbers_of_schemas_in_one_line() -> None:
    scripts = [*ScriptDirectory(running.REVISIONS).walk_revisions()]
    line = [(script.revision, script.down_revision) for script in reversed(scripts)]
    assert line == [(str(n), str(n - 1) if n > 1 else None) for n in range(1, HEAD + 1)]


# When it goes wrong, or at the same time

NEXT = """
import time
from pathlib import Path
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{version}", "{before}"
def upgrade():
    op.add_column("study", sa.Column("later", sa.JSON))
    op.create_table("later", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("DELETE FROM trial_events")
    op.execute("UPDATE trials SET source='migrated'")
    {then}
"""
OPEN = """
import logging, sys
from pathlib import Path
from fabricbo.study import Study, StudyError, schema
from fabricbo.study.migrations import running
logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
folder, revisions = map(Path, sys.argv[1:3])
running.REVISIONS, schema.SCHEMA_VERSION = revisions, schema.SCHEMA_VERSION + 1
print("ready", flush=True)
sys.stdin.readline()
try:
    study = Study.open(folder)
    print("opened", [trial.source for trial in study.trials])
except StudyError as error:
    print(type(error).__name__, error)
"""


def with_next(tmp_path: Path, then: str) -> Path:
    """Return a folder of revisions with one more, that does so at its end."""
    folder = tmp_path / "revisions"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(REVISIONS / "versions", folder / "versions")
    text = NEXT.format(version=HEAD + 1, before=HEAD, then=then)
    (folder / "versions" / f"schema_{HEAD + 1}.py").write_text(text)
    return folder


@pytest.fixture
def study(store_kind, tmp_path) -> Study:
    made = fake_study(tmp_path)
    made.draw()
    made.draw()
    made.close()
    return made


@pytest.fixture
def next_version(monkeypatch, tmp_path) -> Iterator[Any]:
    """Makes this process one of the next schema."""

    def become(then: str) -> None:
        monkeypatch.setattr(running, "REVISIONS", with_next(tmp_path, then))
        monkeypatch.setattr(schema, "SCHEMA_VERSION", HEAD + 1)

    return become


def everything(folder: Path) -> dict[str, Any]:
    """Return the schema and all rows of a store."""
    location = Location.of(folder)
    engine = connect(location, writes=False)
    with engine.connect() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection)
        rows = {
            table.name: sorted(map(repr, connection.execute(sa.select(table))))
            for table in metadata.sorted_tables
        }
        found = {"shape": shape(connection), "rows": rows}
    engine.dispose()
    return found


def opener(study: Study, revisions: Path) -> subprocess.Popen[str]:
    """Start a process of the next schema that opens a study when it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", OPEN, str(study.folder), str(revisions)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_that_open_it_at_once_bring_it_up_to_date_once(study, tmp_path) -> None:
    revisions = with_next(tmp_path, "time.sleep(1)")
    both = [opener(study, revisions) for _ in range(2)]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in both]
    assert ["opened ['migrated', 'migrated']" in text for text in said] == [True, True]
    assert sorted("was brought from" in text for text in said) == [False, True]
    assert [path.name for path in backups(study.folder)] == [f"study.db.before-{HEAD + 1}"]


def test_one_that_fails_halfway_leaves_it_as_it_was(study, next_version, monkeypatch) -> None:
    before = everything(study.folder)
    next_version("raise RuntimeError('not today')")
    for _ in range(2):
        with pytest.raises(MigrationError, match=r"to schema \d+: not today. It is as it was"):
            Study.open(study.folder)
        assert everything(study.folder) == before
        assert backups(study.folder) == []
    next_version("op.execute('SELECT * FROM nowhere')")
    with pytest.raises(MigrationError, match="nowhere"):
        Study.open(study.folder)
    monkeypatch.undo()
    assert everything(study.folder) == before


def test_one_that_is_killed_halfway_leaves_it_as_it_was(study, tmp_path, next_version) -> None:
    before = everything(study.folder)
    at = tmp_path / "at"
    revisions = with_next(tmp_path, f"Path({str(at)!r}).touch(); time.sleep(60)")
    process = opener(study, revisions)
    process.stdin.write("go\n")
    process.stdin.flush()
    while not at.exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert everything(study.folder) == before
    next_version("pass")
    again = Study.open(study.folder)
    assert [trial.source for trial in again.trials] == ["migrated", "migrated"]
    names = [f"study.db.before-{HEAD + 1}{more}" for more in ("", "-2")]
    assert [path.name for path in backups(study.folder)] == names
    for path in backups(study.folder):  # the first one is whole, too
        assert rows_of(path) == rows_of(backups(study.folder)[0])


def rows_of(file: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        return {
            name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"')))
            for (name,) in tables
        }


# As it was


@pytest.mark.parametrize("name", IN_FILES)
def test_it_is_kept_as_it_was(tmp_path, name, caplog) -> None:
    folder = copied(name, tmp_path)
    Study.open(folder).close()
    (kept,) = backups(folder)
    assert rows_of(kept) == rows_of(STORES / name / "study.db")
    assert f"as it was, it is kept in {kept}" in caplog.text
    shutil.copy(kept, folder / "study.db")  # somebody goes back, and comes again
    Study.open(folder).close()
    assert [path.name for path in backups(folder)] == [kept.name, f"{kept.name}-2"]
    leftovers = {path.name for path in folder.iterdir()} - {kept.name, f"{kept.name}-2"}
    assert leftovers == {"study.db", "images", "expected.json"}


@pytest.mark.parametrize("name", IN_POSTGRES)
def test_what_was_in_postgresql_is_kept_as_a_store_of_its_own(tmp_path, postgres, name) -> None:
    """The version that made it can open it, and so can this one."""
    location = restored(name, tmp_path, postgres)
    Study.open(location.folder).close()
    (kept,) = backups(location.folder)
    expected = json.loads((location.folder / "expected.json").read_text())
    alone = tmp_path / "alone"
    shutil.copytree(location.folder / "images", alone / "images")
    shutil.copy(kept, alone / "study.db")
    with closing(sqlite3.connect(kept)) as connection:
        version = expected["schema"]
        assert connection.execute("SELECT schema_version FROM study").fetchone() == (version,)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    check(Study.open(alone), expected)
    new = Location(tmp_path / "new")
    with creating(new):
        pass
    assert shape_of(Location(alone)) == shape_of(new)


LIMITED = """
import resource, sys
from pathlib import Path
from fabricbo.study import Study, StudyError
from fabricbo.study.migrations import running  # before nothing can be written
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000,) * 2)
try:
    Study.open(Path(sys.argv[1]))
except StudyError as error:
    print(type(error).__name__, error)
"""


def test_without_room_to_keep_it_nothing_is_done(tmp_path) -> None:
    folder = copied("schema-7", tmp_path)
    before = everything(folder)
    command = [sys.executable, "-c", LIMITED, str(folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("MigrationError"), said
    assert f"study.db.before-{HEAD}, which cannot be done" in said
    assert "Nothing was changed; make room" in said
    assert everything(folder) == before
    assert backups(folder) == []
    assert not list(folder.glob("*.part*"))


READER = """
import os, sys
from pathlib import Path
from fabricbo.study import Study, StudyError
from fabricbo.study.migrations import running  # it lies where others may not look
if os.getuid() == 0:  # who may write everywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    Study.open(Path(sys.argv[1]))
except StudyError as error:
    print(type(error).__name__, error)
"""


def test_in_a_folder_that_may_only_be_read_it_is_said_what_to_do(tmp_path) -> None:
    folder = copied("schema-3", tmp_path)
    for path in (*tmp_path.parents, tmp_path):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        command = [sys.executable, "-c", READER, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)
    assert done.stdout.startswith("MigrationError"), done
    assert f"{folder} may not be written to: copy the study to a folder of your own" in done.stdout


# What is refused


def test_a_newer_store_is_refused_and_unchanged(study, monkeypatch) -> None:
    monkeypatch.setattr(schema, "SCHEMA_VERSION", HEAD - 1)
    before = everything(study.folder)
    with pytest.raises(NewerStoreError, match=rf"schema {HEAD}; this one reads up to {HEAD - 1}"):
        Study.open(study.folder)
    assert everything(study.folder) == before


@pytest.mark.parametrize("version", [0, -1])
def test_a_schema_that_never_was(tmp_path, version) -> None:
    folder = copied("schema-7", tmp_path)
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        connection.execute("UPDATE study SET schema_version = ?", (version,))
    with pytest.raises(MigrationError, match=f"schema {version}, which never was"):
        Study.open(folder)
    assert backups(folder) == []


def test_rows_that_refer_to_nothing_are_not_carried_on(tmp_path) -> None:
    folder = copied("schema-6", tmp_path)
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        connection.execute('DELETE FROM trials WHERE "index" = 1')
    before = everything(folder)
    with pytest.raises(MigrationError, match="refers to trials that is not there"):
        Study.open(folder)
    assert everything(folder) == before


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("schema-1", {"label": "a cat"}),
        ("schema-2", {"label": "cat"}),
        ("schema-2", {"reference_point": 1.0}),
        ("schema-2", {"weight": 2.0}),
        ("schema-3", {"parts": "two"}),
    ],
)
def test_options_whose_names_mean_something_else_now_are_told(tmp_path, name, option) -> None:
    folder = copied(name, tmp_path)
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        (text,) = connection.execute("SELECT settings FROM study").fetchone()
        settings = {**json.loads(text), "objective": {"name": "brightness", **option}}
        connection.execute("UPDATE study SET settings = ?", (json.dumps(settings),))
    for _ in range(2):  # nothing is left half done
        with pytest.raises(NotAStudyError, match=f"option '{next(iter(option))}'"):
            Study.open(folder)
        assert backups(folder) == []


# Elsewhere


def test_an_archive_of_an_old_store_becomes_a_study_with_nothing_beside_it(tmp_path) -> None:
    folder = copied("schema-5", tmp_path)
    expected = json.loads((folder / "expected.json").read_text())
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:  # as that version packed it
        archive.write(folder / "study.db", "study.db")
        for file in (folder / "images").rglob("*.png"):
            archive.write(file, str(file.relative_to(folder)))
    for archive in (tmp_path / "old.zip", tmp_path / "new.zip"):
        if not archive.exists():
            pack(folder, archive)
        found = unpack(archive, tmp_path / archive.stem)
        check(Study.open(found), json.loads(json.dumps(expected)))
        assert backups(found) == []
    assert Location(folder).file.read_bytes() == (STORES / "schema-5" / "study.db").read_bytes()


def test_the_commands_say_where_it_is_kept(tmp_path, capsys) -> None:
    folder = copied("schema-6", tmp_path)

    def fabricbo(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fabricbo", *words]
        return subprocess.run(command, capture_output=True, text=True)

    kept = folder / f"study.db.before-{HEAD}"
    shown = fabricbo("show", str(folder), "--json")
    assert shown.returncode == 0
    assert json.loads(shown.stdout)["name"] == "kept"
    assert f"kept in {kept}" in shown.stderr
    told = fabricbo("doctor", str(folder))
    assert (told.returncode, told.stderr) == (0, "")
    assert str(kept) in told.stdout
    check_study(str(folder), tmp_path, "cpu", mend=False, as_json=True)
    assert json.loads(capsys.readouterr().out)["backups"] == [str(kept)]
