"""Paths, charms and models that tests share."""

import itertools
import os
import re
import zlib
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from hypothesis import HealthCheck, settings

from jujusim.juju import Juju
from tests.deploy import COUNTED, IMPORTS, ROOT, assemble, machine

# No test fails because the machine is busy.
settings.register_profile('whole', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile('share', settings.get_profile('whole'), max_examples=20)
settings.load_profile('share' if os.environ.get('SUITE') == 'share' else 'whole')

IN_PART = re.compile('/test_(cases_|found)|_by_one_stroke')


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
        options.setdefault('counted', COUNTED)
        options.setdefault('relation', 'coordinator')  # some charms of the tests name another one, too
        options.setdefault('config', {'memory': 1, 'go': 0})
        juju = Juju(charm, **options)
        made.append(juju)
        return juju

    yield make
    for juju in made:
        juju.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """Begin with the long searches, so that two processes end together.

    Of the inputs that were found to fail, and of the campaign's strokes, `make test` runs an eighth, always
    the same; `make cases` runs all.
    """
    for item in items:
        if IN_PART.search(item.nodeid) and zlib.crc32(item.nodeid.encode()) % 8:
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: 'test_histories' not in item.nodeid)
