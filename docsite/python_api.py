"""The reference of the Python API: what mkdocstrings is to show, and in which order."""

from collections.abc import Mapping

import fabricbo

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Studies": (
        "create_study",
        "resume_study",
        "Study",
        "StudySettings",
        "Parts",
        "Trial",
        "TrialStatus",
        "Round",
        "StudyError",
        "write_report",
    ),
    "Actions": ("Action", "FabricParams", "Reference", "Role", "ActionSpace", "Range", "Choice"),
    "Sampler": ("Checkpoint", "load_pipeline", "FabricSampler", "SamplerOptions"),
    "Scores": (
        "objective",
        "load_objective",
        "Card",
        "ObjectiveError",
        "Score",
        "Measure",
        "Preference",
    ),
    "Protocols": ("Objective", "Sampler", "Proposer", "History", "Proposal", "Logger"),
}
"""All public names of `fabricbo`."""
FURTHER: Mapping[str, tuple[str, ...]] = {
    "Feedback for any pipeline": (
        "fabricbo.sampler.FeedbackInputs",
        "fabricbo.sampler.ReferenceLatent",
        "fabricbo.sampler.load_preview_decoder",
        "fabricbo.sampler.Preview",
        "fabricbo.sampler.Previews",
        "fabricbo.sampler.feedback.feedback",
        "fabricbo.protocols.Drawing",
    ),
    "Following a study": ("fabricbo.events", "fabricbo.study.status.read_status"),
    "For authors of objectives": ("fabricbo.testing.check_objective", "fabricbo.scoring.DrawnWith"),
    "Keeping studies": (
        "fabricbo.upkeep.examination.examine",
        "fabricbo.upkeep.replay.draw_again",
        "fabricbo.upkeep.archive.pack",
        "fabricbo.upkeep.archive.unpack",
        "fabricbo.upkeep.forking.fork",
    ),
    "For other programs": (
        "fabricbo.interop.recipe.Recipe",
        "fabricbo.interop.forms.FORMS",
        "fabricbo.interop.solvers.solver_named",
        "fabricbo.interop.timesteps.Spacing",
    ),
}
"""What pages speak of besides."""


def python_api() -> str:
    """Return a page's Markdown, with a directive of mkdocstrings for each object."""
    listed = [name for names in SECTIONS.values() for name in names]
    if sorted(listed) != sorted(fabricbo.__all__):
        differ = sorted({*listed} ^ {*fabricbo.__all__})
        raise ValueError(f"SECTIONS must list what fabricbo.__all__ lists, differ: {differ}")
    lines = ["# Python", "", "`import fabricbo` is cheap; torch and Ax are loaded when needed."]
    homes = fabricbo._HOME
    for section, names in SECTIONS.items():
        lines += ["", f"## {section}"]
        for name in names:
            lines += ["", f"::: fabricbo.{homes[name]}.{name}"]
    for section, names in FURTHER.items():
        lines += ["", f"## {section}"]
        for name in names:
            lines += ["", f"::: {name}"]
    return "\n".join(lines) + "\n"
