"""What tasks of the local Juju return, failed hooks, and what a machine does."""

import json
import re

from tests.cli.small import units

# Tasks


def test_an_action_returns_what_it_set_and_printed(deployed):
    found = json.loads(deployed('run db/0 db/1 count to=5 --format json').out)

    assert list(found) == ['db/0', 'db/1']
    assert found['db/0']['results'] == {'n': {'last': '5'}, 'return-code': 0, 'stdout': 'counting\n'}
    assert deployed('run db/0 count').out == "n:\n  last: '3'\n\ncounting\n"


def test_an_action_fails_by_its_own_word_or_by_its_exit_code(deployed):
    found = deployed('run db/0 fail')
    assert found.code == 0
    assert re.fullmatch(r'Action id \d+ failed: not today\n\n', found.out)

    found = deployed('run db/0 break --format json')
    about = json.loads(found.out)['db/0']
    assert found.code == 1
    assert (about['status'], about['message'], about['results']['return-code']) == (
        'failed',
        'exit status 4',
        4,
    )
    assert 'with return code 4' in found.err


def test_an_action_whose_agent_dies_has_failed(deployed, charm):
    deployed('config db size=2')
    deployed('status', step=3.0)
    number = deployed('run db/0 count --background').err.split('task ')[1].split('\n')[0]
    live = deployed.model.live
    live.run(
        until=lambda: any(unit == 'db/0' and live.running[unit].operation.action for unit in live.running)
    )

    deployed('ssh 0 sudo systemctl restart jujud-machine-0')
    deployed('status', step=10.0)

    task = json.loads(deployed('show-task {} --format json'.format(number)).out)
    assert (task['status'], task['message']) == ('failed', 'action terminated')


def test_a_command_on_all_units_prints_each(deployed):
    assert deployed('exec -a db hostname').code == 0
    assert deployed('exec -u db/0,db/1 -- basename metadata.yaml .yaml').out == (
        'db/0:\nmetadata\n\ndb/1:\nmetadata\n\n'
    )


# Errors, and a model that stands still


def test_a_failed_hook_is_shown_and_logged_and_its_retry_can_be_skipped(deployed):
    deployed('model-config automatically-retry-hooks=false')
    deployed('exec -u db/1 -- touch ill')
    deployed('config db size=2')
    deployed('status', step=30.0)

    unit = units(deployed)['db/1']
    assert unit['workload-status']['current'] == 'error'
    assert unit['workload-status']['message'] == 'hook failed: "config-changed"'
    assert unit['juju-status']['current'] == 'idle'
    since = unit['workload-status']['since']
    deployed('status', step=30.0)
    assert units(deployed)['db/1']['workload-status']['since'] == since
    log = deployed('debug-log --include db/1 --level ERROR').out
    assert 'hook "config-changed" (via explicit, bespoke hook script) failed: exit status 1' in log

    assert deployed('resolve db/1').code == 0
    deployed('status', step=30.0)
    assert units(deployed)['db/1']['workload-status']['current'] == 'error'
    deployed('exec -u db/1 -- rm ill')
    assert deployed('resolve --no-retry db/1').code == 0
    deployed('status', step=1.0)
    assert units(deployed)['db/1']['workload-status']['current'] == 'active'


def test_a_program_that_no_machine_answers_stops_the_model_with_its_name(model, charm):
    (charm / 'hooks' / 'install').write_text(
        '#!/usr/bin/env python3\nimport subprocess\nsubprocess.call(["reboot"])\n'
    )
    model('deploy {}'.format(charm))

    for text in ('status', 'config db size=2'):
        found = model(text)
        assert found.code == 2
        assert 'no answer for the program reboot' in found.err
    assert model('debug-log').code == 0


# Machines


def test_units_are_placed_on_free_machines_or_on_those_that_are_named(model, charm):
    assert model('add-machine -n 3').err == 'created machine 0\ncreated machine 1\ncreated machine 2\n'
    model('deploy {} -n 2 --to 2,0'.format(charm))
    assert [unit['machine'] for unit in units(model).values()] == ['2', '0']
    model('add-unit db -n 2')
    assert [unit['machine'] for unit in units(model).values()] == ['2', '0', '1', '3']


def test_a_leader_whose_agent_is_stopped_is_lost_and_another_unit_leads(deployed):
    leader = deployed.model.live.controller.leader
    machine = deployed.model.machine_of(leader)

    assert deployed('ssh {0} sudo systemctl stop jujud-machine-{0}'.format(machine)).code == 0
    assert units(deployed)[leader]['juju-status']['current'] == 'lost'
    deployed('status', step=120.0)
    assert deployed.model.live.controller.leader not in (leader, None)
    assert deployed('ssh {} sudo systemctl start jujud-machine-{}.service'.format(leader, machine)).code == 0
    deployed('status', step=20.0)
    assert units(deployed)[leader]['juju-status']['current'] == 'idle'


def test_a_hooks_process_is_killed_and_the_hook_runs_again(deployed):
    assert deployed('ssh 0 pkill -KILL -f hooks/').code == 1  # none runs
    deployed('config db size=2')
    deployed('status', step=3.0)

    assert deployed('ssh 0 sudo pkill -KILL -f hooks/start').code == 1
    assert deployed('ssh 0 sudo pkill -KILL -f hooks/config-changed').code == 0
    assert 'message' not in units(deployed)['db/0']['juju-status']
    deployed('status', step=3.0)
    assert units(deployed)['db/0']['juju-status']['message'] == 'running config-changed hook'


def test_the_log_keeps_what_the_models_setting_keeps(deployed):
    assert ' DEBUG ' not in deployed('debug-log --replay').out
    deployed('model-config logging-config=<root>=WARNING;juju.worker.uniter=DEBUG')

    log = deployed('debug-log --replay --include unit-db-0').out
    assert 'DEBUG juju.worker.uniter.operation running operation run config-changed hook for db/0' in log
    assert 'DEBUG juju.worker.uniter.operation committing operation "run config-changed hook" for db/0' in log
    assert 'running operation run relation-joined (0; unit: db/1) hook for db/0' in log
    assert 'juju.worker.leadership' not in log
    assert 'unit-db-1' not in log
