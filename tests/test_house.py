"""The structure of the generated project: two rooms, one door, and the size of each part."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from answers import OPTIONS, RECOMMENDED, TASKS, known
from conftest import ROOT, TEMPLATE
from rendered import OF_OPTION, OF_TASK

PACKAGE = TEMPLATE / "{{package_name}}"
ENGINE = PACKAGE / "engine"
MODULES = sorted(PACKAGE.rglob("*.py"))
# The engine's rooms from the lowest to the highest: a module imports from its own room and from those below.
ORDER = [
    *("errors", "trust", "runs", "foreign", "structs", "processes", "overlay", "contracts", "tasks"),
    *(
        "augment",
        "pages",
        "config",
        "metrics",
        "loggers",
        "instruments",
        "images",
        "data",
        "interleave",
        "tables",
        "texts",
        "masks",
        "layouts",
        "huggingface",
        "weights",
        "schedules",
        "module",
        "resume",
        "graph",
        "record",
        "refusals",
        "predict",
        "cli",
        "pretrained",
        "stages",
        "load_run",
        "show_batch",
        "tuning",
    ),
]
LEAVES = ["report", "sweep", "wandb", "bolts"]  # they may import all of the above, and nothing imports them
# What a user's first model needs beside the user's rooms, and what other classes of users need.
FIRST = ["contracts.py", "tasks/multiclass.py", "module/base.py"]
BASES = [*FIRST, "structs.py", "data/base.py", "instruments/base.py"]
MAX_USER, MAX_TO_READ, MAX_BASES, MAX_ROOM = 1800, 2500, 1180, 1200
LARGE_ROOMS = {"sweep": "a search that survives kills on many machines; only who searches reads it"}
MAX_CLASS, MAX_FUNCTION = 150, 40
# Places that read an attribute by a name in a string, each with its reason.
GETATTR = {
    "engine/resume/load.py": 1,  # the class that a checkpoint names
    "engine/metrics/select.py": 1,  # the class that a config names
    "engine/config/linking.py": 1,  # attributes of a datamodule that are named as a model's argument
    "engine/foreign.py": 1,  # what Lightning sets and declares nowhere
    "engine/resume/signals.py": 1,  # signals that not every system has
    "engine/bolts/datamodules.py": 1,  # an old library's datasets, whose names of classes differ
}
PRIVATE_NAME = re.compile(r"_[a-z]\w*$")
# Private names of other libraries that are used: in one file, apart from those of W&B.
PRIVATE = {
    "engine/foreign.py": 6,
    "engine/wandb/logger.py": 1,
    "engine/wandb/session.py": 1,
    "engine/cli/lightning.py": 0,
}
REPLACED = {"engine/cli/lightning.py": {"_parse_ckpt_path", "_run_subcommand"}}  # methods of LightningCLI


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def num_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def room_of(path: Path) -> str:
    """The room of the engine that a module belongs to."""
    return path.relative_to(ENGINE).parts[0].removesuffix(".py")


def is_of(path: Path, *parts: str) -> bool:
    """Whether a project has a file only with certain tasks or options, and not by default."""
    name = path.relative_to(TEMPLATE).as_posix().replace(PACKAGE.name, "PACKAGE").removesuffix(".jinja")
    files = OF_TASK | OF_OPTION
    is_default = any(name.startswith(files[part]) for part in DEFAULT_PARTS)
    return not is_default and any(name.startswith(files[part]) for part in parts)


# What a project with the default answers has.
DEFAULT_PARTS = [*known({})["tasks"], *RECOMMENDED]
OTHER_TASKS = [task for task in TASKS if task not in DEFAULT_PARTS]
OTHER_PARTS = [part for part in (*TASKS, *OPTIONS) if part not in DEFAULT_PARTS]
DEFAULT = [path for path in MODULES if not is_of(path, *OTHER_PARTS) or path.is_relative_to(ENGINE)]


def imports(path: Path) -> Iterator[Path]:
    """The modules of the package that a module imports, as paths without suffix."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for alias in node.names:
                inner = base / alias.name
                yield inner if inner.is_dir() or inner.with_suffix(".py").is_file() else base


ENGINE_MODULES = [path for path in MODULES if path.is_relative_to(ENGINE) and path != ENGINE / "__init__.py"]


@pytest.mark.parametrize("path", ENGINE_MODULES, ids=name_of)
def test_the_engine_imports_nothing_from_outside_and_only_what_lies_below(path: Path) -> None:
    room = room_of(path)
    allowed = {*ORDER, room} if room in LEAVES else set(ORDER[: ORDER.index(room) + 1])

    for imported in imports(path):
        assert imported == ENGINE or imported.is_relative_to(ENGINE), f"imports {imported.name} from outside"
        if imported != ENGINE:
            assert room_of(imported) in allowed, f"{room} imports {room_of(imported)}, which is not below it"


def test_the_package_imports_itself_by_relative_imports_only() -> None:
    """The package's name is in paths only."""
    for path in MODULES:
        modules = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom | ast.Import)]
        names = [
            name
            for node in modules
            for name in (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            )
            if not (isinstance(node, ast.ImportFrom) and node.level)
        ]
        assert not [name for name in names if name.startswith("my_project")], name_of(path)


def test_the_rooms_are_no_larger_than_the_readme_says() -> None:
    user = sum(num_lines(path) for path in DEFAULT if not path.is_relative_to(ENGINE))
    to_read = user + sum(num_lines(ENGINE / name) for name in FIRST)
    bases = sum(num_lines(ENGINE / name) for name in BASES)
    engine = sum(num_lines(path) for path in MODULES if path.is_relative_to(ENGINE))

    assert user <= MAX_USER
    assert to_read <= MAX_TO_READ
    assert bases <= MAX_BASES
    for readme in (ROOT / "README.md", TEMPLATE / "README.md.jinja"):
        found = re.findall(r"(\d[\d,]*) lines", readme.read_text())
        numbers = {int(number.replace(",", "")) for number in found}
        for count in (user, engine):
            rounded = round(count, -2)
            assert rounded in numbers, f"{readme.name} says {sorted(numbers)}, there are {count}"


def test_a_project_gets_few_tests() -> None:
    tests = (TEMPLATE / "tests").rglob("*.py*")
    assert sum(num_lines(path) for path in tests if not is_of(path, *OTHER_PARTS)) <= 2000


@pytest.mark.parametrize("task", OTHER_TASKS)
def test_a_task_is_read_in_ten_minutes(task: str) -> None:
    own = [path for path in MODULES if is_of(path, task)]

    assert own
    assert sum(map(num_lines, own)) <= 350


@pytest.mark.parametrize("room", [*ORDER, *LEAVES])
def test_an_engine_room_is_small_or_says_why_not(room: str) -> None:
    paths = [path for path in ENGINE_MODULES if room_of(path) == room]

    assert paths
    assert sum(map(num_lines, paths)) <= MAX_ROOM or room in LARGE_ROOMS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_classes_and_functions_are_short(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or 0) - node.lineno + 1
            limit = MAX_CLASS if isinstance(node, ast.ClassDef) else MAX_FUNCTION
            assert size <= limit, f"{node.name} has {size} lines"


def test_attributes_are_read_by_their_names_and_not_by_strings() -> None:
    found: dict[str, int] = {}
    for path in MODULES:
        calls = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
        uses = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id in ("getattr",)]
        if uses:
            found[name_of(path)] = len(uses)

    assert sum(found.values()) <= 8
    assert all(count <= GETATTR.get(name, 0) for name, count in found.items()), found


def test_text_files_are_opened_with_their_encoding() -> None:
    """Otherwise the encoding is that of the terminal, which may be ASCII."""
    methods = {"read_text": 1, "write_text": 2, "FileHandler": 3}
    for path in MODULES:
        calls = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
        for call in calls:
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            is_named = any(keyword.arg == "encoding" for keyword in call.keywords)
            if name in methods:
                assert is_named or len(call.args) >= methods[name], f"{name_of(path)}:{call.lineno}"
            if name == "open" and (not call.args or is_text(call.args[0])):
                assert is_named, f"{name_of(path)}:{call.lineno}"


def is_text(mode: ast.expr) -> bool:
    """Whether ``mode`` opens a text file."""
    return isinstance(mode, ast.Constant) and mode.value in ("r", "w", "a", "a+", "r+", "x")


def test_private_names_of_other_libraries_are_reached_for_in_one_place() -> None:
    nodes = {path: list(ast.walk(tree_of(path))) for path in MODULES}
    own = {
        node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else node.attr
        for of_path in nodes.values()
        for node in of_path
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        or (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node))
    } - set().union(*REPLACED.values())
    found: dict[str, set[str]] = {}
    for path, of_path in nodes.items():
        for node in of_path:
            if isinstance(node, ast.Attribute | ast.FunctionDef):
                names = [node.attr if isinstance(node, ast.Attribute) else node.name]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [alias.name for alias in node.names]
            else:
                continue
            private = {name for name in names if PRIVATE_NAME.match(name) and name not in own}
            if private:
                found.setdefault(name_of(path), set()).update(private)
    replaced = {name: found.get(name, set()) & methods for name, methods in REPLACED.items()}

    assert replaced == REPLACED
    assert sum(map(len, found.values())) <= 10, found
    for name, names in found.items():
        assert len(names - REPLACED.get(name, set())) <= PRIVATE.get(name, 0), (name, names)


def is_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


@pytest.mark.parametrize(
    ("pattern", "places"),
    [
        (r"\.partial\b", {"engine/runs/files.py"}),
        (r"SLURM_\w*JOB_ID", {"engine/runs/job.py"}),
        (
            r'"(metrics\.csv|log\.txt|run\.json|last\.ckpt|best\.ckpt|report\.html)"',
            {"engine/runs/folder.py"},
        ),
        (r"Content-Security-Policy", {"engine/pages/frame.html"}),
        (r"get_rng_state|getstate\(\)", {"engine/resume/random_state.py"}),
        (r'print\("error:"', {"engine/errors/one_line.py"}),
    ],
    ids=[
        "the atomic write",
        "the job's id",
        "names of a run's files",
        "the page's frame",
        "random state",
        "the error line",
    ],
)
def test_each_concept_has_one_place(pattern: str, places: set[str]) -> None:
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".html")]
    found = {name_of(path) for path in files if re.search(pattern, path.read_text(encoding="utf-8"))}

    assert found == places
