"""Writes a table of predictions, and images beside it; after an error, the old files are unchanged."""

import contextlib
import csv
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from PIL import Image

from ..contracts import DataDescription, Names, Prediction
from ..errors import InputError
from ..runs.files import replacing

Restore = Callable[[Image.Image, str, DataDescription], Image.Image]


class Writer:
    """Takes batches of predictions; see ``writing``.

    Args:
        file: File of the table, open for text.
        images: Writes the images.
        data: Description of the data, from the model.
        restore: ``DataModule.restore``, which gives an image the size of its input.
    """

    def __init__(self, file: TextIO, images: "_Images", data: DataDescription, restore: Restore) -> None:
        self._table, self._images, self._data, self._restore = csv.writer(file), images, data, restore
        self.num_written = 0

    def add(self, names: Names, prediction: Prediction) -> None:
        """Write the rows and images of a batch.

        Raises:
            InputError: The prediction has no columns.
        """
        if type(prediction).columns is Prediction.columns:
            name = type(prediction).__name__
            raise InputError(f"{name} has no columns to write; to predict, define its method columns")
        outputs = self._data.name_outputs(prediction.num_outputs)
        columns: dict[str, list[Any]] = dict(names) if isinstance(names, dict) else {"path": names}
        if images := prediction.images(self._data):
            pairs = zip(images, columns["path"], strict=True)  # one at a time: photos are large
            whole = (self._restore(image, path, self._data) for image, path in pairs)
            columns["image"] = self._images.save(columns["path"], whole)
        for name, values in prediction.columns(outputs).items():
            columns[f"{name} (predicted)" if name in columns else name] = values
        if not self.num_written:
            self._table.writerow(columns)
        self._table.writerows(zip(*columns.values(), strict=True))
        self.num_written += len(prediction)


@contextlib.contextmanager
def writing(path: Path, inputs: Sequence[Path], data: DataDescription, restore: Restore) -> Iterator[Writer]:
    """Replace the table at ``path``, and write images into a folder of that name without suffix.

    An image is named after its input, relative to the folder that all ``inputs`` share. If two would have the
    same name, the second keeps the suffix of its input. After an exception nothing has changed.
    """
    folder = path.with_suffix("") if path.suffix else path.with_name(f"{path.name}-images")
    with replacing(path) as partial, _open(partial) as file, _Images(folder, inputs) as images:
        yield Writer(file, images, data, restore)


class _Images(contextlib.ExitStack):
    """Images that are moved into ``folder`` once all are written."""

    def __init__(self, folder: Path, inputs: Sequence[Path]) -> None:
        super().__init__()
        self.folder, self._partial, self._names = folder, Path(), set[str]()
        folders = [path if path.is_dir() else path.parent for path in map(Path.absolute, inputs)]
        self._common = os.path.commonpath(folders)

    def save(self, names: Sequence[str], images: Iterable[Image.Image]) -> list[str]:
        """Write a batch of images as PNG; return the paths that they will have."""
        if not self._names:
            made = tempfile.TemporaryDirectory(dir=self.folder.parent, prefix=f".{self.folder.name}-")
            self._partial = Path(self.enter_context(made))
        return [self._save(name, image) for name, image in zip(names, images, strict=True)]

    def _save(self, name: str, image: Image.Image) -> str:
        below = Path(os.path.relpath(Path(name).absolute(), self._common))
        if ".." in below.parts:
            below = Path(below.name)
        candidates = [below.with_suffix(".png"), below.with_name(f"{below.name}.png")]
        number = 1
        while (target := candidates[0].as_posix()) in self._names:
            number += 1
            candidates = [*candidates[1:], below.with_name(f"{below.name}-{number}.png")]
        self._names.add(target)
        partial = self._partial / target
        partial.parent.mkdir(parents=True, exist_ok=True)
        image.save(partial)
        return str(self.folder / target)

    def __exit__(self, *error: Any) -> bool:  # type: ignore[override]
        try:
            for name in sorted(self._names) if error[0] is None else ():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self._partial / name).replace(self.folder / name)
        finally:
            super().__exit__(*error)
        return False


def _open(path: Path) -> TextIO:
    """Open a file for a table of paths, which may not be UTF-8."""
    return path.open("w", newline="", encoding="utf-8", errors="surrogateescape")
