"""Options of an objective whose names have come to mean something else."""

from alembic import op
from sqlalchemy import JSON, column, select, table

from fabricbo.study.errors import NotAStudyError


def refuse_options(*taken: str) -> None:
    """Refuse a store that has such options: it would be read as something else.

    Raises:
        NotAStudyError: it has one.
    """
    query = select(table("study", column("settings", JSON)).c.settings)
    settings = op.get_bind().scalar(query) or {}
    given = settings.get("objective") or ()
    for one in [given] if isinstance(given, dict) else given:
        for key in taken:
            if key in one:
                raise NotAStudyError(
                    f"the study {settings['name']!r} was made by an earlier version of fabricbo, "
                    f"and its objective has an option {key!r}, which means something else now; "
                    "open it with the version that made it"
                )
