"""Ways of denoising under the names of diffusers, WebUI and ComfyUI: a matter of their formats."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fabricbo.interop.timesteps import Passes, Spacing


@dataclass(frozen=True, slots=True)
class Solver:
    """One way of denoising."""

    diffusers: str
    """Class of the scheduler."""
    webui: str
    """Sampler of WebUI (AUTOMATIC1111/stable-diffusion-webui, `modules/sd_samplers_*.py`)."""
    comfyui: str | None
    """`sampler_name` of ComfyUI (`comfy/samplers.py`), if it has one."""
    passes: Passes = Passes.ONE
    discards: bool = False
    """WebUI and ComfyUI ask for one step more, and leave the last but one out."""
    webui_spacing: Spacing | None = None
    """The only one that it has in WebUI, whatever is chosen."""
    webui_automatic: Spacing = Spacing.LINEAR
    """What WebUI 1.9 and later take for the schedule type `Automatic`."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the scheduler, which tell it from others of its class."""


_KARRAS, _EXPONENTIAL = Spacing.KARRAS, Spacing.EXPONENTIAL
_SDE = {"algorithm_type": "sde-dpmsolver++"}
SOLVERS = (
    Solver("DDIMScheduler", "DDIM", "ddim", webui_spacing=Spacing.LEADING),
    Solver(
        *("DPMSolverMultistepScheduler", "DPM++ 2M SDE", "dpmpp_2m_sde"),
        webui_automatic=_EXPONENTIAL,
        options=_SDE,
    ),
    Solver("DPMSolverMultistepScheduler", "DPM++ 2M", "dpmpp_2m", webui_automatic=_KARRAS),
    Solver(
        *("DPMSolverSDEScheduler", "DPM++ SDE", "dpmpp_sde", Passes.MIDPOINT),
        webui_automatic=_KARRAS,
    ),
    Solver("EulerAncestralDiscreteScheduler", "Euler a", "euler_ancestral"),
    Solver("EulerDiscreteScheduler", "Euler", "euler"),
    Solver("HeunDiscreteScheduler", "Heun", "heun", Passes.HEUN),
    # Its second pass is halfway to where it steps down to before adding noise again, with full
    # noise in log sigma just the next step.
    Solver(
        *("KDPM2AncestralDiscreteScheduler", "DPM2 a", "dpm_2_ancestral", Passes.HEUN),
        discards=True,
        webui_automatic=_KARRAS,
    ),
    Solver(
        *("KDPM2DiscreteScheduler", "DPM2", "dpm_2", Passes.MIDPOINT),
        discards=True,
        webui_automatic=_KARRAS,
    ),
    Solver("LCMScheduler", "LCM", None, webui_spacing=Spacing.LCM),
    Solver("LMSDiscreteScheduler", "LMS", "lms"),
    Solver("PNDMScheduler", "PLMS", None, Passes.PLMS, webui_spacing=Spacing.LEADING),
    Solver("UniPCMultistepScheduler", "UniPC", "uni_pc", webui_spacing=Spacing.SGM),
)


def solver_of(scheduler: str, options: Mapping[str, object]) -> Solver | None:
    """Return the solver of a diffusers scheduler, by its class and configuration, if known."""
    if scheduler == "PNDMScheduler" and not options.get("skip_prk_steps"):
        return None  # begins with Runge-Kutta steps, which the others do not have
    for solver in SOLVERS:
        named = all(options.get(key) == value for key, value in solver.options.items())
        if solver.diffusers == scheduler and named:
            return solver
    return None


def spacing_of(options: Mapping[str, object]) -> Spacing | None:
    """Return the spacing of a diffusers scheduler, as far as others have it; None: its own."""
    if options.get("use_karras_sigmas") is True:
        return Spacing.KARRAS
    return Spacing.EXPONENTIAL if options.get("use_exponential_sigmas") is True else None


def solver_named(name: str) -> Solver:
    """Return a solver by any of its names.

    Raises:
        ValueError: nobody calls one so.
    """
    for solver in SOLVERS:
        names = {solver.diffusers, solver.webui, solver.comfyui} - {None}
        if name.casefold() in {str(one).casefold() for one in names}:
            return solver
    known = ", ".join(solver.webui for solver in SOLVERS)
    raise ValueError(f"no sampler is called {name!r}; known are {known}")
