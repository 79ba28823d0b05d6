"""How many workers one driver keeps busy: the real driver, proposer and store, simulated workers.

    python -m experiments.simulate_cluster                     # all of it, half an hour
    python -m experiments.simulate_cluster --proposers sobol --databases sqlite
    python -m experiments.simulate_cluster --kept --figure docs/images/cluster.png
    python -m experiments.simulate_cluster --smoke

Each cell of the grid is a study with 100 scored trials, run with so many workers that take so long
for a trial. Workers are simulated on a clock of their own; what the driver does takes as long as it
takes, less what it waits for a core that other programs have (`experiments/cluster/`). A few cells
are repeated with threads that sleep, to check that. Measured is from when every worker could have
had work until as many trials have ended as there are workers, twice (40 at least), or a cell has
taken its `--seconds`. PostgreSQL is started for the purpose unless `--database` names one. What has
been measured is kept and not measured again.
"""

import argparse
import json
import logging
import multiprocessing
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import torch

from experiments.cluster.cell import Cell, Found, measure
from experiments.cluster.gauge import Effort
from experiments.cluster.telling import figure, overview, table
from experiments.kept_lines import append_line, read_rows
from fabricbo.proposers import make_proposer
from tests import postgres

WORKERS = (1, 4, 16, 64, 256)
SECONDS = (0.5, 2.0, 10.0)
_CHECKED = (("sobol", 4, 0.5), ("sobol", 16, 2.0), ("fabricbo", 1, 2.0))
"""Proposers, workers and seconds of the cells that are repeated with threads that sleep."""


def main() -> None:
    """Parse the command line, measure, print."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    logging.disable(logging.WARNING)  # what is measured says much, cell after cell
    torch.set_num_threads(1)
    kept = _read(options.results)
    cells = _cells(options)
    if not options.kept:
        _measure_all([cell for cell in cells if cell not in kept], options)
        kept = _read(options.results)
    grid = {cell: kept[cell] for cell in cells if cell in kept}
    if not grid:
        raise SystemExit(f"{options.results} keeps no cell of what was asked for")
    if options.figure:
        figure(grid, options.figure)
    if options.json:
        rows = [{**asdict(c), **asdict(f), "limit": f.limit} for c, f in grid.items()]
        print(json.dumps(rows))
        return
    print(table(grid), overview(grid), sep="\n\n")


def _cells(options: argparse.Namespace) -> list[Cell]:
    if options.smoke:
        return [Cell("sobol", "sqlite", 2, 0.5, clock, 3) for clock in ("simulated", "asleep")]
    kinds = list(product(options.proposers, options.databases))
    grid = [
        Cell(proposer, database, workers, seconds, scored=options.scored)
        for proposer, database in kinds
        for seconds in options.trial_seconds
        for workers in options.workers
    ]
    again = [
        replace(cell, clock="asleep")
        for cell in grid
        if cell.database == "sqlite" and (cell.proposer, cell.workers, cell.seconds) in _CHECKED
    ]
    return [*grid, *again]


def _measure_all(cells: list[Cell], options: argparse.Namespace) -> None:
    """Measure each cell in a process of its own, so that memory is that cell's."""
    make_proposer("fabricbo", None)  # what it imports need not be imported in each of them
    with _database(cells, options.database) as url:
        for cell in cells:
            trials = 4 if options.smoke else max(40, 2 * cell.workers)
            effort = Effort(trials, options.seconds)
            with multiprocessing.get_context("fork").Pool(1) as pool:
                of_cell = url if cell.database == "postgres" else None
                found = pool.apply(measure, (cell, effort, of_cell))
            append_line(options.results, json.dumps({**asdict(cell), **_rounded(found)}))


@contextmanager
def _database(cells: list[Cell], given: str | None) -> Iterator[str | None]:
    """Return the URL of a database; one that is started here syncs to the disk as any other."""
    if given is not None or all(cell.database != "postgres" for cell in cells):
        yield given
        return
    server = postgres.start(fsync=True)
    try:
        yield server.url()
    finally:
        server.stop()


def _rounded(found: Found) -> dict[str, object]:
    told = asdict(found).items()
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in told}


def _read(file: Path) -> dict[Cell, Found]:
    return {_part(Cell, row): _part(Found, row) for row in read_rows(file)}


def _part(kind: type, row: dict[str, object]) -> object:
    return kind(**{name: row[name] for name in kind.__dataclass_fields__})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--proposers", type=_words, default=["fabricbo", "sobol"])
    parser.add_argument("--databases", type=_words, default=["sqlite", "postgres"])
    parser.add_argument("--workers", type=_whole, default=list(WORKERS))
    parser.add_argument("--trial-seconds", type=_numbers, default=list(SECONDS))
    parser.add_argument("--scored", type=int, default=100, help="trials that are known beforehand")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a cell, at most")
    parser.add_argument("--database", help="URL of a PostgreSQL database; else one is started")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--kept", action="store_true", help="measure nothing, tell what is kept")
    parser.add_argument("--figure", type=Path, help="draw trials a second to this file")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    parser.add_argument("--smoke", action="store_true", help="two small cells, nothing is kept")
    options = parser.parse_args()
    if options.results is None:
        place = Path(tempfile.mkdtemp()) if options.smoke else Path("docs/data")
        options.results = place / "cluster.jsonl"
    return options


def _words(text: str) -> list[str]:
    return text.split(",")


def _whole(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


if __name__ == "__main__":
    main()
