"""The sets of answers that are tested: named ones, pairwise ones, and random ones."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import yaml
from allpairspy import AllPairs
from conftest import ROOT
from hypothesis import strategies as st

Answers = Mapping[str, Any]

CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text())
QUESTIONS: dict[str, dict[str, Any]] = {
    name: question
    for name, question in CONFIG.items()
    if not name.startswith("_") and question.get("when") is not False
}
CHOICES: dict[str, list[str]] = {
    name: list(question["choices"].values()) for name, question in QUESTIONS.items() if "choices" in question
}
OPTIONS = CHOICES["options"]
TASKS = CHOICES["tasks"]
SEVERAL = ("options", "tasks")  # questions of which an answer is a list
RECOMMENDED = ["docker", "slurm", "sweep", "report", "wandb"]
SERVER = "https://wandb.example.org"
EMAIL = "ada@example.org"

NAMED: dict[str, Answers] = {
    "defaults": {},
    "minimum": {"profile": "minimum"},
    "ask": {"profile": "ask"},
    "all-off": {"profile": "minimum", "license": "none"},
    "all-on": {
        "license": "BSD-3-Clause",
        "ci": "both",
        "torch_backend": "cu130",
        "wandb_base_url": SERVER,
        "user_email": EMAIL,
        "options": OPTIONS,
        "tasks": TASKS,
    },
    "awkward": {
        "project_name": 'Größe: "5" # it\'s',
        "package_name": "a_package_with_a_name_of_forty_letters_x",
        "description": "colon: 'quotes' # and 深層学習",
        "user_name": 'O\'Neil "& Söhne"',
        "license": "MIT",
        "torch_backend": "cpu",
        "ci": "gitlab",
        "options": OPTIONS,
        "tasks": ["text", "tabular"],
    },
    "short": {"package_name": "x", "license": "MIT", "torch_backend": "auto", "ci": "github"},
    **{f"only-{option}": {"profile": "minimum", "options": [option]} for option in OPTIONS},
    **{f"task-{task}": {"tasks": [task]} for task in TASKS if task != "images"},
}


def _pairwise() -> dict[str, Answers]:
    """Sets of answers in which any two answers to different questions occur together at least once."""
    values = OrderedDict(
        (name, CHOICES[name]) for name in ("torch_backend", "ci", "license", *CHOICES) if name not in SEVERAL
    )
    values |= {"wandb_base_url": ["", SERVER], "user_email": ["", EMAIL]}
    values |= {part: [True, False] for part in (*OPTIONS, *TASKS)}
    sets = {}
    size = len(values)

    def has_a_task(row: list[Any]) -> bool:
        return len(row) < size or any(row[-len(TASKS) :])

    for number, pairs in enumerate(AllPairs(values, filter_func=has_a_task)):
        answers = pairs._asdict()
        answers["options"] = [option for option in OPTIONS if answers.pop(option)]
        answers["tasks"] = [task for task in TASKS if answers.pop(task)]
        sets[f"pairwise-{number}"] = answers
    return sets


PAIRWISE = _pairwise()

# One line without control characters, as the validators demand.
_text = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\x7f"), max_size=60
)
_name = st.from_regex(r"\A[a-z][a-z0-9_]{0,38}[a-z0-9]\Z")
RANDOM = st.fixed_dictionaries(
    {},
    optional={
        "project_name": _text.filter(str.strip),
        "package_name": _name.filter(lambda name: name not in TAKEN),
        "description": _text,
        "user_name": _text.filter(str.strip),
        "user_email": st.sampled_from(["", EMAIL, "a.b+c@x-y.example"]),
        "wandb_base_url": st.sampled_from(["", SERVER, "http://[::1]:8080/a/b", "http://localhost:8080/"]),
        "options": st.lists(st.sampled_from(OPTIONS), unique=True),
        "tasks": st.lists(st.sampled_from(TASKS), unique=True, min_size=1),
        **{name: st.sampled_from(values) for name, values in CHOICES.items() if name not in SEVERAL},
    },
)
TAKEN = frozenset(" ".join(CONFIG["taken_names"]["default"].values()).split())


def known(answers: Answers) -> dict[str, Any]:
    """The answers of a set, with the defaults of other questions that decide which files there are."""
    minimum = answers.get("profile") == "minimum"
    defaults = {
        "license": "Apache-2.0",
        "ci": "none" if minimum else "circleci",
        "tasks": ["images"],
        "options": RECOMMENDED if answers.get("profile", "recommended") == "recommended" else [],
    }
    return {**defaults, **answers}
