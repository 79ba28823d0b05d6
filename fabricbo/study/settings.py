"""The settings of a study: what a study file holds, checked field by field.

This is the edge where data from outside (a TOML file, a stored row) become values; inside,
`ActionSpace` and the frozen records take over.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    Strict,
    ValidationError,
    field_validator,
    model_validator,
)

from fabricbo.space import MAX_POOL
from fabricbo.study.bounds import bounds_by_name, check_bounded
from fabricbo.study.checked import (
    CheckedSettings,
    SettingsError,
    explain,
)
from fabricbo.study.location import check_database
from fabricbo.study.named_settings import NamedSettings
from fabricbo.study.remote_place import check_images_url
from fabricbo.study.space_settings import SpaceSettings

File = Annotated[Path, Strict(False)]
"""A path; in a file it is text."""


class CheckpointSettings(CheckedSettings):
    """Which network draws."""

    unsaid = frozenset(
        {
            *("precision", "max_memory_gb", "reference_stride", "compile", "preview_decoder"),
            "distilled_guidance",
        }
    )

    name: str = "demo"
    """`demo`, a folder in diffusers' format, a `.safetensors` file, or a hub id."""
    revision: str | None = None
    """Of a hub id: branch, tag or commit."""
    config: File | None = None
    """Of a `.safetensors` file: a folder that describes its architecture (`model_index.json`)."""
    lora: File | None = None
    """A LoRA, `.safetensors`, added to the network."""
    clip_skip: int = Field(default=0, ge=0, le=24)
    """How many of the last layers of the text encoders are left out."""
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Of the networks that draw; auto: float16 on a CUDA device, float32 elsewhere."""
    cache_gb: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Gigabytes for reference features on the device; None: a share of what is free."""
    images_at_once: int | None = Field(default=None, ge=1, le=1024)
    """How many images go through the U-Net in one call; fewer need less memory. None: all of a
    trial."""
    max_memory_gb: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Gigabytes that feedback may hold on the device beyond plain sampling: `cache_gb`, `lean` and
    `images_at_once` follow from it, where they are not given. None: no bound."""
    lean: bool = False
    """Whether references are attended to one after the other: less memory, more time, the same
    images up to rounding."""
    feedback_levels: Annotated[tuple[int, ...], Strict(False)] | None = None
    """U-Net levels that feedback acts at, 0 the outermost, the number of down blocks the
    bottleneck; None: all, as in the paper."""
    merge_tokens: float = Field(default=0.0, ge=0, le=0.5)
    """Share of each reference's tokens that are merged into others like them: less memory and
    time, other images."""
    reference_stride: int = Field(default=1, ge=1, le=1000)
    """References go through the U-Net at every so many-th denoising step, and what that gives
    serves until the next: less memory, less time while they are new, other images."""
    compile: bool = False
    """Whether the network's transformer blocks are compiled (`torch.compile`): the same images up
    to rounding, after a minute or more of compiling in each process."""
    preview_decoder: str | None = None
    """A folder, or a hub id, of an `AutoencoderTiny`: while a trial is drawn, `preview.jpg` in the
    study's folder shows what its images are going to look like."""
    width: Annotated[int, Field(gt=0, multiple_of=8)] | None = None
    """Pixels; the checkpoint's own size unless given."""
    height: Annotated[int, Field(gt=0, multiple_of=8)] | None = None
    """Pixels; the checkpoint's own size unless given."""
    reference_noise: Literal["fixed", "fresh"] = "fixed"
    """Whether a reference has noise of its own, or new noise at each step as in the authors'
    code."""
    reference_fit: Literal["stretch", "crop"] = "stretch"
    """How a reference of another shape is made to fit."""
    distilled_guidance: float = Field(default=3.5, ge=0, allow_inf_nan=False)
    """What FLUX.1 [dev] is told of guidance; others are not told."""


class LoggerSettings(NamedSettings):
    """Who is told what becomes of the study.

    `jsonl`, `tensorboard`, `wandb`, `mlflow`, `trackio`, or code.
    """


class ObjectiveSettings(NamedSettings):
    """Which objective scores."""

    reference_point: float | None = None
    """What it must at least reach to count, among several objectives; None: inferred."""

    parts: Annotated[tuple["ObjectiveSettings", ...], Strict(False)] = ()
    """What a combined objective is made of, each with a `weight`."""
    weight: float | None = Field(default=None, gt=0)
    """How much a part counts among `parts`; 1 unless given."""


class PoolSettings(CheckedSettings):
    """Where references come from."""

    folder: File | None = None
    """Images in it, and in `liked/` and `disliked/` below it, are the first pool; the subfolder
    tells their role under the hand settings (liked when in neither)."""
    grow_liked: int = Field(default=0, ge=0, le=MAX_POOL)
    """How many of a round's best images join the pool at its end."""
    grow_disliked: int = Field(default=0, ge=0, le=MAX_POOL)
    """How many of a round's worst images join the pool at its end."""

    @property
    def grows(self) -> bool:
        """Whether the pool grows at the end of a round."""
        return self.grow_liked + self.grow_disliked > 0


class GoldCheck(CheckedSettings):
    """Two images of which one is better beyond doubt."""

    better: File
    """An image file."""
    worse: File
    """An image file."""


class RatingSettings(CheckedSettings):
    """How people judge."""

    kind: Literal["pairwise", "best-of", "like", "stars"] = "pairwise"
    """Which of two images is better; the best of several; liked, disliked or neither, image by
    image of a trial; one to five stars for a trial."""
    options: int = Field(default=4, ge=2, le=16)
    """How many images a best-of question shows."""
    questions: int | None = Field(default=None, ge=1, le=10_000)
    """A round; as many as trials unless given, or one for each trial (like, stars)."""
    judgements: int = Field(default=1, ge=1, le=1000)
    """How many raters answer each question."""
    repeats: float = Field(default=0.1, ge=0, le=0.5)
    """Share of questions that a rater is asked again, the other way round."""
    ahead: int = Field(default=2, ge=1, le=10)
    """How many rounds of questions wait for raters when the machine can keep up."""
    blur: bool | str | None = None
    """Whether images are blurred until a rater wants to see them; the name of something with
    bounds to keep, for instance `nsfw`, blurs those that break them; None: as `safety` says."""
    instructions: str = Field(default="", max_length=10_000)
    """What raters are told before they begin."""
    consent: str = Field(default="", max_length=10_000)
    """What raters agree to before they begin."""
    gold: Annotated[tuple[GoldCheck, ...], Strict(False)] = ()
    """Pairs of which everybody who looks chooses the better one; pairwise only."""

    @property
    def compares(self) -> bool:
        """Whether a question compares images of several trials."""
        return self.kind in ("pairwise", "best-of")

    @model_validator(mode="after")
    def _check_gold(self) -> "RatingSettings":
        if self.gold and self.kind != "pairwise":
            raise ValueError(f"gold checks are pairs, so they need kind pairwise, got {self.kind}")
        return self


class ExecutorSettings(CheckedSettings):
    """Who draws and scores; how a study is run, not what comes out."""

    kind: Literal["inline", "ray"] = "inline"
    """This process, or workers on a Ray cluster."""
    ahead: int | None = Field(default=None, ge=0, le=1000)
    """How many trials wait in front of whoever draws. More keep devices busy while the next action
    is thought of, and are proposed knowing less. None: 1 where a GPU draws here, else 0; with Ray,
    a quarter of the workers, at least 1."""
    together: int = Field(default=1, ge=1, le=64)
    """Inline: how many trials are drawn in one batch, where they have one guidance scale (and
    `rescale`) and number of denoising steps. A GPU that one trial does not fill draws several
    faster; all of them are proposed knowing as much as the first."""
    workers: int | None = Field(default=None, ge=1, le=10_000)
    """Ray: how many; None: one a GPU, or one for each `cpus` where there are none."""
    gpus: float | None = Field(default=None, ge=0, le=64)
    """Ray: of each worker; None: one, where the cluster has any."""
    cpus: float = Field(default=1.0, gt=0, le=1024)
    """Ray: of each worker."""
    address: str | None = None
    """Ray: `auto`, `ray://HOST:PORT`, or None: a cluster of this machine alone."""
    patience: float = Field(default=3600.0, gt=0)
    """Ray: seconds that a trial may take before its worker is given up."""


class StudySettings(CheckedSettings):
    """All that defines a study besides the images of its pool."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """Letters, digits, `.`, `_` and `-`; also the name of its folder."""
    prompt: str | Annotated[tuple[str, ...], Strict(False)]
    """What to draw; with several prompts, every seed of a trial is drawn for each of them."""
    over_prompts: Literal["mean", "worst"] = "mean"
    """What counts of several prompts: their mean score, or the one with the worst mean."""
    negative_prompt: str = ""
    """What not to draw; replaces the empty prompt of the unconditional pass."""
    rounds: int = Field(default=4, ge=1, le=1000)
    """How many; at the end of each the pool may grow."""
    trials: int = Field(default=6, ge=1, le=10_000)
    """A round; the first has the hand settings on top, or alone while there are no references."""
    images: int = Field(default=4, ge=1, le=64)
    """A trial and prompt; each has a seed of its own, common to all trials of a round, or
    of the study where people compare images."""
    heldout: int = Field(default=16, ge=0, le=1000)
    """How many images of baseline and best each are drawn at the end, with seeds that the search
    never saw; 0 leaves the comparison out."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of all randomness: seeds of images, and what the proposer draws."""
    proposer: str = Field(default="fabricbo", min_length=1)
    """Who picks the actions: a name that `fabricbo.compose` knows, which checks it."""
    storage: File = Path("studies")
    """Folder that holds studies."""
    database: str | None = None
    """URL of a PostgreSQL database that holds the study's rows, such as `postgresql://db/art`;
    None: `study.db` in its folder. Passwords are read from the environment or `~/.pgpass`."""
    images_at: str | None = None
    """URL of where images are kept, such as `s3://bucket/cats`, by any protocol of fsspec; None:
    `images/` in its folder. Keys and passwords are read from the environment."""
    checkpoint: CheckpointSettings = Field(default_factory=CheckpointSettings)
    objective: Annotated[tuple[ObjectiveSettings, ...], Strict(False)] = ()
    """What scores; several where an action is to be good in several ways. Empty: objectives are
    handed over in Python, or people judge."""
    report_with: Annotated[tuple[ObjectiveSettings, ...], Strict(False)] = ()
    """What else scores the hand settings and the best at the end; the search never sees it."""
    heldout_prompts: Annotated[tuple[str, ...], Strict(False)] = ()
    """Prompts that hand settings and best are compared on at the end, besides the study's own."""
    constraints: Annotated[tuple[str, ...], Strict(False)] = ()
    """Bounds to keep, such as `nsfw <= 0.1`: what is measured by that objective is then only
    bounded, not optimized."""
    safety: bool | None = None
    """Whether `nsfw <= 0.1` is a bound to keep, and raters see what breaks it blurred (everything,
    where objectives are handed over); None: where another checkpoint draws than the bundled one."""
    rating: RatingSettings | None = None
    """How people judge; None: they do not."""
    spend: Literal["trials", "seconds"] | None = None
    """What is scarce. With `seconds` the search looks for most gain a second, as measured. None:
    seconds where `denoising_steps` varies, else trials."""
    start_from: File | None = None
    """Folder of an earlier study whose scores this one starts from."""
    space: SpaceSettings = Field(default_factory=SpaceSettings)
    pool: PoolSettings = Field(default_factory=PoolSettings)
    executor: ExecutorSettings = Field(default_factory=ExecutorSettings)
    loggers: Annotated[tuple[LoggerSettings, ...], Strict(False)] = ()
    """Who is told what becomes of the study; how it is run, not what comes out."""

    @field_validator("database")
    @classmethod
    def _check_database(cls, value: str | None) -> str | None:
        return None if value is None else check_database(value)

    @field_validator("images_at")
    @classmethod
    def _check_images_at(cls, value: str | None) -> str | None:
        return None if value is None else check_images_url(value)

    @field_validator("checkpoint", mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("objective", "report_with", "loggers", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if value is None:
            return ()
        several = value if isinstance(value, list | tuple) else [value]
        return [{"name": one} if isinstance(one, str) else one for one in several]

    @field_validator("prompt", mode="before")
    @classmethod
    def _check_prompts(cls, value: Any) -> Any:
        several = isinstance(value, list | tuple)
        prompts = list(value) if several else [value]
        if not prompts or not all(isinstance(prompt, str) and prompt for prompt in prompts):
            raise ValueError(f"must be a text, or a list of texts, none empty, got {value!r}")
        if len(set(prompts)) != len(prompts):
            raise ValueError(f"must be different texts, got {value!r}")
        return tuple(prompts) if several else value

    @field_validator("loggers")
    @classmethod
    def _check_loggers(cls, value: tuple[LoggerSettings, ...]) -> tuple[LoggerSettings, ...]:
        names = [one.called for one in value]
        if len(set(names)) != len(names):
            raise ValueError(f"must have different names, got {', '.join(names)}; label them")
        return value

    @model_validator(mode="after")
    def _check_objectives(self) -> "StudySettings":
        names = [one.called for one in self.objective]
        if len(set(names)) != len(names):
            raise ValueError(
                f"objectives must have different names, got {', '.join(names)}; give each a label"
            )
        reported = [one.called for one in self.report_with]
        both = sorted({*names} & {*reported})
        if both or len(set(reported)) != len(reported):
            raise ValueError(
                f"report_with must name other objectives, each once, got {', '.join(reported)}; "
                "what the search goes by is reported anyway, and a label tells two apart"
            )
        known = sorted({*self.prompts} & {*self.heldout_prompts})
        if known or len(set(self.heldout_prompts)) != len(self.heldout_prompts):
            raise ValueError(
                "heldout_prompts must be different texts that the search does not draw, got "
                f"{list(self.heldout_prompts)!r}"
            )
        if not self.heldout and (self.report_with or self.heldout_prompts):
            raise ValueError("heldout must be above 0 where something is to be reported at the end")
        bounds = bounds_by_name(self.constraints)
        if names:
            check_bounded(bounds, names, judged=self.rating is not None)
        blur = False if self.rating is None else self.rating.blur
        if isinstance(blur, str) and blur not in bounds:
            raise ValueError(
                f"rating.blur must be true, false or something that constraints bound "
                f"({', '.join(bounds) or 'none here'}), got {blur!r}"
            )
        for one in self.objective:
            if one.reference_point is not None and one.called in bounds:
                raise ValueError(f"{one.called} is bounded, so it has no reference_point")
        return self

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompts, one or several."""
        return (self.prompt,) if isinstance(self.prompt, str) else self.prompt

    @property
    def scarce(self) -> Literal["trials", "seconds"]:
        """What is scarce: as said, or seconds where the action changes what a trial costs."""
        if self.spend is not None:
            return self.spend
        return "seconds" if "denoising_steps" in self.space.to_space().domains else "trials"

    @property
    def questions_a_round(self) -> int:
        """How many questions people are asked in a round, besides repeats and gold checks."""
        asked = None if self.rating is None else self.rating.questions
        return asked or self.trials

    @property
    def prompt_text(self) -> str:
        """The prompts as people read them."""
        return " / ".join(self.prompts)

    @property
    def folder(self) -> Path:
        """Where the study lies."""
        return self.storage / self.name


def check_settings(data: Mapping[str, Any]) -> StudySettings:
    """Turn data from outside into settings.

    Raises:
        SettingsError: names each field that is wrong, what came and what is allowed.
    """
    try:
        return StudySettings.model_validate(data)
    except ValidationError as error:
        given = data.get("objective") if isinstance(data, Mapping) else None
        several = isinstance(given, list | tuple)
        details = [explain(detail, numbered=several) for detail in error.errors()]
        raise SettingsError("\n".join(details)) from None
