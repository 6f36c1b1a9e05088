"""Fixtures for Weights & Biases: a server on this machine, and nothing of the user's settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb_loopback import KEY, Loopback


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of wandb, no stored login."""
    for name in [name for name in os.environ if name.startswith(("WANDB", "NETRC"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A server that is configured."""
    with Loopback() as loopback:
        monkeypatch.setenv("WANDB_BASE_URL", loopback.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield loopback
        assert not loopback.unknown
