"""Errors that are meant for the person at the terminal."""


class InputError(ValueError):
    """Something the user gave cannot be used: a file, a folder, a value, a checkpoint.

    Its message is one sentence: what was expected, what was found and the remedy. The command line prints it
    on one line and exits with 2; every other exception is a defect and keeps its traceback.
    """


def check_least(least: float, **values: float | None) -> None:
    """Refuse values that are too small; ``None`` passes.

    Raises:
        InputError: A value is too small; the message names it.
    """
    for name, value in values.items():
        if value is not None and value < least:
            raise InputError(f"expected {name} of at least {least}, got {value}")


def input_error_in(error: BaseException | None) -> InputError | None:
    """The ``InputError`` that led to ``error``, if one did: jsonargparse raises others in its place."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return error
