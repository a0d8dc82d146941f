"""What a client of Juju 4.0.14 printed on a real controller, beside what the local Juju's prints.

records/ has what was printed on a model `lab2` with the application `lead` of
the charm `rdb-lead`, an older build of the example: of twenty units, on a manual
cloud. What depends on that is compared by its form: the keys, their order, and
the types of the values.
"""

import json
import re
from pathlib import Path

import pytest

RECORDS = Path(__file__).parent / 'records'
CODES = dict(line.split() for line in (RECORDS / 'exit-codes.txt').read_text().splitlines())

COMMANDS = {
    'version': 'version',
    'status-json': 'status --format json',
    'status-text': 'status',
    'machines': 'machines --format json',
    'models-json': 'models --format json',
    'show-model': 'show-model --format json',
    'show-unit': 'show-unit lead/0 --format json',
    'show-action': 'actions lead --format json',
    'config-json': 'config lead --format json',
    'config-one': 'config lead memory',
    'config-bad': 'config lead nosuch=1 --format json',
    'no-app': 'config nosuch --format json',
    'no-model': 'status -m nosuch',
    'no-action': 'run lead/0 nosuch',
    'no-unit': 'exec --unit lead/99 -- hostname',
    'run-json': 'run lead/0 restart --format json',
    'run-text': 'run lead/0 restart',
    'exec-json': 'exec --format json --unit lead/0 -- echo m2',
    'exec-text': 'exec --unit lead/0 -- echo m2',
    'exec-fail-json': 'exec --format json --unit lead/0 -- ',
    'resolve-not-error': 'resolve lead/0',
    'refresh': 'refresh lead --path ',
    'add-unit': 'add-unit lead',
    'debug-log': 'debug-log --limit 3',
}


def record(name):
    return (RECORDS / name).read_text()


@pytest.fixture
def does(lab):
    """Does one of the commands."""

    def command(name):
        last = {'refresh': [lab.charm], 'exec-fail-json': ['echo out; echo err >&2; exit 3']}
        return lab(*COMMANDS[name].split(), *last.get(name, []))

    return command


def known(text):
    """Return a text with what differs from model to model replaced."""
    text = re.sub(r'\bjujusim:', 'c:', text)
    text = re.sub(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'UUID', text)
    return re.sub(r'\b([Oo]peration|task|id) ("?)\d+', r'\1 \2N', text)


SAME = ('config-json', 'config-one', 'config-bad', 'no-app', 'no-model', 'no-action', 'no-unit', 'exec-text')
SAME += ('resolve-not-error', 'refresh', 'add-unit')


@pytest.mark.parametrize('name', SAME)
def test_it_prints_the_same_as_the_real_client(does, name):
    found = does(name)

    assert found.code == int(CODES[name])
    assert known(found.out) == known(record(name + '.out'))
    if (RECORDS / (name + '.err')).exists():
        assert known(found.err) == known(record(name + '.err'))


def shape(found):
    """Return what a value is made of: keys in order, and types; units and machines of one form count once."""
    if isinstance(found, dict):
        items = [(re.sub(r'^(\w+/)?\d+$', 'N', key), shape(value)) for key, value in found.items()]
        return tuple(item for place, item in enumerate(items) if item not in items[:place])
    if isinstance(found, list):
        return tuple(shape(value) for value in found[:1])
    return type(found).__name__


@pytest.mark.parametrize('name', ['run-json', 'exec-json', 'exec-fail-json'])
def test_the_result_of_a_task_has_the_form_of_the_record(does, name):
    found = does(name)

    assert found.code == int(CODES[name])
    assert shape(json.loads(found.out)) == shape(json.loads(record(name + '.out')))
    if (RECORDS / (name + '.err')).exists():
        assert known(found.err) == known(record(name + '.err'))


def test_what_an_action_returns_is_printed_as_in_the_record(does):
    found = does('run-text')

    assert re.fullmatch(r"restart: '?restart: .*'?\n\n", record('run-text.out'))
    assert re.fullmatch(r"restart: '?restart: [^']*'?\n\n", found.out, re.DOTALL)
    assert known(found.err) == known(record('run-text.err'))


FORMS = ('machines', 'models-json', 'show-model', 'show-action')


@pytest.mark.parametrize('name', FORMS)
def test_what_is_shown_in_json_has_the_keys_of_the_record(does, name):
    ours, real = (json.loads(text) for text in (does(name).out, record(name + '.out')))
    if name == 'models-json':
        del real['models'][0]  # the controller's own model, which is not there here

    if name == 'machines':
        assert set(shape(ours['machines'])) <= set(shape(real['machines']))
    elif name == 'show-action':
        assert set(map(type, ours.values())) == set(map(type, real.values())) == {str}
    else:
        assert shape(ours) == shape(real)


def test_a_unit_is_shown_with_its_relation_as_in_the_record(does):
    ours, real = (json.loads(text)['lead/0'] for text in (does('show-unit').out, record('show-unit.out')))

    assert list(ours) == list(real)
    assert ours['opened-ports'] is real['opened-ports'] is None
    for found in (ours, real):
        relation = found['relation-info'][0]
        assert list(relation) == list(real['relation-info'][0])
        assert all(list(other) == ['in-scope', 'data'] for other in relation['related-units'].values())
        assert {'egress-subnets', 'ingress-address'} <= set(relation['local-unit']['data'])


def test_status_in_json_has_the_form_of_the_record(does):
    ours, real = (json.loads(text) for text in (does('status-json').out, record('status-json.out')))

    assert list(ours) == list(real)
    for part in ('model', 'storage', 'controller'):
        assert shape(ours[part]) == shape(real[part])
    assert set(shape(ours['machines'])) <= set(shape(real['machines']))
    own, theirs = ours['applications']['lead'], real['applications']['lead']
    assert list(own) == list(theirs)
    agents = [
        {unit['juju-status'].pop('message', '') for unit in app['units'].values()} for app in (own, theirs)
    ]
    assert set(shape(own['units'])) <= set(shape(theirs['units']))
    assert all(re.fullmatch(r'(running [\w-]+ hook( for lead/\d+)?)?', text) for text in set.union(*agents))
    assert own['relations'] == theirs['relations']
    assert own['endpoint-bindings'] == theirs['endpoint-bindings']
    times = re.findall(r'"since":"([^"]*)"', json.dumps(ours, separators=(',', ':')))
    assert times
    assert all(re.fullmatch(r'\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\dZ', time) for time in times)


def test_status_as_text_has_the_heads_and_the_columns_of_the_record(does):
    def heads(text):
        return [re.split(r'\s{2,}', part.splitlines()[0]) for part in text.split('\n\n') if part]

    assert heads(does('status-text').out) == heads(record('status-text.out'))
    for text in (does('status-text').out, record('status-text.out')):
        units = text.split('\n\n')[2].splitlines()
        agent, machine = units[0].index('Agent'), units[0].index('Machine')
        assert {line[agent:machine].strip() for line in units[1:]} <= {'idle', 'executing', 'allocating'}
        assert sum('*' in line for line in units[1:]) == 1


def test_a_line_of_the_log_has_the_form_of_the_record(does):
    form = re.compile(r'unit-lead-\d+: \d\d:\d\d:\d\d [A-Z]+ [\w./-]+ .+')

    for text in (does('debug-log').out, record('debug-log.out')):
        lines = text.splitlines()
        assert len(lines) == 3
        assert all(form.fullmatch(line) for line in lines)


def test_removing_units_prints_the_same(lab):
    found = lab('remove-unit', '--no-prompt', 'lead/2', 'lead/3')

    lines = record('remove-unit.txt').splitlines()
    assert found.out.splitlines() == ['will remove unit lead/2', 'will remove unit lead/3']
    assert all(re.fullmatch(r'will remove unit lead/\d+', line) for line in lines)


def test_the_version_has_the_form_of_the_record(juju):
    assert re.fullmatch(r'4\.0\.14-ubuntu-\w+\n', record('version.out'))
    assert re.fullmatch(r'4\.0\.14-ubuntu-\w+\n', juju('version').out)


def test_every_command_ends_with_the_recorded_exit_code(does):
    assert {name: does(name).code for name in COMMANDS} == {name: int(CODES[name]) for name in COMMANDS}
    assert set(CODES) - set(COMMANDS) == {'model-config'}
