"""What settings buy that FABRIC does not have: the same search with and without one of them.

    python -m experiments.optional_fields                    # all; goes on where it stopped
    python -m experiments.optional_fields --field ramp --json
    python -m experiments.optional_fields --kept             # tell what is kept
    python -m experiments.optional_fields --smoke

Two questions, on tasks of the bundled checkpoint. **Search**: both arms get the same number of
trials, the same first six (without the setting) and the same noise; what counts is the score, on
seeds that no trial meets, of the trial that a study would call its best. **Slice**: two actions are
held, the hand settings (for `rescale` settings that are too strong) and settings that do well, and
the setting alone is moved, over the same seeds; that is far less noisy, and says nothing of what
else could be moved with it. The strength is that of the helpful references where others are liked,
too, and of the first half of them (of those with the style, not the background, in
`style-and-background`) where they are among themselves.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from scipy.stats import t as student

from experiments.benchmark.demo import PREFIX, demo_problem, demo_sampler
from experiments.benchmark.play import FIRST_TRIALS, play
from experiments.benchmark.problem import Problem
from experiments.kept_lines import append_line, read_rows
from fabricbo.best import best
from fabricbo.compose import named_objectives
from fabricbo.demo.tasks import TASKS, DemoTask
from fabricbo.proposers import AxProposer, SobolProposer
from fabricbo.protocols import History, Objective, Proposal
from fabricbo.records import OPTIONAL, Action, Role
from fabricbo.scoring import evaluate
from fabricbo.space import ActionSpace, Range
from fabricbo.study import check_settings

WITHOUT, STRENGTHS = "without", "strengths"
DOMAINS: Mapping[str, Range] = {
    "ramp": Range(0.0, 1.0),
    "rescale": Range(0.0, 1.0),
    "middle_scale": Range(0.0, 2.0),
}
"""Where each setting is searched."""
CHOICES = (0.5, 1.0, 2.0)
"""Among which strengths of references are."""
FIELDS = (*DOMAINS, STRENGTHS)
OFF = {**OPTIONAL, STRENGTHS: 1.0}
SETTINGS: Mapping[str, Sequence[float]] = {
    "ramp": (0.3, 0.6, 1.0),
    "rescale": (0.3, 0.7, 1.0),
    "middle_scale": (0.0, 0.5, 2.0),
    STRENGTHS: (0.5, 2.0, 4.0),
}
"""At which each is measured in slices, besides where it is off."""
STRONG = {"guidance_scale": 9.0, "max_weight": 1.5}
"""Beyond what is good for an image: what a guard against burnt ones is for."""
HELD_OUT = tuple(range(9_500_000, 9_500_016))
"""Seeds that no trial meets."""
FIRST_SEED = 200


class _FirstWithout:
    """The first points of the space without the setting, so that both arms share them."""

    def __init__(self, space: ActionSpace) -> None:
        self._space = space

    def propose(self, history: History, /) -> Proposal:
        """Return the next one."""
        return SobolProposer().propose(replace(history, space=self._space))


@cache
def problem(name: str, steps: int | None = None) -> Problem:
    """Return a task, whose scores are kept in memory: both arms meet the same first actions."""
    found = demo_problem(name)
    hand = found.space.hand
    steps = steps or hand.denoising_steps
    return replace(
        found, space=replace(found.space, hand=replace(hand, denoising_steps=steps)), value=None
    )


def with_field(found: Problem, field: str) -> Problem:
    """Return a problem whose search may move a setting besides."""
    if field == STRENGTHS:
        return replace(found, space=replace(found.space, strengths=CHOICES))
    space = replace(found.space, domains={**found.space.domains, field: DOMAINS[field]})
    return replace(found, space=space)


def searched(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each arm of each search, played as far as it is not known."""
    arms, size = (WITHOUT, *options.field), {"trials": options.trials, "steps": options.steps}
    wanted = [
        {"problem": name, "field": arm, "seed": seed, **size}
        for seed in range(FIRST_SEED, FIRST_SEED + options.seeds)
        for name in options.problem
        for arm in arms
    ]
    return _kept("search", wanted, partial(_search, images=options.images), options)


def _kept(
    kind: str,
    wanted: Sequence[dict[str, Any]],
    measure: Callable[[Mapping[str, Any]], dict[str, Any]],
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Return rows with what was measured, from the file of their kind as far as it is there."""
    file = options.results / f"optional-fields-{kind}.jsonl"
    known, found = list(read_rows(file)), []
    for keys in wanted:
        row = next((one for one in known if keys.items() <= one.items()), None)
        if row is None and not options.kept:
            row = {**keys, **measure(keys)}
            append_line(file, json.dumps(row))
            print(json.dumps(row), file=sys.stderr)
        if row is not None:
            found.append(row)
    return found


def _search(keys: Mapping[str, Any], images: int) -> dict[str, Any]:
    name, arm, plain = keys["problem"], keys["field"], problem(keys["problem"], keys["steps"])
    given = plain if arm == WITHOUT else with_field(plain, arm)
    proposer, told = AxProposer(embed=given.embed), list[History]()
    first = _FirstWithout(plain.space)
    play(given, arm, proposer, keys["trials"], keys["seed"], told.append, first)
    trials, measures = told[-1].trials, told[-1].measures
    chosen = best(trials, measures, proposer.assess(told[-1]).estimates) or trials[0]
    scores = _scores(name, chosen.action, images)
    return {"chosen": _chosen(chosen.action), "scores": scores}


def _chosen(action: Action) -> dict[str, Any]:
    """Return an action's settings, and its strengths by the names of the references."""
    used = (*action.liked, *action.disliked)
    named = {r.name: action.strength(r) for r in used if action.strength(r) != 1}
    return {**action.params.to_json(), **({STRENGTHS: named} if named else {})}


def _task(name: str) -> DemoTask:
    return TASKS[name.removeprefix(PREFIX)]


@cache
def _objective(name: str) -> Objective:
    named = named_objectives(check_settings({"name": "slice", **_task(name).settings()}))
    (found,) = named.values()
    return found


def anchors(name: str) -> dict[str, Action]:
    """Return the actions that slices go through, by what they are called."""
    task, given = _task(name), problem(name)
    pool = given.pool(0)
    roles = {r.id: Role.LIKED for r in pool if r.name in task.helpful}
    hand = given.space.hand_action(pool)
    return {
        "hand settings": hand,
        "good settings": given.space.action(task.good, roles, pool),
        "strong settings": replace(hand, params=replace(hand.params, **STRONG)),
    }


def sliced(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each action of all slices, scored as far as that is not known."""
    wanted = [
        {"problem": name, "at": anchor, "field": field, "setting": setting}
        for field in options.field
        for name in options.problem
        for anchor in anchors(name)
        if anchor != ("hand settings" if field == "rescale" else "strong settings")
        for setting in (OFF[field], *SETTINGS[field])
    ]
    return _kept("slices", wanted, partial(_slice, images=options.images), options)


def _slice(keys: Mapping[str, Any], images: int) -> dict[str, Any]:
    action = anchors(keys["problem"])[keys["at"]]
    if keys["field"] == STRENGTHS:
        helpful = _task(keys["problem"]).helpful
        strong = helpful if keys["at"] == "hand settings" else helpful[: len(helpful) // 2]
        given = {r.id: keys["setting"] for r in action.liked if r.name in strong}
        moved = replace(action, strengths=given)
    else:
        params = replace(action.params, **{keys["field"]: keys["setting"]})
        moved = replace(action, params=params)
    return {"scores": _scores(keys["problem"], moved, images)}


def _scores(name: str, action: Action, images: int) -> list[float]:
    """Return an action's scores on seeds that no trial meets."""
    prompt = _task(name).prompt
    found = evaluate(_objective(name), demo_sampler()(action, prompt, HELD_OUT[:images]), prompt)
    return [round(value, 5) for value in found.values]


def search_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each task's arms came to, and the difference of pairs with its interval."""
    found = []
    for name in dict.fromkeys(row["problem"] for row in rows):
        arms: dict[str, dict[int, float]] = {}
        for row in rows:
            if row["problem"] == name:
                arms.setdefault(row["field"], {})[row["seed"]] = statistics.mean(row["scores"])
        without = arms.pop(WITHOUT, {})
        for field, values in arms.items():
            seeds = sorted(set(values) & set(without))
            pairs = [values[seed] - without[seed] for seed in seeds]
            found.append(
                {
                    "problem": name,
                    "field": field,
                    "seeds": len(seeds),
                    "without": statistics.mean(without[seed] for seed in seeds),
                    "with": statistics.mean(values[seed] for seed in seeds),
                    **_difference(pairs),
                }
            )
    return found


def slice_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each setting came to, and the difference to off with its interval."""
    off = {_anchor(row): row["scores"] for row in rows if row["setting"] == OFF[row["field"]]}
    found = []
    for row in rows:
        told = {key: row[key] for key in ("problem", "at", "field", "setting")}
        told["score"] = statistics.mean(row["scores"])
        if row["setting"] != OFF[row["field"]]:
            pairs = zip(row["scores"], off[_anchor(row)], strict=True)
            told |= _difference([one - other for one, other in pairs])
        found.append(told)
    return found


def _anchor(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["field"], row["problem"], row["at"]


def _difference(pairs: Sequence[float]) -> dict[str, float | None]:
    """Return a mean of differences, and half the width of its interval of 95 % (two at least)."""
    found: dict[str, float | None] = {"difference": statistics.mean(pairs), "interval": None}
    if len(pairs) > 1:
        error = statistics.stdev(pairs) / len(pairs) ** 0.5
        found["interval"] = float(student.ppf(0.975, len(pairs) - 1)) * error
    return found


def search_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write what searches came to as a Markdown table."""
    lines = [
        "| task | setting | searches | without | with | difference |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = " | ".join(f"{row[key]:.3f}" for key in ("without", "with"))
        named = f"{row['problem']} | `{row['field']}` | {row['seeds']}"
        lines.append(f"| {named} | {numbers} | {_told(row)} |")
    return "\n".join(lines)


def slice_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write slices as a Markdown table: a row an action, a column a setting."""
    lines = []
    for field in dict.fromkeys(row["field"] for row in rows):
        settings = [OFF[field], *SETTINGS[field]]
        lines += [
            f"| task | at | off | {' | '.join(f'{field} {s:g}' for s in settings[1:])} |",
            "|---" * (2 + len(settings)) + "|",
        ]
        groups: dict[tuple[str, str], dict[float, Mapping[str, Any]]] = {}
        for row in rows:
            if row["field"] == field:
                groups.setdefault((row["problem"], row["at"]), {})[row["setting"]] = row
        for (name, at), by_setting in groups.items():
            cells = [f"{by_setting[settings[0]]['score']:.3f}"]
            cells += [_told(by_setting[s]) for s in settings[1:] if s in by_setting]
            lines.append(f"| {name} | {at} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _told(row: Mapping[str, Any]) -> str:
    reach = "" if row["interval"] is None else f" ± {row['interval']:.3f}"
    return f"{row['difference']:+.3f}{reach}"


def main() -> None:
    """Parse the command line, play, print."""
    options = _parser().parse_args()
    torch.set_num_threads(1)
    if options.smoke:
        options.field = options.field or ["ramp"]
        options.problem, options.seeds = ["demo:style-only"], 1
        options.trials, options.steps, options.images = FIRST_TRIALS + 1, 2, 2
    options.field = options.field or list(FIELDS)
    options.problem = options.problem or ["demo:style-only", "demo:style-and-background"]
    if unknown := [name for name in options.problem if name.removeprefix(PREFIX) not in TASKS]:
        raise SystemExit(f"--problem {unknown[0]}: tasks are {', '.join(TASKS)}, after {PREFIX}")
    search, slices = search_rows(searched(options)), slice_rows(sliced(options))
    if not search and not slices:
        raise SystemExit(f"{options.results} keeps nothing of what was asked for")
    if options.json:
        print(json.dumps({"search": search, "slices": slices}))
        return
    print(f"{search_table(search)}\n\n{slice_table(slices)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--field", action="append", choices=list(FIELDS), help="may be repeated; default: all"
    )
    parser.add_argument("--problem", action="append", help="demo:TASK; may be repeated")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each arm")
    parser.add_argument("--trials", type=int, default=16, help="the hand settings included")
    parser.add_argument("--steps", type=int, default=10, help="of a search's images")
    parser.add_argument("--images", type=int, default=len(HELD_OUT), help="with held-out seeds")
    parser.add_argument("--results", type=Path, default=Path(".benchmark"), help="a folder")
    parser.add_argument("--kept", action="store_true", help="play nothing, tell what is kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="one task, one seed, seven trials")
    return parser


if __name__ == "__main__":
    main()
