"""`torch.compile` for a network that is given feedback.

Compiled are the transformer blocks, which are most of the work and alike: less to compile than the
whole network. Feedback's processors are left out of it (a graph break before each self-attention):
what they do differs from pass to pass, and would have blocks compiled again and again.
"""

import os
import shutil
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch

from fabricbo.sampler.networks import is_transformer, transformer_blocks

_COMPILERS = ("g++", "clang++", "c++")


def check_compiler(device: str) -> None:
    """Check that something is there that compiles for a device.

    Raises:
        ValueError: it is not.
    """
    if device == "cuda" and find_spec("triton") is None:
        raise ValueError("compile needs Triton on a GPU; pip install triton, or leave compile out")
    named = os.environ.get("CXX")
    if device != "cuda" and not any(map(shutil.which, (*_COMPILERS, *([named] if named else [])))):
        raise ValueError(
            f"compile needs a C++ compiler ({', '.join(_COMPILERS)}), and there is none; install "
            "one, or leave compile out"
        )


def compile_blocks(network: Any, backend: str = "inductor") -> None:
    """Have the transformer blocks of a U-Net or transformer compiled when they are first used."""
    if not is_transformer(network):
        network.compile_repeated_blocks(backend=backend)
        return
    for block in transformer_blocks(network):
        block.compile(backend=backend)


def is_compiled(module: Any) -> bool:
    """Tell whether a network, or part of it, is compiled."""
    return any(part._compiled_call_impl is not None for part in module.modules())


@cache
def left_out(kind: type) -> type:
    """Return the same class, whose calls are not compiled with what calls them."""
    call = torch.compiler.disable(kind.__call__)  # type: ignore[no-untyped-call]
    return type(f"Uncompiled{kind.__name__}", (kind,), {"__call__": call})
