"""What goes wrong with objectives."""


class ObjectiveError(Exception):
    """An objective cannot be found or made, or returned what is no score."""
