"""Bringing the store of an earlier version up to date: Alembic's revisions, one a schema.

A revision is named by the number in `study.schema_version`, which is the only truth about what a
store is: there is no `alembic_version` table that could say something else. Earlier versions of
fabricbo read that number, too, and refuse what is newer than they are.
"""
