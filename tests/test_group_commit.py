"""Writes of many threads in few transactions."""

import threading

import pytest
import sqlalchemy as sa

from fabricbo.study.database import connect
from fabricbo.study.group_commit import GroupCommit
from fabricbo.study.location import Location

TABLE = sa.Table("numbers", sa.MetaData(), sa.Column("n", sa.Integer, primary_key=True))


@pytest.fixture
def engine(tmp_path):
    made = connect(Location(tmp_path))
    TABLE.metadata.create_all(made)
    yield made
    made.dispose()


def stored(engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(TABLE.c.n).order_by(TABLE.c.n)).scalars())


def add(n: int):
    def work(connection):
        connection.execute(TABLE.insert(), {"n": n})
        return n * 10

    return work


def test_one_write(engine) -> None:
    assert GroupCommit(engine)(add(3)) == 30
    assert stored(engine) == [3]


def test_an_error_undoes_its_own_write_only(engine) -> None:
    write = GroupCommit(engine)

    def broken(connection):
        add(1)(connection)
        raise KeyError("mine")

    write(add(0))
    with pytest.raises(KeyError, match="mine"):
        write(broken)
    with pytest.raises(sa.exc.IntegrityError):
        write(add(0))
    write(add(2))
    assert stored(engine) == [0, 2]


def test_many_threads_share_commits_and_all_get_theirs(engine) -> None:
    commits, started = [], threading.Event()
    sa.event.listen(engine, "commit", lambda _connection: commits.append(1))
    write, found = GroupCommit(engine), {}

    def slow(connection):
        started.set()
        threading.Event().wait(0.2)
        return add(1000)(connection)

    def work(n: int) -> None:
        found[n] = write(add(n))

    first = threading.Thread(target=write, args=(slow,))
    first.start()
    started.wait(5)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in (first, *threads):
        thread.join(10)
    assert found == {n: n * 10 for n in range(50)}
    assert stored(engine) == [*range(50), 1000]
    assert len(commits) <= 10


def test_a_commit_that_fails_is_everybodys_failure_and_the_next_goes_on(
    engine, monkeypatch
) -> None:
    write = GroupCommit(engine)
    real = engine.begin

    def full():
        raise OSError("disk full")

    monkeypatch.setattr(engine, "begin", full)
    with pytest.raises(OSError, match="disk full"):
        write(add(1))
    monkeypatch.setattr(engine, "begin", real)
    assert write(add(2)) == 20
    assert stored(engine) == [2]
