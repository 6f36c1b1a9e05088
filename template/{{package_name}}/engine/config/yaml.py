"""YAML as users write it."""

import re

import yaml


class Loader(yaml.SafeLoader):
    """Reads ``1e-5`` as a number, which YAML 1.1 does not."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)
