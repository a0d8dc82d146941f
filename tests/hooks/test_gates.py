"""A charm's gate: what it may refuse, whom it holds up, and when it is asked."""

import pytest

from tests.cases import ASK
from tests.deploy import begun, said
from tests.watch import Watch

both = pytest.mark.parametrize('juju', [3, 4])

GATE = """
@coordinator.gate('a')
def not_now():
    hookenv.log('asked')
    return '' if hookenv.config('memory') > 1 or hookenv.local_unit() != 'app/1' else 'a replica still syncs'

@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])

@hook('update-status')
def tell():
    hookenv.log('why ' + coordinator.explain('a'))
"""


@both
def test_a_turn_does_not_begin_while_its_gate_is_shut_and_the_others_wait_behind_it(model, charm_with, juju):
    made = begun(model, charm_with(ASK + GATE), units=3, juju=juju)
    watch = Watch(made)

    made.configure(go=1)
    made.run(seconds=3000)

    assert watch.served('app/1') == 0
    assert said(made, 'app/1', 'why ')[-1] == 'a: a replica still syncs'
    behind = [text for unit in ('app/0', 'app/2') for text in said(made, unit, 'why ')[-1:]]
    assert 'a: app/1 holds it: a replica still syncs, 1 ahead of this unit' in behind

    made.configure(memory=2)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]


@both
def test_a_gate_is_asked_before_a_turn_begins_and_never_again_in_it(model, charm_with, juju):
    made = begun(
        model, charm_with(ASK + GATE.replace("'work', '60'", "'systemctl', 'restart', 'db'")), juju=juju
    )
    watch = Watch(made)
    made.configure(memory=2)
    made.run()
    made.fail_command('app/0', 'systemctl restart db')

    made.configure(go=1)
    made.run()

    watch.check()
    assert len(said(made, 'app/0', 'asked')) == 1  # the retry of the failed hook does not ask
    assert watch.served('app/0') == 1
