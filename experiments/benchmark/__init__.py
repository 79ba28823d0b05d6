"""Comparing proposers: problems, a loop that plays them, and what the results say."""
