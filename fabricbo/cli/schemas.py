"""JSON Schemas of all answers: `python -m fabricbo.cli.schemas docs/schemas` writes them."""

import json
import sys
from pathlib import Path

from fabricbo.cli.answers.answer import Answer
from fabricbo.cli.answers.files import (
    Compared,
    ConvertedTold,
    Exported,
    Images,
    Imported,
    Page,
    Template,
)
from fabricbo.cli.answers.scoring import Objectives, Scores
from fabricbo.cli.answers.status import StatusTold
from fabricbo.cli.answers.studies import Outcome, ShownStudy, Studies
from fabricbo.cli.answers.upkeep import (
    Forked,
    HealthTold,
    InstallationTold,
    Replayed,
    Serving,
)

ANSWERS: dict[str, type[Answer]] = {
    "about": Images,
    "compare": Compared,
    "convert": ConvertedTold,
    "demo": Outcome,
    "doctor": InstallationTold,
    "doctor-study": HealthTold,
    "export": Exported,
    "fork": Forked,
    "import": Imported,
    "init": Template,
    "list": Studies,
    "objectives": Objectives,
    "replay": Replayed,
    "report": Page,
    "resume": Outcome,
    "run": Outcome,
    "score": Scores,
    "serve": Serving,
    "show": ShownStudy,
    "status": StatusTold,
}
"""By command; `doctor STUDY` has one of its own."""


def schema_text(name: str) -> str:
    """Return the JSON Schema of a command's answer."""
    schema = ANSWERS[name].model_json_schema(mode="serialization")
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**dialect, **schema}, indent=1, sort_keys=True) + "\n"


def write_schemas(folder: Path) -> None:
    """Write one file a command."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ANSWERS:
        (folder / f"{name}.json").write_text(schema_text(name), "utf-8")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
