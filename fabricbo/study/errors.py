"""What can go wrong with a study that its user can do something about."""


class StudyError(Exception):
    """Base of the errors of studies."""


class NameInUseError(StudyError):
    """There is a study already where a new one was to be made."""


class NotAStudyError(StudyError):
    """There is no study, or none that can be read."""


class NewerStoreError(StudyError):
    """The store was written by a newer version of fabricbo."""


class MigrationError(StudyError):
    """A store of an earlier version cannot be brought up to date; it is as it was."""


class StudyCompleteError(StudyError):
    """All planned trials have been asked for."""


class StudyInUseError(StudyError):
    """Another process draws for it."""


class TrialStateError(StudyError):
    """A trial is not in the state that a call needs."""


class StoreWriteError(StudyError):
    """Nothing can be written: the disk is full, or may not be written to."""


class DatabaseGoneError(StudyError):
    """The database does not answer."""


class ImagesGoneError(StudyError):
    """Where a study keeps its images does not answer, or refuses."""


class RepeatedFailureError(StudyError):
    """Several trials in a row failed; the study stopped with everything kept."""
