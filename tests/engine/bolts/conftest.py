"""The tests of bolts need a project that has it: the option is off by default."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("my_project.engine.bolts") else ["test_*.py"]
