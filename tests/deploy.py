"""Charms put together and models made of them, as the tests, campaigns and benchmarks share them."""

from pathlib import Path
from typing import Any, List, Optional, Tuple

from jujusim.charm import assemble

ROOT = Path(__file__).resolve().parents[1]
RESTART_S = 60.0

IMPORTS = """from subprocess import check_call

from charmhelpers.core import hookenv
from charms import reactive
from charms.layer import coordinator
from charms.reactive import hook, when, when_not

"""

__all__ = ['IMPORTS', 'RESTART_S', 'ROOT', 'assemble', 'begun', 'machine', 'said']


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
