"""The revisions, found by Alembic; a store that has one already never meets it again.

They import nothing of ours that changes from version to version: what a schema was, it stays.
"""
