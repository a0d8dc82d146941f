"""A write as a leader that passes its check and lands later: the gaps of Juju 3.0 to 3.6 and of 4.0."""

import pytest

from jujusim.tests.scripts import act, hooks, noted, only_3, only_4, published, run_until, times


def writes_late(made, **how):
    made.delay_next_write('app/0', 10, **how)
    made.run_action('app/0', 'lead-a')
    run_until(made, 'app/0', 'writes late')
    made.elect('app/1')


@only_3
def test_a_leader_set_that_passed_its_check_lands_after_another_unit_leads(deployed, juju):
    made = deployed(juju)

    writes_late(made)
    made.run(seconds=5)
    before = dict(made.controller.leader_settings)
    made.run()

    assert (before, made.controller.leader_settings) == ({}, {'word': 'a'})
    assert noted(made, 'app/0', 'lead') == [[0, '']]
    assert 'leader-settings-changed' in hooks(made, 'app/0')  # it leads no more


@only_3
@pytest.mark.parametrize('blindly', [False, True])
def test_a_late_leader_set_is_checked_again_where_the_new_leader_has_written(deployed, juju, blindly):
    made = deployed(juju)

    writes_late(made, blindly=blindly)
    made.controller.write_leader_settings('app/1', {'more': 'b'})
    made.run()

    ((code, said),) = noted(made, 'app/0', 'lead')
    assert made.controller.leader_settings == {'more': 'b', **({'word': 'a'} if blindly else {})}
    assert code == (0 if blindly else 1)
    assert said.endswith('app/0 is not leader of app') != blindly


@only_3
def test_a_late_leader_set_of_a_hook_that_was_killed_lands_all_the_same(deployed, juju):
    script = 'os.path.exists("ran") or (open("ran", "w"), tool("leader-set", "word=a"))'
    made = deployed(juju, {'upgrade-charm': script}, units=1)

    made.delay_next_write('app/0', 10)
    made.upgrade('app/0')
    run_until(made, 'app/0', 'writes late')
    made.kill_hook('app/0')
    made.run(seconds=5)
    before = dict(made.controller.leader_settings)
    made.run(seconds=5.1)

    assert (before, made.controller.leader_settings) == ({}, {'word': 'a'})


@only_3
def test_a_unit_that_does_not_lead_is_refused_at_once_though_its_write_would_be_late(deployed, juju):
    made = deployed(juju)

    made.delay_next_write('app/1', 10)
    act(made, 'app/1', 'lead-a')

    ((code, _),) = noted(made, 'app/1', 'lead')
    assert (code, made.controller.leader_settings) == (1, {})


@only_4
def test_a_batch_that_passed_its_check_lands_after_another_unit_leads(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'say("own");say("led", "--app")'})

    made.delay_next_write('app/0', 10)
    made.upgrade('app/0')
    run_until(made, 'app/0', 'writes late')
    made.elect('app/1')
    made.run(seconds=9)
    before = dict(made.controller.app_settings)
    made.run()

    assert (before, made.controller.app_settings) == ({}, {'word': 'led'})
    assert published(made, 'app/0') == 'own'
    assert times(made, 'app/0', 'fails') == []


@only_4
@pytest.mark.parametrize('dies, runs', [('kill_hook', 1), ('die_agent', 2)])
def test_a_late_batch_lands_and_its_hook_runs_again_if_the_agent_dies(deployed, juju, dies, runs):
    script = 'os.path.exists("ran") or (open("ran", "w"), say("led", "--app"))'
    made = deployed(juju, {'upgrade-charm': script}, units=1)

    made.delay_next_write('app/0', 10)
    made.upgrade('app/0')
    run_until(made, 'app/0', 'writes late')
    getattr(made, dies)('app/0')
    made.run(seconds=5)
    before = dict(made.controller.app_settings)
    made.run()

    assert (before, made.controller.app_settings) == ({}, {'word': 'led'})
    assert hooks(made, 'app/0').count('upgrade-charm') == runs  # the process of the hook was over


@only_4
def test_a_write_that_would_be_late_is_of_the_next_hook_that_writes_as_a_leader(deployed, juju):
    made = deployed(juju)

    made.delay_next_write('app/0', 10)
    act(made, 'app/0', 'say-a')
    early = times(made, 'app/0', 'writes late')
    act(made, 'app/0', 'app-a')

    assert early == []
    assert len(times(made, 'app/0', 'writes late')) == 1
