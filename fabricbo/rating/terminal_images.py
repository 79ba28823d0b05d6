"""Images at a terminal: by kitty's protocol, as sixels, or in half blocks where it knows neither.

Kitty's graphics protocol (sw.kovidgoyal.net/kitty/graphics-protocol) takes a PNG file as it is, in
base64. Terminals that know sixels say so when they are asked for their attributes (DEC's primary
device attributes: a 4 among them).
"""

import base64
import io
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Literal

from PIL import Image
from rich.console import Console

from fabricbo.rating.keyboard import ask_terminal

Protocol = Literal["kitty", "sixel", "blocks"]
Draw = Callable[[Console, Image.Image, int], None]
"""Draws an image that many columns wide."""
CELL = (10, 20)
"""Width and height of a character in pixels, where sixels are drawn; terminals differ."""
ANSWERS_WITHIN = 0.3
"""Seconds that a terminal has to say what it can do."""
COLOURS = 256
"""Registers that terminals with sixels have."""
_CHUNK = 4096
"""Characters that kitty's protocol carries at once."""
_ATTRIBUTES = "\x1b[c"
_KITTY_PROGRAMS = ("ghostty", "WezTerm")


def known_protocol(
    environment: Mapping[str, str] = os.environ,
    ask: Callable[[str, str, float], str] = ask_terminal,
) -> Protocol:
    """Return how this terminal shows images best.

    A multiplexer may sit between, which passes on neither of the better ways.

    Args:
        environment: variables by which terminals tell who they are.
        ask: sends a question to the terminal and reads the answer up to a character.
    """
    term = environment.get("TERM", "")
    if "TMUX" in environment or term.startswith(("screen", "dumb")):
        return "blocks"
    kitty = term in ("xterm-kitty", "xterm-ghostty")
    if kitty or environment.get("TERM_PROGRAM") in _KITTY_PROGRAMS:
        return "kitty"
    told = re.search(r"\x1b\[\?([\d;]+)c", ask(_ATTRIBUTES, "c", ANSWERS_WITHIN))
    return "sixel" if told and "4" in told[1].split(";") else "blocks"


def drawer(console: Console) -> Draw | None:
    """Return what draws images where this console prints; None where nothing can.

    Only where a person looks and types: terminals are asked what they can. Half blocks are nothing
    but colours, so that `NO_COLOR` leaves them out.
    """
    if not (console.is_terminal and sys.stdin.isatty()):
        return None
    protocol = known_protocol()
    if protocol == "blocks" and (console.no_color or console.color_system is None):
        return None
    return drawing(protocol)


def drawing(protocol: Protocol) -> Draw | None:
    """Return what draws in this way; None where its library is not installed."""
    try:
        return {"kitty": _kitty, "sixel": _sixel, "blocks": _blocks}[protocol]()
    except ImportError:
        return None


def _kitty() -> Draw:
    def draw(console: Console, image: Image.Image, columns: int) -> None:
        file = io.BytesIO()
        image.save(file, "PNG")
        text = base64.b64encode(file.getvalue()).decode()
        parts = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
        for number, part in enumerate(parts):
            # q=2: the terminal answers nothing, which would be taken for keys.
            first = f"a=T,f=100,q=2,c={columns}," if number == 0 else ""
            more = int(number < len(parts) - 1)
            console.file.write(f"\x1b_G{first}m={more};{part}\x1b\\")
        console.file.write("\n")
        console.file.flush()

    return draw


def _sixel() -> Draw:
    from timg import Renderer, SixelMethod

    def draw(console: Console, image: Image.Image, columns: int) -> None:
        renderer = Renderer()
        renderer.load_image(image.convert("RGB"))
        renderer.resize(columns * CELL[0])
        renderer.reduce_colors(COLOURS)
        console.file.write(renderer.to_string(SixelMethod) + "\n")
        console.file.flush()

    return draw


def _blocks() -> Draw:
    from rich_pixels import Pixels

    def draw(console: Console, image: Image.Image, columns: int) -> None:
        rows = round(columns * image.height / image.width)
        console.print(Pixels.from_image(image, resize=(columns, rows + rows % 2)))

    return draw
