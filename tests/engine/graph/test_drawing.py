"""The picture of a graph says who makes what of what, how large it is, and who trains it."""

from functools import partial
from typing import Any

import pytest
from my_project.engine.graph import Term, Wiring
from my_project.engine.graph.drawing import ALL, FIELD, FROZEN, boxes_of, draw
from my_project.engine.module import Part
from my_project.structs import VectorExample
from torch import nn, ones, zeros
from torch.optim import SGD

GRAPH = {"code": "body(features)", "score": "head(detach(code))"}


def described(parts: dict[str, Part], **frozen: bool) -> list[dict[str, Any]]:
    networks = nn.ModuleDict({"body": nn.Linear(2, 3), "head": nn.Linear(3, 1)})
    for name in frozen:
        networks[name].requires_grad_(False)
    wiring = Wiring(GRAPH, list(networks))
    wiring.run(networks, VectorExample(features=ones(4, 2), target=zeros(4, 1)))
    terms = {
        "error": Term(criterion=nn.MSELoss(), inputs=["score", "target"], weight=0.5),
        "size": Term(criterion=nn.L1Loss(), inputs={"input": "code", "target": "code"}, weight=0),
    }
    boxes = boxes_of(wiring, networks, terms, parts)
    picture = draw(boxes, list(parts))
    assert picture.mode == "RGB"
    assert len(set(picture.tobytes())) > 2
    return [{**vars(box), "lines": [line for line in box.lines if line]} for box in boxes]


def test_boxes_stand_right_of_what_they_take() -> None:
    boxes = described({})

    names = [box["lines"][0] for box in boxes]
    assert (
        names == ["features", "body", "detach", "head", "loss error", "target", "loss size"][:1] + names[1:]
    )
    inputs = {box["lines"][0]: [(names[place], label) for place, label in box["inputs"]] for box in boxes}
    assert inputs == {
        "features": [],
        "target": [],
        "body": [("features", "")],
        "detach": [("body", "code\n3")],
        "head": [("detach", "")],
        "loss error": [("head", "score\n1"), ("target", "")],
        "loss size": [("body", "code\n3"), ("body", "code\n3")],
    }
    columns = {box["lines"][0]: box["column"] for box in boxes}
    assert columns == {
        "features": 0,
        "target": 0,
        "body": 1,
        "detach": 2,
        "head": 3,
        "loss error": 4,
        "loss size": 2,
    }


@pytest.mark.parametrize(
    ("parts", "frozen", "who"),
    [
        ({}, (), [f"trained by {ALL}", f"trained by {ALL}"]),
        ({}, ("body",), ["frozen", f"trained by {ALL}"]),
        ({"one": ["head"]}, (), ["frozen", "trained by one"]),
        (
            {"one": ["body.bias", "head"], "two": ["body.weight"]},
            (),
            ["trained by one, two", "trained by one"],
        ),
    ],
)
def test_a_network_says_its_size_and_who_trains_it(
    parts: dict[str, list[str]], frozen: tuple[str, ...], who: list[str]
) -> None:
    made = {name: Part(optimizer=partial(SGD, lr=1), parts=own) for name, own in parts.items()}
    boxes = {box["lines"][0]: box for box in described(made, **dict.fromkeys(frozen, True))}

    assert boxes["features"]["lines"] == ["features", "2"]
    assert boxes["body"]["lines"] == ["body", "9 parameters", who[0]]
    assert boxes["head"]["lines"] == ["head", "4 parameters", who[1]]
    assert boxes["loss error"]["lines"] == ["loss error", "MSELoss", "times 0.5"]
    assert boxes["loss size"]["lines"][-1] == "logged only"
    assert (boxes["body"]["colour"] == FROZEN) == (who[0] == "frozen")
    assert boxes["detach"]["colour"] == FIELD
