"""A study whose images lie elsewhere does all that others do."""

import io
import json
import zipfile
from pathlib import Path

import fsspec
import pytest
from PIL import Image
from typer.testing import CliRunner

from fabricbo.cli.app import app
from fabricbo.compose import create_study, resume_study
from fabricbo.imagefiles import png_texts
from fabricbo.rating.image_folder import write_image_folder
from fabricbo.rating.web.pictures import Pictures
from fabricbo.report import write_report
from fabricbo.study import ImagesGoneError, Study
from fabricbo.study.location import Location
from fabricbo.study.store import put_images_at
from fabricbo.upkeep.archive import pack, unpack
from fabricbo.upkeep.examination import examine
from fabricbo.upkeep.mending import find_again, make_again, set_aside
from fabricbo.upkeep.replay import draw_again
from tests.fakes import POOL, ColourSampler, fake_study
from tests.test_places import memory_url


@pytest.fixture(params=["memory", "file"])
def url(request, tmp_path) -> str:
    return memory_url() if request.param == "memory" else f"file://{tmp_path}/elsewhere"


@pytest.fixture
def study(tmp_path, url) -> Study:
    made = fake_study(tmp_path / "here", images_at=url, growing={"grow_liked": 1})
    made.run()
    made.hold_out()
    return made


def files_at(url: str) -> dict[str, bytes]:
    system, root = fsspec.url_to_fs(url)
    return {path.removeprefix(root): system.cat_file(path) for path in system.find(root)}


def outcomes(study: Study) -> list[tuple]:
    return [(t.action, t.seeds, t.score, t.images) for t in study.trials]


def put(study: Study, image: str, data: bytes | None) -> None:
    """Harm a file where it lies."""
    system, path = fsspec.url_to_fs(study.images.text(image))
    system.rm_file(path) if data is None else system.pipe_file(path, data)


def test_it_comes_to_the_same_as_one_with_images_at_home(study, tmp_path, url) -> None:
    home = fake_study(tmp_path / "home", growing={"grow_liked": 1})
    home.run()
    home.hold_out()
    assert outcomes(study) == outcomes(home)
    assert study.heldout == home.heldout
    assert not (study.folder / "images").exists()
    names = {path.rpartition("/")[2] for path in files_at(url)}
    assert names == {path.name for path in (home.folder / "images").rglob("*.png")}


def test_it_is_opened_again(study) -> None:
    study.close()
    again = Study.open(study.folder)
    assert again.trials == study.trials
    assert again.rounds[1].pool[-1].image.tobytes() == study.rounds[1].pool[-1].image.tobytes()


def test_what_is_harmed_is_found_set_aside_and_mended(study, url) -> None:
    assert examine(study.folder).good
    trial, reference = study.trials[1], POOL[0]
    put(study, trial.images[0], b"no image")
    put(study, trial.images[1], None)
    put(study, reference.id, None)
    health = examine(study.folder)
    assert {harm.image for harm in health.harms} == {*trial.images, reference.id}
    (moved,) = set_aside(study.images, health.harms)
    assert "/quarantine/" in moved
    assert b"no image" in files_at(url).values()
    place = study.folder / "place"
    place.mkdir()
    reference.image.save(place / "red.png")
    assert find_again(study.images, health.harms, place) == [reference.id]
    assert {*make_again(study, health.harms, ColourSampler(), lambda _: None)} == {*trial.images}
    assert examine(study.folder).good
    assert all(one.equal for one in draw_again(study, trial, ColourSampler()))
    said = json.loads(png_texts(study.images.read(trial.images[0]), "")["fabricbo"])
    assert (said["trial"], said["seed"]) == (1, trial.seeds[0])


def test_it_is_reported_on_and_exported(study, tmp_path) -> None:
    assert "base64" in write_report(study).read_text("utf-8")
    write_image_folder(study, tmp_path / "exported")
    one = study.trials[0].images[0]
    assert (tmp_path / "exported" / f"{one}.png").read_bytes() == study.images.read(one)


def test_raters_see_pixels_and_no_text(study) -> None:
    pictures, image = Pictures(study.images, b"secret"), study.trials[0].images[0]
    assert b"a cat" in study.images.read(image)
    served = pictures.find(1, pictures.name(1, image), [image])
    assert served is not None
    with Image.open(io.BytesIO(served)) as shown:
        shown.load()
        assert shown.info == {}
    assert b"a cat" not in served


def test_an_archive_goes_home_unless_told_otherwise(study, tmp_path, url) -> None:
    before = files_at(url)
    pack(study.folder, tmp_path / "fake.zip")
    again = Study.open(unpack(tmp_path / "fake.zip", tmp_path / "there"))
    assert again.settings.images_at is None
    assert again.trials == study.trials
    assert examine(again.folder).good
    assert Path(again.images.text("ab")).is_relative_to(again.folder)
    assert files_at(url) == before
    other = memory_url()
    moved = Study.open(unpack(tmp_path / "fake.zip", tmp_path / "third", other))
    assert moved.settings.images_at == other
    assert not (moved.folder / "images").exists()
    assert examine(moved.folder).good
    assert files_at(other).items() >= before.items()


def test_an_archive_has_nothing_reached_for(study, tmp_path, monkeypatch) -> None:
    """One that somebody made may name any place; it is not asked for anything."""
    pictures = files_at(study.settings.images_at or "")
    put_images_at(Location.of(study.folder), "memory://theirs")
    study.close()
    target = tmp_path / "evil.zip"
    with zipfile.ZipFile(target, "w") as archive:
        archive.write(study.folder / "study.db", "study.db")
        for name, data in pictures.items():
            archive.writestr(f"images{name}", data)

    def asked(*_args, **_kwargs):
        raise AssertionError("it was reached for")

    monkeypatch.setattr("fabricbo.study.remote_place.RemotePlace._tried", asked)
    again = unpack(target, tmp_path / "there")
    assert Study.open(again).settings.images_at is None


def test_the_place_is_tried_before_anything_is_loaded(tmp_path, monkeypatch) -> None:
    def loads(*_args, **_kwargs):
        raise AssertionError("something was loaded")

    monkeypatch.setattr("fabricbo.compose.load_parts", loads)
    (tmp_path / "file").write_text("no folder")
    settings = {
        "name": "a",
        "prompt": "b",
        "storage": tmp_path,
        "images_at": f"file://{tmp_path}/file/images",
        "space": {"guidance_scale": [1.0, 9.0]},
    }
    with pytest.raises(ImagesGoneError, match="images_at"):
        create_study(settings, objective=lambda images, prompt: [0.0])
    assert not (tmp_path / "a").exists()


def test_what_does_not_answer_is_an_error_and_not_a_lost_image(study, monkeypatch) -> None:
    """Else a broken line would have good images drawn again, or shown as missing."""

    def gone(*_args, **_kwargs):
        raise ImagesGoneError("the line is dead")

    for place in ("places.LocalPlace", "remote_place.RemotePlace"):
        monkeypatch.setattr(f"fabricbo.study.{place}.read", gone)
    with pytest.raises(ImagesGoneError):
        examine(study.folder)
    with pytest.raises(ImagesGoneError):
        study.work(study.trials[1])
    with pytest.raises(ImagesGoneError):
        pack(study.folder, study.folder / "fake.zip")


def test_the_commands(study, tmp_path, url) -> None:
    run = CliRunner().invoke
    target = str(tmp_path / "fake.zip")
    assert run(app, ["doctor", str(study.folder)]).exit_code == 0
    done = run(app, ["export", str(study.folder), "--what", "study", "--to", target])
    assert done.exit_code == 0, done.output
    storage = ["--storage", str(tmp_path / "there")]
    bad = run(app, ["import", target, *storage, "--images-at", "s3://a:b@c/d"])
    assert (bad.exit_code, "leave passwords" in bad.output) == (1, True)
    done = run(app, ["import", target, *storage, "--images-at", f"{url}-again"])
    assert done.exit_code == 0, done.output
    again = Study.open(tmp_path / "there" / "fake")
    assert again.settings.images_at == f"{url}-again"
    put(again, again.trials[1].images[0], b"no image")
    done = run(app, ["doctor", str(again.folder)])
    assert (done.exit_code, "damaged: image" in done.output) == (1, True)


def test_the_place_is_tried_again_before_going_on(study, monkeypatch) -> None:
    def gone(*_args, **_kwargs):
        raise ImagesGoneError("may not be written to")

    study.close()
    for place in ("places.LocalPlace", "remote_place.RemotePlace"):
        monkeypatch.setattr(f"fabricbo.study.{place}.write", gone)
    monkeypatch.setattr("fabricbo.compose.load_parts", None)  # it does not come to that
    with pytest.raises(ImagesGoneError, match="may not be written to"):
        resume_study(study.folder, objective=lambda images, prompt: [0.0])
