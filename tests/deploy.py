"""Charms put together and models made of them, as the tests, campaigns and benchmarks share them."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import jujusim.charm

ROOT = Path(__file__).resolve().parents[1]
LAYERS = {'layer:basic': ROOT / 'tests' / 'layers' / 'basic', 'layer:coordinator': ROOT}
COUNTED = ('charms/layer/coordinator', 'charmhelpers/coordinator.py')
"""Code whose hook-tool calls are a lock's: what a lock costs a hook is counted so."""

RESTART_S = 60.0

IMPORTS = """from subprocess import check_call

from charmhelpers.core import hookenv
from charms import reactive
from charms.layer import coordinator
from charms.reactive import hook, when, when_not

"""


def assemble(charm: Path, target: Path, options: Optional[Dict[str, Any]] = None) -> Path:
    """Write the charm of a top layer to a new folder, and return that folder.

    Args:
        charm: the folder of the top layer.
        target: the folder to write, which must not exist.
        options: layer options of layer:coordinator, instead of the charm's own.
    """
    chosen = None if options is None else {'coordinator': options}
    return jujusim.charm.assemble(charm, target, LAYERS, chosen)


def machine(unit: str, argv: List[str]) -> Optional[Tuple[float, int]]:
    """Programs of the tests' machines: a restart of a minute, a start of no time, and `work SECONDS`."""
    if argv[:2] == ['systemctl', 'start']:
        return 0.0, 0
    if argv[:2] == ['systemctl', 'restart']:
        return RESTART_S, 0
    if argv[0] == 'work':
        return float(argv[1]), 0
    return None


def said(juju: Any, unit: str, mark: str) -> List[str]:
    """Return what a unit's handlers logged behind a mark, in order."""
    return [text[len(mark) :] for text in juju.log_of(unit, mark) if text.startswith(mark)]


def begun(model: Any, charm: Path, units: int = 1, juju: int = 3, **options: Any) -> Any:
    """Return a model at rest after every unit ran config-changed once more."""
    made = model(charm, units=units, juju=juju, **options)
    made.run()
    return made
