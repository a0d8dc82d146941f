"""Hooks that restart their machine with the tool juju-reboot: R32."""

import pytest

from jujusim.hooks import REBOOT_AFTER_S
from jujusim.tests.scripts import both, forget, hooks, noted, published, run_until, times
from jujusim.tools import Unanswered

LATER = 'told("reboot", tool("juju-reboot"))\nsay("1")\nnote("over")'
NOW = """
seen = os.path.exists("seen")
note("seen", seen)
say("1")
if not seen:
    open("seen", "w").close()
    tool("juju-reboot", "--now")
    note("over")
"""


def upgraded(deployed, juju, script, until='', **options):
    """Return a model whose app/0 runs a script as upgrade-charm, and then is at rest."""
    made = deployed(juju, {'upgrade-charm': script}, **options)
    made.upgrade('app/0')
    if until:
        run_until(made, 'app/0', until)
    else:
        made.run()
    return made


def power(made, unit='app/0'):
    return len(times(made, unit, 'loses power'))


# After the hook


@both
def test_a_machine_reboots_once_after_the_hook_that_asked_for_it_is_done(deployed, juju):
    made = upgraded(deployed, juju, LATER)

    assert hooks(made, 'app/0')[:3] == ['upgrade-charm', 'config-changed', 'start']
    assert noted(made, 'app/0', 'reboot') == [[0, '']]
    assert published(made, 'app/0') == '1'
    (ended,) = times(made, 'app/0', 'ends', 'upgrade-charm')
    assert times(made, 'app/0', 'loses power') == [pytest.approx(ended + REBOOT_AFTER_S)]
    assert times(made, 'app/0', 'is back') == [pytest.approx(ended + REBOOT_AFTER_S + made.boot_s)]
    assert power(made, 'app/1') == 0


@both
def test_what_the_hook_wrote_is_there_for_its_peers_before_the_power_goes(deployed, juju):
    made = upgraded(deployed, juju, LATER, until='loses power')

    assert 'cluster-relation-changed (app/0)' in hooks(made, 'app/1')


@both
def test_from_that_hook_to_the_power_cut_the_unit_runs_nothing(deployed, juju):
    made = upgraded(deployed, juju, LATER, until='ends')
    made.run_action('app/0', 'look')
    run_until(made, 'app/0', 'loses power')

    assert hooks(made, 'app/0') == ['upgrade-charm']


@both
@pytest.mark.parametrize('how', ['exit', 'fail', 'refused', 'signal'])
def test_a_hook_that_does_not_succeed_reboots_nothing(deployed, juju, how):
    once = 'if not os.path.exists("failed"):\n    open("failed", "w").close()\n    tool("juju-reboot")\n'
    made = deployed(juju, {'upgrade-charm': once + '    ' + {'exit': 'sys.exit(1)'}.get(how, 'say("1")')})
    if how == 'fail':
        made.fail_hook('app/0', 'upgrade-charm')
    if how == 'refused':
        made.lose_commit('app/0')
    if how == 'signal':
        made.crash_hook('app/0', at_call=2)

    made.upgrade('app/0')
    made.run()

    assert hooks(made, 'app/0').count('upgrade-charm') == 2
    assert hooks(made, 'app/0').count('start') == power(made) == 0


@both
def test_a_leaving_unit_that_is_gone_with_its_last_hook_leaves_its_machine_alone(deployed, juju):
    made = deployed(juju, {'remove': 'tool("juju-reboot")'})
    made.remove_unit('app/1')
    made.run()

    assert hooks(made, 'app/1')[-1] == 'remove'
    assert power(made, 'app/1') == 0


# Now


@both
def test_now_kills_the_hook_loses_what_it_wrote_and_runs_it_again_after_the_boot_before_start(deployed, juju):
    made = upgraded(deployed, juju, NOW, until='loses power')

    assert noted(made, 'app/0', 'over') == []
    assert published(made, 'app/0') is None

    made.run()

    assert noted(made, 'app/0', 'seen') == [[False], [True]]
    assert hooks(made, 'app/0')[:4] == ['upgrade-charm', 'upgrade-charm', 'config-changed', 'start']
    assert (power(made), published(made, 'app/0')) == (1, '1')
    assert times(made, 'app/0', 'fails') == []
    again = times(made, 'app/0', 'begins')[1] - times(made, 'app/0', 'is back')[0]
    assert again < 1


# Elsewhere


@both
@pytest.mark.parametrize('flag', ['', ', "--now"'])
def test_an_action_and_an_operators_juju_exec_are_refused(deployed, juju, flag):
    made = deployed(juju, {'actions/restart': 'told("reboot", tool("juju-reboot"{}))'.format(flag)})
    made.run_action('app/0', 'restart')
    made.run_exec('app/0', 'actions/restart', as_action=True)
    made.run()

    text = 'ERROR juju-reboot is not supported when running an action.'
    assert noted(made, 'app/0', 'reboot') == [[1, text], [1, text]]
    assert power(made) == 0


@both
@pytest.mark.parametrize('flag', ['', ', "--now"'])
def test_juju_exec_on_the_machine_reboots_it_and_is_not_run_again(deployed, juju, flag):
    made = deployed(juju, {'other': 'tool("juju-reboot"{})'.format(flag)})
    made.run_exec('app/0', 'hooks/other')
    made.run()

    assert hooks(made, 'app/0')[:2] == ['exec hooks/other', 'start']
    assert hooks(made, 'app/0').count('exec hooks/other') == power(made) == 1


@both
def test_a_word_too_many_is_refused_and_nothing_reboots(deployed, juju):
    made = upgraded(deployed, juju, 'told("reboot", tool("juju-reboot", "soon"))')

    assert noted(made, 'app/0', 'reboot') == [[2, 'ERROR unrecognized args: ["soon"]']]
    assert power(made) == 0


@both
def test_a_script_of_a_shell_reboots_its_machine_too(shells, juju):
    made = shells('juju-reboot; juju-log done', juju=juju)
    made.run()

    assert made.log_of('app/0', 'done')
    assert hooks(made, 'app/0')[:2] == ['config-changed', 'start']
    assert power(made) == 1


@both
def test_a_leader_that_reboots_may_lose_its_lease_meanwhile(deployed, juju):
    made = deployed(juju, {'upgrade-charm': LATER})
    made.boot_s = 120.0
    made.upgrade(made.controller.leader)
    forget(made)
    made.run()

    assert made.controller.leader == 'app/1'


@both
def test_now_is_not_answered_in_a_hook_that_is_run_by_hand(deployed, juju):
    made = deployed(juju, {'upgrade-charm': NOW})
    made.debug_hooks('app/0')
    made.upgrade('app/0')

    with pytest.raises(Unanswered, match='juju-reboot --now in a hook that is run by hand'):
        made.run()
