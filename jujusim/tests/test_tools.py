"""Actions, hook tools and the environment of a hook: R27 to R29."""

import pytest

from jujusim import tools
from jujusim.tests.scripts import CHANGED, act, both, hooks, noted, only_4, published, times

# R27: actions


@both
def test_an_action_goes_before_relation_hooks_and_after_leader_elected(deployed, juju):
    made = deployed(juju)

    made.run_action('app/1', 'nap')
    made.run(seconds=5)
    made.run_action('app/0', 'say-a')
    made.elect('app/1')
    made.run_action('app/1', 'look')
    made.run()

    assert hooks(made, 'app/1') == ['action nap', 'leader-elected', 'action look', CHANGED + ' (app/0)']


@both
def test_an_action_waits_until_the_unit_is_installed(deployed, juju):
    made = deployed(juju)

    added = made.add_unit()
    act(made, added, 'say-a')

    assert hooks(made, added)[0] == 'install'
    assert published(made, added) == 'a'


@both
def test_an_action_has_an_empty_hook_name_and_its_own(deployed, juju):
    names = '"JUJU_HOOK_NAME", "JUJU_ACTION_NAME", "JUJU_DISPATCH_PATH"'
    made = deployed(juju, {'actions/env': 'note("env", *[os.environ[name] for name in ({})])'.format(names)})

    act(made, 'app/0', 'env')

    assert noted(made, 'app/0', 'env') == [['', 'env', 'actions/env']]


@both
@pytest.mark.parametrize('ending, lands', [('tool("action-fail", "no")', 'a'), ('sys.exit(1)', None)])
def test_an_action_publishes_unless_its_script_fails_and_puts_no_unit_in_error(deployed, juju, ending, lands):
    made = deployed(juju, {'actions/try': 'say("a");' + ending})

    act(made, 'app/0', 'try')

    assert published(made, 'app/0') == lands
    assert not made.agents['app/0'].local.in_error


@both
def test_the_history_tells_what_an_action_answered_and_why_it_failed(deployed, juju):
    made = deployed(juju, {'actions/try': 'tool("action-set", "a=b"); tool("action-fail", "too late")'})

    act(made, 'app/0', 'try')

    assert [event.text for event in made.history if event.what == 'ran'] == [
        'action try: failed: too late, a: b'
    ]


def test_an_action_gets_its_parameters_above_the_defaults_of_actions_yaml(deployed):
    files = {'actions.yaml': 'grow: {params: {by: {type: integer, default: 1}, to: {type: string}}}'}
    script = 'note("get", *[ask("action-get", *key) for key in ([], ["by"], ["how.fast"], ["no.such"])])'
    made = deployed(3, {'actions/grow': script}, units=1, files=files)

    made.run_action('app/0', 'grow', how={'fast': 'very'})
    made.run()

    everything = {'by': 1, 'how': {'fast': 'very'}}
    assert noted(made, 'app/0', 'get') == [[everything, 1, 'very', None]]


@both
def test_action_tools_are_refused_outside_an_action(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'told("set", tool("action-set", "a=b"))'})

    made.upgrade('app/0')
    made.run()

    assert noted(made, 'app/0', 'set') == [[1, 'ERROR not running an action']]


# R28, R29: tools and environment


@only_4
@pytest.mark.parametrize('name', ['leader-get', 'leader-set'])
def test_juju_4_has_no_leader_settings_at_all(deployed, juju, name):
    script = 'try:\n    tool("{}")\nexcept FileNotFoundError as error:\n    note("no", error.filename)'
    made = deployed(juju, {'actions/lead': script.format(name)})

    act(made, 'app/0', 'lead')

    assert noted(made, 'app/0', 'no') == [[name]]


@both
@pytest.mark.parametrize(
    'call',
    [
        ['network-get', 'cluster', '--format=json'],
        ['hostname'],
        ['relation-list', '--format=json', '--app'],
        ['relation-get', '--format=yaml', '-', 'app/0'],
        ['relation-get', '--format=json', '-', 'app/0', 'app/1'],
        ['config-get', '--format=json', '--all', 'go'],
        ['status-set', 'active'],
        ['juju-log', '--loud', 'text'],
    ],
    ids=' '.join,
)
def test_what_this_juju_has_no_answer_for_stops_the_run(deployed, juju, call):
    made = deployed(juju, {'actions/odd': 'tool(*{!r})'.format(call)}, units=1)

    with pytest.raises(tools.Unanswered):
        act(made, 'app/0', 'odd')


@both
@pytest.mark.parametrize(
    'call, code, error',
    [
        (['relation-list', '--format=json'], 2, 'no relation id specified'),
        (['relation-list', '--format=json', '-r', 'cluster:9'], 2, 'relation not found'),
        (['relation-get', '--format=json', '-r', 'cluster:0', '-'], 2, 'no unit or application'),
        (['relation-get', '--format=json', '-r', 'cluster:0', '-', 'app'], 2, 'expected unit name'),
        (['relation-get', '--format=json', '-r', 'cluster:0', 'no-such', 'app/0'], 0, ''),
        (['relation-set', '-r', 'cluster:0', 'word'], 2, 'expected "key=value", got "word"'),
        (['relation-set', '-r', 'cluster:0'], 0, ''),
        (['config-get', '--format=json', 'no-such'], 0, ''),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else None,
)
def test_a_tool_ends_with_jujus_exit_code(deployed, juju, call, code, error):
    made = deployed(juju, {'actions/call': 'told("call", tool(*{!r}))'.format(call)}, units=1)

    act(made, 'app/0', 'call')

    [[found, said]] = noted(made, 'app/0', 'call')
    assert found == code
    assert error in said
    assert said.startswith('ERROR ' if code else '')


def test_the_address_of_a_unit_is_the_one_in_its_databag(deployed):
    made = deployed(3, {'actions/ask': 'note("address", ask("unit-get", "private-address"))'})

    act(made, 'app/1', 'ask')

    address = made.controller.units['app/1'].settings['ingress-address']
    assert noted(made, 'app/1', 'address') == [[address]]


@pytest.mark.parametrize(
    'call', [['open-port', '80/TCP'], ['close-port', '80/TCP'], ['application-version-set', '1.2']]
)
def test_ports_and_the_applications_version_are_accepted(deployed, call):
    made = deployed(3, {'actions/call': 'told("call", tool(*{!r}))'.format(call)}, units=1)

    act(made, 'app/0', 'call')

    assert noted(made, 'app/0', 'call') == [[0, '']]


@both
def test_an_absent_hook_succeeds_and_an_absent_action_fails(deployed, juju):
    made = deployed(juju, units=1)

    made.configure(go=1)
    act(made, 'app/0', 'no-such')

    assert times(made, 'app/0', 'ends', 'config-changed')
    assert times(made, 'app/0', 'fails', 'action no-such')


@both
def test_configuration_and_status_are_read_once_a_hook(deployed, juju):
    read = 'note("read", ask("config-get", "go"), ask("status-get")["status"])\n'
    script = read + 'tool("status-set", "active", "")\ntime.sleep(30)\n' + read
    made = deployed(juju, {'actions/read': script})

    made.run_action('app/0', 'read')
    made.run(seconds=10)
    made.configure(go=5)
    made.run()

    assert noted(made, 'app/0', 'read') == [[0, 'waiting'], [0, 'waiting']]


@both
def test_a_hook_inherits_nothing_and_runs_in_its_charm(deployed, juju, monkeypatch):
    monkeypatch.setenv('OF_THE_TEST_RUN', 'yes')
    names = ['OF_THE_TEST_RUN', 'HOME', 'JUJU_UNIT_NAME']
    script = 'note("env", [name for name in {} if name in os.environ])\n'.format(names)
    made = deployed(juju, {'actions/env': script + 'note("cwd", os.getcwd() == os.environ["CHARM_DIR"])'})

    act(made, 'app/1', 'env')

    assert noted(made, 'app/1', 'env') == [[['JUJU_UNIT_NAME']]]
    assert noted(made, 'app/1', 'cwd') == [[True]]


@both
def test_only_a_relation_hook_has_its_relation_in_the_environment(deployed, juju):
    names = ['JUJU_HOOK_NAME', 'JUJU_RELATION', 'JUJU_RELATION_ID', 'JUJU_REMOTE_UNIT', 'JUJU_DEPARTING_UNIT']
    script = 'note("env", *[os.environ.get(name) for name in {}])'.format(names)
    made = deployed(juju, {CHANGED: script, 'upgrade-charm': script})

    act(made, 'app/1', 'say-a')
    made.upgrade('app/0')
    made.run()

    of_relation = [CHANGED, 'cluster', 'cluster:0', 'app/1', None]
    assert noted(made, 'app/0', 'env') == [of_relation, ['upgrade-charm', None, None, None, None]]


@both
@pytest.mark.parametrize('zones', [(), ('a', 'b')])
def test_each_machine_has_its_zone_in_every_context_and_an_empty_one_where_the_cloud_has_none(
    deployed, juju, zones
):
    script = 'note("zone", os.environ["JUJU_AVAILABILITY_ZONE"])'
    made = deployed(juju, {'upgrade-charm': script, 'update-status': script}, units=3, zones=zones)

    for unit in made.units:
        made.upgrade(unit)
    made.run(seconds=700)

    for place, unit in enumerate(made.units):
        assert {text for (text,) in noted(made, unit, 'zone')} == {zones[place % 2] if zones else ''}
