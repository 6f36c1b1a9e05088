"""A small network that learns from a larger one; see ``configs/examples/distillation.yaml``."""

from torch import Tensor, nn


class Student(nn.Sequential):
    """Classifies images ``(B, 1, 8, 8)``: ``(B, 10)``."""

    def __init__(self, width: int = 32, num_classes: int = 10) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, num_classes))


class Distillation(nn.Module):
    """How far the student's probabilities are from the teacher's, both softened by a temperature.

    References:
        Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, 2015.
    """

    def __init__(self, temperature: float = 4.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """``()`` float, of logits ``(B, K)``."""
        ours, theirs = ((each / self.temperature).log_softmax(dim=1) for each in (student, teacher))
        return (
            nn.functional.kl_div(ours, theirs, reduction="batchmean", log_target=True) * self.temperature**2
        )
