"""docs/recipes.md, Restart the machine: each restarts in its unit's turn, and no two are down together."""

import pytest

from jujusim.hooks import REBOOT_AFTER_S
from tests.cases import both, until
from tests.deploy import ROOT, begun

PAGE = (ROOT / 'docs' / 'recipes.md').read_text(encoding='utf-8')
CODE = PAGE.split('\n## Restart the machine\n')[1].split('```python\n')[1].split('```')[0]
ASK = """
from charmhelpers.core import unitdata

@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        coordinator.request_lock('reboot')

@when('coordinator.granted.reboot')
def granted():
    hookenv.log('GRANTED in ' + hookenv.hook_name())
"""
OWN_BOOT_ID = "\nBOOT_ID = 'boot-id'\n"
LATER = "        check_call(['juju-reboot'])\n"
NOW = "        unitdata.kv().flush()\n        check_call(['juju-reboot', '--now'])\n"


class Machines:
    """Watches machines: which of them are down, from the hook that asks for the reboot to the agent's return.

    Each has a file with its boot id, which changes when it loses power.
    """

    def __init__(self, made):
        self.made, self.down, self.most_down = made, set(), 0
        self.boots = dict.fromkeys(made.units, 0)
        for unit in made.units:
            self._boot(unit)
        made.observers.append(self._see)

    def _boot(self, unit):
        (self.made._charm_dir(unit) / 'boot-id').write_text('boot {}\n'.format(self.boots[unit]))

    def _see(self, event):
        if event.what in ('loses power', 'stops its agent'):
            self.down.add(event.unit)
        if event.what == 'loses power':
            self.boots[event.unit] += 1
            self._boot(event.unit)
        if event.what == 'is back':
            self.down.discard(event.unit)
        self.most_down = max(self.most_down, len(self.down))


@pytest.fixture
def four(model, charm_with):
    """Makes four units at rest whose charm follows the recipe, changed or not, and watches their machines."""

    def make(juju, *changes, **options):
        code = CODE
        for old, new in changes:
            assert code.count(old) == 1
            code = code.replace(old, new)
        made = begun(model, charm_with(ASK + code + OWN_BOOT_ID), units=4, juju=juju, **options)
        return made, Machines(made)

    return make


def rebooted(made, machines):
    """Let all units ask and come to rest; return how often each machine has booted."""
    made.configure(go=made.controller.config['go'] + 1)
    made.run()
    made.run(seconds=700)
    return list(machines.boots.values())


def held(made):
    return [unit for unit in made.units if 'coordinator.granted.reboot' in made.flags_of(unit)]


@both
@pytest.mark.parametrize('boot_s', [5.0, 120.0])
def test_four_machines_restart_once_each_one_after_the_other(four, juju, boot_s):
    made, machines = four(juju)
    made.boot_s = boot_s

    assert rebooted(made, machines) == [1] * 4, made.story(80)
    assert machines.most_down == 1
    assert held(made) == []
    assert [made.status_of(unit) for unit in made.units] == [('active', 'the machine has restarted')] * 4


@both
def test_the_turn_ends_in_the_start_after_the_boot(four, juju):
    made, machines = four(juju)
    rebooted(made, machines)

    for unit in made.units:
        assert made.log_of(unit, 'GRANTED in ')[1:] == ['GRANTED in start'], made.log_of(unit)


@both
def test_each_later_turn_restarts_the_machine_again(four, juju):
    made, machines = four(juju)

    assert rebooted(made, machines) == [1] * 4
    assert rebooted(made, machines) == [2] * 4
    assert machines.most_down == 1


@both
def test_a_turn_that_an_operator_ended_while_the_machine_was_down_spoils_no_later_one(four, juju):
    made, machines = four(juju)
    made.boot_s = 300.0
    made.configure(go=1)
    until(made, lambda: bool(machines.down))
    (unit,) = machines.down
    made.run(seconds=REBOOT_AFTER_S + 5)
    other = next(each for each in made.units if each not in machines.down)
    made.elect(other)
    made.run(seconds=5)
    made.run_action(other, 'coordinator-free', unit=unit, lock='reboot', confirm='yes')
    made.run()
    assert machines.most_down == 2, made.story(40)  # the next unit had its turn meanwhile
    before = machines.boots[unit]
    made.boot_s = 20.0

    rebooted(made, machines)

    assert machines.boots[unit] == before + 1, made.story(80)


@both
def test_the_leader_gives_the_reason_while_a_machine_is_down(four, juju):
    made, machines = four(juju)
    made.configure(go=1)
    until(made, lambda: bool(machines.down))
    made.run(seconds=10)

    assert any(
        'the machine restarts' in text
        for bag in made.controller.units.values()
        for text in bag.settings.values()
    )


@both
@pytest.mark.parametrize('lost', ['fail_hook', 'lose_commit', 'die_agent', 'reboot'])
def test_a_unit_that_fails_when_it_asks_for_the_reboot_gets_one_all_the_same(four, juju, lost):
    made, machines = four(juju)
    made.configure(go=1)
    until(made, lambda: bool(made.log_of('app/1', 'GRANTED')))
    getattr(made, lost)('app/1')
    made.run()
    made.run(seconds=700)

    by_power_cut = lost == 'reboot'
    assert list(machines.boots.values()) == [1, 1 + by_power_cut, 1, 1], made.story(80)
    assert machines.most_down == 1
    assert held(made) == []


@both
def test_with_now_each_restarts_once_too_and_the_hook_runs_again_with_the_lock(four, juju):
    made, machines = four(juju, (LATER, NOW))

    assert rebooted(made, machines) == [1] * 4, made.story(80)
    assert machines.most_down == 1
    for unit in made.units:
        first, again = made.log_of(unit, 'GRANTED in ')
        assert first == again != 'GRANTED in start'


# What the recipe is for


@both
def test_without_keep_lock_several_machines_are_down_together(four, juju):
    made, machines = four(juju, ("coordinator.keep_lock('reboot', reason='the machine restarts')", 'pass'))
    rebooted(made, machines)

    assert machines.most_down > 1


@both
def test_with_now_and_no_flush_a_machine_restarts_again_and_again(four, juju):
    made, machines = four(juju, (LATER, NOW.replace('        unitdata.kv().flush()\n', '')))
    made.configure(go=1)
    made.run(seconds=600)

    assert max(machines.boots.values()) > 3
