"""Reading workflows of ComfyUI with FABRIC's nodes, in its API format; from anybody."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fabricbo.interop.comfyui import SCHEDULERS, comfyui_timetable
from fabricbo.interop.recipe import Converted, Recipe, number, prompt_notes, seeds_of, text, whole
from fabricbo.interop.solvers import SOLVERS
from fabricbo.interop.timesteps import Spacing
from fabricbo.interop.windows import active_in_comfyui, scaled, step_window
from fabricbo.records import FabricParams

_ALL_STEPS = 10_000
_SAMPLERS = ("KSamplerFABRICAdv", "KSamplerAdvFABRICAdv", "KSamplerFABRIC")
_PATCHES = ("FABRICPatchModel", "FABRICPatchModelAdv")
_PLAIN = ("KSampler", "KSamplerAdvanced")


@dataclass(frozen=True, slots=True)
class _Workflow:
    """Nodes by their keys; whatever they hold."""

    nodes: Mapping[str, Any]

    def of(self, *kinds: str) -> list[str]:
        """Return the keys of nodes of some kinds, in their order."""
        return [key for key, node in self.nodes.items() if _kind(node) in kinds]

    def inputs(self, key: str) -> Mapping[str, Any]:
        """Return the inputs of a node; none of what is no node."""
        node = self.nodes.get(key)
        found = node.get("inputs") if isinstance(node, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def upstream(self, link: Any, *through: str) -> Iterator[str]:
        """Yield the node that a link comes from and all before it, each once, inputs in order.

        Args:
            link: a link, or a value.
            through: names of the inputs that are followed; all, if none are named.
        """
        seen: set[str] = set()
        waiting = [link]
        while waiting:
            key = _linked(waiting.pop())
            if key is None or key in seen or key not in self.nodes:
                continue
            seen.add(key)
            yield key
            inputs = self.inputs(key)
            followed = [v for name, v in inputs.items() if not through or name in through]
            waiting.extend(reversed(followed))

    def first(self, link: Any, kind: str) -> Mapping[str, Any]:
        """Return the inputs of the nearest node of a kind before a link; empty without one."""
        found = (key for key in self.upstream(link) if _kind(self.nodes[key]) == kind)
        return self.inputs(next(found, ""))

    def images(self, link: Any) -> tuple[str, ...]:
        """Return the files that are loaded before a link, in order."""
        keys = [key for key in self.upstream(link) if _kind(self.nodes[key]) == "LoadImage"]
        return tuple(text(self.inputs(key), "image") for key in keys)


def _kind(node: Any) -> Any:
    return node.get("class_type") if isinstance(node, Mapping) else None


def _linked(link: Any) -> str | None:
    is_link = isinstance(link, list) and len(link) == 2 and isinstance(link[0], str | int)
    return str(link[0]) if is_link else None


def is_workflow(data: Mapping[str, Any]) -> bool:
    """Tell whether this is a workflow in ComfyUI's API format."""
    return bool(data) and all(isinstance(_kind(node), str) for node in data.values())


def read_workflow(data: Mapping[str, Any]) -> Converted[Recipe]:
    """Read a workflow with one of FABRIC's nodes, the first if there are several.

    Raises:
        ValueError: there is none, it is in another format, or a value is wrong.
    """
    if "nodes" in data and "links" in data:
        raise ValueError("this workflow is in the format of ComfyUI's page: save it as API format")
    if not is_workflow(data):
        raise ValueError("this is no workflow of ComfyUI in its API format")
    workflow = _Workflow(data)
    found = [*workflow.of(*_SAMPLERS), *workflow.of(*_PATCHES)]
    if not found:
        known = ", ".join((*_SAMPLERS, *_PATCHES))
        raise ValueError(f"the workflow has none of FABRIC's nodes ({known})")
    fabric = workflow.inputs(found[0])
    sampler = _sampler(workflow, found[0])
    recipe, notes = _recipe(workflow, fabric, sampler)
    several = () if len(found) == 1 else (f"node {found[0]} was read, of {len(found)} of FABRIC's",)
    window = _window(_kind(data[found[0]]), fabric, recipe)
    return Converted(_in_our_steps(recipe, window), (*several, *notes))


def _sampler(workflow: _Workflow, key: str) -> Mapping[str, Any]:
    """Return the inputs of the sampler that a FABRIC node is, or that samples its model."""
    if _kind(workflow.nodes[key]) in _SAMPLERS:
        return workflow.inputs(key)
    for plain in workflow.of(*_PLAIN):
        inputs = workflow.inputs(plain)
        if key in workflow.upstream(inputs.get("model"), "model"):
            return inputs
    raise ValueError("no KSampler samples the model that FABRIC patches")


def _recipe(
    workflow: _Workflow, fabric: Mapping[str, Any], sampler: Mapping[str, Any]
) -> tuple[Recipe, tuple[str, ...]]:
    liked, disliked = number(fabric, "pos_weight", 1.0), number(fabric, "neg_weight", 1.0)
    name, schedule = text(sampler, "sampler_name"), text(sampler, "scheduler", "normal")
    solver = next((one for one in SOLVERS if one.comfyui == name), None)
    latent = workflow.first(sampler.get("latent_image"), "EmptyLatentImage")
    seed = whole(sampler, "noise_seed" if "noise_seed" in sampler else "seed", 0)
    images = workflow.images(fabric.get("pos_latents")), workflow.images(fabric.get("neg_latents"))
    notes = _lost(sampler, solver is not None, schedule, name)
    if liked == 0 < disliked:
        # Our disliked references weigh a multiple of what liked ones do: these are left out then.
        images, liked = ((), images[1]), disliked
        notes = (*notes, "liked references had no weight: they were left out")
    recipe = Recipe(
        params=FabricParams(
            max_weight=liked,
            min_weight=0.0,
            neg_scale=disliked / liked if liked > 0 else 0.0,
            guidance_scale=number(sampler, "cfg", 8.0),
            denoising_steps=whole(sampler, "steps", 20),
        ),
        prompt=text(workflow.first(sampler.get("positive"), "CLIPTextEncode"), "text"),
        negative_prompt=text(workflow.first(sampler.get("negative"), "CLIPTextEncode"), "text"),
        seeds=seeds_of(seed, whole(latent, "batch_size", 1)),
        size=(whole(latent, "width", 512), whole(latent, "height", 512)) if latent else None,
        checkpoint=text(
            workflow.first(sampler.get("model"), "CheckpointLoaderSimple"), "ckpt_name"
        ),
        liked=images[0],
        disliked=images[1],
        solver=solver,
        spacing=SCHEDULERS.get(schedule, Spacing.LINEAR),
    )
    return recipe, (*notes, *prompt_notes(recipe, "ComfyUI"))


def _lost(
    sampler: Mapping[str, Any], solver_known: bool, schedule: str, name: str
) -> tuple[str, ...]:
    notes = []
    if not solver_known:
        notes.append(f"sampler {name[:40]!r} has no known counterpart: one pass a step is assumed")
    if schedule not in SCHEDULERS:
        notes.append(f"scheduler {schedule[:40]!r} is taken to be normal")
    if number(sampler, "denoise", 1.0) < 1:
        notes.append("denoise below 1: steps are counted as if all were drawn")
    partial = whole(sampler, "start_at_step", 0) > 0
    if partial or whole(sampler, "end_at_step", _ALL_STEPS) < whole(sampler, "steps", 20):
        notes.append("only some steps are sampled: they are counted as if all were")
    return tuple(notes)


def _window(kind: Any, fabric: Mapping[str, Any], recipe: Recipe) -> tuple[int, int] | None:
    """Return from and to which step there is feedback; None: all the time."""
    if kind in _PATCHES:
        return None
    if kind == "KSamplerFABRIC":
        share = number(fabric, "feedback_percent", 0.8)
        return 0, int(recipe.params.denoising_steps * share)
    return whole(fabric, "feedback_start", 0), whole(fabric, "feedback_end", _ALL_STEPS)


def _in_our_steps(recipe: Recipe, window: tuple[int, int] | None) -> Recipe:
    if window is None:
        return replace(recipe, params=replace(recipe.params, feedback_start=0.0, feedback_end=1.0))
    if window[1] < 0:
        raise ValueError(f"feedback_end must be at least 0 steps, got {window[1]}")
    table = comfyui_timetable(
        recipe.solver, recipe.spacing or Spacing.LINEAR, recipe.params.denoising_steps
    )
    active = active_in_comfyui(window, table.steps, table.passes)
    start, end = step_window(scaled(active, len(table.passes), recipe.passes), recipe.passes)
    params = replace(recipe.params, feedback_start=start, feedback_end=end)
    return replace(recipe, params=params)
