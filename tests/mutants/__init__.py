"""Does a wrong program fail a test? See ``run.py``."""
