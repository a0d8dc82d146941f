"""Paths, charms and models that tests share."""

import itertools
import os
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Tuple

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'lib'), str(ROOT / 'tests')]  # before anything imports `charms`

from jujusim import process  # noqa: E402,F401 - teaches charmhelpers that this is no Debian
from jujusim.charm import assemble  # noqa: E402
from jujusim.juju import Juju  # noqa: E402

RESTART_S = 60.0

settings.register_profile('share', max_examples=20)
if os.environ.get('SUITE') == 'share':
    settings.load_profile('share')

IMPORTS = """from subprocess import check_call

from charmhelpers.core import hookenv
from charms import reactive
from charms.layer import coordinator
from charms.reactive import hook, when, when_not

"""


def machine(unit: str, argv: List[str]) -> Optional[Tuple[float, int]]:
    """Programs of the tests' machines: a restart of a minute, and `work SECONDS`."""
    if argv[:2] == ['systemctl', 'restart']:
        return RESTART_S, 0
    if argv[0] == 'work':
        return float(argv[1]), 0
    return None


@pytest.fixture(scope='session')
def example(tmp_path_factory: Any) -> Path:
    """The example charm of this repository."""
    return assemble(ROOT / 'examples' / 'rolling-db', tmp_path_factory.mktemp('charms') / 'rolling-db')


@pytest.fixture
def charm_with(tmp_path: Path) -> Callable[..., Path]:
    """Makes a charm of a test's own handlers, with layer options if given."""
    numbers = itertools.count()

    def make(plan: str, **options: Any) -> Path:
        charm = assemble(
            ROOT / 'tests' / 'charms' / 'probe', tmp_path / 'probe-{}'.format(next(numbers)), options
        )
        (charm / 'reactive' / 'plan.py').write_text(IMPORTS + plan)
        return charm

    return make


@pytest.fixture
def model(request: Any) -> Iterator[Callable[..., Juju]]:
    """Makes models, and closes them after the test. Hooks are quick ones, unless a module says otherwise."""
    made: List[Juju] = []

    def make(charm: Path, **options: Any) -> Juju:
        options.setdefault('quick', getattr(request.module, 'QUICK', True))
        options.setdefault('machine', machine)
        options.setdefault('config', {'memory': 1, 'go': 0})
        juju = Juju(charm, **options)
        made.append(juju)
        return juju

    yield make
    for juju in made:
        juju.close()


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """Begin with the long searches, so that two processes end together."""
    items.sort(key=lambda item: 'test_histories' not in item.nodeid)
