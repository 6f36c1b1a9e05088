"""Does the model know when it is wrong? Entropy, and error against uncertainty."""

import torch
from torch import Tensor
from torchmetrics import Metric

from ..engine.metrics import Mean
from ..structs import Example, MulticlassPrediction


def bin_uncertainty(uncertainty: Tensor, is_wrong: Tensor, *, num_bins: int = 15) -> Tensor:
    """Counts, errors and summed uncertainty of the examples in bins of equal width.

    Bin ``m`` of ``M = num_bins`` holds uncertainties in ``[m / M, (m + 1) / M)``; the last also holds 1.
    Values outside ``[0, 1]`` go to the nearest bin. The sums of two batches add up to those of both together.

    Args:
        uncertainty: ``(N,)`` float in ``[0, 1]``; half precision is summed in float32.
        is_wrong: ``(N,)`` bool, whether the example is misclassified.
        num_bins: Number of bins ``M``, at least 1.

    Returns:
        ``(3, M)`` float32: number of examples, number of errors, sum of uncertainty; zeros if ``N`` is 0.

    Example:
        >>> bin_uncertainty(torch.tensor([0.1, 0.2, 1.0]), torch.tensor([False, True, True]), num_bins=2)
        tensor([[2.0000, 1.0000],
                [1.0000, 1.0000],
                [0.3000, 1.0000]])
    """
    uncertainty = uncertainty.float()
    bins = (uncertainty * num_bins).long().clamp(0, num_bins - 1)
    values = torch.stack([torch.ones_like(uncertainty), is_wrong.float(), uncertainty])
    return torch.zeros(3, num_bins, device=values.device).index_add(1, bins, values)


def calibration_error(bins: Tensor) -> Tensor:
    """Mean gap between error rate and uncertainty, each bin weighted by its share of the examples.

    Args:
        bins: ``(3, M)`` float32 as of ``bin_uncertainty``.

    Returns:
        ``()`` float32 in ``[0, 1]``, 0 when uncertainty equals the error rate in each bin; NaN without
        any example.

    References:
        Laves et al., "Well-calibrated Model Uncertainty with Temperature Scaling for Dropout Variational
        Inference", 2019. https://arxiv.org/abs/1909.13550

    Example:
        >>> calibration_error(torch.tensor([[4.0, 6.0], [1.0, 6.0], [1.0, 3.0]]))
        tensor(0.3000)
    """
    count, errors, uncertainty = bins
    return (errors - uncertainty).abs().sum() / count.sum()


class Entropy(Mean):
    """Mean entropy of the predictions, in nats; needs no target."""

    higher_is_better = False

    def update(self, example: Example, prediction: MulticlassPrediction) -> None:  # type: ignore[override]
        """Add a batch."""
        entropy = prediction.entropy
        super().update(entropy, torch.ones_like(entropy))


class ErrorBins(Metric):
    """Examples, errors and summed uncertainty per bin: entropy first, then ``1 - confidence``.

    The first gives the UCE by ``calibration_error``, the second the ECE: the gap between error rate and
    ``1 - confidence`` is that between accuracy and confidence. Examples without a target are not counted.

    Args:
        num_bins: Number of bins of equal width ``M``.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    bins: Tensor

    def __init__(self, num_bins: int = 15) -> None:
        super().__init__()
        self.num_bins = num_bins
        self.add_state("bins", torch.zeros(2, 3, num_bins), dist_reduce_fx="sum")

    def update(self, example: Example, prediction: MulticlassPrediction) -> None:
        """Add a batch."""
        if example.target is not None:
            known, target = prediction.known(example.target)
            is_wrong = known.classes != target
            measures = known.uncertainty, 1 - known.confidence
            bins = [bin_uncertainty(measure, is_wrong, num_bins=self.num_bins) for measure in measures]
            self.bins += torch.stack(bins)

    def compute(self) -> Tensor:
        """``(2, 3, M)`` float32, each ``(3, M)`` as of ``bin_uncertainty``."""
        return self.bins


class UncertaintyCalibrationError(ErrorBins):
    """UCE: the mean gap between error rate and normalised entropy; see ``calibration_error``.

    Examples without a target are not counted.

    Args:
        num_bins: Number of bins of equal width.
    """

    def compute(self) -> Tensor:
        """``()`` float32."""
        return calibration_error(self.bins[0])
