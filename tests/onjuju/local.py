"""`make on-juju LOCAL=4`: the same suite against the local Juju's own command line."""

import os
from pathlib import Path

from jujusim.cli.client import run
from jujusim.cli.places import Models
from tests.deploy import ROOT, assemble

VERSIONS = {'3': '3.6.1', '4': '4.0.14'}
STEP_S = 3.0
"""How long a status takes, in seconds of the model."""


def client(folder: Path, version: str) -> str:
    """Write the client `juju`, let all that it needs stand in the environment, and return its path."""
    environ = {
        'JUJU_DATA': str(folder / 'data'),
        'JUJUSIM_MACHINE': str(Path(__file__).resolve().parent / 'machine.py'),
        'JUJUSIM_VERSION': VERSIONS[version],
        'JUJUSIM_STEP_S': str(STEP_S),
        'JUJUSIM_QUICK': '1',
    }
    os.environ.pop('JUJU_MODEL', None)
    os.environ.update(environ)
    path = folder / 'juju'
    run(['--write-script', str(path)], os.environ)
    return str(path)


def charm(folder: Path) -> Path:
    """Assemble the example with the stand-in for layer:basic; return its folder."""
    return assemble(ROOT / 'examples' / 'rolling-db', folder / 'assembled')


def end() -> None:
    """End the processes of models that are still there."""
    for name in Models(dict(os.environ)).names():
        run(['destroy-model', '--no-prompt', name], os.environ)
