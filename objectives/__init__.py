"""Objectives that come with fabricbo; none is imported before it is used."""
