"""Events as numbers by name, the same names for every program that shows them."""

from fabricbo.events import About, HeldOut, TrialOver
from fabricbo.records import Trial


def trial_numbers(event: TrialOver) -> dict[str, float]:
    """Return what is known of a trial."""
    trial, action = event.trial, event.trial.action
    found: dict[str, float] = {}
    for measure, score in trial.by_measure(event.about.measures):
        found[f"score/{measure.name}"] = score.mean
        if score.standard_error is not None:
            found[f"standard_error/{measure.name}"] = score.standard_error
    found |= best_numbers(event.about, event.best)
    found |= {f"params/{name}": float(value) for name, value in action.params.to_json().items()}
    found |= {"references/liked": len(action.liked), "references/disliked": len(action.disliked)}
    if trial.seconds is not None:
        found["seconds"] = trial.seconds
    lost = float(trial.status.is_lost)
    return {**found, "round": trial.round, "attempt": trial.attempt, "lost": lost}


def best_numbers(about: About, best: Trial | None) -> dict[str, float]:
    """Return what the best trial so far scored."""
    if best is None:
        return {}
    pairs = best.by_measure(about.measures)
    scores = {f"best/{measure.name}": score.mean for measure, score in pairs}
    return {**scores, "best/trial": best.index}


def heldout_numbers(event: HeldOut) -> dict[str, float]:
    """Return the comparison at the end."""
    found: dict[str, float] = {"heldout/trial": event.trial}
    for one in event.comparisons:
        name = f"heldout/{one.measure.name}"
        found |= {f"{name}/baseline": one.baseline.mean, f"{name}/best": one.best.mean}
        found[f"{name}/difference"] = one.difference.mean
        if one.difference.standard_error is not None:
            found[f"{name}/standard_error"] = one.difference.standard_error
    return found


def directions(about: About) -> dict[str, str]:
    """Return which way each score is better."""
    return {one.name: one.direction for one in about.measures}


def caption(event: TrialOver, place: int) -> str:
    """Say which image it is: its trial, prompt and seed."""
    seeds = event.trial.seeds
    prompts = event.about.settings["prompt"]
    texts = [prompts] if isinstance(prompts, str) else list(prompts)
    prompt = texts[place // len(seeds)] if seeds and place // len(seeds) < len(texts) else ""
    seed = seeds[place % len(seeds)] if seeds else "unknown"
    return f"trial {event.trial.index}, {prompt!r}, seed {seed}"
