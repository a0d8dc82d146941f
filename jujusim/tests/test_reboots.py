"""Machines that boot, agents that are lost in an action or restart by themselves: R12, R13, R31, R32."""

import pytest

from jujusim.tests.scripts import CHANGED, act, both, forget, hooks, noted, only_3, only_4, run_until, times

WORK = 'subprocess.check_call(["work"])\nsay("1")'


@pytest.fixture
def working(deployed):
    """A model whose upgrade-charm hook, and whose action `work`, run a program of 20 s."""

    def make(juju, scripts=None, **options):
        scripts = {'upgrade-charm': WORK, 'actions/work': WORK, **(scripts or {})}
        return deployed(juju, scripts, machine=lambda unit, argv: (20.0, 0), **options)

    return make


def fails_beside(made, hook, cause):
    """Let a hook of app/0 fail, and an action begin to work beside it."""
    made.fail_hook('app/0', hook)
    cause()
    run_until(made, 'app/0', 'fails')
    made.run_action('app/0', 'work')
    run_until(made, 'app/0', 'works')


# A machine boots


@both
def test_when_its_machine_has_booted_an_idle_unit_runs_start(working, juju):
    made = working(juju)

    made.reboot('app/1')
    made.run()

    assert hooks(made, 'app/1') == ['start'] + ['leader-settings-changed'] * (juju == 3)
    assert times(made, 'app/1', 'begins', 'start')[0] >= times(made, 'app/1', 'loses power')[0] + 20


@both
def test_start_runs_before_the_actions_and_the_configuration_that_came_meanwhile(working, juju):
    made = working(juju)

    made.reboot('app/0')
    made.run_action('app/0', 'look')
    made.configure(go=1)
    made.run()

    assert hooks(made, 'app/0') == ['start', 'action look', 'config-changed']


@both
def test_a_hook_under_way_has_failed_and_runs_again_5_s_after_the_boot_before_start_with_what_it_queued(
    working, juju
):
    made = working(juju)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.reboot('app/0')
    made.run()

    assert hooks(made, 'app/0') == ['upgrade-charm', 'upgrade-charm', 'config-changed', 'start']
    back = times(made, 'app/0', 'is back')[0]
    assert times(made, 'app/0', 'begins', 'upgrade-charm')[1] - back == pytest.approx(5, rel=0.11)


@both
def test_its_programs_are_gone_with_the_power(working, juju):
    made = working(juju)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.run(seconds=5)
    made.reboot('app/0', seconds=5)
    made.run()

    assert len(times(made, 'app/0', 'works')) == 2
    assert len(times(made, 'app/0', 'worked')) == 1


@both
def test_so_are_a_killed_hooks_program_and_a_hook_that_had_lost_its_agent(working, juju):
    made = working(juju)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.kill_hook('app/0', child_lives=True)
    made.upgrade('app/1')
    run_until(made, 'app/1', 'works')
    made.die_agent('app/1')
    for unit in ('app/0', 'app/1'):
        made.reboot(unit)
    made.run()

    assert len(times(made, 'app/0', 'worked')) == len(times(made, 'app/1', 'worked')) == 1
    assert not times(made, 'app/1', 'ends beside')


@both
def test_a_hook_that_was_killed_before_runs_again_at_once_then_start(working, juju):
    made = working(juju)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.kill_hook('app/0')
    made.reboot('app/0')
    made.run()

    assert hooks(made, 'app/0')[:4] == ['upgrade-charm', 'upgrade-charm', 'config-changed', 'start']
    back, again = times(made, 'app/0', 'is back')[0], times(made, 'app/0', 'begins')[1]
    assert again - back < 1


@both
def test_a_new_unit_that_has_not_started_runs_no_other_start(model, charm, juju):
    made = model(charm({}), units=1, juju=juju)

    run_until(made, 'app/0', 'begins', 'install')
    made.reboot('app/0')
    made.run()

    assert hooks(made, 'app/0').count('start') == 1


@both
def test_an_agent_that_restarts_before_start_began_forgets_that_the_machine_booted(working, juju):
    made = working(juju)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.reboot('app/0')
    run_until(made, 'app/0', 'is back')
    made.die_agent('app/0')
    made.run()

    assert 'start' not in hooks(made, 'app/0')


@both
def test_a_leaving_unit_whose_machine_boots_in_stop_starts_and_stops_again(deployed, juju):
    made = deployed(juju, {'stop': 'time.sleep(30)'})

    made.remove_unit('app/1')
    run_until(made, 'app/1', 'begins', 'stop')
    made.run(seconds=5)
    made.reboot('app/1')
    made.run()

    assert hooks(made, 'app/1')[-5:] == ['stop', 'stop', 'start', 'stop', 'remove']


@both
def test_what_systemd_run_has_booked_is_gone(deployed, juju):
    book = 'subprocess.check_call(["systemd-run", "--on-active=30", "juju-exec", ME, "hooks/other"])'
    made = deployed(juju, {'upgrade-charm': book, 'other': 'note("other")'})

    made.upgrade('app/0')
    run_until(made, 'app/0', 'ends', 'upgrade-charm')
    made.reboot('app/0', seconds=5)
    made.run(seconds=100)

    assert noted(made, 'app/0', 'other') == []


# The agent is lost in an action beside a failed hook


@both
@pytest.mark.parametrize('lose', ['die_agent', 'partition'])
def test_a_failed_hook_counts_as_done_where_the_agent_is_lost_in_an_action(working, juju, lose):
    made = working(juju)
    fails_beside(made, CHANGED, lambda: made.run_action('app/1', 'say-a'))

    made.die_agent('app/0') if lose == 'die_agent' else made.partition('app/0', 5)
    made.run()

    assert hooks(made, 'app/0')[:2] == [CHANGED + ' (app/1)', 'action work']
    assert not any(text.startswith(CHANGED) for text in hooks(made, 'app/0')[2:])
    assert not made.agents['app/0'].local.in_error


@both
def test_a_commit_that_is_lost_under_an_action_alone_leaves_the_hook_failed(working, juju):
    made = working(juju)
    fails_beside(made, CHANGED, lambda: made.run_action('app/1', 'say-a'))

    made.lose_commit('app/0')
    made.run()

    assert hooks(made, 'app/0') == [CHANGED + ' (app/1)', 'action work', CHANGED + ' (app/1)']


@both
def test_after_juju_exec_that_lost_its_agent_the_hook_is_retried(working, juju):
    made = working(juju)
    made.fail_hook('app/0', CHANGED)
    made.run_action('app/1', 'say-a')
    run_until(made, 'app/0', 'fails')
    made.run_exec('app/0', 'actions/work')
    run_until(made, 'app/0', 'works')

    made.die_agent('app/0')
    made.run()

    assert hooks(made, 'app/0')[2:3] in ([CHANGED + ' (app/1)'], ['leader-settings-changed'])
    assert hooks(made, 'app/0').count(CHANGED + ' (app/1)') == 2


@both
def test_after_a_reboot_in_an_action_start_is_next_and_the_failed_hook_runs_for_its_news(working, juju):
    made = working(juju)
    fails_beside(made, CHANGED, lambda: made.run_action('app/1', 'say-a'))

    made.reboot('app/0')
    made.run()

    assert hooks(made, 'app/0') == [CHANGED + ' (app/1)', 'action work', 'start', CHANGED + ' (app/1)']


@both
def test_a_failed_upgrade_charm_is_lost_then_for_nothing_tells_of_it(working, juju):
    made = working(juju, {'upgrade-charm': ''})
    fails_beside(made, 'upgrade-charm', lambda: made.upgrade('app/0'))

    made.reboot('app/0')
    made.run()

    assert hooks(made, 'app/0') == ['upgrade-charm', 'action work', 'start']


@only_4
def test_a_failed_leader_elected_is_lost_then_too(working, juju):
    made = working(juju)
    fails_beside(made, 'leader-elected', lambda: (made.elect('app/1'), made.elect('app/0', after_s=5)))

    made.reboot('app/0')
    made.run()

    assert hooks(made, 'app/0') == ['leader-elected', 'action work', 'start']


# A killed hook


@both
def test_before_a_killed_hook_runs_again_juju_exec_runs_and_no_action(working, juju):
    made = working(juju)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.run_action('app/0', 'look')
    made.run_exec('app/0', 'actions/list', as_action=True)
    made.run_exec('app/0', 'actions/list')
    made.kill_hook('app/0')
    made.run()

    again = ['upgrade-charm', 'exec actions/list', 'upgrade-charm']
    assert hooks(made, 'app/0') == [*again, 'action look', 'exec actions/list', 'config-changed']


# An agent restarts by itself


@both
def test_an_agent_that_restarts_by_itself_waits_for_the_end_of_its_hook(working, juju):
    made = working(juju)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.restart_agent('app/0')
    made.run()

    assert hooks(made, 'app/0') == ['upgrade-charm', 'config-changed']
    assert times(made, 'app/0', 'ends', 'upgrade-charm')[0] < times(made, 'app/0', 'stops its agent')[0]
    assert times(made, 'app/0', 'is back') == [times(made, 'app/0', 'stops its agent')[0] + 3]
    assert times(made, 'app/0', 'fails') == []


@both
def test_it_reads_its_members_anew_and_runs_no_config_changed(deployed, juju):
    made = deployed(juju, {CHANGED: 'time.sleep(50)'})
    act(made, 'app/0', 'look')
    made.run_action('app/1', 'say-a')
    made.run(seconds=5)
    forget(made)

    made.restart_agent('app/0')
    made.run()
    act(made, 'app/0', 'look')

    assert noted(made, 'app/0', 'sees') == [['a']]
    assert 'config-changed' not in hooks(made, 'app/0')


@only_3
def test_on_3_a_unit_that_does_not_lead_runs_leader_settings_changed(working, juju):
    made = working(juju)

    made.restart_agent('app/0')
    made.restart_agent('app/1')
    made.run()

    assert (hooks(made, 'app/0'), hooks(made, 'app/1')) == ([], ['leader-settings-changed'])


@both
def test_a_failed_hook_waits_5_s_anew_after_any_restart_of_its_agent(working, juju):
    made = working(juju)
    made.fail_hook('app/0', 'update-status', times=4)
    made.update_status('app/0')
    made.run(until=lambda: len(times(made, 'app/0', 'fails')) == 4)

    made.restart_agent('app/0', seconds=30)
    made.run()

    back, again = times(made, 'app/0', 'is back')[0], times(made, 'app/0', 'begins')[-1]
    assert again - back == pytest.approx(5, rel=0.11)
    assert len(times(made, 'app/0', 'begins')) == 5


@both
@pytest.mark.parametrize('call', ['reboot', 'restart_agent'])
def test_a_unit_that_is_gone_neither_boots_nor_restarts(working, juju, call):
    made = working(juju)
    made.lose_unit('app/1', force=True)
    forget(made)

    getattr(made, call)('app/1')
    made.run()

    assert times(made, 'app/1', 'loses power') == times(made, 'app/1', 'is back') == []
