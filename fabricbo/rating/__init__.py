"""Asking people: what to ask next, of whom, and what their answers are worth."""
