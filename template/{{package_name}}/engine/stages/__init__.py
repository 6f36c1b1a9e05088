"""Training in stages: each is a ``fit`` with changes to the config, all in one run folder; see docs/stages.md."""
