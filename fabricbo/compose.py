"""Putting a study together from its settings: the one place that knows the concrete parts.

Everything that can be wrong is checked before the first network is loaded.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fabricbo.assessment import Analysed
from fabricbo.executors import InlineExecutor, Tools
from fabricbo.protocols import Logger, Objective, Proposer, Sampler
from fabricbo.scoring import Part, Placement, load_objective, prepare
from fabricbo.study import (
    NameInUseError,
    NotAStudyError,
    Parts,
    SettingsError,
    Study,
    StudySettings,
)
from fabricbo.study.images import images_of
from fabricbo.study.location import Location, is_study
from fabricbo.study.measures import people_decide, study_measures
from fabricbo.study.parts import objectives_by_name
from fabricbo.study.pool import check_pool, most_references, read_pool
from fabricbo.study.safety import naming_safety, with_safety
from fabricbo.study.settings import ObjectiveSettings, check_settings
from fabricbo.study.store import stored_settings

if TYPE_CHECKING:
    from PIL.Image import Image

    from fabricbo.sampler import Checkpoint, Previews

PREVIEW_NAME = "preview.jpg"
"""In a study's folder, while it draws."""

Embed = Callable[[Sequence["Image"]], Any]


def create_study(
    settings: StudySettings | Mapping[str, Any],
    *,
    objective: Objective | Mapping[str, Objective] | None = None,
    device: str = "auto",
    offload: bool = False,
    loggers: Logger | Sequence[Logger] = (),
) -> Study:
    """Make a new study, ready to run.

    Args:
        settings: as a value, or with the keys of a study file.
        objective: a callable in place of what the settings name, or several by name.
        device: `auto`, `cpu`, `cuda` or `mps`; objectives that hold a network use it too.
        offload: whether those networks leave the device while the sampler draws.
        loggers: who is told what becomes of it, besides those that the settings name.

    Raises:
        SettingsError: a setting is wrong.
        LoggerError: a logger cannot be loaded.
        NameInUseError: there is a study of that name already.
        ImagesGoneError: where it is to keep its images does not answer, or refuses.
        ObjectiveError: the objective cannot be loaded.
        ValueError: pool or checkpoint cannot be used.
        FileNotFoundError: the checkpoint is neither here nor can it be fetched.
    """
    settings = settings if isinstance(settings, StudySettings) else check_settings(settings)
    if is_study(settings.folder):
        raise NameInUseError(
            f"name: there is a study in {settings.folder} already; resume it with `fabricbo "
            f"resume {settings.folder}`, or choose another name"
        )
    given, settings = settings, with_safety(settings, objective is not None)
    pool = () if settings.pool.folder is None else read_pool(settings.pool.folder)
    check_pool(settings, pool)
    _check_images(settings.folder, settings)
    earlier = None if settings.start_from is None else _earlier(settings, settings.start_from)
    told = _loggers(settings, loggers)
    placement = Placement(device, offload)
    asked = partial(named_objectives, given, placement)
    with naming_safety(asked) if settings.constraints != given.constraints else nullcontext():
        parts = load_parts(settings, objective, placement)
    settings = _begun_where_it_suits(settings, placement)
    return Study.create(settings, replace(parts, loggers=told), pool, earlier)


def resume_study(
    folder: Path,
    *,
    objective: Objective | Mapping[str, Objective] | None = None,
    device: str = "auto",
    offload: bool = False,
    how: StudySettings | None = None,
    loggers: Logger | Sequence[Logger] = (),
) -> Study:
    """Open a study, ready to go on; an objective that was handed over must be so again.

    Args:
        folder: of the study.
        objective: a callable in place of what the settings name, or several by name.
        device: `auto`, `cpu`, `cuda` or `mps`; objectives that hold a network use it too.
        offload: whether those networks leave the device while the sampler draws.
        how: its settings with another executor, other loggers or another `max_memory_gb`; nothing
            else of it counts.
        loggers: who is told what becomes of it, besides those that the settings name.

    Raises:
        NotAStudyError: there is none, or it cannot be read.
        ImagesGoneError: where it keeps its images does not answer, or refuses.
        ObjectiveError: the objective cannot be loaded.
        FileNotFoundError: the checkpoint is neither here nor can it be fetched.
    """
    settings = stored_settings(Location.of(folder))
    if how is not None:
        bounded = {"max_memory_gb": how.checkpoint.max_memory_gb}
        checkpoint = settings.checkpoint.model_copy(update=bounded)
        new = {"executor": how.executor, "loggers": how.loggers, "checkpoint": checkpoint}
        settings = settings.model_copy(update=new)
    _check_images(folder, settings)
    told = _loggers(settings, loggers)
    parts = load_parts(settings, objective, Placement(device, offload), folder)
    return Study.open(folder, replace(parts, loggers=told))


def _loggers(settings: StudySettings, given: Logger | Sequence[Logger]) -> dict[str, Logger]:
    """Return who is told, by names that stay the same when the study is resumed.

    Raises:
        LoggerError: one cannot be loaded.
    """
    from fabricbo.loggers import load_logger

    found = {one.called: load_logger(one.name, one.options) for one in settings.loggers}
    several = given if isinstance(given, Sequence) else (given,)
    for one in several:
        name, number = type(one).__name__, 1
        while (label := name if number == 1 else f"{name}-{number}") in found:
            number += 1
        found[label] = one
    return found


def _check_images(folder: Path, settings: StudySettings) -> None:
    """Try where images are kept, if not at home, before anything is drawn for it."""
    if settings.images_at is not None:
        images_of(folder, settings.images_at).check()


def _begun_where_it_suits(settings: StudySettings, placement: Placement) -> StudySettings:
    """Let the search begin with the hand settings that suit the checkpoint."""
    from fabricbo.sampler import hand_settings

    hand = hand_settings(_checkpoint(settings, placement.device))
    return settings.model_copy(update={"space": settings.space.beginning_with(hand)})


def _earlier(settings: StudySettings, folder: Path) -> Study:
    """Open the study to start from, given its folder, or its name in the same storage."""
    try:
        return Study.open(folder)
    except NotAStudyError:
        return Study.open(settings.storage / folder.name)


def load_parts(
    settings: StudySettings,
    objective: Objective | Mapping[str, Objective] | None,
    placement: Placement,
    folder: Path | None = None,
) -> Parts:
    """Load what a study works with; what fails soonest and cheapest comes first.

    Args:
        settings: of the study.
        objective: what was handed over in Python, in place of what the settings name.
        placement: on which device.
        folder: where the study lies, if not where its settings say.
    """
    _check_proposer(settings)
    found = objective or _objective(settings, placement)
    _check_task(settings, objectives_by_name(found))
    if settings.executor.kind == "ray":
        return _parts_on_ray(settings, objective, found, placement)
    tools = load_tools(settings, found, placement, folder or settings.folder)
    ahead = settings.executor.ahead
    if ahead is None:
        # Where this machine's cores draw, there is nothing to be had from thinking meanwhile.
        ahead = 1 if _has_gpu(tools.sampler) else 0
    return Parts(
        load_proposer(settings, embedder(tools)),
        tools.sampler,
        found,
        tools.reporters,
        executor=partial(
            InlineExecutor,
            ahead=ahead,
            together=settings.executor.together,
            beside=_beside(tools.sampler, settings, placement),
        ),
    )


def _beside(
    sampler: Sampler, settings: StudySettings, placement: Placement
) -> Callable[[], AbstractContextManager[Any]] | None:
    """Return what decoding and scoring go on in while the next trial is drawn; None: they do not.

    On a CPU both would want the same cores; where memory is short, the same memory.
    """
    from fabricbo.sampler import FabricSampler
    from fabricbo.sampler.decoding import side_stream

    chosen = settings.checkpoint
    is_short = placement.offload or chosen.lean or chosen.images_at_once or chosen.max_memory_gb
    if is_short or not isinstance(sampler, FabricSampler):
        return None
    device = sampler.pipeline.device
    return partial(side_stream, device) if device.type == "cuda" else None


def load_tools(
    settings: StudySettings,
    objective: Objective | Mapping[str, Objective] | None,
    placement: Placement,
    previews_in: Path | None = None,
) -> Tools:
    """Load what draws and scores, in the process that does.

    Args:
        settings: of the study.
        objective: what was handed over in Python, in place of what the settings name.
        placement: on which device.
        previews_in: folder for previews, where the settings ask for them; None: there are none.
    """
    checkpoint = _checkpoint(settings, placement.device)
    objectives = objectives_by_name(objective or _objective(settings, placement))
    reporters = _named(settings.report_with, placement)
    for one in (*objectives.values(), *reporters.values()):
        prepare(one)
    return Tools(load_sampler(settings, checkpoint, previews_in), objectives, reporters)


def _parts_on_ray(
    settings: StudySettings,
    given: Objective | Mapping[str, Objective] | None,
    found: Objective | Mapping[str, Objective] | None,
    placement: Placement,
) -> Parts:
    """Return parts of which the proposer is here, and all that holds networks is elsewhere."""
    from fabricbo.executors.ray_workers import RayExecutor, RayOptions

    if find_spec("ray") is None:
        raise SettingsError('executor: needs Ray: pip install "fabricbo[ray]"')
    options = RayOptions(**settings.executor.model_dump(exclude={"kind", "together"}))
    executor = RayExecutor(partial(load_tools, settings, given, placement), options)
    executor.load()
    proposer = load_proposer(settings, partial(executor.embed, embedder))
    reporters = _named(settings.report_with, placement)
    return Parts(proposer, _draws_elsewhere, found, reporters, executor=lambda _tools: executor)


def _draws_elsewhere(*_call: object) -> NoReturn:
    raise ValueError("the workers draw for this study, not this process")


def _has_gpu(sampler: Sampler) -> bool:
    from fabricbo.sampler import FabricSampler

    return isinstance(sampler, FabricSampler) and sampler.pipeline.device.type != "cpu"


def _objective(
    settings: StudySettings, placement: Placement
) -> Objective | Mapping[str, Objective] | None:
    """Load what the settings name: one objective, several by name, or none."""
    named = named_objectives(settings, placement)
    single = len(settings.objective) == 1 and not settings.objective[0].label
    return next(iter(named.values())) if single else named or None


def named_objectives(
    settings: StudySettings, placement: Placement | None = None
) -> dict[str, Objective]:
    """Load the objectives that settings name, by what they are called.

    Raises:
        ObjectiveError: one cannot be loaded.
    """
    return _named(settings.objective, placement)


def _named(
    several: Sequence[ObjectiveSettings], placement: Placement | None
) -> dict[str, Objective]:
    return {one.called: _loaded(one, placement) for one in several}


def _loaded(one: ObjectiveSettings, placement: Placement | None) -> Objective:
    options: dict[str, Any] = dict(one.options)
    if one.parts:
        options["parts"] = tuple(
            Part(part.called, _loaded(part, placement), part.weight or 1.0) for part in one.parts
        )
    return load_objective(one.name, options, placement)


def _check_proposer(settings: StudySettings) -> None:
    # Not among the settings' own checks: a study knows no concrete proposer.
    from fabricbo.proposers import ProposerError, check_proposer

    try:
        check_proposer(settings.proposer)
    except ProposerError as error:
        raise SettingsError(f"proposer: {error}") from None


def _check_task(settings: StudySettings, objectives: Mapping[str, Objective]) -> None:
    from fabricbo.proposers import ProposerError, check_task

    measures = study_measures(objectives, settings)
    try:
        judged = settings.rating is not None
        scored = () if people_decide(measures) else measures
        check_task(settings.proposer, scored, judged=judged)
    except ProposerError as error:
        raise SettingsError(f"proposer: {error}") from None


def embedder(tools: Tools) -> Embed | None:
    """Return what says which references are alike; an objective's own embeddings do so best."""
    several = (*tools.objectives.values(), tools.sampler)
    found = (getattr(one, "embed", None) for one in several)
    return next((embed for embed in found if embed is not None), None)


def load_proposer(settings: StudySettings, embed: Embed | None) -> Proposer:
    """Make the proposer; `embed` tells which references are alike."""
    from fabricbo.proposers import make_proposer

    return make_proposer(settings.proposer, embed)


def sampler_for(settings: StudySettings, *, device: str = "auto") -> Sampler:
    """Load what draws for a study, and nothing else.

    Raises:
        FileNotFoundError: the checkpoint is neither here nor can it be fetched.
        ValueError: it cannot be used.
    """
    return load_sampler(settings, _checkpoint(settings, device))


def load_sampler(
    settings: StudySettings, checkpoint: "Checkpoint", previews_in: Path | None = None
) -> Sampler:
    """Load the checkpoint and wrap it as a sampler.

    Args:
        settings: of the study.
        checkpoint: what they name.
        previews_in: see `load_tools`.

    Raises:
        ValueError: it cannot draw all that the space allows, or not within `max_memory_gb`.
    """
    from fabricbo.sampler import FabricSampler, SamplerOptions, load_pipeline
    from fabricbo.sampler.sampler import check_rescale
    from fabricbo.sampler.threads import ThreadTunedSampler

    options = SamplerOptions(
        negative_prompt=settings.negative_prompt,
        width=settings.checkpoint.width,
        height=settings.checkpoint.height,
        reference_noise=settings.checkpoint.reference_noise,
        reference_fit=settings.checkpoint.reference_fit,
        cache_bytes=_bytes(settings.checkpoint.cache_gb),
        max_memory=_bytes(settings.checkpoint.max_memory_gb),
        images_at_once=settings.checkpoint.images_at_once,
        lean=settings.checkpoint.lean,
        feedback_levels=settings.checkpoint.feedback_levels,
        merge_tokens=settings.checkpoint.merge_tokens,
        reference_stride=settings.checkpoint.reference_stride,
        distilled_guidance=settings.checkpoint.distilled_guidance,
    )
    pipeline = load_pipeline(checkpoint)
    if "rescale" in settings.space.to_space().settings:
        check_rescale(pipeline)
    previews = _previews(settings, pipeline, previews_in)
    sampler = FabricSampler(pipeline, options, previews=previews)
    sampler.check_memory(*most_references(settings))
    on_cpu = sampler.pipeline.device.type == "cpu"
    return ThreadTunedSampler(sampler) if on_cpu else sampler


def _previews(settings: StudySettings, pipeline: Any, folder: Path | None) -> "Previews | None":
    from fabricbo.sampler import Previews, load_preview_decoder
    from fabricbo.sampler.preview_file import PreviewFile

    name = settings.checkpoint.preview_decoder
    if name is None or folder is None:
        return None
    decoder = load_preview_decoder(name, pipeline)
    return Previews(decoder, PreviewFile(folder / PREVIEW_NAME))


def _bytes(gigabytes: float | None) -> int | None:
    return None if gigabytes is None else round(gigabytes * 1e9)


def _checkpoint(settings: StudySettings, device: str) -> "Checkpoint":
    from fabricbo.sampler import Checkpoint

    chosen = settings.checkpoint
    return Checkpoint(
        chosen.name,
        chosen.revision,
        chosen.config,
        chosen.lora,
        chosen.clip_skip,
        device,  # type: ignore[arg-type]
        chosen.precision,
        chosen.compile,
    )


def analyse(study: Study) -> list[Analysed]:
    """Have Ax analyse a study; this imports Ax and takes seconds to a minute.

    Raises:
        SettingsError: no trial has a score, or none ever will, so there is nothing to analyse.
    """
    if people_decide(study.measures):
        raise SettingsError(
            "nothing but people says what is good in this study, so there is no score to analyse"
        )
    if study.baseline is None and not any(trial.scores for trial in study.trials):
        raise SettingsError(
            "no trial has a score yet, so there is nothing to analyse; draw some: `fabricbo resume "
            f"{study.folder}`"
        )
    from fabricbo.proposers.ax_analyses import ax_analyses

    return ax_analyses(study.history)
