"""Simulated people with a taste that only they know, asked in several ways."""
