"""Hand settings that others use, as far as their source is known: see `fabricbo.records`.

Settings that a preset does not name have no source here and stay those of the space. The window
of the FABRIC authors is such a one.
"""

from collections.abc import Mapping

PRESETS: Mapping[str, Mapping[str, float]] = {
    "webui": {
        "feedback_start": 0.0,
        "feedback_end": 0.8,
        "min_weight": 0.0,
        "max_weight": 0.8,
        "neg_scale": 0.5,
    },
    "authors": {
        "min_weight": 0.1,
        "max_weight": 1.0,
        "neg_scale": 0.5,
        "pos_bottleneck_scale": 1.0,
        "neg_bottleneck_scale": 1.0,
        "denoising_steps": 20,
    },
}
"""By name: the WebUI plug-in, and the FABRIC authors' implementation."""
