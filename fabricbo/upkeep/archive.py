"""A whole study as one file, to move it or to keep it: its store and all images it speaks of.

A ZIP archive of `study.db` and `images/`, that any program can open, wherever the study keeps its
rows. The copy is of one moment, so that a study may be drawn for meanwhile; images are written
before the rows that name them, so that all of the copy's are there.
"""

import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from fabricbo.imagefiles import MAX_BYTES, decode_image, pixel_hash
from fabricbo.study import NameInUseError, StudyError
from fabricbo.study.copying import copy_rows
from fabricbo.study.images import ImageStore
from fabricbo.study.location import STORE_NAME, Location
from fabricbo.study.migrations.backup import backups
from fabricbo.study.store import stored_settings
from fabricbo.upkeep.examination import examine
from fabricbo.upkeep.uses import image_uses

MOST_BYTES = 64 * 2**30
"""That an archive may hold, unpacked."""
_IMAGE = re.compile(r"images/([0-9a-f]{2})/(\1[0-9a-f]+)\.png")


class ArchiveError(StudyError):
    """A file is no archive of a study, or is damaged."""


def pack(folder: Path, target: Path) -> int:
    """Write a study to a new file, which appears under its name when it is whole.

    Returns:
        How many images it holds.

    Raises:
        ArchiveError: the study is damaged; `fabricbo doctor` says where.
        FileExistsError: there is such a file.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pack-") as place:
        copy, part = Location(Path(place)), Path(place) / "part"
        copy_rows(Location.of(folder), copy)
        images = ImageStore(folder / "images")
        names = dict.fromkeys(use.image for use in image_uses(copy))
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            archive.write(copy.file, STORE_NAME, zipfile.ZIP_DEFLATED)
            for name in names:
                try:
                    images.load(name)
                except (OSError, ValueError) as error:
                    raise ArchiveError(
                        f"{error}; `fabricbo doctor --mend {folder}` may put it back"
                    ) from error
                archive.write(images.path(name), f"images/{name[:2]}/{name}.png")
        part.replace(target)
    return len(names)


def unpack(file: Path, storage: Path) -> Path:
    """Make a study of an archive, and return its folder; it appears when all of it was checked.

    An archive may come from anybody: names, sizes and each image's pixels are checked, and nothing
    that it names is loaded or run.

    Raises:
        ArchiveError: the file is no archive of a study, or damaged.
        NameInUseError: there is a study of that name.
        NewerStoreError: it was written by a newer version.
    """
    storage.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=storage, prefix=".unpack-") as place:
        found = Path(place) / "study"
        try:
            with zipfile.ZipFile(file) as archive:
                _extract(archive, found)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise ArchiveError(
                f"{file} is no archive of a study, or is damaged: {error}"
            ) from error
        health = examine(found)
        if not health.good:
            wrong = (*health.store, *(harm.text for harm in health.harms))
            raise ArchiveError(f"{file} is damaged: {'; '.join(wrong[:3])}")
        for kept in backups(found):  # an old store was brought up to date; the archive keeps it
            kept.unlink()
        folder = storage / stored_settings(Location(found)).name
        if folder.exists():
            raise NameInUseError(f"there is a study in {folder} already; name another --storage")
        shutil.move(found, folder)
    return folder


def _extract(archive: zipfile.ZipFile, target: Path) -> None:
    """Write the store, and each image by the identity of its pixels; other names are refused."""
    entries = archive.infolist()
    if STORE_NAME not in {entry.filename for entry in entries}:
        raise ArchiveError(f"this is no archive of a study: no {STORE_NAME} in it")
    if sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise ArchiveError(f"unpacked it would have more than {MOST_BYTES / 2**30:g} GiB")
    target.mkdir()
    images = ImageStore(target / "images")
    for entry in entries:
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
        image = decode_image(data, entry.filename)
    except (ValueError, OSError) as error:
        raise ArchiveError(str(error)) from error
    if pixel_hash(image) != identity:
        raise ArchiveError(f"{entry.filename} does not hold the pixels its name stands for")
    path = images.path(identity)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
