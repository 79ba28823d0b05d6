"""The paper's first experiment: feedback chosen by a preference model (arXiv 2307.10159).

    python -m experiments.preference_feedback                  # bundled checkpoint, about an hour
    python -m experiments.preference_feedback --checkpoint dreamlike-art/dreamlike-photoreal-2.0 \\
        --prompts prompts.csv --lora hps.safetensors --count 1000
    python -m experiments.preference_feedback --kept --results docs/data/paper-preference.jsonl
    python -m experiments.preference_feedback --smoke

Every system draws each prompt for some rounds; after each round the best image by the scorer is
liked and the worst disliked. What is played is kept in `--results`, so the experiment can be
stopped and go on.
"""

from experiments.paper.command import run

if __name__ == "__main__":
    run("preference", __doc__ or "")
