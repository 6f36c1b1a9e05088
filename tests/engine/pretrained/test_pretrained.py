"""Networks of timm and torchvision: their weights, rates by depth, freezing and thawing."""

import math
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import yaml
from PIL import Image
from pytorch_lightning import Callback
from support import MakeFake, MakeTrainer, axes_of
from torch import nn

pytest.importorskip("my_project.model.pretrained", reason="rendered without the option pretrained")

import timm
import timm.optim
from my_project.__main__ import main
from my_project.data.image_folder import ImageFolder
from my_project.engine.errors import InputError
from my_project.engine.pretrained.layers import layers_of, num_frozen
from my_project.engine.pretrained.probe import _features_of_sets, linear, neighbours
from my_project.engine.pretrained.weights import Packaged
from my_project.model import load_model
from my_project.model.pretrained import Pretrained
from my_project.structs import DataDescription, ImageExample

TINY = "test_resnet"
FIVE = DataDescription(num_outputs=5)
PIXELS = ImageExample(image=torch.arange(2 * 3 * 32 * 32).remainder(255).byte().view(2, 3, 32, 32))


def make(**options: Any) -> Pretrained:
    return Pretrained(**{"name": TINY, "data": FIVE, **options})


def optimizer_of(model: Pretrained) -> torch.optim.Optimizer:
    configured: Any = model.configure_optimizers()
    return configured["optimizer"]


def rates_of(model: Pretrained) -> dict[str, float]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = optimizer_of(model).param_groups
    return {names[parameter]: group["lr"] for group in groups for parameter in group["params"]}


@pytest.mark.parametrize("name", [TINY, "test_vit", "test_efficientnet"])
def test_rates_by_depth_are_those_of_timm(name: str) -> None:
    model = make(name=name, layer_decay=0.7, optimizer=partial(torch.optim.AdamW, lr=0.01))
    names = {parameter: name for name, parameter in model.named_parameters()}

    expected = {
        names[parameter]: 0.01 * group["lr_scale"]
        for group in timm.optim.param_groups_layer_decay(model.network, layer_decay=0.7)
        for parameter in group["params"]
    }
    assert rates_of(model) == pytest.approx(expected)
    assert len(set(rates_of(model).values())) > 4


def test_a_factor_of_the_backbone_leaves_the_head_and_what_a_pattern_names() -> None:
    rates = rates_of(
        make(
            backbone_scale=0.1,
            param_groups={"network.conv1.*": {"lr_scale": 0.5}},
            optimizer=partial(torch.optim.SGD, lr=1.0),
        )
    )

    heads = {rate for name, rate in rates.items() if ".fc." in name}
    stems = {rate for name, rate in rates.items() if ".conv1." in name and "layer" not in name}
    assert (heads, stems) == ({1.0}, {0.5})
    assert {rate for name, rate in rates.items() if ".layer" in name} == {0.1}


def test_networks_of_torchvision_have_the_layers_of_timm() -> None:
    model = make(name="torchvision.models.resnet18")
    other = make(name="resnet18")

    assert layers_of(model.network, model.head) == layers_of(other.network, other.head)
    assert len(layers_of(model.network, model.head)) == 9
    assert model.eval()(PIXELS).logits.shape == (2, 5)


def test_what_stands_before_the_first_number_belongs_to_it() -> None:
    model = make(name="torchvision.models.vit_b_32", input_size=224)
    first, *_, last = layers_of(model.network, model.head)

    assert {"class_token", "conv_proj.weight", "encoder.pos_embedding"} < set(first)
    assert "encoder.ln.weight" in last
    assert len(layers_of(model.network, model.head)) == 12


@pytest.mark.parametrize(
    "schedule",
    [
        partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, cycle_momentum=False, total_steps=6),
        partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=6),
    ],
)
def test_a_schedule_keeps_each_layers_share(schedule: Any) -> None:
    model = make(layer_decay=0.5, optimizer=partial(torch.optim.SGD, lr=0.1), lr_scheduler=schedule)
    configured: Any = model.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]

    shares, heads = [], []
    for _ in range(5):
        rates = [group["lr"] for group in optimizer.param_groups]
        heads.append(max(rates))
        shares.append([rate / max(rates) for rate in rates])
        optimizer.step()
        scheduler.step()
    for share in shares:
        assert share == pytest.approx(shares[0], rel=1e-3)
    assert sorted(set(shares[0])) == pytest.approx([0.5**power for power in range(5, -1, -1)])
    assert max(heads) > 2 * min(heads)


def test_weights_of_a_file_come_in_but_a_head_of_other_classes() -> None:
    other = timm.create_model(TINY, num_classes=7)
    torch.save({"state_dict": other.state_dict()}, "weights.pt")

    network = make(weights="weights.pt").network
    for name, value in network.state_dict().items():
        if not name.startswith("fc."):
            torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=0)
    assert network.fc.weight.shape == (5, 96)
    assert network.fc.weight.std() < 0.02, "a new head begins small"
    same = make(weights="weights.pt", data=DataDescription(num_outputs=7)).network
    torch.testing.assert_close(same.fc.weight, other.fc.weight)


def test_the_weights_say_how_pixels_are_normalised() -> None:
    torch.save(timm.create_model(TINY).state_dict(), "weights.pt")
    model = make(weights="weights.pt", input_size=48, data=DataDescription(num_outputs=1000))
    config = timm.get_pretrained_cfg(TINY)
    model.use_statistics(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1.0, 1.0, 1.0]))

    scaled = torch.nn.functional.interpolate(
        PIXELS.image.float(), (48, 48), mode="bilinear", antialias=True
    ).clamp(0, 255)
    mean, std = (torch.tensor(each)[:, None, None] for each in (config.mean, config.std))
    expected = model.eval().network((scaled / 255 - mean) / std)
    assert config.interpolation == model.interpolation == "bilinear"
    gap = (model(PIXELS).logits - expected).abs().max()
    assert gap < 0.05 * expected.std()  # pixels are rounded when they are scaled


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet81"}, "got 'resnet81'; did you mean resnet18"),
        ({"name": "torchvision.models.resnet17"}, "did you mean torchvision.models.resnet1"),
        ({"name": "resnet18.nope"}, "Invalid pretrained tag"),
        ({"network_args": {"depth": 3}}, "unexpected keyword argument 'depth'"),
        ({"weights": "package"}, "expected one of efficientnet_lite0 .* got test_resnet"),
        ({"weights": "none.pt"}, "cannot load none.pt: no such file"),
        ({"weights": "text.pt"}, "weights: cannot load text.pt"),
        ({"weights": "other.pt"}, "but other.pt is of another: .* first .*: expected"),
        ({"weights": "number.pt"}, "expected tensors by name in number.pt"),
    ],
)
def test_refuses_in_one_line(options: dict[str, Any], message: str) -> None:
    Path("text.pt").write_text("hello")
    torch.save({"epoch": 3}, "number.pt")
    torch.save(timm.create_model("test_efficientnet").state_dict(), "other.pt")

    with pytest.raises(InputError, match=message) as error:
        make(**options)
    assert "\n" not in str(error.value)


def test_without_a_network_or_the_package_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"cannot fetch those of test_resnet: .*; go online, or give a file"):
        make(weights="hub")
    absent = Packaged(package="no_such_weights", path="a.pth", args={}, mean=(0.0,) * 3, std=(1.0,) * 3)
    remedy = "no-such-weights is not installed; run make init EXTRAS=dev,pretrained"
    with pytest.raises(InputError, match=remedy):
        absent.read()


class Watch(Callback):
    """What of the network is trained and what evaluates in each epoch, and its running means."""

    def __init__(self) -> None:
        self.trained: list[list[str]] = []
        self.evaluating: list[set[str]] = []
        self.means: list[torch.Tensor] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            parts = dict(pl_module.network.named_children())
            self.trained.append([name for name, part in parts.items() if is_trained(part)])
            self.evaluating.append({name for name, part in parts.items() if not part.training})

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.means.append(pl_module.network.bn1.running_mean.clone())


def is_trained(module: torch.nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def test_layers_thaw_from_the_top_down_and_what_is_frozen_evaluates(
    make_trainer: MakeTrainer, make_fake: MakeFake
) -> None:
    watch = Watch()
    data = make_fake(image_shape=(3, 16, 16), num_train=24, batch_size=8)
    model = make(data=data.describe(), freeze_epochs=1, thaw_epochs=2)
    make_trainer(max_epochs=5, callbacks=[watch]).fit(model, data)

    all_of_it = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    assert watch.trained == [["fc"], ["layer4", "fc"], all_of_it[3:], all_of_it, all_of_it]
    for trained, evaluating in zip(watch.trained, watch.evaluating, strict=True):
        assert evaluating == set(all_of_it) - set(trained)
    first, *_, third, fourth, _ = watch.means
    torch.testing.assert_close(third, first, rtol=0, atol=0)
    assert not torch.equal(fourth, third)


def test_layers_thaw_at_once_or_never() -> None:
    assert [num_frozen(6, epoch, 2, 0) for epoch in range(4)] == [6, 6, 0, 0]
    assert [num_frozen(6, epoch, -1, 0) for epoch in (0, 99)] == [6, 6]
    assert [num_frozen(6, epoch, 0, 2) for epoch in range(4)] == [4, 2, 0, 0]


CONFIG: dict[str, Any] = {
    "seed_everything": 3,
    "model": {
        "class_path": "Pretrained",
        "init_args": {
            "name": TINY,
            "weights": "weights.pt",
            "input_size": 24,
            "layer_decay": 0.8,
            "freeze_epochs": 1,
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.01}},
            "lr_scheduler": {
                "class_path": "torch.optim.lr_scheduler.OneCycleLR",
                "init_args": {"max_lr": 0.01, "cycle_momentum": False},
            },
        },
    },
    "data": {"class_path": "ImageFolder", "init_args": {"data_dir": "photos", "image_size": 16}},
    "trainer": {"max_epochs": 2, "accelerator": "cpu", "enable_model_summary": False},
}
CONFIG["data"]["init_args"] |= {"batch_size": 8, "val_split": 0.25, "test_split": 0.25}


def write_photos(folder: Path, num: int = 16) -> None:
    for kind, colour in (("dark", 60), ("light", 190)):
        (folder / kind).mkdir(parents=True)
        for number in range(num):
            Image.new("RGB", (20, 16), (colour + number, colour, number)).save(
                folder / kind / f"{number}.png"
            )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two epochs, of which the file of weights is gone."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_photos(folder / "photos")
        Path("config.yaml").write_text(yaml.safe_dump(CONFIG))
        torch.save(timm.create_model(TINY).state_dict(), "weights.pt")
        assert main(["fit", "--config=config.yaml", "--name=tuned"]) == 0
        Path("weights.pt").unlink()
    return folder


def test_a_run_needs_its_file_of_weights_no_more(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained)
    model = load_model(next(Path("runs").glob("*-tuned")) / "checkpoints/last.ckpt")
    assert isinstance(model, Pretrained)
    config = timm.get_pretrained_cfg(TINY)
    torch.testing.assert_close(model.normalize.mean, torch.tensor(config.mean))
    assert (model.interpolation, model.input_size) == ("bilinear", 24)

    assert main(["test", "--run=latest"]) == 0
    assert "test/accuracy" in "".join(capfd.readouterr())
    assert main(["fit", "--resume=latest", "--trainer.max_epochs=2"]) == 0
    assert main(["predict", "latest", "photos/dark", "--output=names.csv"]) == 0
    rows = Path("names.csv").read_text().splitlines()
    assert "dark" in rows[0] + rows[1]
    assert len(rows) == 17


def test_rates_of_the_layers_are_logged_by_their_names(trained: Path) -> None:
    columns = next(trained.glob("runs/*-tuned")).joinpath("metrics.csv").read_text().splitlines()[0]
    assert {"lr", "lr_layer_0", "lr_layer_4"} <= set(columns.split(","))


def test_a_new_run_with_the_file_gone_is_refused(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained)
    assert main(["fit", "--config=config.yaml"]) == 2
    assert "weights: cannot load weights.pt: no such file" in capfd.readouterr().err


def test_a_run_may_begin_with_the_weights_of_another_beside_the_same_file(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    torch.save(timm.create_model(TINY).state_dict(), "weights.pt")
    options = ["--trainer.limit_train_batches=1", "--trainer.max_epochs=1", "--data.init_args.test_split=0"]
    rate = "--model.init_args.optimizer.init_args.lr=0"
    schedule = "--model.init_args.lr_scheduler=null"

    first = next(Path("runs").glob("*-tuned"))
    begun = ["--config=config.yaml", f"--init_from={first}", "--name=begun", *options, rate, schedule]
    assert main(["fit", *begun]) == 0
    Path("weights.pt").unlink()
    old, new = (
        load_model(run / "checkpoints/last.ckpt") for run in (first, next(Path("runs").glob("*-begun")))
    )
    for (name, value), other in zip(old.named_parameters(), new.parameters(), strict=True):
        torch.testing.assert_close(other, value, rtol=0, atol=0, msg=name)


def test_it_is_exported_with_a_batch_of_any_size(trained: Path) -> None:
    model = load_model(next(trained.glob("runs/*-tuned")) / "checkpoints/last.ckpt")
    batch = torch.export.Dim("batch", min=1, max=64)
    image = torch.randint(0, 255, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()

    axes = axes_of(ImageExample(image=image), image={0: batch})
    exported = torch.export.export(model, (ImageExample(image=image),), dynamic_shapes=axes)
    for size in (1, 3):
        example = ImageExample(image=image[:size])
        torch.testing.assert_close(exported.module()(example).logits, model(example).logits)


def test_a_probe_reads_frozen_features_which_are_computed_once(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained)
    torch.save(timm.create_model(TINY).state_dict(), "other.pt")
    larger = ["--model.init_args.input_size=32"]
    said = []
    for _ in range(2):
        assert main(["probe", "--config=config.yaml", "--model.init_args.weights=other.pt"]) == 0
        said.append(capfd.readouterr().err)
        (path,) = Path("photos/.cache").glob("features-*.pt")
        told = path.stat().st_mtime_ns

    assert said[1].splitlines()[-3:] == said[0].splitlines()[-3:]
    assert "96 features of 18 (train), 6 (val), 8 (test)" in said[0]
    assert "linear probe        val/accuracy 1.0000  test/accuracy 1.0000" in said[0]
    assert path.stat().st_mtime_ns == told
    assert main(["probe", "--config=config.yaml", "--model.init_args.weights=other.pt", *larger]) == 0
    assert len({*Path("photos/.cache").glob("features-*.pt")} - {path}) == 1, "features of another size"
    Path("other.pt").unlink()


def test_a_probe_sees_what_validation_sees(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    data = ImageFolder("photos", image_size=16, stored_size=24, crop_share=0.5, batch_size=8, seed=0)
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    head, seen = nn.Identity(), list[torch.Size]()

    class Recorder(nn.Module):
        def forward(self, example: ImageExample) -> None:
            seen.append(example.image.shape[1:])
            head(example.image.float())

    found = _features_of_sets(cast(Any, Recorder()), head, data)

    assert {*seen} == {(3, 16, 16)}
    expected = [data.on_after_batch_transfer(batch, 0).image for batch in data.test_dataloader()]
    assert torch.equal(found["test"][0], torch.cat(expected).flatten(1).float())


def test_neighbours_vote_by_their_cosines_and_a_linear_layer_by_its_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 8, generator=generator) * 2
    classes, targets = torch.arange(30) % 3, torch.arange(60) % 3
    known = centres[classes] + torch.randn(30, 8, generator=generator)
    values = centres[targets] + torch.randn(60, 8, generator=generator)
    found = {"train": (known, classes), "val": (values, targets)}

    right = 0.0
    for value, target in zip(values, targets, strict=True):
        cosines = [float(value @ each / value.norm() / each.norm()) for each in known]
        near = sorted(range(30), key=lambda row: -cosines[row])[:5]
        votes = [
            sum(math.exp(cosines[row] / 0.07) for row in near if classes[row] == kind) for kind in range(3)
        ]
        right += votes.index(max(votes)) == target
    assert neighbours(found, 5) == {"val": pytest.approx(right / 60)}
    assert 0.8 < linear(found, 0.01)["val"] <= 1
    assert linear(found | {"val": (known, classes)}, 1e-4) == {"val": 1.0}
