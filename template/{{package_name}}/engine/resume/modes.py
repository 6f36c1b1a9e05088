"""Which parameters are frozen and which modules are in evaluation mode: a model's weights do not say."""

from torch import nn

TRACKS = "track_running_stats"  # of normalisation layers; Lightning's BaseFinetuning sets it


def read_modes(model: nn.Module) -> dict[str, list[str]]:
    """Names of the frozen parameters, the modules in evaluation mode, and those that track no statistics."""
    modules = dict(model.named_modules())
    return {
        "frozen": [name for name, parameter in model.named_parameters() if not parameter.requires_grad],
        "evaluating": [name for name, module in modules.items() if not module.training],
        "untracked": [name for name, module in modules.items() if vars(module).get(TRACKS) is False],
    }


def write_modes(model: nn.Module, modes: dict[str, list[str]]) -> None:
    """Restore what ``read_modes`` returned; everything that it does not name is trained."""
    frozen, evaluating, untracked = (set(modes[key]) for key in ("frozen", "evaluating", "untracked"))
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name not in frozen
    for name, module in model.named_modules():
        module.training = name not in evaluating
        if TRACKS in vars(module):
            vars(module)[TRACKS] = name not in untracked


def evaluate_frozen(model: nn.Module) -> None:
    """Put modules whose parameters are all frozen into evaluation mode: fixed statistics, no dropout."""
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
