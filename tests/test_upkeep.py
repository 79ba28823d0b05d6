"""What is missing or damaged is found, and put back only where it comes out equal."""

import random
import shutil
import sqlite3
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy.exc import DatabaseError

from fabricbo.study import NotAStudyError, Study, StudyError
from fabricbo.study.images import images_of
from fabricbo.upkeep.examination import Health, examine
from fabricbo.upkeep.mending import find_again, make_again, set_aside
from fabricbo.upkeep.replay import changes, difference, draw_again, draw_held_out_again
from tests.answered import answered
from tests.commands import fabricbo
from tests.fakes import POOL, ColourSampler, fake_study
from tests.files import file_of
from tests.stores import sqlite_only


class OffByOne(ColourSampler):
    """Draws as another machine might: a little differently."""

    def __call__(self, action, prompt, seeds):
        drawn = super().__call__(action, prompt, seeds)
        return [image.point(lambda value: min(value + 1, 255)) for image in drawn]


pytestmark = pytest.mark.usefixtures("store_kind")  # on SQLite and on PostgreSQL


@pytest.fixture
def study(tmp_path: Path) -> Study:
    made = fake_study(tmp_path)
    made.run()
    made.hold_out()
    return made


def harm(study: Study, *images: str, data: bytes | None = None) -> None:
    for image in images:
        path = file_of(study, image)
        path.unlink() if data is None else path.write_bytes(data)


def states(health: Health) -> dict[str, str]:
    return {one.image: one.state for one in health.harms}


def test_a_whole_study_is_good(study) -> None:
    health = examine(study.folder)
    assert health.good
    used = {image for trial in study.trials for image in trial.images} | {r.id for r in POOL}
    used |= {image for row in study.heldout_rows.values() for image in row.images}
    assert health.images == len(used)


def test_missing_and_damaged_images_are_named_with_their_uses(study) -> None:
    missing, damaged = study.trials[1].images[0], study.trials[2].images[0]
    harm(study, missing)
    harm(study, damaged, data=b"no image")
    health = examine(study.folder)
    assert states(health) == {missing: "missing", damaged: "damaged"}
    texts = {one.image: one.text for one in health.harms}
    assert texts[missing].startswith(f"missing: image {missing[:12]} of trial 1")
    assert "trial 2" in texts[damaged]


def test_a_whole_image_under_a_wrong_name_is_damaged(study) -> None:
    one, other = study.trials[1].images
    shutil.copy(file_of(study, one), file_of(study, other))
    assert states(examine(study.folder)) == {other: "damaged"}


@pytest.mark.parametrize("seed", range(8))
def test_an_image_cut_off_or_changed_anywhere_is_damaged_or_the_same(study, seed) -> None:
    rng, image = random.Random(seed), study.trials[0].images[0]
    path = file_of(study, image)
    whole = path.read_bytes()
    for _ in range(12):
        at = rng.randrange(len(whole))
        path.write_bytes(whole[:at] if rng.random() < 0.5 else _flipped(whole, at))
        health = examine(study.folder)
        if health.good:  # chunks that hold no pixels may change
            assert study.images.load(image).tobytes()
        else:
            assert states(health) == {image: "damaged"}


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def test_images_are_drawn_again_and_nothing_is_deleted(study) -> None:
    trial, held = study.trials[1], study.heldout_rows[0].images[0]
    harm(study, trial.images[0], held)
    harm(study, trial.images[1], data=b"no image")
    harms, told = examine(study.folder).harms, []
    (moved,) = set_aside(study.images, harms)
    assert Path(moved).read_bytes() == b"no image"
    found = make_again(study, harms, ColourSampler(), told.append)
    assert {*found} == {*trial.images, held}
    assert examine(study.folder).good
    assert "trial 1 drawn again: 2 put back" in told
    assert "trial 0, held out drawn again: 1 put back" in told


def test_what_comes_out_different_is_not_put_back(study) -> None:
    image = study.trials[1].images[0]
    harm(study, image)
    before, told = examine(study.folder), []
    assert make_again(study, before.harms, OffByOne(), told.append) == []
    assert told == ["trial 1 drawn again: 0 put back, 1 came out different and cannot be put back"]
    assert examine(study.folder) == before


def test_a_second_damaged_file_of_one_name_keeps_the_first(study) -> None:
    image = study.trials[0].images[0]
    for data in (b"first", b"second"):
        harm(study, image, data=data)
        set_aside(study.images, examine(study.folder).harms)
    kept = sorted((study.folder / "quarantine").iterdir())
    assert sorted(path.read_bytes() for path in kept) == [b"first", b"second"]


def test_references_are_found_where_they_came_from(study, tmp_path) -> None:
    reference, place = POOL[0], tmp_path / "pool"
    (place / "disliked").mkdir(parents=True)
    (place / "broken.png").write_bytes(b"no image")
    reference.image.save(place / "disliked" / "renamed.png")
    harm(study, reference.id)
    harms = examine(study.folder).harms
    assert find_again(study.images, harms, place, tmp_path / "nowhere") == [reference.id]
    assert examine(study.folder).good
    assert images_of(study.folder, None).load(reference.id).tobytes() == (reference.image.tobytes())


def test_replay_compares_image_by_image(study) -> None:
    trial = study.trials[1]
    equal = draw_again(study, trial, ColourSampler())
    assert [one.identity for one in equal] == list(trial.images)
    assert [one.seed for one in equal] == list(trial.seeds)
    assert all(one.equal for one in equal)
    other = draw_again(study, trial, OffByOne())
    assert not any(one.equal for one in other)
    share, most = difference(study.images.load(trial.images[0]), other[0].image)
    assert 0 < share <= 1
    assert most == 1
    assert all(one.equal for one in draw_held_out_again(study, study.trials[0], ColourSampler()))
    nothing = next(t for t in study.trials if t.index not in study.heldout_rows)
    with pytest.raises(ValueError, match="no images"):
        draw_held_out_again(study, nothing, ColourSampler())


def test_what_is_not_as_it_was_is_told() -> None:
    then = {"weights": "aa", "packages": {"torch": "2.12", "old": "1"}, "device": "cpu"}
    now = {"weights": "aa", "packages": {"torch": "2.13"}, "device": "cpu"}
    assert changes(then, now) == [
        "packages.old: 1 then, not known now",
        "packages.torch: 2.12 then, 2.13 now",
    ]
    assert changes(then, then) == []


@sqlite_only
def test_a_store_cut_off_anywhere_is_told_and_never_read_as_something_else(study) -> None:
    trials, store = study.trials, study.folder / "study.db"
    study.close()
    whole = store.read_bytes()
    for suffix in ("-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    for step in range(24):
        store.write_bytes(whole[: len(whole) * step // 24])
        try:
            health = examine(study.folder)
        except StudyError:
            continue
        assert not health.good
        assert health.store
        try:
            opened = Study.open(study.folder)
        except (StudyError, DatabaseError, ValueError):
            continue
        try:
            assert opened.trials == trials
        except DatabaseError:
            continue
        finally:
            opened.close()
    store.write_bytes(whole)
    assert examine(study.folder).good
    assert Study.open(study.folder).trials == trials


def test_there_must_be_a_study(tmp_path) -> None:
    with pytest.raises(NotAStudyError, match="no study at"):
        examine(tmp_path)


@sqlite_only
def test_the_commands_with_the_real_sampler(tmp_path) -> None:
    """Drawn, harmed, mended and replayed, as somebody would who has a full disk behind them."""
    (tmp_path / "refs").mkdir()
    Image.new("RGB", (64, 64), (200, 40, 40)).save(tmp_path / "refs" / "red.png")
    (tmp_path / "s.toml").write_text(
        'prompt = "a cat"\nobjective = "colourfulness"\nrounds = 1\ntrials = 1\nimages = 1\n'
        'heldout = 1\n[pool]\nfolder = "refs"\n[checkpoint]\nname = "demo"\n'
    )
    assert fabricbo("run", "s.toml", cwd=tmp_path).returncode == 0
    study = Study.open(tmp_path / "studies" / "s")
    whole = fabricbo("doctor", "s", cwd=tmp_path)
    assert (whole.returncode, "images are whole" in whole.stdout) == (0, True)
    harm(study, study.trials[0].images[0], study.rounds[0].pool[0].id)
    harmed = fabricbo("doctor", "s", cwd=tmp_path)
    assert harmed.returncode == 1
    assert "fabricbo doctor --mend" in harmed.stdout
    mended = fabricbo("doctor", "--mend", "s", cwd=tmp_path)
    assert mended.returncode == 0, mended.stderr
    assert "1 found where the study took them from" in mended.stderr
    assert "trial 0 drawn again: 1 put back" in mended.stderr
    again = fabricbo("replay", "s", "0", "--to", "again", "--json", cwd=tmp_path)
    assert again.returncode == 0
    (told,) = answered("replay", again.stdout)["images"]
    assert (told["equal"], told["said"]) == (True, "equal")
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["trial-0-0.png"]
    known = study.drawn_with(study.trials[0])
    assert known is not None
    assert known["packages"]["torch"] == version("torch")
    assert known["device"].startswith("cpu")
    with sqlite3.connect(study.folder / "study.db") as store:
        store.execute("UPDATE drawn_with SET environment = replace(environment, 'DDIM', 'PNDM')")
    later = fabricbo("replay", "s", "0", cwd=tmp_path)
    assert later.returncode == 0
    assert "scheduler: PNDM" in later.stdout
    assert "1 of 1 images of trial 0 came out equal" in later.stdout
    wrong = fabricbo("replay", "s", "9", cwd=tmp_path)
    assert wrong.returncode == 1
    assert "trial must be one of 0 to" in wrong.stderr
