"""Twenty steps of a graph end at the weights of the same written by hand in Lightning, bit for bit."""

from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from my_project.data.digits import Digits
from my_project.engine.graph import Term
from my_project.engine.module import Part
from my_project.model.examples.encoder_decoder import Decoder, Encoder
from my_project.model.examples.gan import Critic, Generator, Noise, Real, Separate
from my_project.model.parts import Parts
from my_project.structs import ImageExample
from pytorch_lightning import LightningModule
from pytorch_lightning.plugins import MixedPrecision
from support import MakeTrainer
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR

NUM_STEPS = 20
NETWORKS: dict[str, Any] = {
    "encoder": "Encoder",
    "decoder": {"class_path": "Decoder"},
    "head": {"class_path": "torch.nn.Linear", "init_args": {"in_features": 16, "out_features": 10}},
}
GRAPH = {"code": "encoder(image)", "image_again": "decoder(code)", "logits": "head(code)"}
GAN: dict[str, Any] = {
    "networks": {"noise": "Noise", "generator": "Generator", "critic": "Critic"},
    "graph": {
        "fake": "generator(noise(image))",
        "realness": "critic(fake)",
        "of_real": "critic(image)",
        "of_fake": "critic(detach(fake))",
    },
    "prediction": {"image": "fake"},
}


def terms_of_gan() -> dict[str, Term]:
    return {
        "fooled": Term(criterion=Real(), inputs=["realness"]),
        "apart": Term(criterion=Separate(), inputs={"real": "of_real", "fake": "of_fake"}),
    }


def parts_of_gan(**generator: Any) -> dict[str, Part]:
    return {
        "critic": Part(optimizer=partial(Adam, lr=0.002), loss=["apart"]),
        "maker": Part(optimizer=partial(Adam, lr=0.001), parts=["generator"], loss=["fooled"], **generator),
    }


def train(make_trainer: MakeTrainer, model: LightningModule, **options: Any) -> dict[str, Tensor]:
    torch.manual_seed(1)
    trainer = make_trainer(limit_train_batches=NUM_STEPS, limit_val_batches=0, **options)
    trainer.fit(model, Digits(batch_size=32, seed=3))
    return model.state_dict()


def assert_same(
    got: dict[str, Tensor], expected: dict[str, Tensor], start: dict[str, Tensor], *, rtol: float = 0.0
) -> None:
    """Equal weights, all of them moved."""
    own = {name.removeprefix("networks."): value for name, value in got.items() if name[:9] == "networks."}
    torch.testing.assert_close(own, expected, rtol=rtol, atol=rtol / 10)
    assert not any(torch.equal(value, start[name]) for name, value in expected.items())


class ByHand(LightningModule):
    def __init__(self, parts: nn.ModuleDict) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def validation_step(self, batch: ImageExample, batch_idx: int) -> None:
        """Lightning wants one for the data's validation set."""


class Autoencoding(ByHand):
    encoder: Encoder
    decoder: Decoder
    head: nn.Linear

    def training_step(self, batch: ImageExample, batch_idx: int) -> Tensor:
        image = batch.image.float() / 255
        code = self.encoder(image)
        classes = nn.functional.cross_entropy(self.head(code), batch.target)
        return 10 * nn.functional.mse_loss(self.decoder(code), image) + classes

    def configure_optimizers(self) -> Any:
        optimizer = SGD(self.parameters(), lr=0.1, momentum=0.9)
        schedule = CosineAnnealingLR(optimizer, NUM_STEPS // self.trainer.accumulate_grad_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Classifying(Autoencoding):
    def training_step(self, batch: ImageExample, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.head(self.encoder(batch.image.float() / 255)), batch.target)


class ManualGAN(ByHand):
    """All gradients are taken before the first step."""

    noise: Noise
    generator: Generator
    critic: Critic
    every, accumulate, clip_norm = 1, 1, 0.0

    def __init__(self, parts: nn.ModuleDict) -> None:
        super().__init__(parts)
        self.automatic_optimization = False

    def losses(self, image: Tensor) -> tuple[Tensor, Tensor]:
        fake = self.generator(self.noise(image))
        fooled = softplus(-self.critic(fake)).mean()
        real = softplus(-self.critic(image)).mean()
        return real + softplus(self.critic(fake.detach())).mean(), fooled

    def training_step(self, batch: ImageExample, batch_idx: int) -> None:
        critics, makers = self.optimizers()  # type: ignore[misc, union-attr]
        apart, fooled = self.losses(batch.image.float() / 255)
        is_turn = (batch_idx + 1) % self.every == 0
        if batch_idx % self.accumulate == 0:
            makers.zero_grad()
        critics.zero_grad()
        self.manual_backward(apart, inputs=[*self.critic.parameters()], retain_graph=True)
        if is_turn:
            self.manual_backward(fooled / self.accumulate, inputs=[*self.generator.parameters()])
        critics.step()
        if is_turn and (batch_idx + 1) % self.accumulate == 0:
            if self.clip_norm:
                nn.utils.clip_grad_norm_(self.generator.parameters(), self.clip_norm)
            makers.step()
            if self.every > 1:
                makers.zero_grad()

    def configure_optimizers(self) -> Any:
        return [Adam(self.critic.parameters(), lr=0.002), Adam(self.generator.parameters(), lr=0.001)]


class InTurns(ManualGAN):
    """The generator sees the critic after its step."""

    def training_step(self, batch: ImageExample, batch_idx: int) -> None:
        image = batch.image.float() / 255
        for number, optimizer in enumerate(self.optimizers()):  # type: ignore[arg-type]
            optimizer.zero_grad()
            own = [self.critic, self.generator][number]
            self.manual_backward(self.losses(image)[number], inputs=[*own.parameters()])
            optimizer.step()


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("by_hand", [Classifying, Autoencoding], ids=["one loss", "two losses"])
def test_one_optimizer(make_trainer: MakeTrainer, by_hand: type[Autoencoding], accumulate: int) -> None:
    classes = Term(criterion=nn.CrossEntropyLoss(), inputs=["logits", "target"])
    pixels = Term(criterion=nn.MSELoss(), inputs=["image_again", "image"], weight=10.0)
    both = by_hand is Autoencoding
    wanted = set(NETWORKS) if both else {"encoder", "head"}
    model = Parts(
        networks={name: spec for name, spec in NETWORKS.items() if name in wanted},
        graph={name: call for name, call in GRAPH.items() if both or name != "image_again"},
        prediction={"multiclass": "logits"},
        losses={"pixels": pixels, "classes": classes} if both else {"classes": classes},
        optimizer=partial(SGD, lr=0.1, momentum=0.9),
        lr_scheduler=partial(CosineAnnealingLR, T_max=0),
    )
    start = deepcopy(model.networks.state_dict())
    reference = by_hand(deepcopy(model.networks))

    got = train(make_trainer, model, accumulate_grad_batches=accumulate)
    expected = train(make_trainer, reference, accumulate_grad_batches=accumulate)

    assert_same(got, expected, start)


@pytest.mark.parametrize(
    ("by_hand", "settings"),
    [
        (ManualGAN, {}),
        (ManualGAN, {"every": 5}),
        (ManualGAN, {"accumulate": 4}),
        (ManualGAN, {"clip_norm": 0.01}),
        (InTurns, {"fresh": True}),
    ],
    ids=["a GAN", "each fifth batch", "accumulation", "clipping", "in turns"],
)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_two_optimizers(
    make_trainer: MakeTrainer, by_hand: type[ManualGAN], settings: dict[str, Any], precision: str
) -> None:
    model = Parts(**GAN, losses=terms_of_gan(), optimizers=parts_of_gan(**settings))
    start = deepcopy(model.networks.state_dict())
    reference = by_hand(deepcopy(model.networks))
    for name, value in settings.items():
        vars(reference)[name] = value

    got = train(make_trainer, model, precision=precision)
    expected = train(make_trainer, reference, precision=precision)

    # Norms are summed in the order of the optimizer's groups: weights, then biases.
    assert_same(got, expected, start, rtol=1e-4 if "clip_norm" in settings else 0.0)


def scaled(**options: Any) -> MixedPrecision:
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", **options))


@pytest.mark.parametrize("settings", [{}, {"clip_norm": 0.01}, {"accumulate": 4}], ids=str)
def test_a_scale_that_changes_with_each_step_changes_no_gradient(
    make_trainer: MakeTrainer, settings: dict[str, Any]
) -> None:
    def fit(plugin: MixedPrecision) -> dict[str, Tensor]:
        torch.manual_seed(5)
        model = Parts(**GAN, losses=terms_of_gan(), optimizers=parts_of_gan(**settings))
        return train(make_trainer, model, plugins=[plugin])

    constant = fit(scaled(init_scale=2.0**8, growth_interval=10_000))
    growing = fit(scaled(init_scale=2.0**8, growth_interval=5))

    torch.testing.assert_close(growing, constant, rtol=0.02, atol=2e-3)


def test_rates_and_norms_are_logged_under_the_name_of_the_optimizer(make_trainer: MakeTrainer) -> None:
    norms: list[Tensor] = []

    class Watched(Parts):
        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            grads = [one.grad for one in self.networks["generator"].parameters() if one.grad is not None]
            norms.append(torch.stack([grad.square().sum() for grad in grads]).sum().sqrt())
            super().on_train_batch_end(outputs, batch, batch_idx)

    model = Watched(**GAN, losses=terms_of_gan(), optimizers=parts_of_gan())
    trainer = make_trainer(limit_train_batches=3, limit_val_batches=0)
    trainer.fit(model, Digits(batch_size=32, seed=3))

    logged = trainer.callback_metrics
    assert (logged["lr_critic"].item(), logged["lr_maker"].item()) == pytest.approx((0.002, 0.001))
    torch.testing.assert_close(logged["grad_norm_maker"], norms[-1])
    assert {"grad_norm_critic", "train/loss_apart", "train/loss_fooled"} <= logged.keys()
