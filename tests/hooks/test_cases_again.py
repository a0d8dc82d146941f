"""One more turn and not over yet are two facts, in any order (rule 18)."""

import pytest

from tests.cases import ASK, StrictWatch, both
from tests.deploy import begun, said

AGAIN, KEEP = "coordinator.request_again('a')", "coordinator.keep_lock('a')"
ORDERS = {
    'again, keep': (AGAIN, KEEP),
    'keep, again': (KEEP, AGAIN),
    'again, again, keep': (AGAIN, AGAIN, KEEP),
    'keep, again, keep': (KEEP, AGAIN, KEEP),
    'again, keep, again': (AGAIN, KEEP, AGAIN),
}
orders = pytest.mark.parametrize('order', ORDERS.values(), ids=ORDERS)
queues = pytest.mark.parametrize('queues', [{}, {'queues': 'per-lock'}], ids=['one queue', 'per-lock'])

TWO_TURNS = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '30'])
    hookenv.log('turn {}'.format(coordinator.token('a')))
    with open('turns', 'a+') as turns:
        turns.write('x')
        turns.seek(0)
        count = len(turns.read())
    if count == 1 and hookenv.local_unit() == 'app/0':
"""
"""Each turn leaves a mark; app/0 does more in its first."""


def rolled(model, charm, juju, **options):
    """Return a model of three units after all of them have asked, and a watch of it."""
    made = begun(model, charm, units=3, juju=juju, update_status_s=60.0, **options)
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(seconds=600)
    watch.check()
    return made, watch


@both
@orders
@queues
def test_a_turn_that_is_kept_and_asked_for_again_goes_on_and_comes_once_more(
    model, charm_with, juju, order, queues
):
    calls = ''.join('        {}\n'.format(call) for call in order)

    made, watch = rolled(model, charm_with(ASK + TWO_TURNS + calls, **queues), juju)

    tokens = said(made, 'app/0', 'turn ')
    assert len(tokens) == 3, made.story(40)
    assert tokens[0] == tokens[1] != tokens[2]  # it went on in the next hook, and came once more
    order = [turn.unit for turn in watch.turns]
    assert order[:2] == ['app/0', 'app/0']
    assert sorted(order) == ['app/0', 'app/0', 'app/0', 'app/1', 'app/2']
    assert not [flag for flag in made.flags_of('app/0') if flag.startswith('coordinator.')]


WORK_B = """
@when('coordinator.granted.b')
def work_b():
    hookenv.log('b {}'.format(coordinator.token('b')))
"""


@both
@pytest.mark.parametrize('first', ['again', 'keep'])
def test_one_lock_of_a_queue_is_kept_and_the_other_comes_once_more(model, charm_with, juju, first):
    both_calls = ["        coordinator.request_again('b')\n", "        coordinator.keep_lock('a')\n"]
    calls = ''.join(both_calls if first == 'again' else reversed(both_calls))
    ask = ASK + "        coordinator.request_lock('b')\n"

    made, _ = rolled(model, charm_with(ask + WORK_B + TWO_TURNS + calls), juju)

    assert said(made, 'app/0', 'turn ')[:2] == said(made, 'app/0', 'turn ')[:1] * 2, made.story(40)
    assert len(set(said(made, 'app/0', 'b '))) == 2, made.story(40)  # two turns of b
    assert all(len(set(said(made, unit, 'b '))) == 1 for unit in ('app/1', 'app/2'))


@both
def test_a_second_turn_asked_for_while_the_lock_is_kept_over_several_hooks_is_one_turn(
    model, charm_with, juju
):
    plan = TWO_TURNS.replace('count == 1', 'count < 4')

    made, _ = rolled(model, charm_with(ASK + plan + '        {}\n        {}\n'.format(AGAIN, KEEP)), juju)

    tokens = said(made, 'app/0', 'turn ')
    assert [tokens.count(token) for token in dict.fromkeys(tokens)] == [4, 1], made.story(40)


@both
def test_a_request_made_after_a_release_in_the_same_hook_comes_in_a_turn_of_its_own(model, charm_with, juju):
    calls = "        coordinator.release_lock('a')\n        coordinator.request_lock('a')\n"

    made, watch = rolled(model, charm_with(ASK + TWO_TURNS + calls), juju)

    assert len(set(said(made, 'app/0', 'turn '))) == 2, made.story(40)
    assert [watch.served(unit) for unit in made.units] == [2, 1, 1]


@both
@orders
def test_what_a_failed_hook_said_of_its_turn_is_as_if_it_had_not_been_said(model, charm_with, juju, order):
    """The hook fails after it has kept the lock and asked again; its retry finds the turn as it was."""
    calls = ''.join('        {}\n'.format(call) for call in order)
    fails = "        check_call(['systemctl', 'restart', 'later'])\n"
    made = begun(model, charm_with(ASK + TWO_TURNS + calls + fails), units=3, juju=juju, update_status_s=60.0)
    watch = StrictWatch(made)
    made.fail_command('app/0', 'systemctl restart later')
    made.configure(go=1)
    made.run(seconds=600)

    watch.check()
    tokens = said(made, 'app/0', 'turn ')
    assert tokens[0] == tokens[1], made.story(40)  # the retry is in the same turn
    assert all(watch.served(unit) >= 1 for unit in ('app/1', 'app/2'))
