"""juju.py over jujusim's hook tools: three units in this process."""

import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from charms.layer.coordinator import juju, terms
from charms.layer.coordinator.context import LedgerClosed
from charms.layer.coordinator.values import Ledger, Record

from jujusim.agent import Operation
from jujusim.tools import Unanswered
from tests.threeunits import MEMORY, everybody_is_served, first_world

pytestmark = pytest.mark.every_python
both = pytest.mark.parametrize('version', [3, 4])


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        yield Path(place)


@both
def test_three_units_take_turns_and_each_failed_turn_is_kept(folder, version):
    world = first_world(version, 'app/1', folder)

    assert everybody_is_served(world)
    assert not world.faults


def test_a_ledger_that_another_wrote_within_the_hook_is_read_before_a_decision(folder):
    """leader-get is cached for the hook until this unit's own leader-set."""
    world = first_world(3, None, folder)
    with world.in_hook('app/0'):
        port = juju.Juju()
        before = port.terms()
        world.write_ledger('{"v":2,"token":9,"tickets":[]}')

        assert port.terms() == before
        assert terms.newest_record(port.fresh_terms()).ledger == Ledger(9)


@both
def test_a_write_that_is_refused_closes_the_ledger_and_fails_no_hook(folder, version):
    world = first_world(version, None, folder)
    before = dict(world.shared)
    with world.in_hook('app/1'), pytest.raises(LedgerClosed):
        juju.Juju().write(Record('0a1b2c3d', 9, 1, Ledger(9)), (), unmark=False)

    assert world.shared == before


@both
def test_a_unit_that_is_dying_is_not_gone(folder, version):
    """It may be inside its critical hook."""
    world = first_world(version, 'app/1', folder)
    world.controller.units['app/1'].life = 'dying'

    for unit in ('app/0', 'app/2', 'app/0'):
        world.hook(unit, Operation('update-status'))

    assert '"app/1",2' in world.ledger_text
    assert not world.faults
    assert world.at_work == {'app/1'}


@both
def test_no_unit_is_gone_because_a_new_leader_has_not_joined_it(folder, version):
    """Its relation-list is empty at first."""
    world = first_world(version, 'app/1', folder)
    world.controller.set_leader('app/2')
    world.agents['app/2'].local.members.clear()

    for name in ('leader-elected', 'update-status'):
        world.hook('app/2', Operation(name))

    assert '"app/1",2' in world.ledger_text
    assert not world.faults
    assert world.at_work == {'app/1'}


def test_a_hook_in_this_process_cannot_hide_a_call_that_no_juju_would_answer(folder):
    """Where relation-get raises a ValueError, charmhelpers answers None; and a charm may catch anything."""
    world = first_world(3, None, folder)
    for words in (['storage-get'], ['relation-get', '-o/x'], ['relation-get', '\x00'], ['juju-log', '\x00']):
        with pytest.raises((Unanswered, AssertionError)), world.in_hook('app/0'), suppress(Exception):
            subprocess.check_output(words)
