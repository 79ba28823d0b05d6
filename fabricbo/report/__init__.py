"""A study as one HTML page that needs no network; several beside each other; a page as PDF."""

from fabricbo.report.analyses import write_analyses
from fabricbo.report.compare import write_comparison
from fabricbo.report.page import write_report
from fabricbo.report.pdf import NoBrowserError, write_pdf

__all__ = ["NoBrowserError", "write_analyses", "write_comparison", "write_pdf", "write_report"]
