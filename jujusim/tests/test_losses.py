"""Files, data and tools that are lost."""

import pytest

from jujusim.tests.scripts import CHANGED, act, both, forget, hooks, noted, published, run_until, times

GOAL = 'note("goal", tool("goal-state", "--format=json").returncode)'


@both
def test_a_unit_loses_the_files_its_hooks_wrote_and_keeps_what_the_charm_brought(deployed, juju):
    made = deployed(juju, {'config-changed': 'open("a.db", "w");open("b.db", "w");open("c.txt", "w")'})
    made.configure(go=1)
    made.run()

    lost = made.lose_store('app/0', '*.db', 'metadata.yaml', 'hooks/*', 'none')

    place = made._charm_dir('app/0')
    assert lost == ['a.db', 'b.db']
    assert {'c.txt', 'hooks', 'metadata.yaml'} <= {path.name for path in place.iterdir()}
    assert (place / 'hooks' / 'config-changed').exists()
    assert (made._charm_dir('app/1') / 'a.db').exists()


@both
def test_a_databag_that_is_lost_keeps_its_addresses_and_peers_hear_of_it(deployed, juju):
    made = deployed(juju)
    act(made, 'app/0', 'say-a')
    forget(made)

    made.lose_databag('app/0')
    made.run()

    assert published(made, 'app/0') is None
    assert 'ingress-address' in made.controller.units['app/0'].settings
    assert hooks(made, 'app/1') == [CHANGED + ' (app/0)']


@both
def test_one_key_of_a_databag_is_lost(deployed, juju):
    made = deployed(juju)
    act(made, 'app/0', 'say-a')
    made.poison('app/0', 'other', 'x')
    made.run()

    made.lose_databag('app/0', 'other')

    assert published(made, 'app/0') == 'a'
    assert 'other' not in made.controller.units['app/0'].settings


@both
def test_what_leaders_wrote_is_lost_by_the_beginning_of_its_key(deployed, juju):
    script = 'tool("leader-set", "aa=1", "ab=2", "b=3") if {} == 3 else '.format(juju)
    made = deployed(
        juju,
        {'upgrade-charm': script + 'tool("relation-set", "-r", RELATION, "--app", "aa=1", "ab=2", "b=3")'},
    )
    made.upgrade('app/0')
    made.run()
    forget(made)

    made.lose_app_data('a')
    made.run()
    heard = hooks(made, 'app/1')
    left = dict(made.controller.leader_settings or made.controller.app_settings)
    made.lose_app_data()

    assert left == {'b': '3'}
    assert heard == ['leader-settings-changed' if juju == 3 else CHANGED]
    assert made.controller.leader_settings == made.controller.app_settings == {}


@both
def test_a_tool_fails_once_or_for_ever_in_one_unit(deployed, juju):
    made = deployed(juju, {'actions/goal': GOAL})

    def codes(unit):
        forget(made)
        act(made, unit, 'goal')
        act(made, unit, 'goal')
        return [code for (code,) in noted(made, unit, 'goal')]

    made.fail_tool('app/0', 'goal-state')
    once = codes('app/0'), codes('app/1')
    made.fail_tool('app/0', 'goal-state', times=None, code=2)
    for_ever = codes('app/0') + codes('app/0')
    made.fail_tool('app/0', 'goal-state', times=0)

    assert once == ([1, 0], [0, 0])
    assert for_ever == [2, 2, 2, 2]
    assert codes('app/0') == [0, 0]


@both
def test_a_hook_whose_tool_fails_fails_and_runs_again_while_the_unit_leads(deployed, juju):
    tool = 'leader-set' if juju == 3 else 'relation-set'
    write = '["leader-set", "word=a"]' if juju == 3 else '["relation-set", "-r", RELATION, "--app", "word=a"]'
    made = deployed(juju, {'upgrade-charm': 'subprocess.check_call({})'.format(write)})

    made.fail_tool('app/0', tool)
    made.upgrade('app/0')
    run_until(made, 'app/0', 'fails')
    leads = made.controller.leader
    made.run()

    assert leads == 'app/0'
    assert len(times(made, 'app/0', 'cannot use', tool)) == 1
    assert (made.controller.leader_settings or made.controller.app_settings) == {'word': 'a'}


def test_a_tool_that_does_not_exist_cannot_fail(deployed):
    with pytest.raises(ValueError, match="expected a hook tool but juju-log, found 'goal'"):
        deployed(3).fail_tool('app/0', 'goal')
