# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Reading and continuing a study
#
# A study is a folder. Whoever opens it sees all that was drawn, scored and learnt; reading needs no
# network to be loaded. This page makes a small one, closes it, and goes on as if a week had passed.

# %%
from pathlib import Path

import fabricbo
from fabricbo.demo import pool_folder

settings = {
    "name": "bright-dogs",
    "prompt": "a dog",
    "rounds": 2,
    "trials": 4,
    "images": 2,
    "objective": "brightness",
    "pool": {"folder": pool_folder()},
    "space": {"guidance_scale": 3.0, "denoising_steps": 6, "max_liked": 2, "max_disliked": 2},
}
study = fabricbo.create_study(settings)
study.run(stop=lambda: len(study.trials) == 3)  # as if somebody had pressed Ctrl-C
study.close()

# %% [markdown]
# ## Where does it stand?

# %%
from fabricbo import Study
from fabricbo.study.status import read_status

study = Study.open(Path("studies/bright-dogs"))
status = read_status(study)
print(f"{status.state}: {len(study.trials)} of {study.planned_trials} trials")

# %% [markdown]
# Each trial went through a few states, and every step of it is kept:

# %%
for event in study.events[:4]:
    print(event.trial, event.status.value)

# %% [markdown]
# ## Going on
#
# `Study.open` reads; `resume_study` also loads what draws and scores. A trial that was in flight
# would be drawn again first.

# %%
study.close()
study = fabricbo.resume_study(Path("studies/bright-dogs"))
best = study.run()
print(f"best: trial {best.index} of {len(study.trials)}, {best.score.mean:.3f}")

# %% [markdown]
# ## What was learnt
#
# What is expected of each trial, given all the others: less extreme than what was seen, since some
# of that is luck.

# %%
for trial in study.trials:
    (expected,) = study.assessment.estimates[trial.index]
    print(
        f"{trial.index}: seen {trial.score.mean:.3f}, "
        f"expected {expected.mean:.3f} ± {expected.standard_error:.3f}"
    )

# %% [markdown]
# What each reference does to the score when it is liked in the best action, instead of unused:

# %%
names = {reference.id: reference.name for reference in study.pool_of(best)}
for effect in study.assessment.effects:
    liked = effect.liked
    print(f"{names[effect.reference]:20s} {liked.mean:+.3f} ± {liked.standard_error:.3f}")

# %% [markdown]
# The page for people is one HTML file:

# %%
print(fabricbo.write_report(study).name)

# %% [markdown]
# ## Another way from an earlier round
#
# A fork takes over what was known at the end of a round, and goes on with another seed; the first
# study stays as it is.

# %%
from fabricbo.upkeep.forking import Changes, fork

study.close()
fork(Path("studies/bright-dogs"), "bright-dogs-2", until=1, changes=Changes(seed=7)).close()
other = fabricbo.resume_study(Path("studies/bright-dogs-2"))
best = other.run()
print(f"best: trial {best.index} of {len(other.trials)}, {best.score.mean:.3f}")
other.close()

# %% [markdown]
# The same from a command line: [Continue a study](../continue.md).
