"""The paper's second experiment: feedback chosen by similarity to a target (arXiv 2307.10159).

    python -m experiments.target_feedback                      # bundled checkpoint, about an hour
    python -m experiments.target_feedback --checkpoint dreamlike-art/dreamlike-photoreal-2.0 \\
        --prompts prompts.csv --lora hps.safetensors           # columns prompt and image
    python -m experiments.target_feedback --kept --results docs/data/paper-target.jsonl
    python -m experiments.target_feedback --smoke

As `experiments.preference_feedback`, but what is liked is nearest to the target image of the
prompt, and what is disliked farthest from it.
"""

from experiments.paper.command import run

if __name__ == "__main__":
    run("target", __doc__ or "")
