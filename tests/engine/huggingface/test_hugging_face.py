"""Sets of Hugging Face: the same rows give the same batches, in any file; a stream resumes exactly."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback, Trainer

pytest.importorskip("my_project.data.hugging_face", reason="rendered without the option huggingface")

from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value
from my_project.data.hugging_face import HuggingFace, HuggingFaceStream
from my_project.engine.errors import InputError
from my_project.engine.huggingface import tensor_of
from my_project.model import BaseModel
from my_project.structs import DataDescription, MulticlassPrediction, VectorExample
from PIL import Image as PillowImage
from torch import nn

NAMES = ["NA", "one", "two"]  # the first is no missing value in CSV, either


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")


def table(size: int = 48) -> dict[str, list[Any]]:
    values = np.random.default_rng(0).normal(size=(size, 2))
    return {
        "x": values[:, 0].tolist(),
        "y": values[:, 1].tolist(),
        "kind": [NAMES[n % 3] for n in range(size)],
    }


def batches(path: str, **options: Any) -> list[VectorExample]:
    data = HuggingFace(path, {"features": ["x", "y"], "target": "kind"}, seed=1, batch_size=16, **options)
    data.setup("fit")
    return [*data.train_dataloader(), *data.val_dataloader()[0]]


class Linear(BaseModel):
    """One layer."""

    def __init__(self, *, data: DataDescription, **kwargs: Any) -> None:
        super().__init__(data=data, **kwargs)
        self.layer = nn.Linear(data.shapes["features"][0], data.num_outputs or 1)

    def forward(self, example: VectorExample) -> MulticlassPrediction:
        return MulticlassPrediction(logits=self.layer(example.features))


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # datasets leaves a CSV file open
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
def test_the_same_rows_give_the_same_batches_bit_for_bit_whatever_they_lie_in() -> None:
    rows = table()
    found = Dataset.from_dict(rows)
    found.save_to_disk("saved")
    found.to_parquet("rows.parquet")
    found.to_json("rows.jsonl")
    with Path("rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([list(rows), *zip(*rows.values(), strict=True)])

    first, *others = [batches(path) for path in ("saved", "rows.parquet", "rows.csv", "rows.jsonl")]

    expected = torch.tensor([rows["x"], rows["y"]]).T
    assert sum(len(batch) for batch in first) == 48
    for batch in first:
        assert torch.equal(batch.features, expected[batch.index])
        assert batch.target is not None
        assert batch.target.tolist() == [row % 3 for row in batch.index.tolist()]  # type: ignore[union-attr]
    for other in others:
        for one, two in zip(first, other, strict=True):
            assert torch.equal(one.features, two.features)
            assert torch.equal(one.target, two.target)  # type: ignore[arg-type]


def test_splits_are_found_by_their_usual_names() -> None:
    parts = {"train": table(30), "validation": table(12), "test": table(9)}
    DatasetDict({name: Dataset.from_dict(rows) for name, rows in parts.items()}).save_to_disk("saved")
    data = HuggingFace("saved", {"features": ["x", "y"], "target": "kind"})
    data.setup("fit")
    data.setup("test")

    assert [len(data.sets_of(split)[split]) for split in ("train", "val", "test")] == [30, 12, 9]


def test_a_column_of_lists_is_the_memory_mapped_file_itself_and_becomes_float32_in_a_batch() -> None:
    features = Features({"v": List(Value("float64"), length=3), "kind": ClassLabel(names=NAMES)})
    values = np.random.default_rng(0).normal(size=(40, 3))
    Dataset.from_dict({"v": values.tolist(), "kind": [0, 1] * 20}, features).save_to_disk("saved")
    data = HuggingFace("saved", {"features": "v", "target": "kind"}, batch_size=8)
    data.setup("fit")

    stored = data.train_set.examples.features
    assert stored.dtype == torch.float64
    maps = Path("/proc/self/maps")
    if maps.is_file():
        ends = [
            [int(end, 16) for end in line.split()[0].split("-")]
            for line in maps.read_text().splitlines()
            if line.endswith(".arrow")
        ]
        assert any(low <= stored.data_ptr() < high for low, high in ends)
    batch = next(iter(data.train_dataloader()))
    assert torch.equal(batch.features, torch.from_numpy(values).float()[batch.index])
    assert data.describe().class_names == tuple(NAMES)


def test_images_are_decoded_once_into_the_cache(caplog: pytest.LogCaptureFixture) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(6, 8, 8, 3), dtype=np.uint8)
    files = []
    for one in pixels:
        PillowImage.fromarray(one).save(file := io.BytesIO(), "png")
        files.append({"bytes": file.getvalue(), "path": None})
    features = Features({"img": Image(), "kind": ClassLabel(names=["a", "b"])})
    Dataset.from_dict({"img": files, "kind": [0, 1] * 3}, features).save_to_disk("saved")
    caplog.set_level("INFO")

    for _ in range(2):
        data = HuggingFace("saved", {"image": "img", "target": "kind"}, image_size=8, val_split=2)
        told = caplog.text
        assert data.describe().shapes == {"image": (3, 8, 8)}
        assert caplog.text == told, "an image is decoded to describe the set"
        data.setup("fit")
        images = data.train_set.examples.image

    assert torch.equal(images, torch.from_numpy(pixels).permute(0, 3, 1, 2))
    assert caplog.text.count("decoding 6 images, once") == 1


def test_the_tokenizer_of_texts_knows_what_is_trained_on_alone() -> None:
    texts = ["aab", "abb", "bba", "bab"] * 5 + ["z"] * 20
    Dataset.from_dict({"t": texts, "kind": [0, 1] * 20}).save_to_disk("saved")
    train = Dataset.from_dict({"t": texts[:20], "kind": [0, 1] * 10})
    other = Dataset.from_dict({"t": texts[20:], "kind": [0, 1] * 10})
    DatasetDict({"train": train, "val": other}).save_to_disk("divided")
    data = HuggingFace("divided", {"text": "t", "target": "kind"}, batch_size=4)
    data.setup("fit")

    assert "z" not in data.describe().extras["vocabulary"]
    assert "a" in data.describe().extras["vocabulary"]
    batch = next(iter(data.train_dataloader()))
    assert batch.texts(data.describe())[0] in texts[:20]


class Seen(Callback):
    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.rows.append(batch.features[:, 0].tolist())


def stream() -> HuggingFaceStream:
    return HuggingFaceStream(
        "saved", ["x", "y"], "kind", class_names=NAMES, num_val=8, batch_size=4, buffer_size=10
    )


def train(max_steps: int, ckpt: str | None = None) -> tuple[Seen, BaseModel]:
    torch.manual_seed(0)
    seen, data = Seen(), stream()
    model = Linear(data=data.describe())
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = Trainer(
        max_steps=max_steps, callbacks=[seen], enable_checkpointing=False, accelerator="cpu", **quiet
    )
    trainer.fit(model, data, ckpt_path=ckpt, weights_only=True if ckpt else None)
    trainer.save_checkpoint("at.ckpt")
    return seen, model


@pytest.mark.filterwarnings("ignore:.*does not define .*__len__")
def test_a_stream_goes_on_inside_an_epoch_as_if_it_had_never_stopped() -> None:
    Dataset.from_dict(table()).save_to_disk("saved")  # 40 rows to train on: ten batches an epoch
    whole, model = train(15)
    first, _ = train(13)
    rest, resumed = train(15, "at.ckpt")

    assert first.rows + rest.rows == whole.rows
    assert len(whole.rows) == 15
    trained = [value for batch in whole.rows[:10] for value in batch]
    assert sorted(trained) == sorted(torch.tensor(table()["x"]).float()[8:].tolist())
    assert whole.rows[:5] != whole.rows[10:], "each epoch has an order of its own"
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize(
    ("rows", "fields", "words"),
    [
        (
            {"x": [1.0, None], "k": [0, 1]},
            {"features": "x", "target": "k"},
            "'x': expected a value in each row",
        ),
        (
            {"x": ["a", "b"], "k": [0, 1]},
            {"features": "x", "target": "k"},
            "'x': expected numbers, got string",
        ),
        ({"x": [[1.0], [1.0, 2.0]], "k": [0, 1]}, {"features": "x", "target": "k"}, "lists of equal length"),
        ({"x": [1.0, 2.0], "k": [0, 1]}, {"image": "x", "target": "k"}, "'x': expected images, got Value"),
        (
            {"x": [1.0, 2.0], "k": [0, 1]},
            {"features": "z", "target": "k"},
            "expected a column 'z', got 'x', 'k'",
        ),
        ({"x": [1.0, 2.0], "k": [0, 1]}, {"target": "k"}, "expected fields of one of image, text, features"),
    ],
)
def test_a_column_that_is_not_what_it_should_be_is_named(
    rows: dict[str, list[Any]], fields: dict[str, Any], words: str
) -> None:
    Dataset.from_dict(rows).save_to_disk("saved")

    with pytest.raises(InputError, match=words):
        HuggingFace("saved", fields, val_split=1).prepare_data()


def test_what_is_not_there_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(
        InputError, match=r"^expected a set of Hugging Face at 'no/such', got no folder"
    ) as error:
        HuggingFace("no/such", {"features": "x", "target": "k"}).prepare_data()

    assert "\n" not in str(error.value)


def test_a_list_of_numbers_keeps_its_shape() -> None:
    rows = Dataset.from_dict({"grid": [[[1, 2, 3], [4, 5, 6]]] * 4})

    assert tensor_of(rows, "grid").tolist() == [[[1, 2, 3], [4, 5, 6]]] * 4
