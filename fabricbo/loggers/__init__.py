"""Ready-made loggers: JSON lines, and four programs that show what is logged.

Each file imports its library when its logger is made, and what it makes of events is the same for
all, see `fabricbo.loggers.numbers`.
"""

from fabricbo.loggers.loading import LoggerError, load_logger

__all__ = ["LoggerError", "load_logger"]
