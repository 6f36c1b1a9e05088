"""The classes that are there to be named."""

from collections.abc import Iterator


def subclasses(cls: type) -> Iterator[type]:
    """All classes below ``cls`` that are imported; one with several bases may come more than once."""
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)
