"""What a command line of ``fit`` asks for, split into its parts."""

from dataclasses import dataclass, replace
from typing import Any

from ..cli.run_options import ALLOW, INIT_FROM, INIT_MODULES, expand_run_options, take, take_all
from ..config.linking import read_config
from ..errors import InputError
from ..trust.masking import mask
from .options import PREFIX, Option, take_stage_options, with_options
from .plan import Plan

KEY = "stages"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The parts of a command line.

    Attributes:
        run: The value of ``--resume``.
        allow: The values of ``--allow``.
        configs: Contents of the configs, without ``stages``.
        stages: As a config has them; ``None`` if no config has any.
        changes: Options of stages.
        words: All other words.
    """

    run: str | None
    allow: list[str]
    configs: list[dict[str, Any]]
    stages: Any
    changes: list[Option]
    words: list[str]

    @property
    def has_stages(self) -> bool:
        """Whether a config has stages.

        Raises:
            InputError: No config has stages, and an option names one.
        """
        if self.stages is None and self.changes and self.run is None:
            raise InputError(f"expected a config with stages beside {PREFIX}{self.changes[0][0]}, got none")
        return self.stages is not None

    def begin(self) -> Plan:
        """The plan of a new run."""
        words = self.words[:]
        _, options = expand_run_options(["fit", *words])
        for option in (INIT_FROM, INIT_MODULES):
            take(words, option)
        return Plan(
            configs=self.configs,
            options=words,
            stages=with_options(self.stages, self.changes),
            init_from=str(options["init_from"]) if "init_from" in options else None,
            init_modules=list(options.get("init_modules", [])),
        )

    def extend(self, plan: Plan) -> Plan:
        """The plan of an existing run, with what this command line adds."""
        if new := [config for config in self.configs if config and mask(config) not in plan.configs]:
            plan = replace(plan, configs=[*plan.configs, *new])
        stages = plan.stages if self.stages is None else self.stages
        return replace(plan, stages=with_options(stages, self.changes))


def take_apart(args: list[str]) -> Asked:
    """Read the options of ``fit``, and its configs.

    Raises:
        InputError: A config cannot be read, or an option lacks its value.
    """
    words = args[:]
    run, allow = take(words, "--resume"), take_all(words, ALLOW)
    configs = [read_config(path) for option in ("--config", "-c") for path in take_all(words, option)]
    stages = next((config.pop(KEY) for config in configs if KEY in config), None)
    changes = take_stage_options(words)
    return Asked(run=run, allow=allow, configs=configs, stages=stages, changes=changes, words=words)
