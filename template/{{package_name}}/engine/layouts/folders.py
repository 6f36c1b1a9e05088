"""A folder for each class, with or without train, val and test above them; else says what would work."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from pytorch_lightning.utilities import rank_zero_only

from ..data.split import OF_IMAGES
from ..errors import InputError
from ..images.decoding import WHOLE, Listing
from ..images.finding import few, find_by_class, folders_in, is_hidden, suffixes
from .base import Layout

TABLES = (".csv", ".tsv", ".parquet")
log = logging.getLogger(__name__)


class Folders(Layout):
    """A folder for each class.

    Args:
        folders: The folder of each split.

    Raises:
        InputError: There are fewer than two classes.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.folders, self.splits = folders, list(folders)
        first = folders[self.splits[0]]
        self.class_names = folders_in(first)
        if len(self.class_names) < 2:
            got = f"got {self.class_names}"
            raise InputError(f"expected a folder for each of 2 or more classes in {first}, {got}")

    def read(self, split: str) -> Listing:
        return read_classes(split, self.folders[split], self.class_names)


def read_classes(name: str, folder: Path, class_names: Sequence[str]) -> Listing:
    """The images of ``<folder>/<class>/``.

    Raises:
        InputError: It has a folder of another class, or no image.
    """
    if unknown := set(folders_in(folder)) - set(class_names):
        known = f"expected the classes {list(class_names)}"
        raise InputError(f"{known} in {folder}, got also {sorted(unknown)}")
    by_class = find_by_class(folder, class_names)
    paths = [path for files in by_class for path in files]
    if not paths:
        raise InputError(f"expected images in {folder}/<class>, got none; add some or remove the folder")
    targets = torch.tensor([target for target, files in enumerate(by_class) for _ in files])
    return Listing(name=name, where=folder, targets=targets, paths=paths)


def find_folders(root: Path) -> Folders:
    """``<root>/train|val|test/<class>/`` in the usual spellings, else ``<root>/<class>/``.

    Raises:
        InputError: There is neither; the message says what was found, and what would work.
    """
    if not root.is_dir():
        raise InputError(f"expected a folder of images, got no folder {root}; set --data.init_args.data_dir")
    names = folders_in(root)
    by_split = {split: [name for name in names if name.lower() in OF_IMAGES[split]] for split in OF_IMAGES}
    of_splits = [name for found in by_split.values() for name in found]
    if by_split["train"] and (set(names) == set(of_splits) or folders_in(root / by_split["train"][0])):
        for split, found in by_split.items():
            if len(found) > 1:
                raise InputError(
                    f"expected one folder for {split} in {root}, got {found}; rename or join them"
                )
        folders = {split: root / found[0] for split, found in by_split.items() if found}
        if folders_in(folders["train"]):
            _say_spellings(folders)
            return Folders(folders)
    elif len(names) >= 2 and set(names) != set(of_splits):
        return Folders({WHOLE: root})
    raise InputError(f"expected images by class, got {_seen(root)}; {_what_would_work(root)}")


@rank_zero_only
def _say_spellings(folders: Mapping[str, Path]) -> None:
    if unusual := [f"{split} is {path.name}/" for split, path in folders.items() if path.name != split]:
        log.info(f"folders in {folders['train'].parent}: {', '.join(unusual)}")


def _seen(folder: Path) -> str:
    """What lies in a folder, in a few words."""
    files = [path.name for path in folder.iterdir() if path.is_file() and not is_hidden(path.name)]
    images = [name for name in files if Path(name).suffix.lower() in suffixes()]
    kinds = Counter(Path(name).suffix or name for name in files if name not in images)
    folders = folders_in(folder)
    seen = [f"folders {few(folders)}"] * bool(folders) + [f"{len(images):,} images"] * bool(images)
    seen += [f"files {few([f'{count} x {kind}' for kind, count in kinds.most_common()])}"] * bool(kinds)
    return f"{' and '.join(seen) or 'nothing'} in {folder}"


def _what_would_work(root: Path) -> str:
    """Up to three layouts; those that fit what is there come first."""
    option = "--data.init_args"
    files = sorted(path for path in root.iterdir() if path.is_file() and not is_hidden(path.name))
    tables = [path.name for path in files if path.suffix.lower() in TABLES]
    arrays = [path for path in files if path.suffix.lower() == ".npz"]
    inner = [root / name for name in folders_in(root) if len(folders_in(root / name)) >= 2]
    near = [f"{option}.data_dir={path} (classes in it)" for path in inner[:1]]
    near += [f"{option}.labels={name} (a column of files, one of labels)" for name in tables[:1]]
    near += [f"{option}.data_dir={path} (arrays images, targets)" for path in arrays[:1]]
    usual = [
        f"{root}/<class>/*.jpg for two classes or more",
        f"{root}/train/<class>/*.jpg, with val/ and test/ beside it",
        f"{option}.labels=TABLE.csv with columns file and label",
    ]
    return f"what would work: {'; '.join([*near, *usual][:3])}"
