"""What was seen on a controller of Juju 4.0.14, and was not read before: R2, R12, R20, R23, R27."""

import pytest

from jujusim.juju import Juju
from jujusim.tests.scripts import (
    CHANGED,
    DEPARTED,
    act,
    both,
    forget,
    hooks,
    noted,
    only_3,
    only_4,
    run_until,
    times,
)

WORK = 'subprocess.check_call(["work"])\nsay("1")'
CONTAINER = (
    'name: app\nsubordinate: true\npeers:\n  cluster:\n    interface: cluster\n'
    'requires:\n  host:\n    interface: juju-info\n    scope: container\n'
)
GOAL = 'note("goal", {name: unit["status"] for name, unit in ask("goal-state")["relations"]["host"].items()})'


def machine(unit, argv):
    return (20.0, 0) if argv == ['work'] else None


def departed(made, *units):
    """Return for each unit how often it ran departed."""
    return [sum(text.startswith(DEPARTED) for text in hooks(made, unit)) for unit in units]


# config-changed


@only_4
def test_on_4_a_unit_at_rest_runs_config_changed_twice_in_a_row(deployed, juju):
    made = deployed(juju, twice=True)

    made.configure(go=1)
    made.run()

    assert hooks(made, 'app/0') == hooks(made, 'app/1') == ['config-changed'] * 2


@only_4
def test_on_4_a_busy_unit_runs_config_changed_once(deployed, juju):
    made = deployed(juju, twice=True)

    made.run_action('app/0', 'nap')
    made.configure(go=1)
    made.run()

    assert hooks(made, 'app/0') == ['action nap', 'config-changed']


@both
def test_a_configuration_that_is_there_already_runs_nothing(deployed, juju):
    made = deployed(juju, twice=True)

    made.configure(go=0)
    made.run()

    assert hooks(made, 'app/0') == []


@only_3
def test_on_3_config_changed_runs_once(deployed, juju):
    made = deployed(juju, twice=True)

    made.configure(go=1)
    made.run()

    assert hooks(made, 'app/0') == ['config-changed']


# A unit that leaves, on Juju 4


@only_4
def test_of_many_units_removed_peers_hear_of_some_at_once_and_of_the_others_when_their_agent_restarts(
    deployed, juju
):
    made = deployed(juju, units=8)
    leaving = ['app/{}'.format(number) for number in range(2, 8)]

    for unit in leaving:
        made.remove_unit(unit)
    made.run()
    at_once = departed(made, 'app/0', 'app/1')
    made.die_agent('app/0')
    made.run()

    assert all(0 < heard < len(leaving) for heard in at_once)
    assert departed(made, 'app/0', 'app/1') == [len(leaving), at_once[1]]


@only_4
@pytest.mark.parametrize('chance, heard', [(1.0, 1), (0.0, 0)])
def test_a_test_may_say_whether_peers_hear_of_it(deployed, juju, chance, heard):
    made = deployed(juju, units=3)
    made.hear_of_leavers = chance

    made.remove_unit('app/1')
    made.run()
    made.lose_unit('app/2', force=True)
    made.run()

    assert departed(made, 'app/0') == [2 * heard]


@only_4
def test_until_it_hears_of_it_a_unit_lists_the_one_that_is_gone_and_reads_its_data(deployed, juju):
    made = deployed(juju, {'remove': 'say("last")'})
    made.hear_of_leavers = 0.0
    act(made, 'app/1', 'say-a')

    made.remove_unit('app/1')
    made.run()
    act(made, 'app/0', 'list')
    act(made, 'app/0', 'look')
    made.die_agent('app/0')
    made.run()
    act(made, 'app/0', 'list')
    act(made, 'app/0', 'look')

    assert noted(made, 'app/0', 'list') == [['app/1'], []]
    assert noted(made, 'app/0', 'sees') == [['last'], ['last']]


# A failed hook, and what comes before its retry


@both
def test_a_failed_hook_counts_as_done_when_the_agent_dies_in_an_action_beside_it(model, charm, juju):
    made = model(charm({'actions/work': WORK}), units=2, juju=juju, machine=machine)
    made.run()
    forget(made)

    made.fail_hook('app/0', CHANGED)
    made.run_action('app/1', 'say-a')
    run_until(made, 'app/0', 'fails')
    made.run_action('app/0', 'work')
    run_until(made, 'app/0', 'works')
    made.die_agent('app/0')
    made.run()

    assert hooks(made, 'app/0') == [CHANGED + ' (app/1)', 'action work']
    assert not made.agents['app/0'].local.in_error


@both
def test_an_agent_that_restarts_forgets_what_juju_exec_asked_of_it_and_no_action(deployed, juju):
    made = deployed(juju)

    made.run_action('app/0', 'nap')
    run_until(made, 'app/0', 'begins')
    made.run_exec('app/0', 'actions/list')
    made.run_action('app/0', 'look')
    made.die_agent('app/0')
    made.run()

    assert hooks(made, 'app/0') == ['action nap', 'action look']


@both
def test_a_killed_hook_whose_program_holds_its_output_runs_again_when_that_is_over(model, charm, juju):
    made = model(charm({'upgrade-charm': WORK}), juju=juju, machine=machine)
    made.run()
    forget(made)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.kill_hook('app/0', child_holds=True)
    made.run()

    assert times(made, 'app/0', 'begins', 'upgrade')[1] >= times(made, 'app/0', 'worked')[0]
    assert len(times(made, 'app/0', 'worked')) == 2
    assert not times(made, 'app/0', 'fails')


# goal-state of a subordinate


@both
def test_a_principal_shows_its_last_workload_status_is_dying_before_its_subordinate_and_there_before_it(
    deployed, juju
):
    scripts = {'actions/goal': GOAL}
    made: Juju = deployed(juju, scripts, files={'metadata.yaml': CONTAINER}, subordinate=True)

    made.set_principal('principal/0', 'maintenance')
    made.set_principal('principal/1', 'dying')
    made.set_principal('principal/7', 'waiting')
    act(made, 'app/0', 'goal')
    made.remove_unit('app/1')
    made.run()
    act(made, 'app/0', 'goal')

    expected = {
        'principal': 'joined',
        'principal/0': 'maintenance',
        'principal/1': 'dying',
        'principal/7': 'waiting',
    }
    assert noted(made, 'app/0', 'goal')[0] == [expected]
    del expected['principal/1']
    assert noted(made, 'app/0', 'goal')[1] == [expected]
