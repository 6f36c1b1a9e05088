"""A model and a datamodule that do a thing wrong, which their argument names."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from my_project.data import BatchedData
from my_project.data.fake import Fake
from my_project.model import BaseModel
from my_project.structs import DataDescription, Loss, RegressionPrediction, VectorExample
from pytorch_lightning import Callback, LightningDataModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def table() -> tuple[torch.Tensor, torch.Tensor]:
    with Path("data.csv").open(newline="", encoding="utf-8") as file:
        rows = torch.tensor([[float(cell) for cell in row] for row in csv.reader(file)])
    return rows[:, :3], rows[:, 3:]


class Rows(BatchedData):
    def __init__(self, does: str = "", **kwargs: Any) -> None:
        super().__init__(**{"batch_size": 8, **kwargs})
        self.does = does

    def load(self, split: str) -> Any:
        features = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
        target = features.sum(dim=1, keepdim=True)
        wrong: dict[str, Any] = {
            "nothing": lambda: None,
            "a tuple": lambda: (features, target),
            "a list": lambda: VectorExample(features=features, target=target.tolist()),
            "an array": lambda: VectorExample(features=features.numpy(), target=target),
            "too few": lambda: VectorExample(features=features, target=target[:30]),
            "a table": lambda: VectorExample(**dict(zip(("features", "target"), table(), strict=True))),
            "a key": lambda: {}["train"],
            "a package": lambda: __import__("no_such_package"),
            "one": lambda: VectorExample(features=features[:1], target=target[:1]),
        }
        if split == "val":
            return None
        is_wrong = self.does in wrong and (self.does != "one" or split == "test")
        return wrong[self.does]() if is_wrong else VectorExample(features=features, target=target)


class Readable(Rows):
    @classmethod
    def read(
        cls, path: Path, data: DataDescription, **options: Any
    ) -> Iterator[tuple[list[str], VectorExample]]:
        rows = [[float(cell) for cell in line.split(",")] for line in path.read_text("utf-8").splitlines()]
        yield [""] * len(rows), VectorExample(features=torch.tensor(rows))


class Line(BaseModel):
    prediction_class = RegressionPrediction

    def __init__(self, does: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.net, self.does = nn.Linear(3, 1), does
        if does == "a defect":
            self.net = nn.Linear(-3, 1)

    def forward(self, example: VectorExample) -> Any:
        outputs = self.net(example.features)
        wrong = {"a tensor": outputs, "nothing": None}
        return wrong[self.does] if self.does in wrong else RegressionPrediction.from_outputs(outputs)

    def compute_loss(self, example: VectorExample, prediction: Any) -> Any:
        loss = super().compute_loss(example, prediction)
        total = loss.total
        wrong: dict[str, Any] = {
            "a bare loss": lambda: total,
            "no loss": lambda: None,
            "a float": lambda: Loss(terms={"a": float(total)}),  # type: ignore[dict-item]
            "a vector": lambda: Loss(terms={"a": total.expand(3)}),
            "no gradient": lambda: Loss(terms={"a": total.detach()}),
        }
        return wrong[self.does]() if self.does in wrong else loss


class Plain(LightningDataModule):
    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(torch.randn(40, 3), torch.randn(40, 1)), batch_size=8)

    val_dataloader = test_dataloader = train_dataloader


class Changed(Fake):
    """Its keyword arguments are not handed on as they are."""

    def __init__(self, data_dir: str = "", **kwargs: Any) -> None:
        super().__init__(data_dir, **{"normalize": False, **kwargs})


class At(Callback):
    """Does something after a step."""

    def __init__(self, does: str, url: str = "") -> None:
        self.does, self.url = does, url

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        folder = Path(trainer.default_root_dir)
        if trainer.global_step == 3 and self.does == "move":
            folder.rename(folder.with_name("moved"))
        elif self.does == "fail":
            raise RuntimeError(f"no answer from {self.url}")
        elif self.does == "warn":
            nn.functional.mse_loss(torch.zeros(3, 1), torch.zeros(3))
