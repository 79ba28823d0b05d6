"""A study as one HTML page that needs no network."""

from fabricbo.report.analyses import write_analyses
from fabricbo.report.page import write_report

__all__ = ["write_analyses", "write_report"]
