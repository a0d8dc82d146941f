"""Layer options as `charm build` wrote them into the charm's layer.yaml."""

import os

import yaml
from charmhelpers.core import hookenv


def get(section=None, option=None):
    with open(os.path.join(hookenv.charm_dir(), 'layer.yaml')) as built:
        options = yaml.safe_load(built).get('options') or {}
    if section is None:
        return options
    found = options.get(section) or {}
    return found if option is None else found.get(option)
