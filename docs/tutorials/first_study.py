# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A first study in Python
#
# An objective of one's own, a search of some seconds, and what came of it. Nothing is downloaded:
# pictures are drawn by the bundled checkpoint, 64 x 64, and what you see below came out when this
# page was built.
#
# ## What is better?
#
# An objective gets the images of a trial and its prompt, and returns one number an image; higher is
# better. This one wants pictures that are dark in the middle and bright around it, whatever they
# show.

# %%
import numpy as np


def vignette(images, prompt):
    """How much brighter the border is than the middle, from -1 to 1."""
    scores = []
    for image in images:
        grey = np.asarray(image.convert("L"), dtype=float) / 255
        middle = np.zeros(grey.shape, dtype=bool)
        middle[16:48, 16:48] = True
        scores.append(grey[~middle].mean() - grey[middle].mean())
    return scores


# %% [markdown]
# Before a long search, find out whether it keeps the contract: as many numbers as images, finite,
# the same every time, for images of every mode and size.

# %%
from fabricbo.testing import check_objective

check_objective(vignette)

# %% [markdown]
# ## A study
#
# Settings are those of a study file. The pool is a folder of images that may help or not: which of
# them to like or dislike is part of the search. Few images and denoising steps keep this short.

# %%
import fabricbo
from fabricbo.demo import pool_folder

settings = {
    "name": "dark-cats",
    "prompt": "a cat",
    "rounds": 2,
    "trials": 5,
    "images": 3,
    "heldout": 8,
    "pool": {"folder": pool_folder(), "grow_liked": 1},
    "space": {
        "guidance_scale": 3.0,
        "denoising_steps": 6,
        "max_liked": 2,
        "max_disliked": 2,
    },
}
study = fabricbo.create_study(settings, objective=vignette)
best = study.run()

# %% [markdown]
# ## What came of it
#
# Trial 0 always has the hand settings: those that somebody would use who does not search.

# %%
for trial in study.trials:
    print(f"{trial.index:2d}  {trial.source:6s}  {trial.score.mean:+.3f}")
print(f"best: trial {best.index}")

# %% [markdown]
# Upper row: hand settings. Lower row: the best trial.

# %% alt="Pictures by the hand settings above those of the best trial"
from PIL import Image


def sheet(*rows):
    """Lay rows of stored images out as one picture."""
    drawn = [[study.images.load(image) for image in row] for row in rows]
    whole = Image.new("RGB", (128 * len(drawn[0]), 128 * len(drawn)))
    for y, row in enumerate(drawn):
        for x, image in enumerate(row):
            whole.paste(image.resize((128, 128), Image.Resampling.NEAREST), (128 * x, 128 * y))
    return whole


sheet(study.baseline.images, best.images)

# %% [markdown]
# The best of several noisy trials looks better than it is. So hand settings and best are drawn
# again with seeds that the search never saw, and this is what may be claimed:

# %%
(comparison,) = study.hold_out().comparisons
hand, found = comparison.baseline, comparison.best
print(f"hand settings {hand.mean:+.3f} ± {hand.standard_error:.3f}")
print(f"best found    {found.mean:+.3f} ± {found.standard_error:.3f}")

# %% [markdown]
# And this is the action that drew it, ready for `FabricSampler`:

# %%
for name, value in best.action.params.to_json().items():
    print(f"{name:22s} {value:.3g}")
print("liked   ", [reference.name for reference in best.action.liked])
print("disliked", [reference.name for reference in best.action.disliked])

# %% [markdown]
# Next: [reading and continuing a study](continuing.md), or
# [all that an objective can ask for](../objectives.md).
