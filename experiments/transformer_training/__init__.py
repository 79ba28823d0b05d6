"""Small diffusion transformers that draw shapes, for `experiments.transformer_feedback`."""
