"""An encoder, and what decodes its code, for images of 8 x 8 pixels; see ``configs/examples``."""

from torch import nn


class Encoder(nn.Sequential):
    """Makes codes ``(B, size)`` of images ``(B, 1, 8, 8)``."""

    def __init__(self, size: int = 16, width: int = 128) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, size))


class Decoder(nn.Sequential):
    """Makes images ``(B, 1, 8, 8)`` in ``[0, 1]`` of codes ``(B, size)``."""

    def __init__(self, size: int = 16, width: int = 128) -> None:
        layers = [nn.Linear(size, width), nn.ReLU(), nn.Linear(width, 64), nn.Sigmoid()]
        super().__init__(*layers, nn.Unflatten(1, (1, 8, 8)))
