"""What cannot be trained is refused in one line before the first step."""

from functools import partial
from typing import Any

import pytest
import torch
from my_project.data.digits import Digits
from my_project.engine.errors import InputError
from my_project.engine.graph import Term
from my_project.engine.module import Part
from my_project.model.parts import Parts
from support import MakeTrainer
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

LINEAR = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 16, "out_features": 10}}
WHOLE: dict[str, Any] = {
    "networks": {"encoder": "Encoder", "head": LINEAR},
    "graph": {"code": "encoder(image)", "logits": "head(code)"},
    "prediction": {"multiclass": "logits"},
}
BOTH = ["encoder", "head"]


def classes(**options: Any) -> Term:
    return Term(**{"criterion": nn.CrossEntropyLoss(), "inputs": ["logits", "target"], **options})


def part(**options: Any) -> Part:
    return Part(**{"optimizer": partial(SGD, lr=0.1), "loss": ["classes"], **options})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"graph": {"code": "encodr(image)"}},
            "graph: code: encodr(image): no such network: encodr; there are encoder",
        ),
        (
            {"graph": {"code": "encoder"}},
            "graph: expected names and a call of a network, such as code: encoder(image)",
        ),
        (
            {"graph": {"code": "encoder(image.sum())"}},
            "graph: code: encoder(image.sum()): expected names and calls, got",
        ),
        ({"graph": {"code": "encoder(image, 3)"}}, "expected names and calls, got 3; let a network do it"),
        ({"graph": {"code": "encoder(*image)"}}, "expected names and calls, got *image"),
        ({"graph": {"code": "__import__('os').system('touch ran')"}}, "expected names and calls, got"),
        (
            {"graph": {"logits": "head(code)", "code": "encoder(image)"}},
            "graph: logits: head(code): code comes later; write its line above",
        ),
        (
            {"graph": {"code": "encoder(logits)", "logits": "head(code)"}},
            "graph: code: encoder(logits): a cycle: logits is made of code; break it",
        ),
        ({"graph": {"code": "encoder(code)"}}, "a cycle: code is made of code"),
        (
            {"graph": {"code": "encoder(image)", "logits": "head(code)", "other": "head(code)"}},
            "graph: other: head(code): nothing takes other; give it to a network, a loss, the prediction",
        ),
        (
            {"graph": {"logits": "encoder(image)"}},
            "graph: the network head is not used; call it, or leave it out",
        ),
        (
            {"graph": {"a, a": "head(encoder(image))"}},
            "graph: expected a name of its own for each output, got a, used twice",
        ),
        (
            {"networks": {"encoder": "Encodr"}},
            "networks: encoder: expected the name of a class in model/, or an import",
        ),
        (
            {"networks": {"encoder": "torch.nn.Linaer"}},
            "networks: encoder: cannot make torch.nn.Linaer: 'Linaer'",
        ),
        (
            {"networks": {"head": LINEAR | {"init_arg": {}}}},
            "networks: head: expected class_path, init_args, run, weights",
        ),
        (
            {"networks": {"train": "Encoder"}},
            "networks: expected words that torch does not use itself, got train",
        ),
        (
            {"networks": {"encoder": {"run": "latest"}}},
            "expected the name or path of a run, got latest, which changes",
        ),
        (
            {"prediction": {"multiclas": "logits"}},
            "prediction: no such task: multiclas; there are multiclass, binary",
        ),
        ({"prediction": {}}, "prediction: expected one, got none"),
        ({"losses": {}}, "losses: expected at least one, got none"),
        (
            {"optimizers": {"all": part(parts=["body"])}},
            "optimizers: no such part: body; there are encoder, head",
        ),
        (
            {"optimizers": {"all": part(parts=BOTH, loss=["kl"])}},
            "optimizers: no such loss: kl; there are classes",
        ),
        (
            {"losses": {"classes": classes(), "more": classes()}, "optimizers": {"all": part(parts=BOTH)}},
            "losses: no optimizer follows more; name it under loss of an optimizer, or give it weight 0",
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_config_that_fits_nowhere_is_refused_when_it_is_read(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        Parts(**{**WHOLE, "losses": {"classes": classes()}, **changes})

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"graph": {"code": "encoder(imgae)", "logits": "head(code)"}},
            "graph: code: encoder(imgae): no such output or field: imgae; there are target, index, image",
        ),
        (
            {"graph": {"target": "encoder(image)", "logits": "head(target)"}},
            "graph: target is a field of ImageExample; rename the output",
        ),
        (
            {
                "graph": {"code": "encoder(image)", "logits": "head(image)"},
                "losses": {"classes": classes(), "c": classes(inputs=["code", "target"])},
            },
            "graph: logits: head(image): head cannot take (64, 1, 8, 8):",
        ),
        (
            {"graph": {"code": "encoder(image)", "logits": "head(code, target)"}},
            "head cannot take (64, 16), (64,):",
        ),
        (
            {"graph": {"code, more": "encoder(image)", "logits": "head(code)"}},
            "graph: code, more: encoder(image): expected 2 outputs, got",
        ),
        (
            {"losses": {"classes": classes(inputs=["logits", "label"])}},
            "losses: classes: no such output or field: label",
        ),
        (
            {"losses": {"classes": classes(inputs=["logits", "image"])}},
            "losses: classes: CrossEntropyLoss of logits, image:",
        ),
        (
            {"losses": {"classes": classes(criterion=nn.CrossEntropyLoss(reduction="none"))}},
            "losses: classes: expected a scalar",
        ),
        (
            {"prediction": {"multiclass": "code"}, "losses": {"classes": classes(inputs=["code", "logits"])}},
            "losses: classes: CrossEntropyLoss of code, logits",
        ),
        (
            {"optimizers": {"a": part(parts=BOTH), "b": part(parts=["*.weight"])}},
            "optimizers: encoder.1.weight belongs to both a and b",
        ),
        (
            {"optimizers": {"a": part(parts=BOTH, lr_scheduler=ReduceLROnPlateau)}},
            "expected a schedule of steps, got ReduceLROnPlateau",
        ),
        (
            {
                "losses": {
                    "classes": classes(),
                    "size": Term(criterion=nn.L1Loss(), inputs=["code", "code"]),
                },
                "optimizers": {"a": part(parts=["encoder"]), "b": part(parts=["head"], loss=["size"])},
            },
            "optimizers: b: expected a loss that depends on its parts, got size, which does not",
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_what_only_data_can_tell_is_refused_before_the_first_step(
    make_trainer: MakeTrainer, changes: dict[str, Any], message: str
) -> None:
    torch.manual_seed(0)
    model = Parts(**{**WHOLE, "losses": {"classes": classes()}, **changes})
    before = {name: value.clone() for name, value in model.state_dict().items()}

    with pytest.raises(InputError) as refused:
        make_trainer(limit_train_batches=2).fit(model, Digits(batch_size=64))

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("wrong", [{"every": 0}, {"accumulate": 0}])
def test_a_part_that_never_steps_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"expected (every|accumulate) of at least 1, got 0"):
        part(**wrong)
