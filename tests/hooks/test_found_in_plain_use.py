"""Faults that were found where nothing goes wrong at all; each as a short history."""

import pytest

from tests.cases import (
    NO_UPDATE_STATUS_S,
    StrictWatch,
    ask,
    both,
    failures,
    order,
    tells,
    until,
    with_metrics,
)
from tests.deploy import begun, said


def holds_x(until):
    """Return a handler that keeps the lock x until `go` is so much."""
    return """
@when('coordinator.granted.x')
def hold():
    if hookenv.config('go') < {}:
        coordinator.keep_lock('x')
""".format(until)


def at_rest(model, charm, units, juju=3):
    """Return a model after its first hooks, in which no update-status comes; app/0 leads."""
    made = begun(model, charm, units=units, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.elect('app/0')
    made.run()
    return made


ASKS_ANEW = (
    """
@when('config.changed.go')
def ask():
    if hookenv.local_unit() != 'app/1':
        return
    if hookenv.config('go') == 1:
        coordinator.request_lock('a')
        coordinator.request_lock('b')
    elif hookenv.config('go') == 2:
        coordinator.release_lock('a')
    elif hookenv.config('go') == 3:
        coordinator.request_lock('a')
"""
    + holds_x(5)
    + tells('a', 'b')
)


@both
@pytest.mark.parametrize('anew', ['in a hook', 'in an action'])
def test_a_lock_that_was_withdrawn_beside_another_may_be_asked_for_again(model, charm_with, juju, anew):
    """The request has the number of the one that was withdrawn, whose end was applied to it in each hook."""
    made = at_rest(model, charm_with(ASKS_ANEW), units=3, juju=juju)
    ask(made, 'app/2', 'x')
    made.run(seconds=30)
    for go in (1, 2):
        made.configure(go=go)
        made.run(seconds=30)
    if anew == 'in a hook':
        made.configure(go=3)
    else:
        ask(made, 'app/1', 'a')
    made.run(seconds=30)
    for go in (4, 5):
        made.configure(go=go)
        made.run(seconds=100)

    assert len(made.log_of('app/1', 'HAS b')) == 1, made.story(40)
    assert len(made.log_of('app/1', 'HAS a')) == 1, made.story(40)


KEEPS_ONE = """
@when('config.changed.go')
def ask():
    if hookenv.local_unit() == 'app/1' and hookenv.config('go') == 1:
        coordinator.request_lock('a')
        coordinator.request_lock('b')

@when('coordinator.granted.b')
def keep():
    if hookenv.config('go') < 4:
        coordinator.keep_lock('b')
    if hookenv.config('go') == 2:
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('HAS a')
    if 1 < hookenv.config('go') < 4:
        coordinator.keep_lock('a')
"""


@both
@pytest.mark.parametrize('anew', ['in a hook, and keeps it', 'in an action'])
def test_a_lock_that_was_released_beside_one_that_is_kept_may_be_asked_for_again(
    model, charm_with, juju, anew
):
    """As above, in a turn that goes on: what the unit had asked for, or kept, was over in the next hook."""
    made = at_rest(model, charm_with(KEEPS_ONE), units=2, juju=juju)
    made.configure(go=1)
    until(made, lambda: bool(made.log_of('app/1', 'HAS a')))
    made.run(seconds=30)
    before = len(made.log_of('app/1', 'HAS a'))
    if anew == 'in an action':
        ask(made, 'app/1', 'a')
        made.run(seconds=30)
        made.configure(go=4)
    else:
        made.configure(go=2)
        made.run(seconds=30)
        before = len(made.log_of('app/1', 'HAS a'))
        made.configure(go=3)
    made.run(seconds=100)

    assert len(made.log_of('app/1', 'HAS a')) - before >= 1, made.story(40)


METRICS = """
import os
from charms.reactive import collect_metrics

@collect_metrics()
def metrics():
    if os.path.exists('worked') and not os.path.exists('anew'):
        open('anew', 'w').close()
        hookenv.log('requested {}'.format(coordinator.is_requested('a')))
        coordinator.request_lock('a')

@when('config.changed.go')
def ask():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def has_a():
    open('worked', 'w').close()
    hookenv.log('HAS a')
"""


def test_collect_metrics_after_a_turn_may_ask_for_another_one(model, charm_with):
    """It went by the claim of before the end of the turn, as if the lock had been asked for already."""
    made = at_rest(model, with_metrics(charm_with(METRICS)), units=2)
    made.configure(go=1)
    until(made, lambda: bool(made.log_of('app/1', 'HAS a')))
    made.run(seconds=30)
    made.collect_metrics('app/1')
    made.run(seconds=30)
    made.configure(go=2)
    made.run(seconds=100)

    assert len(made.log_of('app/1', 'HAS a')) == 2, made.story(40)
    assert made.log_of('app/1', 'requested False')


METRICS_BESIDE = """
import os
from charms.reactive import collect_metrics

@collect_metrics()
def metrics():
    if hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')

@when('config.changed.go')
def ask():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('b')

@when('coordinator.granted.x')
def hold():
    if hookenv.config('go') < 2:
        coordinator.keep_lock('x')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('HAS a')

@when('coordinator.granted.b')
def has_b():
    hookenv.log('HAS b')
    if hookenv.config('go') < 3:
        coordinator.keep_lock('b')
"""


def test_collect_metrics_may_ask_for_a_lock_while_the_unit_waits_for_another(model, charm_with):
    """Juju was asked there whether that lock is cancelled, and refused to answer: the hook failed."""
    charm = with_metrics(charm_with(METRICS_BESIDE))
    made = at_rest(model, charm, units=3)
    ask(made, 'app/2', 'x')
    made.run(seconds=30)
    made.configure(go=1)
    made.run(seconds=30)
    made.collect_metrics('app/1')
    made.run(seconds=30)
    for go in (2, 3, 4):
        made.configure(go=go)
        made.run(seconds=100)

    assert not failures(made), made.story(40)
    assert made.log_of('app/1', 'HAS a'), made.story(40)


AT_IMPORT = (
    """
if hookenv.local_unit() == 'app/1' and hookenv.config('go') == 2:
    coordinator.request_lock('b')
    coordinator.release_lock('b')

@when('config.changed.go')
def ask():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')
"""
    + holds_x(3)
    + tells('a', 'b')
)


@both
def test_what_is_asked_for_and_withdrawn_while_modules_are_imported_does_not_come_back(
    model, charm_with, juju
):
    """No handler is known then, so nobody seemed to save the end, and at the hook's end it was not noted."""
    charm = charm_with('')
    text = (charm / 'reactive' / 'plan.py').read_text()
    (charm / 'reactive' / 'plan.py').unlink()
    (charm / 'reactive' / 'a_plan.py').write_text(text + AT_IMPORT)  # before any module that has handlers
    made = at_rest(model, charm, units=3, juju=juju)
    ask(made, 'app/2', 'x')
    made.run(seconds=30)
    for go in (1, 2, 3, 4):
        made.configure(go=go)
        made.run(seconds=60)

    assert made.log_of('app/1', 'HAS a'), made.story(40)
    assert not made.log_of('app/1', 'HAS b'), made.story(40)


JOINS = """
@coordinator.gate('b')
def not_now():
    return 'a replica still syncs' if hookenv.config('memory') == 2 else ''

@when('config.changed.go')
def ask():
    if hookenv.local_unit() == 'app/1':
        if hookenv.config('go') == 1:
            coordinator.request_lock('a')
        elif hookenv.config('go') == 2:
            coordinator.request_lock('b')

@when('coordinator.granted.a')
def has_a():
    if hookenv.config('go') < 3:
        coordinator.keep_lock('a')
""" + tells('b')


@both
@pytest.mark.parametrize('by', ['a pause', 'a gate'])
def test_a_lock_that_is_held_back_does_not_join_a_turn_that_has_begun(model, charm_with, juju, by):
    """Nobody looked for a pause or a gate, since the turn of another lock had begun before."""
    made = at_rest(model, charm_with(JOINS), units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=30)
    if by == 'a pause':
        order(made, "pause('b')")
    else:
        made.configure(memory=2)
    made.run(seconds=30)
    made.configure(go=2)
    made.run(seconds=30)
    assert not made.log_of('app/1', 'HAS b'), made.story(40)

    made.configure(go=3)
    made.run(seconds=30)
    assert not made.log_of('app/1', 'HAS b'), made.story(40)
    if by == 'a pause':
        order(made, "resume('b')")
    else:
        made.configure(memory=3)
    made.run(seconds=60)
    assert len(made.log_of('app/1', 'HAS b')) == 1, made.story(40)


NOT_DONE = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')
        coordinator.request_lock('b')

@when('coordinator.granted.b')
def has_b():
    pass

@when('coordinator.granted.a')
def has_a():
    hookenv.log('turn {}'.format(coordinator.token('a')))
    if len(TIMES) < 5:
        TIMES.append(1)
        coordinator.release_lock('a')
        coordinator.request_lock('a')

TIMES = []  # in this hook
"""


@both
def test_a_request_after_a_release_comes_in_a_turn_of_its_own_also_beside_another_lock(
    model, charm_with, juju
):
    """It gave back the turn that had just been released, so the handler ran again and again in one hook."""
    made = at_rest(model, charm_with(NOT_DONE), units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=30)

    tokens = said(made, 'app/1', 'turn ')
    assert len(tokens) > 1, made.story(40)
    assert len(set(tokens)) == len(tokens), tokens


IN_A_WAKE_UP = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def has_a():
    if hookenv.hook_name() != 'coordinator-wake-up':
        coordinator.keep_lock('a', check_again_in=5)
    else:
        coordinator.request_lock('b')

@when('coordinator.granted.b')
def has_b():
    hookenv.log('HAS b in ' + hookenv.hook_name())
"""


@both
def test_what_is_asked_for_in_a_wake_up_does_not_join_the_turn_that_goes_on_in_it(model, charm_with, juju):
    """A wake-up that fails is not retried, so nothing may begin in one."""
    made = at_rest(model, charm_with(IN_A_WAKE_UP), units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=60)

    found = made.log_of('app/1', 'HAS b')
    assert len(found) == 1, made.story(40)
    assert 'wake-up' not in found[0], found


MORE_BESIDE = (
    """
@when('config.changed.go')
def ask():
    if hookenv.local_unit() == 'app/2' and hookenv.config('go') == 2:
        coordinator.request_lock('c')
    if hookenv.local_unit() != 'app/0':
        return
    if hookenv.config('go') == 1:
        coordinator.request_lock('c')
    elif hookenv.config('go') == 3:
        coordinator.release_lock('c')
        coordinator.request_lock('a')
        coordinator.pause('unused')
"""
    + holds_x(4)
    + tells('a', 'c')
)


@both
def test_a_leader_that_asks_for_another_lock_instead_gets_no_ticket_before_the_first_is_over(
    model, charm_with, juju
):
    """On leader settings it found that ticket, counted what it names as asked, and forgot the end before."""
    made = at_rest(model, charm_with(MORE_BESIDE), units=3, juju=juju)
    ask(made, 'app/1', 'x')
    for go in (1, 2, 3, 4):
        made.run(seconds=30)
        made.configure(go=go)
    made.run(seconds=100)

    assert not made.log_of('app/0', 'HAS c'), made.story(40)
    assert len(made.log_of('app/0', 'HAS a')) == 1, made.story(40)
    assert len(made.log_of('app/2', 'HAS c')) == 1, made.story(40)


AGAIN_BESIDE = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') and hookenv.local_unit() == 'app/0':
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('turn {}'.format(coordinator.token('a')))
    if not reactive.is_flag_set('more'):
        reactive.set_flag('more')
        coordinator.release_lock('a')
        coordinator.request_lock('a')
        coordinator.request_lock('b')
""" + tells('b')


@both
def test_a_leader_that_asks_again_and_for_another_lock_works_once_in_each_turn(model, charm_with, juju):
    """As above: the turn that it had released in that hook came again."""
    made = at_rest(model, charm_with(AGAIN_BESIDE, queues='per-lock'), units=3, juju=juju)
    made.configure(go=1)
    made.run(seconds=100)

    tokens = said(made, 'app/0', 'turn ')
    assert len(tokens) == len(set(tokens)) == 2, tokens
    assert len(made.log_of('app/0', 'HAS b')) == 1


AGAIN_AT_IMPORT = """
import os

if coordinator.is_granted('a') and not os.path.exists('asked'):
    open('asked', 'w').close()
    coordinator.request_again('a')

@when('config.changed.go')
def ask():
    if hookenv.config('go') and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('turn {}'.format(coordinator.token('a')))
"""


@both
def test_what_is_asked_again_at_import_for_a_lock_that_is_held_comes_after_this_turn(model, charm_with, juju):
    """The turn had come and not begun yet, so it was the same request, though is_granted said True."""
    made = at_rest(model, charm_with(AGAIN_AT_IMPORT), units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=100)

    tokens = said(made, 'app/1', 'turn ')
    assert len(tokens) == len(set(tokens)) == 2, tokens


REPLACED = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') == 1 and hookenv.is_leader():
        coordinator.request_roll('c', order='leader-first')
        coordinator.request_roll('a', order='leader-first')

@when('coordinator.granted.c')
def has_c():
    hookenv.log('c {}'.format(coordinator.token('c')))
    check_call(['work', '10'])
    if hookenv.is_leader() and not reactive.is_flag_set('replaced'):
        reactive.set_flag('replaced')
        coordinator.request_again('c')
        coordinator.request_roll('a', order='leader-last', replace=True)

@when('coordinator.granted.a')
def has_a():
    hookenv.log('a {}'.format(coordinator.token('a')))
    check_call(['work', '10'])
"""


@both
def test_a_turn_of_a_roll_is_over_at_its_end_also_if_a_later_place_is_cancelled_in_it(
    model, charm_with, juju
):
    """That the later place is over took the place of what ended the turn, so it went on beside the next."""
    made = at_rest(model, charm_with(REPLACED), units=3, juju=juju)
    watch = StrictWatch(made, until='work 10')
    made.configure(go=1)
    made.run(seconds=300)

    watch.check()
    for lock, turns in (('a', 3), ('c', 4)):
        tokens = [each for unit in made.units for each in said(made, unit, lock + ' ')]
        assert len(tokens) == len(set(tokens)) == turns, tokens


TWO_ROLLS = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/0':
        coordinator.request_lock('a')
    elif hookenv.config('go') == 2 and hookenv.local_unit() == 'app/1':
        coordinator.release_lock('c')

@when('coordinator.granted.a')
def keep():
    if hookenv.config('go') < 3:
        coordinator.keep_lock('a')
""" + tells('b', 'c')


@both
def test_two_places_in_rolls_that_have_come_while_another_turn_went_on_need_no_update_status(
    model, charm_with, juju
):
    """The first was asked for anew, and no hook came for the second, before which no ticket is given."""
    made = at_rest(model, charm_with(TWO_ROLLS), units=2, juju=juju)
    made.configured_twice = False  # the second hook would come at the right moment
    made.configure(go=1)
    made.run(seconds=30)
    for lock in 'cb':
        order(made, "request_roll('{}', order='leader-first')".format(lock))
        made.run(seconds=30)
    for go in (2, 3):
        made.configure(go=go)
        made.run(seconds=100)

    assert len(made.log_of('app/0', 'HAS c')) == 1, made.story(40)
    assert [len(made.log_of(unit, 'HAS b')) for unit in made.units] == [1, 1], made.story(40)
