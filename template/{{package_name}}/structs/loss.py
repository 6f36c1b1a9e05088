"""What ``compute_loss`` returns."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(kw_only=True, eq=False)
class Loss:
    """Named terms and their weighted total; each term is logged under its name.

    Attributes:
        terms: Scalars ``()`` float by name, each the mean over the batch.
        weights: Factor of each term in ``total``; 1 if it is not named.

    Raises:
        ValueError: There are no terms, a term is not a scalar, or a weight belongs to no term.

    Example:
        >>> loss = Loss(
        ...     terms={"ce": torch.tensor(2.0), "l1": torch.tensor(3.0)}, weights={"l1": 0.5}
        ... )
        >>> loss.total
        tensor(3.5000)
    """

    terms: dict[str, Tensor]
    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError("a Loss needs at least one term, got none; give terms={'name': scalar}")
        for name, term in self.terms.items():
            if not isinstance(term, Tensor) or term.ndim:
                got = tuple(term.shape) if isinstance(term, Tensor) else term
                raise ValueError(f"term {name!r} must be a scalar tensor, got {got}; take its mean")
        if unknown := self.weights.keys() - self.terms.keys():
            raise ValueError(f"weights {sorted(unknown)} belong to no term; terms are {sorted(self.terms)}")

    @property
    def total(self) -> Tensor:
        """``()`` float: the quantity to minimise."""
        if not self.weights and len(self.terms) == 1:
            return next(iter(self.terms.values()))
        return torch.stack([self.weights.get(name, 1.0) * term for name, term in self.terms.items()]).sum()

    def detach(self) -> "Loss":
        """A copy without gradient."""
        return replace(self, terms={name: term.detach() for name, term in self.terms.items()})
