"""`fabricbo about`: what image files say of how they were drawn. They may come from anybody."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from fabricbo.cli.answers.answer import tell
from fabricbo.cli.answers.files import Images, ImageTold
from fabricbo.cli.consoles import asides
from fabricbo.imagefiles import decode_image, pixel_hash, png_texts, read_file
from fabricbo.interop import webui_text
from fabricbo.interop.webui_text import WebuiText, read_webui_text
from fabricbo.records import strength_text
from fabricbo.study import origin
from fabricbo.study.origin import Origin


@dataclass(frozen=True, slots=True)
class About:
    """What a file says."""

    file: Path
    image: str
    """Identity of its pixels."""
    origin: Origin | None
    webui: WebuiText | None

    @property
    def changed(self) -> bool:
        """Whether it speaks of other pixels than it holds."""
        return self.origin is not None and self.origin.image != self.image


def print_origins(files: Sequence[Path], *, as_json: bool) -> None:
    """Say what each file says; status 1 where one cannot be read."""
    found, failed = [], False
    for file in files:
        try:
            found.append(read_about(file))
        except (ValueError, OSError) as error:
            asides().print(f"error: {plain(str(error))}", soft_wrap=True)
            failed = True
    answer = Images(images=tuple(_told(one) for one in found))
    tell(answer, (line for one in found for line in _lines(one)), as_json=as_json)
    if failed:
        raise typer.Exit(1)


def read_about(file: Path) -> About:
    """Read what a file says of how it was drawn.

    Raises:
        ValueError: no readable image, too large, or what it says of us cannot be read.
        OSError: no such file.
    """
    data = read_file(file)
    texts = png_texts(data, str(file))
    ours, theirs = texts.get(origin.KEY), texts.get(webui_text.KEY)
    try:
        known = None if ours is None else Origin.from_text(ours)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    image = pixel_hash(decode_image(data, str(file)))
    return About(file, image, known, None if theirs is None else read_webui_text(theirs))


def _lines(one: About) -> Iterator[str]:
    if one.origin is not None:
        rows = _our_rows(one.origin)
    elif one.webui is not None:
        said = one.webui
        rows = {"prompt": said.prompt, "negative prompt": said.negative_prompt, **said.settings}
    else:
        yield f"{plain(str(one.file))} does not say how it was drawn"
        return
    yield plain(str(one.file))
    for name, value in rows.items():
        if value:
            yield f"  {plain(name)}: {plain(value)}"
    if one.changed:
        yield "  it was changed since: this is about other pixels"


def _our_rows(said: Origin) -> dict[str, str]:
    part = ", held out" if said.held_out else ""
    with_ = said.drawn_with or {}
    return {
        "study": f"{said.study}, trial {said.trial}{part} (round {said.round})",
        "prompt": said.prompt,
        "negative prompt": said.negative_prompt,
        "seed": str(said.seed),
        **{name: f"{value:g}" for name, value in said.params.to_json().items()},
        "liked": _references(said, said.liked),
        "disliked": _references(said, said.disliked),
        "checkpoint": _flat(said.checkpoint),
        "drawn with": _flat(with_),
    }


def _references(said: Origin, identities: Sequence[str]) -> str:
    """Write identities, with strengths other than 1."""
    factors = {key: strength_text(value) for key, value in said.strengths.items()}
    return ", ".join(f"{one} {factors.get(one, '')}".rstrip() for one in identities)


def _flat(values: object) -> str:
    return json.dumps(values, ensure_ascii=False) if values else ""


def plain(text: str) -> str:
    """Return a text without what a terminal would take for commands."""
    return "".join(
        sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text
    )


def _told(one: About) -> ImageTold:
    return ImageTold(
        file=str(one.file),
        image=one.image,
        origin=one.origin,
        changed=one.changed,
        parameters=one.webui,
    )
