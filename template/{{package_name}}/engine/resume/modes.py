"""What a model's weights do not say: which parameters are frozen, and which modules evaluate."""

from torch import nn

TRACKS = "track_running_stats"  # of normalisations; Lightning's freezing switches it


def read_modes(model: nn.Module) -> dict[str, list[str]]:
    """Names of the frozen parameters, of the modules that evaluate, and of those without statistics."""
    modules = dict(model.named_modules())
    return {
        "frozen": [name for name, parameter in model.named_parameters() if not parameter.requires_grad],
        "evaluating": [name for name, module in modules.items() if not module.training],
        "untracked": [name for name, module in modules.items() if vars(module).get(TRACKS) is False],
    }


def write_modes(model: nn.Module, modes: dict[str, list[str]]) -> None:
    """Freeze and switch what ``read_modes`` named, and nothing else."""
    frozen, evaluating, untracked = (set(modes[key]) for key in ("frozen", "evaluating", "untracked"))
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name not in frozen
    for name, module in model.named_modules():
        module.training = name not in evaluating
        if TRACKS in vars(module):
            vars(module)[TRACKS] = name not in untracked


def evaluate_frozen(model: nn.Module) -> None:
    """Let modules of which nothing is trained evaluate: their statistics stand still, nothing drops out."""
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
