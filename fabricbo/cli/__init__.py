"""The command line: parse, call, print. What is costly to import is imported by the commands."""

from fabricbo.cli.app import main

__all__ = ["main"]
