"""What the tests of searches share: a tiny network on the digits."""

from collections.abc import Callable

from my_project.engine.sweep.plan import Plan

SMALL = {
    "seed_everything": 1,
    "num_threads": 1,
    "model": {
        "class_path": "ResNet",
        "init_args": {
            "width": 4,
            "depths": [0, 1],
            "stem_stride": 1,
            "metrics": {"accuracy": "Accuracy"},
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
        },
    },
    "data": {"class_path": "Digits", "init_args": {"batch_size": 256}},
    "trainer": {"accelerator": "cpu", "max_epochs": 2, "log_every_n_steps": 2},
}
LR = "model.init_args.optimizer.init_args.lr"
WIDTH = "model.init_args.width"
MakeSweep = Callable[..., str]
MakePlan = Callable[..., Plan]
