"""``probe``: the accuracy of nearest neighbours and of a linear layer on the features of a frozen network."""

import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..cli.lightning import CLI
from ..cli.trying import try_out
from ..contracts import Example, Model
from ..data import BatchedData
from ..errors import InputError
from ..runs.files import replacing

NEIGHBOURS = (1, 5, 10, 20, 50)
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
TEMPERATURE = 0.07
Features = dict[str, tuple[Tensor, Tensor]]  # by set: (N, D) float32, and (N,) int64 classes
log = logging.getLogger(__name__)


def run(args: list[str]) -> int:
    """Run ``probe``; the options are those of ``fit``.

    Raises:
        InputError: The model has no head, or the data has no classes; or as for ``fit``.
    """
    return try_out(Probe, args, ["fast_dev_run=1"])


class Probe(CLI):
    """``fit`` that does not train the network."""

    def execute(self, subcommand: str) -> None:
        """Compute the features once, and log the accuracy of classifiers on them."""
        model, data, head = self.model, self.datamodule, vars(self.model).get("head")
        if not (isinstance(model, Model) and isinstance(data, BatchedData) and isinstance(head, tuple)):
            names = f"{type(model).__name__} on {type(data).__name__}"
            raise InputError(f"expected Pretrained on a BatchedData, got {names}; give another config")
        network = model.get_submodule("network")
        data.prepare_data()
        for stage in ("fit", "test") if data.has_test() else ("fit",):
            data.setup(stage)
        if statistics := data.statistics():
            model.use_statistics(*statistics)
        path = Path(data.data_dir, ".cache", f"features-{_key(model, data)}.pt")
        found = torch.load(path, weights_only=True) if path.is_file() else {}
        if not found:
            found = _features_of_sets(model, network.get_submodule(head[0]), data)
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                torch.save(found, partial)
        counts = ", ".join(f"{len(targets):,} ({name})" for name, (_, targets) in found.items())
        log.info(f"{found['train'][0].shape[1]} features of {counts}: {os.path.relpath(path)}")
        _say("nearest neighbours", "k", {k: neighbours(found, k) for k in NEIGHBOURS})
        _say("linear probe", "penalty", {each: linear(found, each) for each in PENALTIES})


def neighbours(found: Features, k: int) -> dict[str, float]:
    """Accuracy on each set but ``train``; the ``k`` nearest examples of ``train`` vote by their cosines.

    References:
        Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018.
    """
    known, classes = found["train"]
    known = functional.normalize(known)
    votes = functional.one_hot(classes).float()
    scores = {}
    for name, (values, targets) in found.items():
        near = (functional.normalize(values) @ known.T).topk(min(k, len(known)))
        weights = (near.values / TEMPERATURE).softmax(dim=1)
        preds = torch.einsum("nk,nkc->nc", weights, votes[near.indices]).argmax(dim=1)
        scores[name] = (preds == targets).float().mean().item()
    del scores["train"]
    return scores


def linear(found: Features, penalty: float) -> dict[str, float]:
    """Accuracy on each set but ``train`` of a logistic regression on ``train``, with standardised features.

    Args:
        found: The features and classes of each set.
        penalty: Half of it, times the sum of the squared weights, is added to the mean loss.
    """
    known, classes = found["train"]
    mean, std = known.mean(dim=0), known.std(dim=0) + 1e-6
    layer = nn.Linear(known.shape[1], int(classes.max()) + 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(layer((known - mean) / std), classes)
        loss = loss + penalty / 2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return {
            name: (layer((values - mean) / std).argmax(dim=1) == targets).float().mean().item()
            for name, (values, targets) in found.items()
            if name != "train"
        }


def _say(what: str, option: str, tried: dict[int, dict[str, float]] | dict[float, dict[str, float]]) -> None:
    """Log the scores of the option that is best in validation."""
    best, scores = max(tried.items(), key=lambda item: next(iter(item[1].values())))
    said = "  ".join(f"{name}/accuracy {score:.4f}" for name, score in scores.items())
    log.info(f"{what:18}  {said}  ({option} {best})")


def _features_of_sets(model: Model, head: nn.Module, data: BatchedData) -> Features:
    train = data.train_set
    batches = (train[rows] for rows in torch.arange(len(train)).split(data.batch_size))
    sets = {"train": batches, **dict(zip(data.val_sets, data.val_dataloader(), strict=True))}
    if data.has_test():
        sets["test"] = data.test_dataloader()
    # As in validation, since photos may be stored in another shape than the model sees.
    return {
        name: _features(model, head, (data.on_after_batch_transfer(batch, 0) for batch in of_set))
        for name, of_set in sets.items()
    }


def _features(model: Model, head: nn.Module, batches: Iterable[Example]) -> tuple[Tensor, Tensor]:
    """The inputs of the head, and the targets."""
    values: list[Tensor] = []
    targets: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: values.append(inputs[0].flatten(1).float()))
    model.eval()
    try:
        with torch.inference_mode():
            for batch in batches:
                if batch.target is None or batch.target.ndim != 1 or batch.target.is_floating_point():
                    raise InputError("data: expected a class for each example; probe takes no other targets")
                model(batch)
                targets.append(batch.target)
    finally:
        hook.remove()
    return torch.cat(values).clone(), torch.cat(targets).clone()


def _key(model: Model, data: BatchedData) -> str:
    """A hash of the model's weights and arguments and of the data."""
    described = data.describe()
    of_data = sorted(data.fingerprint().items()), described.shapes, described.extras
    digest = hashlib.sha256(repr((of_data, sorted(model.hparams.items()))).encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
