"""Units that share a machine: whatever becomes of one's hook, another's may begin (R1)."""

import pytest

from jujusim.hooks import REBOOT_AFTER_S
from jujusim.machines import Machines
from jujusim.tests.scripts import both, forget, hooks, run_until, times


@pytest.fixture
def shared(charm):
    """Makes models of four units on two machines, where app/0 and app/2 are neighbours."""
    made = []

    def make(juju, scripts=None, **options):
        scripts = {'upgrade-charm': 'subprocess.check_call(["work"])', **(scripts or {})}
        options = {'machine': lambda unit, argv: (60.0, 0), 'config': {'go': 0}, **options}
        model = Machines(charm(scripts), machines=2, units=4, juju=juju, **options)
        made.append(model)
        model.run()
        forget(model)
        return model

    yield make
    for each in made:
        each.close()


def busy(made, queued=True):
    """Let app/0 work in a hook, and an action of app/2 wait for the machine."""
    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    if queued:
        made.run_action('app/2', 'look')
        made.run(seconds=5)
        assert hooks(made, 'app/2') == []


END = {
    'kill_hook': lambda made: made.kill_hook('app/0'),
    'die_agent': lambda made: made.die_agent('app/0', seconds=30),
    'lose_unit': lambda made: made.lose_unit('app/0'),
    'lose_unit by force': lambda made: made.lose_unit('app/0', force=True),
}


@both
@pytest.mark.parametrize('end', END)
@pytest.mark.parametrize('queued', [True, False])
def test_a_machine_is_free_at_once_when_a_hook_there_has_lost_its_process_or_its_agent(
    shared, juju, end, queued
):
    made = shared(juju)
    busy(made, queued)

    END[end](made)
    ended = made.now
    if not queued:
        made.run_action('app/2', 'look')
    run_until(made, 'app/2', 'ran', 'action look')

    assert times(made, 'app/2', 'begins', 'action look')[0] - ended < 0.1


@both
def test_a_hook_that_dies_at_a_tool_call_frees_its_machine(shared, juju):
    made = shared(juju, {'upgrade-charm': 'say("1")\nsubprocess.check_call(["work"])'})
    made.crash_hook('app/0', at_call=1)
    made.upgrade('app/0')
    made.run()

    assert hooks(made, 'app/0').count('upgrade-charm') == 2
    assert times(made, 'app/0', 'ends', 'upgrade-charm')


@both
def test_a_machine_that_lost_power_is_free_when_it_has_booted_and_both_units_start(shared, juju):
    made = shared(juju)
    busy(made)

    made.reboot('app/0')
    made.run()

    assert len(times(made, 'app/0', 'loses power')) == len(times(made, 'app/2', 'loses power')) == 1
    assert times(made, 'app/1', 'loses power') == []
    assert hooks(made, 'app/0')[:4] == ['upgrade-charm', 'upgrade-charm', 'config-changed', 'start']
    assert hooks(made, 'app/2')[0] == 'start'
    assert hooks(made, 'app/2').count('action look') == 1


@both
def test_juju_reboot_of_one_unit_stops_both_and_begins_no_hook_that_was_to_come(shared, juju):
    script = 'subprocess.check_call(["work"])\ntool("juju-reboot")'
    made = shared(juju, {'upgrade-charm': script})
    busy(made)
    made.run()

    (ended,) = times(made, 'app/0', 'ends', 'upgrade-charm')
    for unit in ('app/0', 'app/2'):
        assert times(made, unit, 'loses power') == [pytest.approx(ended + REBOOT_AFTER_S)]
        assert hooks(made, unit).count('start') == 1
    assert times(made, 'app/2', 'begins')[0] > ended + REBOOT_AFTER_S + made.boot_s
    assert hooks(made, 'app/2')[0] == 'start'
    assert hooks(made, 'app/2').count('action look') == 1
    assert times(made, 'app/1', 'loses power') == []


@both
def test_a_hook_that_waits_for_the_machine_is_not_run_by_an_agent_that_has_died(shared, juju):
    made = shared(juju)
    busy(made)

    made.die_agent('app/2', seconds=200)
    made.run()

    assert times(made, 'app/2', 'begins')[0] > times(made, 'app/2', 'is back')[0]
    assert hooks(made, 'app/2').count('action look') == 1
