"""Bayesian optimization over the parameters of FABRIC.

Public names are loaded when they are first used, so that `import fabricbo` stays cheap:
it loads neither torch, diffusers, transformers nor ax.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fabricbo.compose import create_study, resume_study
    from fabricbo.protocols import History, Logger, Objective, Proposal, Proposer, Sampler
    from fabricbo.records import Action, FabricParams, Reference, Role, Round, Trial, TrialStatus
    from fabricbo.report import write_report
    from fabricbo.sampler import Checkpoint, FabricSampler, SamplerOptions, load_pipeline
    from fabricbo.scores import Measure, Preference, Score
    from fabricbo.scoring import Card, ObjectiveError, load_objective, objective
    from fabricbo.space import ActionSpace, Choice, Range
    from fabricbo.study import Parts, Study, StudyError, StudySettings

_NAMES = {
    "compose": ("create_study", "resume_study"),
    "scoring": ("Card", "ObjectiveError", "load_objective", "objective"),
    "protocols": ("History", "Logger", "Objective", "Proposal", "Proposer", "Sampler"),
    "records": ("Action", "FabricParams", "Reference", "Role", "Round", "Trial", "TrialStatus"),
    "report": ("write_report",),
    "sampler": ("Checkpoint", "FabricSampler", "SamplerOptions", "load_pipeline"),
    "scores": ("Measure", "Preference", "Score"),
    "space": ("ActionSpace", "Choice", "Range"),
    "study": ("Parts", "Study", "StudyError", "StudySettings"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "Action",
    "ActionSpace",
    "Card",
    "Checkpoint",
    "Choice",
    "FabricParams",
    "FabricSampler",
    "History",
    "Logger",
    "Measure",
    "Objective",
    "ObjectiveError",
    "Parts",
    "Preference",
    "Proposal",
    "Proposer",
    "Range",
    "Reference",
    "Role",
    "Round",
    "Sampler",
    "SamplerOptions",
    "Score",
    "Study",
    "StudyError",
    "StudySettings",
    "Trial",
    "TrialStatus",
    "create_study",
    "load_objective",
    "load_pipeline",
    "objective",
    "resume_study",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fabricbo' has no attribute {name!r}")
    return getattr(import_module(f"fabricbo.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
