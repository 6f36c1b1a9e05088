"""Values that look like secrets are not shown."""

import os
import re
import shlex
from collections.abc import Iterator
from typing import Any

HIDDEN = "***"
MAX_WORD = 4  # letters; values of up to this length are not looked for in texts
NAME = r"(?:password|passwd|secret|credentials?|(?:api|access|secret|private)[_-]?key|token)"
KEY = re.compile(rf"{NAME}$", re.IGNORECASE)
OPTION = re.compile(rf"--?[\w.+-]*{NAME}", re.IGNORECASE)
ASSIGNED = re.compile(rf"({NAME}[\"']?\s*[:=]).*", re.IGNORECASE | re.DOTALL)
LOGIN = re.compile(r"(?<=://)[^/\s@]+@")


def mask(value: Any, key: str = "") -> Any:
    """Replace what stands under a key such as ``api_key`` or ``hf_token``, and the logins of addresses.

    >>> mask({"api_key": "abc", "num_tokens": 5, "url": "https://me:pw@example.org"})
    {'api_key': '***', 'num_tokens': 5, 'url': 'https://***@example.org'}
    """
    if KEY.search(key) and value is not None:
        return HIDDEN
    if isinstance(value, dict):
        return {name: mask(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [mask(item) for item in value]
    return LOGIN.sub(f"{HIDDEN}@", value) if isinstance(value, str) else value


def hidden_keys(value: Any, key: str = "") -> list[str]:
    """Dotted keys of what ``mask`` replaced.

    >>> hidden_keys({"logger": [{"api_key": "***"}], "name": "a"})
    ['logger.0.api_key']
    """
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [found for name, item in items for found in hidden_keys(item, f"{key}.{name}".lstrip("."))]
    return [key] if isinstance(value, str) and HIDDEN in value else []


def mask_command(command: str) -> str:
    """Replace the values of options that look like secrets.

    >>> mask_command("train --lr=3 --logger.api_key=abc --token abc")
    'train --lr=3 --logger.api_key=*** --token ***'
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return HIDDEN
    return " ".join(word if HIDDEN in word else shlex.quote(word) for word in mask_words(words))


def mask_words(words: list[str]) -> list[str]:
    """Replace the values of options that look like secrets in a command line's words."""
    masked = list(words)
    for number, word in enumerate(words):
        if number and OPTION.fullmatch(words[number - 1]) and not word.startswith("--"):
            masked[number] = HIDDEN
        else:
            masked[number] = ASSIGNED.sub(rf"\1{HIDDEN}", mask(word))
    return masked


def mask_text(text: str, config: Any) -> str:
    """Replace the secrets of a config and of the environment in a text, such as a traceback.

    >>> mask_text("refused: 'abcdef'", {"api_key": "abcdef"})
    "refused: '***'"
    """
    for secret in sorted({*_secrets(config), *_secrets(dict(os.environ))}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return LOGIN.sub(f"{HIDDEN}@", text)


def _secrets(value: Any, key: str = "") -> Iterator[str]:
    """The values that ``mask`` would replace and that are too long to be common words."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else ((key, item) for item in value)
        for name, item in items:
            yield from _secrets(item, str(name))
    elif isinstance(value, str) and len(value) > MAX_WORD and KEY.search(key):
        yield value
