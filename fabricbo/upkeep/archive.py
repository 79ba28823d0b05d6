"""A whole study as one file, to move it or to keep it: its store and all images it speaks of.

A ZIP archive of `study.db` and `images/`, that any program can open, wherever the study keeps its
rows and its images. The copy is of one moment, so that a study may be drawn for meanwhile; images
are written before the rows that name them, so that all of the copy's are there.
"""

import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from fabricbo.counted import Counter, counted, uncounted
from fabricbo.imagefiles import MAX_BYTES
from fabricbo.study import NameInUseError, StudyError
from fabricbo.study.copying import copy_rows
from fabricbo.study.images import FOLDER, ImageStore, checked_image, file_name, images_of
from fabricbo.study.location import STORE_NAME, Location
from fabricbo.study.migrations.backup import backups
from fabricbo.study.store import put_images_at, stored_settings
from fabricbo.upkeep.examination import examine
from fabricbo.upkeep.uses import image_uses

MOST_BYTES = 64 * 2**30
"""That an archive may hold, unpacked."""
_IMAGE = re.compile(r"images/([0-9a-f]{2})/(\1[0-9a-f]+)\.png")


class ArchiveError(StudyError):
    """A file is no archive of a study, or is damaged."""


def pack(folder: Path, target: Path, tell: Counter = uncounted) -> int:
    """Write a study to a new file, which appears under its name when it is whole.

    Args:
        folder: the study's.
        target: the file.
        tell: told how many images are written.

    Returns:
        How many images it holds.

    Raises:
        ArchiveError: the study is damaged; `fabricbo doctor` says where.
        FileExistsError: there is such a file.
        ImagesGoneError: where it keeps its images does not answer.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pack-") as place:
        copy, part = Location(Path(place)), Path(place) / "part"
        copy_rows(Location.of(folder), copy)
        images = images_of(folder, stored_settings(copy).images_at)
        names = list(dict.fromkeys(use.image for use in image_uses(copy)))
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            archive.write(copy.file, STORE_NAME, zipfile.ZIP_DEFLATED)
            for name in counted(names, tell):
                try:
                    data = images.read(name)
                    checked_image(data, name, images.text(name))
                except (OSError, ValueError) as error:
                    raise ArchiveError(
                        f"{error}; `fabricbo doctor --mend {folder}` may put it back"
                    ) from error
                archive.writestr(f"{FOLDER}/{file_name(name)}", data)
        part.replace(target)
    return len(names)


def unpack(
    file: Path, storage: Path, images_at: str | None = None, tell: Counter = uncounted
) -> Path:
    """Make a study of an archive, and return its folder; it appears when all of it was checked.

    An archive may come from anybody: names, sizes and each image's pixels are checked, and nothing
    that it names is loaded, run or reached for.

    Args:
        file: what `pack` wrote.
        storage: folder that studies are kept in.
        images_at: URL of where its images are to be kept; None: in its folder, wherever the study
            kept them before.
        tell: told how many of its files are checked and written.

    Raises:
        ArchiveError: the file is no archive of a study, or damaged.
        ImagesGoneError: where its images are to be kept does not answer, or refuses.
        NameInUseError: there is a study of that name.
        NewerStoreError: it was written by a newer version.
    """
    storage.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=storage, prefix=".unpack-") as place:
        found = Path(place) / "study"
        try:
            with zipfile.ZipFile(file) as archive:
                _extract(archive, found, tell)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise ArchiveError(
                f"{file} is no archive of a study, or is damaged: {error}"
            ) from error
        here = images_of(found, None)
        health = examine(found, here)
        if not health.good:
            wrong = (*health.store, *(harm.text for harm in health.harms))
            raise ArchiveError(f"{file} is damaged: {'; '.join(wrong[:3])}")
        for kept in backups(found):  # an old store was brought up to date; the archive keeps it
            kept.unlink()
        folder = storage / stored_settings(Location(found)).name
        if folder.exists():
            raise NameInUseError(f"there is a study in {folder} already; name another --storage")
        put_images_at(Location(found), images_at)
        if images_at is not None:
            _move_images(found, here, images_of(folder, images_at))
        shutil.move(found, folder)
    return folder


def _move_images(study: Path, here: ImageStore, there: ImageStore) -> None:
    there.check()
    for name in dict.fromkeys(use.image for use in image_uses(Location(study))):
        there.put(name, here.read(name))
    shutil.rmtree(study / FOLDER)


def _extract(archive: zipfile.ZipFile, target: Path, tell: Counter) -> None:
    """Write the store, and each image by the identity of its pixels; other names are refused."""
    entries = archive.infolist()
    if STORE_NAME not in {entry.filename for entry in entries}:
        raise ArchiveError(f"this is no archive of a study: no {STORE_NAME} in it")
    if sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise ArchiveError(f"unpacked it would have more than {MOST_BYTES / 2**30:g} GiB")
    target.mkdir()
    images = images_of(target, None)
    for entry in counted(entries, tell):
        match = _IMAGE.fullmatch(entry.filename)
        if entry.filename == STORE_NAME:
            with archive.open(entry) as packed, (target / STORE_NAME).open("wb") as file:
                shutil.copyfileobj(packed, file)
        elif match is None or entry.file_size > MAX_BYTES:
            raise ArchiveError(f"{entry.filename!r} does not belong into an archive of a study")
        else:
            _extract_image(archive, entry, images, match[2])


def _extract_image(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, images: ImageStore, identity: str
) -> None:
    data = archive.read(entry)
    try:
        checked_image(data, identity, entry.filename)
    except (ValueError, OSError) as error:
        raise ArchiveError(str(error)) from error
    images.put(identity, data)
