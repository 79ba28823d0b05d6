"""A recipe as a fragment of a study file: the search begins at these settings."""

from fabricbo.interop.quoting import quoted
from fabricbo.interop.recipe import Form, Recipe, checkpoint_of
from fabricbo.space import DEFAULT_DOMAINS, Range


def study_fragment(recipe: Recipe) -> str:
    """Return TOML: prompt, checkpoint, size, hand settings and the folder of references.

    What the search varies by default is widened where the settings lie outside.
    """
    top = {"prompt": recipe.prompt or "a cat", "negative_prompt": recipe.negative_prompt}
    lines = [f"{key} = {quoted(value)}" for key, value in top.items() if value]
    lines += ["", "# [objective]                # what better means; see docs/objectives.md"]
    lines += _checkpoint(recipe) + _widened(recipe)
    lines += ["", "[space.hand]                 # trial 0, which all else is compared with"]
    lines += [f"{name} = {value!r}" for name, value in recipe.params.to_json().items()]
    if recipe.liked or recipe.disliked:
        lines += ["", "[pool]", 'folder = "references"     # in it, liked/ and disliked/']
    return "\n".join(lines) + "\n"


def _checkpoint(recipe: Recipe) -> list[str]:
    lines = ["", "[checkpoint]", f"name = {quoted(checkpoint_of(recipe).value)}"]
    if recipe.size is not None:
        width, height = (max(side // 8 * 8, 8) for side in recipe.size)
        lines += [f"width = {width}", f"height = {height}"]
    return lines


def _widened(recipe: Recipe) -> list[str]:
    lines = []
    for name, domain in DEFAULT_DOMAINS.items():
        value = getattr(recipe.params, name)
        if isinstance(domain, Range) and value not in domain:
            lines.append(f"{name} = [{min(domain.low, value)}, {max(domain.high, value)}]")
    return ["", "[space]", *lines] if lines else []


def _lost(recipe: Recipe) -> tuple[str, ...]:
    if not recipe.strengths:
        return ()
    values = ", ".join(f"{value:g}" for value in sorted({1.0, *recipe.strengths.values()}))
    return (
        "hand settings know no strengths of references, so all count alike at first: "
        f"strengths = [{values}] in [space] has the search choose among them",
    )


def study_form(recipe: Recipe) -> Form:
    """Return what a study begins with."""
    return Form(
        files={"study.toml": study_fragment(recipe)},
        liked_folder="references/liked",
        disliked_folder="references/disliked",
        notes=(*checkpoint_of(recipe).notes, *_lost(recipe)),
        where={"study.toml": "add an objective, or [rating], and run it with `fabricbo run`"},
    )
