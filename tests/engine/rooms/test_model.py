"""The example network, against what its layers must give by hand."""

import torch
from my_project.model.resnet import Residual, ResNet
from my_project.structs import ImageExample
from torch import nn


def test_the_residual_block_adds_to_its_input_what_it_makes_of_it() -> None:
    block = Residual(3).eval()
    nn.init.dirac_(block.body.get_parameter("0.0.weight"))  # the convolution gives back its input
    x = torch.randn(2, 3, 5, 4)

    torch.testing.assert_close(block(x.clone()), x + x.relu() / (1 + 1e-5) ** 0.5)


def test_the_network_is_linear_in_the_mean_of_its_features_of_normalised_pixels() -> None:
    model = ResNet(num_classes=4, width=8, depths=(), stem_stride=1).eval()  # a stem of three channels
    nn.init.dirac_(model.features.get_parameter("0.0.weight"))
    mean, std = torch.tensor([0.2, 0.5, 0.6]), torch.tensor([0.1, 0.3, 0.2])
    model.use_statistics(mean, std)
    pixels = torch.randint(0, 256, (5, 3, 6, 7), dtype=torch.uint8)

    logits = model(ImageExample(image=pixels)).logits

    image = pixels.double().numpy() / 255
    normalised = (image - mean.numpy()[:, None, None]) / std.numpy()[:, None, None]
    features = normalised.clip(0).mean(axis=(2, 3)) / (1 + 1e-5) ** 0.5
    head = {name: value.detach().double().numpy() for name, value in model.head.named_parameters()}
    expected = torch.from_numpy(features @ head["weight"].T + head["bias"])
    torch.testing.assert_close(logits.double(), expected, rtol=1e-4, atol=1e-5)
