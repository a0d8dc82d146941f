"""jubilant, which drives real controllers, drives the local Juju."""

import shutil

import pytest

jubilant = pytest.importorskip('jubilant', reason='jubilant is not installed; it needs Python 3.10')

BUSY = 'restarting'


@pytest.fixture(params=['3.6.1', '4.0.14'])
def juju(request, program, monkeypatch):
    """A client with a new model of each Juju."""
    monkeypatch.setenv('JUJUSIM_VERSION', request.param)
    monkeypatch.setenv('JUJUSIM_QUICK', '1')
    monkeypatch.setenv('JUJUSIM_STEP_S', '10')  # half as many polls
    made = jubilant.Juju(cli_binary=program)
    made.add_model('lab')
    return made


@pytest.fixture
def lead(juju, example, monkeypatch):
    """The same with three units of the example, at rest."""
    juju.deploy(example, 'lead', num_units=3)
    with monkeypatch.context() as meanwhile:
        meanwhile.setenv('JUJUSIM_STEP_S', '60')
        until(juju, at_rest)
    return juju


def until(juju, ready, **more):
    return juju.wait(ready, delay=0.0, successes=1, **more)


def at_rest(status):
    return jubilant.all_active(status) and jubilant.all_agents_idle(status)


def says(status, text):
    return all(unit.workload_status.message == text for unit in status.apps['lead'].units.values())


def test_a_deployed_application_becomes_active_and_one_unit_leads(juju, example):
    juju.deploy(example, 'lead', num_units=3, config={'memory': 4})
    status = juju.wait(jubilant.all_active, delay=0.0)

    assert status.model.name == 'lab'
    assert status.model.version == str(juju.version()).split('-')[0]
    assert list(status.apps) == ['lead']
    units = status.apps['lead'].units
    assert list(units) == ['lead/0', 'lead/1', 'lead/2']
    assert sum(unit.leader for unit in units.values()) == 1
    assert [unit.machine for unit in units.values()] == list(status.machines) == ['0', '1', '2']
    assert all(machine.juju_status.current == 'started' for machine in status.machines.values())
    assert all(unit.workload_status.since.endswith('Z') for unit in units.values())
    assert juju.config('lead') == {'memory': 4}


def test_a_roll_is_seen_unit_by_unit(lead):
    busy, executing = [], set()

    def done(status):
        units = status.apps['lead'].units
        busy.append([name for name, unit in units.items() if unit.workload_status.message == BUSY])
        executing.update(unit.juju_status.message for unit in units.values())
        return says(status, 'restarted')

    lead.config('lead', {'memory': 9})
    until(lead, done)

    assert lead.config('lead') == {'memory': 9}
    assert {unit for units in busy for unit in units} == {'lead/0', 'lead/1', 'lead/2'}
    assert max(len(units) for units in busy) == 1
    assert executing & {'running config-changed hook', 'running coordinator-relation-changed hook'}


def test_actions_and_commands_return_what_they_said(lead):
    task = lead.run('lead/0', 'restart')
    assert task.success
    assert task.results['restart'].startswith('restart: ')
    assert lead.run('lead/leader', 'restart').success

    said = lead.exec('echo $JUJU_UNIT_NAME; echo oh >&2', unit='lead/1')
    assert (said.return_code, said.stdout, said.stderr) == (0, 'lead/1\n', 'oh\n')
    assert lead.exec('test', '-e', 'metadata.yaml', unit='lead/leader').success


def test_what_fails_raises_the_error_that_it_raises_on_a_real_juju(lead):
    with pytest.raises(ValueError, match='nosuch'):
        lead.run('lead/0', 'nosuch')
    with pytest.raises(ValueError, match='lead/99'):
        lead.run('lead/99', 'restart')
    with pytest.raises(ValueError, match='lead/99'):
        lead.exec('true', unit='lead/99')
    with pytest.raises(jubilant.TaskError) as failed:
        lead.exec('echo so; exit 3', unit='lead/0')
    assert (failed.value.task.return_code, failed.value.task.stdout) == (3, 'so\n')
    with pytest.raises(jubilant.CLIError) as refused:
        lead.config('lead', {'nosuch': 1})
    assert refused.value.returncode == 1
    assert 'unknown option "nosuch"' in refused.value.stderr
    with pytest.raises(jubilant.CLIError, match='status 2'):
        lead.integrate('lead', 'other')


def test_an_action_that_waits_too_long_is_late(lead):
    lead.config('lead', {'memory': 2})
    status = until(lead, lambda status: BUSY in str(status))
    unit = next(
        name for name, unit in status.apps['lead'].units.items() if unit.workload_status.message == BUSY
    )

    with pytest.raises(TimeoutError):
        lead.run(unit, 'restart', wait=0.5)


def test_a_failed_hook_is_seen_and_resolved(lead, tmp_path):
    ill = tmp_path / 'ill-lead-1'
    ill.touch()
    lead.model_config({'automatically-retry-hooks': False})
    lead.config('lead', {'memory': 3})

    with pytest.raises(jubilant.WaitError):
        until(lead, lambda status: says(status, 'restarted'), error=jubilant.any_error)
    status = lead.status()
    failed = status.apps['lead'].units['lead/1']
    assert status.apps['lead'].app_status.current == 'error'
    assert failed.workload_status.current == 'error'
    assert failed.workload_status.message.startswith('hook failed: "')
    assert failed.juju_status.current == 'idle'
    ill.unlink()
    lead.cli('resolve', 'lead/1')
    until(lead, lambda status: says(status, 'restarted'))
    log = lead.debug_log()
    assert 'unit-lead-1' in log
    assert 'failed: exit status 1' in log
    with pytest.raises(jubilant.CLIError, match='status 1'):
        lead.cli('resolve', 'lead/1')


def test_units_come_and_go(lead):
    lead.add_unit('lead', num_units=2)
    status = until(lead, lambda status: len(status.apps['lead'].units) == 5 and at_rest(status))
    assert list(status.machines) == ['0', '1', '2', '3', '4']

    lead.remove_unit('lead/1', 'lead/3')
    status = until(lead, lambda status: len(status.apps['lead'].units) == 3 and at_rest(status))
    assert list(status.apps['lead'].units) == ['lead/0', 'lead/2', 'lead/4']
    assert list(status.machines) == ['0', '2', '4']


def test_a_unit_in_error_leaves_by_force_at_once(lead, tmp_path):
    (tmp_path / 'ill-lead-1').touch()
    lead.config('lead', {'memory': 3})
    until(lead, jubilant.any_error)

    lead.remove_unit('lead/1', force=True)

    assert list(lead.status().apps['lead'].units) == ['lead/0', 'lead/2']


def test_a_refresh_brings_another_charm(lead, example, tmp_path):
    newer = tmp_path / 'newer'
    shutil.copytree(str(example), str(newer))
    (newer / 'config.yaml').write_text('options: {memory: {type: int, default: 1}, colour: {default: red}}')

    lead.refresh('lead', path=newer)
    status = until(lead, at_rest)

    assert status.apps['lead'].charm_rev == 1
    assert lead.config('lead') == {'memory': 1, 'colour': 'red'}
    assert lead.exec('config-get --format json colour', unit='lead/0').stdout == '"red"\n'


def test_an_application_and_its_model_go(lead):
    assert lead.show_model().short_name == 'lab'
    assert lead.show_unit('lead/0').relation_info[0].local_unit.in_scope
    lead.model_config({'update-status-hook-interval': '1m'})
    assert lead.model_config()['update-status-hook-interval'] == '1m'

    lead.remove_application('lead')
    status = until(lead, lambda status: not status.apps)
    assert not status.machines

    lead.destroy_model('lab')
    with pytest.raises(jubilant.CLIError, match='status 1'):
        jubilant.Juju(model='lab', cli_binary=lead.cli_binary).status()
