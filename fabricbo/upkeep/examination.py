"""Whether everything that a study's store speaks of is there and whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from fabricbo.counted import Counter, counted, uncounted
from fabricbo.study import schema
from fabricbo.study.database import connect
from fabricbo.study.images import ImageStore, images_of
from fabricbo.study.location import Location
from fabricbo.study.store import stored_settings
from fabricbo.upkeep.uses import Use, image_uses

State = Literal["missing", "damaged"]


@dataclass(frozen=True, slots=True)
class Harm:
    """An image that is missing or does not hold the pixels that its name stands for."""

    image: str
    state: State
    uses: tuple[Use, ...]
    """What it is needed for."""

    @property
    def text(self) -> str:
        """What is wrong, in words."""
        return f"{self.state}: image {self.image[:12]} of {', '.join(u.text for u in self.uses)}"


@dataclass(frozen=True, slots=True)
class Health:
    """What an examination found."""

    images: int
    """That the store speaks of."""
    harms: tuple[Harm, ...] = ()
    store: tuple[str, ...] = ()
    """What is wrong with the store itself."""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.harms and not self.store


def examine(folder: Path, images: ImageStore | None = None, tell: Counter = uncounted) -> Health:
    """Check every row and every image of a study; changes nothing.

    Args:
        folder: the study's.
        images: where to look for them; None: where the study keeps them.
        tell: told how many images are checked.

    Raises:
        NotAStudyError: there is no store.
        NewerStoreError: written by a newer version.
        ImagesGoneError: where it keeps its images does not answer.
    """
    location = Location.of(folder)
    wrong = tuple(_store_problems(location))
    if wrong:
        return Health(0, store=wrong)
    by_image: dict[str, list[Use]] = {}
    for use in image_uses(location):
        by_image.setdefault(use.image, []).append(use)
    if images is None:
        images = images_of(folder, stored_settings(location).images_at)
    every = counted(list(by_image.items()), tell)
    states = ((image, _state(images, image), uses) for image, uses in every)
    harms = [Harm(image, state, tuple(uses)) for image, state, uses in states if state]
    return Health(len(by_image), tuple(harms))


def _store_problems(location: Location) -> Sequence[str]:
    """Have SQLite check its pages, and that what rows refer to is there.

    PostgreSQL sees to both itself; there the rows are read, each of them.
    """
    engine = connect(location, writes=False)
    try:
        if location.database is not None:
            with engine.connect() as connection:
                for table in schema.metadata.sorted_tables:
                    connection.execute(sa.select(table)).all()
            return []
        with engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            torn = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    except sa.exc.DatabaseError as error:
        return [f"{location} cannot be read: {error.orig}"]
    finally:
        engine.dispose()
    found = [str(line) for line in pages if line != "ok"]
    return found + [
        f"row {row[1]} of {row[0]} refers to {row[2]} that is not there" for row in torn
    ]


def _state(images: ImageStore, image: str) -> State | None:
    try:
        images.load(image)
    except FileNotFoundError:
        return "missing"
    except (ValueError, OSError):
        return "damaged"
    return None
