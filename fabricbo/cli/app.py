"""The commands and their arguments."""

from pathlib import Path
from typing import Annotated

import typer

from fabricbo import __version__
from fabricbo.cli import completing
from fabricbo.cli.logs import LogFormat, set_up
from fabricbo.demo.tasks import DEFAULT_TASK, TASKS

app = typer.Typer(
    name="fabricbo",
    help="Find the FABRIC settings and references that bring a diffusion model closest to what "
    "you want.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

Storage = Annotated[Path, typer.Option(help="Folder that studies are kept in.")]
Named = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="Its name, or its folder.", autocompletion=completing.studies
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")]
Pdf = Annotated[
    bool, typer.Option("--pdf", help="Print it to a PDF, too, by a browser that is here.")
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda or mps.", autocompletion=completing.devices)
]
Offload = Annotated[
    bool,
    typer.Option("--offload", help="Have scorers leave the device while the sampler draws."),
]

Executor = Annotated[
    str | None,
    typer.Option(
        help="inline or ray: who draws, in place of what the study file says.",
        autocompletion=completing.executors,
    ),
]
WorkerCount = Annotated[
    int | None, typer.Option("--workers", min=1, help="How many, with ray; else one a GPU.")
]
RayAddress = Annotated[
    str | None, typer.Option("--address", help="Of a Ray cluster: auto, or ray://HOST:PORT.")
]

MaxMemory = Annotated[
    str | None,
    typer.Option(
        help="What feedback may hold beyond plain sampling, such as 6GB; in place of what the "
        "study file says."
    ),
]

Log = Annotated[
    list[str] | None,
    typer.Option(
        help="jsonl, tensorboard, wandb, mlflow, trackio, module:name or file.py:name: also tell "
        "that logger what becomes of the study; may repeat."
    ),
]

DEFAULT_STORAGE = Path("studies")


def main() -> None:
    """Run the command line."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fabricbo {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option(help="Show log lines and warnings.")] = False,
    log_format: Annotated[
        LogFormat,
        typer.Option(
            envvar="FABRICBO_LOG", help="Of what is said on stderr; json: an object a line."
        ),
    ] = LogFormat.TEXT,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Set up logging before anything heavy is imported."""
    set_up(log_format, verbose=verbose)


@app.command()
def demo(
    storage: Storage = DEFAULT_STORAGE,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Of all randomness.")] = 0,
    task: Annotated[
        str,
        typer.Option(help=f"One of {', '.join(TASKS)}.", autocompletion=completing.tasks),
    ] = DEFAULT_TASK,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Fewer are over sooner, and find less.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Search, in a few minutes and offline, with the bundled model."""
    from fabricbo.cli.demo import ROUNDS, demo_settings
    from fabricbo.cli.running import run_new
    from fabricbo.scoring import Placement

    run_new(
        lambda: demo_settings(storage, seed, task, rounds or ROUNDS),
        Placement(device),
        as_json=as_json,
    )


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("study.toml"),
    as_json: Json = False,
) -> None:
    """Write a commented study file to start from."""
    from fabricbo.cli.reading import write_template

    write_template(file, as_json=as_json)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study file.")],
    device: Device = "auto",
    offload: Offload = False,
    executor: Executor = None,
    workers: WorkerCount = None,
    address: RayAddress = None,
    max_memory: MaxMemory = None,
    log: Log = None,
    as_json: Json = False,
) -> None:
    """Make a study from a file and run it."""
    from fabricbo.cli.running import How, run_new
    from fabricbo.scoring import Placement
    from fabricbo.study.file import read_study_file

    how = How(executor, workers, address, tuple(log or ()), max_memory)
    run_new(lambda: read_study_file(file), Placement(device, offload), how, as_json=as_json)


@app.command()
def resume(
    study: Named,
    storage: Storage = DEFAULT_STORAGE,
    device: Device = "auto",
    offload: Offload = False,
    executor: Executor = None,
    workers: WorkerCount = None,
    address: RayAddress = None,
    max_memory: MaxMemory = None,
    log: Log = None,
    as_json: Json = False,
) -> None:
    """Go on with a study that was stopped."""
    from fabricbo.cli.running import How, run_on
    from fabricbo.scoring import Placement

    how = How(executor, workers, address, tuple(log or ()), max_memory)
    run_on(study, storage, Placement(device, offload), how, as_json=as_json)


@app.command(name="list")
def list_(storage: Storage = DEFAULT_STORAGE, as_json: Json = False) -> None:
    """List studies."""
    from fabricbo.cli.reading import print_list

    print_list(storage, as_json=as_json)


@app.command()
def show(
    study: Named,
    storage: Storage = DEFAULT_STORAGE,
    analyses: Annotated[
        bool, typer.Option("--analyses", help="Have Ax analyse it too; takes up to a minute.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a study's trials and its best settings."""
    if analyses:
        from fabricbo.cli.analysing import print_analysed

        print_analysed(study, storage, as_json=as_json)
        return
    from fabricbo.cli.reading import print_study

    print_study(study, storage, as_json=as_json)


@app.command()
def status(
    study: Named,
    storage: Storage = DEFAULT_STORAGE,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Stay, until all is done or Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one object, or one for each change.")
    ] = False,
) -> None:
    """Say how a study is going: who draws, how far, how long yet. Reads only."""
    from fabricbo.cli.following import print_status

    print_status(study, storage, follow=follow, as_json=as_json)


@app.command()
def report(
    study: Named,
    storage: Storage = DEFAULT_STORAGE,
    pdf: Pdf = False,
    as_json: Json = False,
) -> None:
    """Write a study's page: one HTML file that needs no network."""
    from fabricbo.cli.reading import print_report

    print_report(study, storage, pdf=pdf, as_json=as_json)


@app.command()
def compare(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY STUDY...", help="Names, or folders.", autocompletion=completing.studies
        ),
    ],
    storage: Storage = DEFAULT_STORAGE,
    to: Annotated[
        Path | None, typer.Option(help="File to write; else compare.html in the storage.")
    ] = None,
    pdf: Pdf = False,
    as_json: Json = False,
) -> None:
    """Write a page that sets studies side by side: gains, curves, choices, images."""
    from fabricbo.cli.reading import print_comparison

    print_comparison(studies, storage, to, pdf=pdf, as_json=as_json)


@app.command()
def objectives(as_json: Json = False) -> None:
    """List what images can be scored by."""
    from fabricbo.cli.scoring import print_objectives

    print_objectives(as_json=as_json)


@app.command()
def score(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    objective: Annotated[
        str,
        typer.Option(
            help="An installed name, module:function or file.py:function (runs it).",
            autocompletion=completing.objectives,
        ),
    ],
    prompt: Annotated[str, typer.Option(help="What they were drawn for.")] = "",
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of the objective; may repeat.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score image files by an objective."""
    from fabricbo.cli.scoring import print_scores
    from fabricbo.scoring import Placement

    place = Placement(device)
    print_scores(images, objective, prompt, option or (), place, as_json=as_json)


@app.command()
def serve(
    study: Named,
    storage: Storage = DEFAULT_STORAGE,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback can be reached.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    public: Annotated[
        str | None,
        typer.Option(help="Address that people use, such as https://rate.example.org."),
    ] = None,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="Draw here, too, in a process beside it.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show a study in a browser while it goes on; where people judge, have them rate it there."""
    from fabricbo.cli.serving import Address, serve_study

    worker = device if with_worker else None
    serve_study(study, storage, Address(host, port, public), worker, as_json=as_json)


@app.command()
def rate(
    study: Named,
    storage: Storage = DEFAULT_STORAGE,
    name: Annotated[
        str | None,
        typer.Option(help="Who rates; goes on where they stopped. Else who is logged in."),
    ] = None,
) -> None:
    """Rate a study at this terminal."""
    from fabricbo.cli.rating import rate_study

    rate_study(study, storage, name)


@app.command()
def doctor(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY]", help="Its name, or its folder.", autocompletion=completing.studies
        ),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    mend: Annotated[
        bool,
        typer.Option("--mend", help="Set damaged files aside, find or draw missing images again."),
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Check this installation or, with STUDY, every row and every image of a study.

    With --mend, what can be put back of a study is put back.
    """
    if study is None:
        from fabricbo.cli.installing import print_installation

        if mend:
            raise typer.BadParameter("--mend needs a study to mend")
        print_installation(storage, as_json=as_json)
        return
    from fabricbo.cli.upkeep import check_study

    check_study(study, storage, device, mend=mend, as_json=as_json)


@app.command()
def replay(
    study: Named,
    trial: Annotated[int, typer.Argument(min=0, help="Its number.")],
    storage: Storage = DEFAULT_STORAGE,
    to: Annotated[Path | None, typer.Option(help="Folder to write the images to.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Draw a trial again and compare each image with the one that is kept."""
    from fabricbo.cli.upkeep import replay_trial

    replay_trial(study, storage, trial, device, to=to, as_json=as_json)


@app.command()
def fork(
    study: Named,
    to: Annotated[str, typer.Option(metavar="NAME", help="What the new study is called.")],
    round: Annotated[
        int | None, typer.Option(help="The last to take over; else the last complete one.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(help="How many are planned, with those taken over.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="A round, from now on.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of what follows; else it goes the way of the other.")
    ] = None,
    proposer: Annotated[
        str | None,
        typer.Option(
            help="Who picks the actions from now on.", autocompletion=completing.proposers
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            help="URL of a PostgreSQL database for its rows, or `file`; else as the other's."
        ),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Make a study that goes on from an earlier round of another, which stays as it is."""
    from fabricbo.cli.upkeep import fork_study
    from fabricbo.upkeep.forking import Changes

    changes = Changes(rounds, trials, seed, proposer, database)
    fork_study(study, to, storage, round, changes, as_json=as_json)


@app.command()
def export(
    study: Named,
    what: Annotated[
        str,
        typer.Option(
            help="votes, pairs (as in Pick-a-Pic), images (a folder) or study (a ZIP).",
            autocompletion=completing.exported,
        ),
    ],
    to: Annotated[Path, typer.Option(help="File, or folder of images, to write.")],
    format: Annotated[
        str | None, typer.Option(help="csv or parquet; else what the file's name ends in.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Write votes, preference pairs or images for other programs, or the whole study."""
    from fabricbo.cli.exporting import Export, export_study

    export_study(study, storage, Export(what, to, format, force), as_json=as_json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `export --what study` wrote.")],
    storage: Storage = DEFAULT_STORAGE,
    images_at: Annotated[
        str | None,
        typer.Option(help="URL of where to keep its images, such as s3://bucket/cats."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a study of an archive; nothing that it names is loaded or run."""
    from fabricbo.cli.exporting import import_study

    import_study(file, storage, images_at, as_json=as_json)


@app.command()
def about(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="PNG files.")],
    as_json: Json = False,
) -> None:
    """Say how images were drawn, as far as their files do: those of a study, or of a WebUI."""
    from fabricbo.cli.about import print_origins

    print_origins(images, as_json=as_json)


@app.command()
def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A study, or a file: an image by fabricbo, WebUI or ComfyUI, a preset, a "
            "workflow, a configuration.",
        ),
    ],
    to: Annotated[str, typer.Option(help="webui, comfyui, diffusers, authors or fabricbo.")],
    trial: Annotated[int | None, typer.Option(min=0, help="Of the study; else its best.")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="Whom to draw with there, such as 'DPM++ 2M'.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="Of that sampler, by WebUI's names, such as Karras; else Uniform."),
    ] = None,
    references: Annotated[
        Path | None, typer.Option(help="Folder of the references; else beside the file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write all to, references too; else prints.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Bring settings and references to another implementation of FABRIC, or from it."""
    from fabricbo.cli.converting import Conversion
    from fabricbo.cli.converting import convert as convert_source

    asked = Conversion(
        to=to, trial=trial, sampler=sampler, schedule=schedule, references=references, out=out
    )
    convert_source(source, storage, asked, as_json=as_json)
