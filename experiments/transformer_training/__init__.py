"""Small diffusion transformers on the demo's drawings, for `experiments.transformer_feedback`."""
