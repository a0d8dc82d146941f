"""What the pages tell authors and operators to do, done: docs/recipes.md, operating.md, upgrading.md."""

import pytest

from tests.campaigns import chaos, refresh
from tests.cases import each_worked
from tests.deploy import begun
from tests.watch import Watch

both = pytest.mark.parametrize('juju', [3, 4])

MIGRATE = """
import os
from charmhelpers.core import unitdata

@when('config.changed.memory')
def ask():
    coordinator.request_lock('migrate')

@when('coordinator.granted.migrate')
def migrate():
    check_call(['work', '10'])
    coordinator.release_lock('migrate')
    {}
    if (hookenv.config('memory'), hookenv.local_unit()) == (5, 'app/1') and not os.path.exists('failed'):
        open('failed', 'w').close()
        raise RuntimeError('a later step')
"""


@both
@pytest.mark.parametrize('last_line, times', [('unitdata.kv().flush()', 1), ('pass', 2)])
def test_work_is_repeated_after_a_release_that_was_not_flushed_and_only_then(
    model, charm_with, juju, last_line, times
):
    made = begun(model, charm_with(MIGRATE.format(last_line)), units=3, juju=juju)
    watch = Watch(made)
    made.history.clear()
    made.configure(memory=5)
    made.run()

    watch.check()
    assert each_worked(made) == [1, times, 1], made.story()


FAIL = """
@when('config.changed.memory')
def ask():
    coordinator.request_lock('restart')

@when('coordinator.granted.restart')
def restart():
    check_call(['work', '10'])
    if (hookenv.config('memory'), hookenv.local_unit()) == (5, 'app/1'):
        raise RuntimeError('not healthy')
"""
MARK = {
    3: ['leader-set', 'coordinator-ledger=lost'],
    4: ['relation-set', '-r', 'coordinator:0', '--app', 'coordinator-ledger=lost'],
}


@both
def test_an_operator_may_reset_the_ledger_while_a_unit_is_in_error_in_its_turn(model, charm_with, juju):
    made = begun(model, charm_with(FAIL), units=4, juju=juju)
    watch = Watch(made)
    made.configure(memory=5)
    assert made.run(seconds=300, until=lambda: any(event.what == 'fails' for event in made.history))
    served = [watch.served(unit) for unit in made.units]
    made.run_exec(made.controller.leader, 'import subprocess; subprocess.check_call({!r})'.format(MARK[juju]))
    made.run(seconds=1000)

    assert [watch.served(unit) for unit in made.units if unit != 'app/1'] == served[:1] + served[2:]
    assert made.log_of(made.controller.leader, 'makes a new ledger when app/1 has answered')

    made.configure(memory=6)
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) for unit in made.units), made.story()


FORGET = """
import os, subprocess
if os.path.exists('.coordinator.json'):
    os.remove('.coordinator.json')
subprocess.check_call(['relation-set', '-r', 'coordinator:0', 'coordinator-claims='])
"""


def refreshed(made, charm):
    for unit in made.units:
        made.upgrade(unit, charm)
        made.run(seconds=5)
    made.run()


@pytest.mark.parametrize('cleared', [True, False])
def test_what_was_asked_under_the_old_code_is_served_if_an_operator_cleared_before_going_forward(
    model, cleared
):
    def machine(unit, argv):
        return (60.0, 0) if argv[:2] == ['systemctl', 'restart'] else None

    never = {'machine': machine, 'update_status_s': chaos.NEVER_S}
    made = model(refresh.old_charm(), units=3, juju=3, config={'go': 0}, **never)
    made.run()
    refreshed(made, refresh.new_charm())
    watch = Watch(made)
    made.configure(go=1)
    made.run()
    refreshed(made, refresh.old_charm())
    if cleared:
        for unit in made.units:
            made.run_exec(unit, FORGET)
        made.run()
        made.run_exec(
            made.controller.leader, 'import subprocess; subprocess.check_call({!r})'.format(MARK[3])
        )
        made.run()
    made.configure(go=2)
    made.run(seconds=20)
    refreshed(made, refresh.new_charm())

    watch.check()
    assert [watch.served(unit) for unit in made.units] == ([2, 2, 2] if cleared else [2, 1, 1]), made.story()
