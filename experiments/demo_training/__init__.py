"""Training of the bundled checkpoint: one stage a file, driven by `experiments.train_demo`."""
