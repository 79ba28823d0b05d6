"""Studies: what is asked, told and kept."""

from fabricbo.study.checked import SettingsError
from fabricbo.study.errors import (
    ImagesGoneError,
    NameInUseError,
    NewerStoreError,
    NotAStudyError,
    RepeatedFailureError,
    StudyCompleteError,
    StudyError,
    StudyInUseError,
    TrialStateError,
)
from fabricbo.study.heldout import Heldout
from fabricbo.study.parts import Parts
from fabricbo.study.settings import StudySettings, check_settings
from fabricbo.study.study import Study

__all__ = [
    "Heldout",
    "ImagesGoneError",
    "NameInUseError",
    "NewerStoreError",
    "NotAStudyError",
    "Parts",
    "RepeatedFailureError",
    "SettingsError",
    "Study",
    "StudyCompleteError",
    "StudyError",
    "StudyInUseError",
    "StudySettings",
    "TrialStateError",
    "check_settings",
]
