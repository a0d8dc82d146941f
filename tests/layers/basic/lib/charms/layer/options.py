"""Layer options as `charm build` wrote them into the charm's layer.yaml; as in layer:basic, read once."""

import os

import yaml
from charmhelpers.core import hookenv

_FOUND = {}


def get(section=None, option=None):
    if not _FOUND:
        with open(os.path.join(hookenv.charm_dir(), 'layer.yaml')) as built:
            _FOUND.update(yaml.safe_load(built))
    options = _FOUND.get('options') or {}
    if section is None:
        return options
    found = options.get(section) or {}
    return found if option is None else found.get(option)
