"""Training in stages, each a ``fit`` with changes to the config, in one run folder; see docs/stages.md."""
