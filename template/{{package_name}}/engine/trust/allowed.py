"""What a config or a checkpoint may import: a name in a file must not run just any code."""

import contextlib
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from jsonargparse import set_parsing_settings

from .. import PACKAGE, PROJECT
from ..errors import InputError

LIBRARIES = ("torch", "torchvision", "torchmetrics", "pytorch_lightning", "lightning_fabric", "pl_bolts")
# The parts of these libraries that load and run code from elsewhere.
DENIED = (
    "torch.classes",
    "torch.hub",
    "torch.jit",
    "torch.load",
    "torch.ops",
    "torch.package",
    "torch.serialization",
    "torch.utils.cpp_extension",
)
_allowed: set[str] = set()  # in addition to the libraries and this package


def restrict(packages: Iterable[str] = (), classes: Iterable[type] = ()) -> None:
    """Let files name only code of this package, of its libraries, or of the user.

    The user's own are ``.py`` files and folders with an ``__init__.py`` directly in the current folder or in
    that of the project; a folder of data is neither.

    Args:
        packages: Further packages or modules, which the user named on the command line.
        classes: Classes that Python code has imported already.

    Raises:
        InputError: A name is not that of a package.
    """
    packages = set(packages)
    for name in packages:
        if not all(map(str.isidentifier, name.split("."))) or name.startswith("jsonargparse"):
            raise InputError(f"expected the name of a package after --allow, got {name!r}")
    paths = {f"{cls.__module__}.{cls.__qualname__}" for cls in classes}
    allowed = packages | _own_modules() | {path for path in paths if "<locals>" not in path}
    set_parsing_settings(
        import_path_denylist=["*", *DENIED, *sorted(_allowed - allowed)],
        import_path_allowlist=sorted({*LIBRARIES, PACKAGE, *allowed}),
    )
    _allowed.clear()
    _allowed.update(allowed)


def import_allowed(name: str) -> ModuleType:
    """Import a module that a file names.

    Raises:
        ImportError: There is no such module.
        InputError: A file may not name it; nothing of it ran.
    """
    top = name.partition(".")[0]
    if name not in sys.modules and top not in {*LIBRARIES, PACKAGE, *_allowed, *_own_modules()}:
        if not top or find_spec(top) is None:
            raise ModuleNotFoundError(f"no module named {name!r}")
        raise InputError(f"{refusal(name)}; if you trust it: --allow {top}")
    return import_module(name)


def refusal(name: str) -> str:
    """The first part of a message: what was expected, and what was found."""
    return f"expected a name from your own modules, {PACKAGE}, {', '.join(LIBRARIES[:-1])}, got {name!r}"


def _own_modules() -> set[str]:
    # If the project is installed, its folder has all packages, which are not the user's own.
    folders = {Path.cwd(), *([PROJECT] if (PROJECT / "pyproject.toml").is_file() else [])}
    names, ends = set(), ("*.py", "*/__init__.py")
    for path in [path for folder in folders for end in ends for path in folder.glob(end)]:
        name = path.parent.name if path.name == "__init__.py" else path.stem
        if name.isidentifier() and name not in sys.stdlib_module_names and _origin(name) == path.resolve():
            names.add(name)
    return names


def _origin(name: str) -> Path | None:
    """The file that ``import name`` would run."""
    with contextlib.suppress(ValueError, ImportError):
        spec = find_spec(name)
        return Path(spec.origin).resolve() if spec and spec.origin else None
    return None
