"""`fabricbo convert`: settings and references for other programs, and from them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fabricbo.cli.about import plain
from fabricbo.cli.answers.answer import tell
from fabricbo.cli.answers.files import ConvertedTold
from fabricbo.cli.consoles import asides
from fabricbo.cli.errors import told
from fabricbo.cli.reading import locate
from fabricbo.imagefiles import SUFFIXES, decode_image, open_image, png_texts, read_file
from fabricbo.interop.files import MAX_BYTES, read_data, read_texts
from fabricbo.interop.forms import FORMS
from fabricbo.interop.recipe import Converted, Form, Recipe
from fabricbo.interop.webui import solver_by_webui
from fabricbo.study import Study, origin
from fabricbo.study.origin import Origin, recipe_of
from fabricbo.study.recipe import recipe_of_trial

if TYPE_CHECKING:
    from PIL.Image import Image

_STRANGE = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 80

Finder = Callable[[str], "Image | None"]
"""Finds the image of a reference by the name that its source has for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What is asked for."""

    to: str
    trial: int | None = None
    """None: the best."""
    sampler: str | None = None
    schedule: str | None = None
    references: Path | None = None
    """Folder that they are looked for in; None: where the source has them."""
    out: Path | None = None
    """Folder to write everything to; None: the main text is printed."""


def convert(source: str, storage: Path, asked: Conversion, *, as_json: bool) -> None:
    """Convert a study's trial, or a file by another program, and say what was lost."""
    with told():
        if asked.to not in FORMS:
            raise ValueError(f"--to must be one of {', '.join(FORMS)}, got {asked.to!r}")
        if asked.out is not None and asked.out.exists() and _is_taken(asked.out):
            raise ValueError(f"{asked.out} exists and is not empty; name another folder")
        read, find = _read(source, storage, asked)
        recipe, images = _named(_with_sampler(read.value, asked), find)
        form = FORMS[asked.to](recipe)
        notes = [*read.notes, *form.notes, *_missing(images)]
        if asked.out is not None:
            _write(form, recipe, images, asked.out)
    answer = ConvertedTold(to=asked.to, files=dict(form.files), notes=tuple(dict.fromkeys(notes)))
    lines = () if asked.out is not None else (plain(next(iter(form.files.values()))).rstrip("\n"),)
    tell(answer, lines, as_json=as_json)
    if not as_json:
        _say_aside(form, asked.out, answer.notes)


def _is_taken(folder: Path) -> bool:
    return not folder.is_dir() or any(folder.iterdir())


def _read(source: str, storage: Path, asked: Conversion) -> tuple[Converted[Recipe], Finder]:
    """Read a file, or else a trial of a study."""
    file = Path(source)
    if not file.is_file():
        return _read_trial(source, storage, asked)
    if asked.trial is not None:
        raise ValueError("--trial is about a study; this is a file")
    read = _read_image(file) if file.suffix.lower() in SUFFIXES else _read_text(file)
    folders = [file.parent, file.parent.parent] if asked.references is None else [asked.references]
    return read, _in_folders(folders)


def _read_trial(name: str, storage: Path, asked: Conversion) -> tuple[Converted[Recipe], Finder]:
    study = Study.open(locate(name, storage))
    trials = {trial.index: trial for trial in study.trials}
    trial = study.best() if asked.trial is None else trials.get(asked.trial)
    if trial is None:
        wanted = "best trial yet" if asked.trial is None else f"trial {asked.trial}"
        there = f"; there: 0 to {max(trials)}" if trials else ""
        raise ValueError(f"the study has no {wanted}{there}")
    used = (*trial.action.liked, *trial.action.disliked)
    images = {origin.reference_name(reference.id): reference.image for reference in used}
    return recipe_of_trial(study, trial), images.get


def _read_image(file: Path) -> Converted[Recipe]:
    """Read our own text of an image, which is exact, or else that of another program."""
    data = read_file(file)
    texts = png_texts(data, str(file))
    with _about(file):
        if origin.KEY not in texts:
            return read_texts(texts)
        found = Origin.from_text(texts[origin.KEY])
    return Converted(recipe_of(found, decode_image(data, str(file)).size))


def _read_text(file: Path) -> Converted[Recipe]:
    with _about(file), file.open("rb") as stream:
        return read_data(stream.read(MAX_BYTES + 1), file.suffix.lower())


@contextmanager
def _about(file: Path) -> Iterator[None]:
    """Say which file it is that something is wrong with."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _in_folders(folders: Sequence[Path]) -> Finder:
    """Find references by the last part of their name, also as a study keeps its images."""

    def find(name: str) -> "Image | None":
        plain_name = Path(name.replace("\\", "/")).name
        for folder in folders:
            for place in (folder / plain_name, folder / plain_name[:2] / plain_name):
                if plain_name and place.is_file():
                    return open_image(place)
        return None

    return find


def _with_sampler(recipe: Recipe, asked: Conversion) -> Recipe:
    """Have other programs draw with a sampler that somebody names."""
    if asked.sampler is None:
        if asked.schedule is not None:
            raise ValueError("--schedule needs a --sampler")
        return recipe
    solver, spacing = solver_by_webui(asked.sampler, asked.schedule)
    return replace(recipe, solver=solver, spacing=spacing)


def _named(recipe: Recipe, find: Finder) -> tuple[Recipe, Mapping[str, "Image | None"]]:
    """Give references names that are safe everywhere, and find their images."""
    names: dict[str, str] = {}
    for name in (*recipe.liked, *recipe.disliked):
        names.setdefault(name, _safe(name, set(names.values())))
    images = {safe: find(name) for name, safe in names.items()}
    liked, disliked = (tuple(names[n] for n in role) for role in (recipe.liked, recipe.disliked))
    strengths = {names[name]: value for name, value in recipe.strengths.items() if name in names}
    return replace(recipe, liked=liked, disliked=disliked, strengths=strengths), images


def _safe(name: str, taken: set[str]) -> str:
    stem = Path(name.replace("\\", "/")).stem
    base = _STRANGE.sub("_", stem)[:_LONGEST] or "reference"
    candidates = (base if i == 0 else f"{base}-{i}" for i in range(len(taken) + 1))
    known = {name.casefold() for name in taken}  # some file systems tell no case
    return next(f"{one}.png" for one in candidates if f"{one}.png".casefold() not in known)


def _missing(images: Mapping[str, "Image | None"]) -> list[str]:
    missing = [name for name, image in images.items() if image is None]
    if not missing:
        return []
    return [
        f"not found, to be copied by hand (or name their folder by --references): "
        f"{', '.join(missing)}"
    ]


def _write(form: Form, recipe: Recipe, images: Mapping[str, "Image | None"], out: Path) -> None:
    """Write texts and references; these hold pixels only."""
    out.mkdir(parents=True, exist_ok=True)
    for name, text in form.files.items():
        (out / name).write_text(text, "utf-8")
    roles = ((form.liked_folder, recipe.liked), (form.disliked_folder, recipe.disliked))
    for folder, names in roles:
        for name in names:
            if (image := images[name]) is not None:
                (out / folder).mkdir(parents=True, exist_ok=True)
                image.convert("RGB").save(out / folder / name, "PNG")


def _say_aside(form: Form, out: Path | None, notes: Sequence[str]) -> None:
    console = asides()
    if out is not None:
        for name, what in form.where.items():
            if (out / name).exists():
                console.print(f"{out / name}: {what}", soft_wrap=True)
    for note in notes:
        console.print(f"note: {plain(note)}", soft_wrap=True)
