"""The pool: read from a folder at first, then grown from round to round."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL.Image import Image

from fabricbo.imagefiles import SUFFIXES, image_files, open_image, pixel_hash
from fabricbo.records import Reference, Role, Round
from fabricbo.space import MAX_POOL
from fabricbo.study.rounds import Growth
from fabricbo.study.settings import StudySettings

_SUBFOLDERS = {"": Role.LIKED, "liked": Role.LIKED, "disliked": Role.DISLIKED}


def read_pool(folder: Path) -> tuple[Reference, ...]:
    """Read the images of a folder, and of `liked/` and `disliked/` in it, in order of their names.

    Raises:
        ValueError: no such folder, no image in it, too many of them, the same pixels twice, or
            an image that cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"pool.folder: no folder {folder}; make it, or leave pool.folder out")
    files = [(file, role) for name, role in _SUBFOLDERS.items() for file in _images(folder / name)]
    if not files:
        kinds = ", ".join(sorted(SUFFIXES))
        raise ValueError(
            f"pool.folder: no image in {folder}; put files into it ({kinds}), or leave it out"
        )
    if len(files) > MAX_POOL:
        raise ValueError(f"pool.folder: {len(files)} images in {folder}; at most {MAX_POOL}")
    return tuple(_reference(file, role) for file, role in files)


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return image_files(folder)


def _reference(file: Path, role: Role) -> Reference:
    try:
        image = open_image(file)
    except (ValueError, OSError) as error:  # a folder or a broken link by the name of an image
        raise ValueError(f"pool.folder: {error}") from error
    return Reference(pixel_hash(image), file.stem, image, role)


def most_references(settings: StudySettings) -> tuple[int, int]:
    """Return how many references an action can like and dislike, whatever the search does."""
    liked, disliked = settings.space.max_liked, settings.space.max_disliked
    folder = settings.pool.folder
    if settings.pool.grows or (folder is not None and not folder.is_dir()):
        return liked, disliked
    there = 0 if folder is None else sum(len(_images(folder / name)) for name in _SUBFOLDERS)
    return min(liked, there), min(disliked, max(0, there - liked))


def check_pool(settings: StudySettings, pool: Sequence[Reference]) -> None:
    """Check that settings and pool fit.

    Raises:
        ValueError: too many references, the same pixels twice, roles or strengths asked for without
            any, caps that leave none of them, or nothing to search because what varies acts through
            references and there are none.
    """
    settings.space.to_space().check_pool(pool)
    if settings.space.roles and not (pool or settings.pool.grows):
        raise ValueError("space.roles: there are no references; name a pool.folder, or let it grow")
    if len(settings.space.strengths) > 1 and not (pool or settings.pool.grows):
        raise ValueError(
            "space.strengths: there are no references; name a pool.folder, or let it grow"
        )
    if (
        pool or settings.pool.grows
    ) and settings.space.max_liked == settings.space.max_disliked == 0:
        raise ValueError(
            "space: max_liked and max_disliked are both 0, so no reference can be used; raise one, "
            "or leave the references out"
        )
    searches = settings.space.to_space().acts_without_references
    if not (pool or settings.pool.grows or searches):
        raise ValueError(
            "space: nothing that varies changes an image without references; name a pool.folder, "
            "let the pool grow (pool.grow_liked), or vary guidance_scale"
        )


def grown_pool(
    current: Round, chosen: Growth, load: Callable[[str], Image]
) -> tuple[Reference, ...]:
    """Return a round's pool with the chosen images behind it, as far as there is room."""
    known = {reference.id for reference in current.pool}
    groups = ((chosen.liked, "best", Role.LIKED), (chosen.disliked, "worst", Role.DISLIKED))
    new = [
        Reference(image, f"round {current.index} {word} {number}", load(image), role)
        for images, word, role in groups
        for number, image in enumerate(images, 1)
        if image not in known
    ]
    return (*current.pool, *new)[:MAX_POOL]
