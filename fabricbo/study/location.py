"""Where the rows of a study lie: in `study.db` in its folder, or in a PostgreSQL database.

A study has a folder either way. In a database it has a schema of its own, and the folder holds a
small file that says where.
"""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

from fabricbo.study.errors import NotAStudyError

STORE_NAME = "study.db"
POINTER_NAME = "database.json"
_DRIVER = "postgresql+psycopg"
_LONGEST = 63
"""Bytes of a name in PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where the rows of one study lie."""

    folder: Path
    database: str | None = None
    """URL of a PostgreSQL database; None: `study.db` in the folder."""
    schema: str = ""
    """The study's own in that database."""

    @classmethod
    def of(cls, folder: Path) -> "Location":
        """Return where the study in a folder keeps its rows.

        Raises:
            NotAStudyError: there is none.
        """
        if (folder / STORE_NAME).is_file():
            return cls(folder)
        try:
            told = json.loads((folder / POINTER_NAME).read_text("utf-8"))
            return cls(folder, told["database"], told["schema"])
        except FileNotFoundError:
            raise NotAStudyError(f"no study at {folder} (there is no {STORE_NAME})") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotAStudyError(f"{folder / POINTER_NAME} cannot be read: {error}") from error

    @classmethod
    def new(cls, folder: Path, database: str | None) -> "Location":
        """Return where a study of that folder is to keep its rows."""
        return cls(folder) if database is None else cls(folder, database, schema_of(folder.name))

    @property
    def file(self) -> Path:
        """The SQLite file."""
        return self.folder / STORE_NAME

    def point(self) -> None:
        """Write into the folder where the rows are."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{POINTER_NAME}.part"
        part.write_text(json.dumps({"database": self.database, "schema": self.schema}), "utf-8")
        part.replace(self.folder / POINTER_NAME)

    def __str__(self) -> str:
        """Return it for messages."""
        return str(self.file) if self.database is None else f"{self.database} ({self.schema})"


def is_study(folder: Path) -> bool:
    """Tell whether a folder is that of a study."""
    return (folder / STORE_NAME).is_file() or (folder / POINTER_NAME).is_file()


def schema_of(name: str) -> str:
    """Return the schema of a study; long names are cut, and told apart by a hash."""
    full = f"fabricbo_{name}"
    if len(full) <= _LONGEST:
        return full
    return f"{full[: _LONGEST - 9]}_{sha256(name.encode()).hexdigest()[:8]}"


def check_database(url: str) -> str:
    """Return the URL of a database as SQLAlchemy wants it.

    Raises:
        ValueError: it is no URL of PostgreSQL, or holds a password: it would be kept in the
            study, and in all that is exported from it.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise ValueError(f"{url!r} is no URL; expected postgresql://HOST/DATABASE") from None
    if parsed.drivername not in ("postgresql", "postgres", _DRIVER):
        raise ValueError(
            f"expected postgresql://HOST/DATABASE, got {parsed.drivername}://...; without "
            f"`database` a study is kept in {STORE_NAME} in its folder"
        )
    if parsed.password is not None or "password" in parsed.query:
        raise ValueError(
            "leave the password out of the URL, it would be kept in the study; PostgreSQL reads "
            "it from PGPASSWORD, ~/.pgpass or a service file"
        )
    return str(parsed.set(drivername=_DRIVER))


def named_in_database(text: str) -> tuple[str, str] | None:
    """Read `postgresql://HOST/DATABASE#STUDY`: the URL and the study's name; None for others.

    Raises:
        ValueError: the URL cannot be used.
    """
    match = re.fullmatch(r"(postgres(?:ql)?(?:\+psycopg)?://[^#]*)#(.+)", text)
    return None if match is None else (check_database(match[1]), match[2])
