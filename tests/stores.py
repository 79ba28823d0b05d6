"""Which databases a test runs on; see `store_kind` in conftest."""

import pytest

sqlite_only = pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
"""For a test that is about the file, in a module whose other tests run on PostgreSQL too."""
