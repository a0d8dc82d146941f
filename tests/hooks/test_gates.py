"""A charm's gate: what it may refuse, whom it holds up, and when it is asked."""

import pytest

from tests.cases import ASK, order
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


ASKING_GATE = """
@coordinator.gate('a')
def not_now():
    hookenv.log('asked')
    {}
    return '' if hookenv.config('memory') > 1 else 'a replica still syncs'

@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])

@when('coordinator.granted.b')
def work_b():
    hookenv.log('has b')
"""


@both
@pytest.mark.parametrize('queues', ['one', 'per-lock'])
@pytest.mark.parametrize('memory', [1, 2], ids=['shut', 'open'])
def test_what_a_gate_asks_for_itself_is_served(model, charm_with, juju, queues, memory):
    gate = ASKING_GATE.format("coordinator.request_lock('b')")
    made = begun(model, charm_with(ASK + gate, queues=queues), units=3, juju=juju)
    watch = Watch(made, slots=1)
    made.configure(memory=memory)
    made.run()

    made.configure(go=1)
    made.run(seconds=1000)
    if queues == 'per-lock':
        assert any(said(made, unit, 'has b') for unit in made.units), made.story(40)
    made.configure(memory=2)
    made.run(seconds=1000)

    watch.check()
    assert all(said(made, unit, 'has b') for unit in made.units), made.story(40)
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]


@both
def test_a_gate_that_gives_up_the_lock_that_it_guards_lets_the_next_unit_go_on(model, charm_with, juju):
    gate = ASKING_GATE.format("hookenv.local_unit() == 'app/1' and coordinator.release_lock('a')")
    made = begun(model, charm_with(ASK + gate), units=3, juju=juju)
    watch = Watch(made)
    made.configure(memory=2)
    made.run()

    made.configure(go=1)
    made.run(seconds=1000)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 0, 1], made.story(40)


@both
def test_inside_a_gate_the_lock_is_not_granted_yet(model, charm_with, juju):
    gate = ASKING_GATE.format("hookenv.log('granted {}'.format(coordinator.is_granted('a')))")
    made = begun(model, charm_with(ASK + gate), units=2, juju=juju)
    made.configure(memory=2)
    made.run()

    made.configure(go=1)
    made.run(seconds=1000)

    assert said(made, 'app/0', 'granted ') == ['False']


IN_AN_ACTION = """
from charms.layer import coordinator
from charmhelpers.core import hookenv
hookenv.log('why ' + coordinator.explain('a'))
coordinator.{}
"""


@both
@pytest.mark.parametrize('asked', ["explain('a')", "request_again('a')"])
def test_in_an_action_a_turn_behind_a_shut_gate_has_not_begun(model, charm_with, juju, asked):
    """Explain said that it goes on, and request_again queued up for a second turn."""
    made = begun(model, charm_with(ASK + GATE), units=3, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=1000)

    made.run_exec('app/1', IN_AN_ACTION.format(asked), as_action=True)
    made.run(seconds=10)
    assert said(made, 'app/1', 'why ')[-1] == 'a: a replica still syncs'

    made.configure(memory=2)
    made.run(seconds=2000)
    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]


@both
def test_an_action_may_withdraw_a_request_that_a_shut_gate_holds_back(model, charm_with, juju):
    made = begun(model, charm_with(ASK + GATE), units=3, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=1000)

    made.run_exec('app/1', IN_AN_ACTION.format("release_lock('a')"), as_action=True)
    made.run(seconds=1000)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 0, 1], made.story(40)


@both
@pytest.mark.parametrize('why_not', ['', 'not this unit'])
def test_a_gate_that_gives_up_a_place_in_a_roll_gives_its_unit_no_turn(model, charm_with, juju, why_not):
    """The unit said that its place was over, and began all the same: the next unit worked beside it."""
    gate = ASKING_GATE.format(
        "if hookenv.local_unit() == 'app/1':\n        coordinator.release_lock('a')\n"
        '        return {!r}'.format(why_not)
    )
    made = begun(model, charm_with(gate), units=3, juju=juju)
    made.configure(memory=2)
    made.run()
    watch = Watch(made)

    order(made, "request_roll('a')")
    made.run(seconds=2000)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 0, 1], made.story(40)
