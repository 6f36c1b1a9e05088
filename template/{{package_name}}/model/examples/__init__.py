"""Networks of the configs in ``configs/examples``, which may name each class by its name alone."""

from . import encoder_decoder, gan, pronunciation, semi_supervised, siamese, student

__all__ = ["encoder_decoder", "gan", "pronunciation", "semi_supervised", "siamese", "student"]
