"""Finds, reads and caches image files."""
