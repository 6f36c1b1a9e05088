"""How a config becomes objects: the parser, what a model takes from its data, the leaves it may name."""
