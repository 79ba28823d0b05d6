"""BoTorch is kept from compiling C++ while a study runs.

When its expected hypervolume improvement is first made, BoTorch 0.18 compiles a faster part of it
into a folder that all processes of a user share, and waits for a lock file there. A process that
is killed meanwhile leaves the lock behind, and every later one waits for ever; machines of a
cluster that share a home share what was compiled for one of them. Its Python is fast enough here,
and the same everywhere.
"""

from botorch.acquisition.multi_objective import logei


def leave_uncompiled() -> None:
    """Have BoTorch use its Python; to be called before an acquisition function is made."""
    # There is no public way. Where this name is gone, so may be what it is about.
    if hasattr(logei, "_load_attempted"):
        logei._load_attempted = True
