"""Agents that die, hooks and programs that outlive them: R12, R13."""

import pytest

from jujusim.tests.scripts import act, both, hooks, noted, only_4, published, run_until, times

WORK = """
ran = subprocess.run(['serve'])
done = tool('status-set', 'active', 'served')
note('tool', ran.returncode, done.returncode)
open('rounds', 'a').write('x')
say(str(os.path.getsize('rounds')))
"""
MACHINE = {'serve': (20.0, 0)}


@pytest.fixture(params=[False, True], ids=['processes', 'quick'])
def serving(request, deployed):
    """A unit whose upgrade-charm hook runs a program of 20 s, then calls tools; both ways to run hooks."""

    def make(juju, scripts=None, **options):
        machine = options.pop('machine', lambda unit, argv: MACHINE.get(argv[0]))
        scripts = {'upgrade-charm': WORK, **(scripts or {})}
        return deployed(juju, scripts, machine=machine, quick=request.param, **options)

    return make


def dies_at_work(made, seconds=5):
    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.run(seconds=seconds)
    made.die_agent('app/0')


# The agent dies in a hook


@both
def test_when_its_agent_dies_a_hook_goes_on_and_its_tools_die_of_sigpipe(serving, juju):
    script = WORK + 'open("codes", "a").write(str(done.returncode) + " ")'
    made = serving(juju, {'upgrade-charm': script})

    dies_at_work(made)
    run_until(made, 'app/0', 'ends beside')
    codes = (made._charm_dir('app/0') / 'codes').read_text()

    assert codes == '-13 '
    assert times(made, 'app/0', 'worked')[0] == pytest.approx(times(made, 'app/0', 'works')[0] + 20)
    assert noted(made, 'app/0', 'tool') == []
    assert made.controller.units['app/0'].status_message == ''
    assert published(made, 'app/0') is None


@both
def test_a_failing_tool_raises_in_a_hook_whose_agent_died(serving, juju):
    script = 'subprocess.run(["serve"])\ntry:\n    subprocess.check_call(["status-set", "active", "x"])\n'
    made = serving(
        juju, {'upgrade-charm': script + 'except Exception as e:\n    open("said", "w").write(str(e))'}
    )

    dies_at_work(made)
    run_until(made, 'app/0', 'ends beside')

    assert 'SIGPIPE' in (made._charm_dir('app/0') / 'said').read_text()


@both
def test_the_agent_is_back_after_3_s_and_the_hook_runs_again_5_s_later_beside_the_old_process(serving, juju):
    made = serving(juju)

    dies_at_work(made, seconds=5)
    made.run()

    died, back = times(made, 'app/0', 'loses its agent')[0], times(made, 'app/0', 'is back')[0]
    first, again = times(made, 'app/0', 'begins', 'upgrade-charm')
    assert back - died == pytest.approx(3)
    assert again - back == pytest.approx(5, rel=0.11)
    assert again < times(made, 'app/0', 'ends beside')[0] < times(made, 'app/0', 'ends', 'upgrade-charm')[0]
    assert times(made, 'app/0', 'fails') == [back]
    assert published(made, 'app/0') == '2'  # the second round's, of two
    assert first < died


@both
def test_an_agents_death_between_hooks_is_a_restart(serving, juju):
    made = serving(juju)

    made.die_agent('app/1')
    made.run()

    assert hooks(made, 'app/1') == (['leader-settings-changed'] if juju == 3 else [])


@both
def test_a_hook_whose_agent_dies_before_it_begins_runs_only_once(serving, juju):
    made = serving(juju)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'begins')
    made.die_agent('app/0')
    made.run()

    assert len(times(made, 'app/0', 'works')) == 1
    assert published(made, 'app/0') == '1'


@both
def test_an_action_whose_agent_dies_fails_and_does_not_run_again(serving, juju):
    made = serving(juju, {'actions/work': WORK})

    made.run_action('app/0', 'work')
    run_until(made, 'app/0', 'works')
    made.die_agent('app/0')
    made.run()

    assert hooks(made, 'app/0')[:1] == ['action work']
    assert hooks(made, 'app/0').count('action work') == 1
    assert times(made, 'app/0', 'fails', 'action work')
    assert published(made, 'app/0') is None


@only_4
def test_a_leader_keeps_its_lease_over_the_death_of_its_agent(serving, juju):
    made = serving(juju)

    made.run(seconds=29)
    made.die_agent('app/0')
    made.run(seconds=300)

    assert times(made, 'app/1', 'leads') == []


@both
def test_while_an_old_process_has_written_to_a_database_the_hook_that_runs_again_finds_it_locked(
    serving, juju
):
    script = """
import sqlite3
store = sqlite3.connect('store.db')
try:
    store.execute('create table if not exists t (x)')
    store.execute('insert into t values (1)')
except sqlite3.OperationalError as locked:
    note('locked', str(locked))
    raise
subprocess.run(['serve'])
store.commit()
"""
    made = serving(juju, {'upgrade-charm': script})

    dies_at_work(made, seconds=1)
    made.run()

    assert noted(made, 'app/0', 'locked') == [['database is locked']]
    assert hooks(made, 'app/0').count('upgrade-charm') == 3


# A killed hook's program


@both
@pytest.mark.parametrize('lives', [True, False])
def test_a_killed_hooks_program_goes_on_beside_the_next_run_where_that_is_asked(serving, juju, lives):
    made = serving(juju)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.run(seconds=5)
    made.kill_hook('app/0', child_lives=lives)
    made.run()

    worked, works = times(made, 'app/0', 'worked'), times(made, 'app/0', 'works')
    assert len(works) == 2
    assert len(worked) == 1 + lives
    assert works[1] < works[0] + 20 == pytest.approx(worked[0]) or not lives
    assert published(made, 'app/0') == '1'


@both
def test_a_program_that_outlived_its_hook_dies_with_its_machine(serving, juju):
    made = serving(juju)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'works')
    made.kill_hook('app/0', child_lives=True)
    made.lose_unit('app/0')
    made.run()

    assert times(made, 'app/0', 'worked') == []
    act(made, 'app/1', 'list')
