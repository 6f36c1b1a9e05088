"""The classes that a config can name."""

from collections.abc import Iterator


def subclasses(cls: type) -> Iterator[type]:
    """All imported subclasses of ``cls``; one with several bases may appear more than once."""
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)
