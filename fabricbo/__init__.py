"""Bayesian optimization over the parameters of FABRIC.

Public names are loaded when they are first used, so that `import fabricbo` stays cheap:
it loads neither torch, diffusers, transformers nor ax.
"""
