"""`fabricbo export`: votes, pairs and images for other programs; nothing is overwritten unasked."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fabricbo.cli.answers.answer import command, tell
from fabricbo.cli.answers.files import Exported, Imported
from fabricbo.cli.errors import told
from fabricbo.cli.logs import messages
from fabricbo.cli.progress import counting
from fabricbo.cli.reading import locate
from fabricbo.counted import Counter
from fabricbo.rating.export import ExportError, write_votes_csv, write_votes_parquet
from fabricbo.rating.image_folder import remove_image_folder, write_image_folder
from fabricbo.rating.pairs import write_pairs_parquet
from fabricbo.study import Study
from fabricbo.study.remote_place import check_images_url
from fabricbo.upkeep.archive import pack, unpack

_TABLES: dict[tuple[str, str], Callable[[Study, Path], None]] = {
    ("votes", "csv"): write_votes_csv,
    ("votes", "parquet"): write_votes_parquet,
    ("pairs", "parquet"): write_pairs_parquet,
}


@dataclass(frozen=True, slots=True)
class Export:
    """What to write, and where."""

    what: str
    to: Path
    format: str | None = None
    """None: what the file's name ends in."""
    force: bool = False


def export_study(name: str, storage: Path, export: Export, *, as_json: bool) -> None:
    """Write it and say where."""
    with told():
        try:
            folder = locate(name, storage)
            study = Study.open(folder)
            with counting(messages(), "exporting", "images") as tell_how_far:
                if export.what == "images":
                    _write_images(study, export, tell_how_far)
                elif export.what == "study":
                    _write_archive(study, export, tell_how_far)
                else:
                    _write_table(study, export)
        except ExportError as error:
            raise ValueError(str(error)) from error
    next_ = (command("import", export.to),) if export.what == "study" else ()
    found = Exported(study=str(folder), what=export.what, to=str(export.to), next=next_)
    tell(found, [f"wrote {export.to}"], as_json=as_json)


def _write_archive(study: Study, export: Export, tell: Counter) -> None:
    if export.format is not None or export.force:
        raise ValueError("a study is one ZIP file, and replaces none: leave --format, --force out")
    if not export.to.parent.is_dir():
        raise ValueError(f"there is no folder {export.to.parent} to write to")
    try:
        pack(study.folder, export.to, tell)
    except FileExistsError as error:
        raise ValueError(f"{error}; name another file") from error


def import_study(file: Path, storage: Path, images_at: str | None, *, as_json: bool) -> None:
    """Make a study of an archive and say where it is."""
    with told():
        if not file.is_file():
            raise ValueError(f"there is no file {file}")
        if images_at is not None:
            check_images_url(images_at)
        with counting(messages(), "importing", "files") as tell_how_far:
            folder = unpack(file, storage, images_at, tell_how_far)
    found = Imported(study=str(folder), next=(command("status", folder),))
    tell(found, [f"the study is in {folder}"], as_json=as_json)


def _write_images(study: Study, export: Export, tell: Counter) -> None:
    if export.format is not None:
        raise ValueError("images are a folder of PNG files: leave --format out")
    if export.force and export.to.is_dir() and any(export.to.iterdir()):
        remove_image_folder(export.to)
    write_image_folder(study, export.to, tell)


def _write_table(study: Study, export: Export) -> None:
    chosen = export.format or export.to.suffix.removeprefix(".").lower()
    write = _TABLES.get((export.what, chosen))
    if write is None:
        raise ValueError(
            "--what votes is written with --format csv or parquet, --what pairs with --format "
            "parquet (it holds the images), --what images as a folder, --what study as a ZIP "
            "file; got "
            f"--what {export.what} and {chosen or 'no format'}"
        )
    if export.to.is_dir() or (export.to.exists() and not export.force):
        raise ValueError(f"{export.to} exists already; name another file, or --force")
    if not export.to.parent.is_dir():
        raise ValueError(f"there is no folder {export.to.parent} to write to")
    temporary = export.to.with_name(f".{export.to.name}.{os.getpid()}.part")
    try:
        write(study, temporary)
        temporary.replace(export.to)
    finally:
        temporary.unlink(missing_ok=True)
