"""What commands say that write or read files."""

from typing import Literal

from fabricbo.cli.answers.answer import Answer, Told
from fabricbo.interop.webui_text import WebuiText
from fabricbo.study.origin import Origin


class Template(Answer):
    """`fabricbo init`: a study file was written."""

    format: Literal[1] = 1
    file: str


class Page(Answer):
    """`fabricbo report`: a page was written."""

    format: Literal[1] = 1
    study: str
    """Its folder."""
    page: str
    """Path of the file."""
    pdf: str | None
    """The same on paper, where it was asked for."""


class Compared(Answer):
    """`fabricbo compare`: a page about several studies was written."""

    format: Literal[1] = 1
    studies: tuple[str, ...]
    """Their folders."""
    page: str
    """Path of the file."""
    pdf: str | None
    """The same on paper, where it was asked for."""


class Exported(Answer):
    """`fabricbo export`: something was written for other programs."""

    format: Literal[1] = 1
    study: str
    """Its folder."""
    what: str
    """votes, pairs, images or study."""
    to: str
    """Path of the file or folder."""


class Imported(Answer):
    """`fabricbo import`: a study was made of an archive."""

    format: Literal[1] = 1
    study: str
    """Its folder."""


class ImageTold(Told):
    """What an image file says of how it was drawn."""

    file: str
    image: str
    """Identity of its pixels."""
    origin: Origin | None
    """Our own text, where it has one."""
    changed: bool
    """Whether that speaks of other pixels than the file holds."""
    parameters: WebuiText | None
    """WebUI's text, where it has one."""


class Images(Answer):
    """`fabricbo about`: what image files say of how they were drawn."""

    format: Literal[1] = 1
    images: tuple[ImageTold, ...]


class ConvertedTold(Answer):
    """`fabricbo convert`: settings and references for another implementation."""

    format: Literal[1] = 1
    to: str
    """webui, comfyui, diffusers, authors or fabricbo."""
    files: dict[str, str]
    """Texts by the names of their files."""
    notes: tuple[str, ...]
    """What could not be brought over exactly."""
