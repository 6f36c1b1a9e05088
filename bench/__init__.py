"""Measurements of the generated project against references; see README.md."""
