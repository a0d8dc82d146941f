"""A share of the campaign of tests/campaigns/plain.py, in which nothing goes wrong."""

from types import SimpleNamespace

import pytest

from tests.campaigns import plain

EVER_FAILED = (9, 12, 55, 217)
"""Seeds in which the layer was once found wrong."""


def test_no_promise_is_broken_where_nothing_goes_wrong():
    for seed in (*range(1, 9), *EVER_FAILED):
        verdict = plain.live(plain.kind_of(seed))

        assert not verdict.fault, '{}\nmake plain SEED={}\n{}'.format(verdict.fault, seed, verdict.story)
        assert verdict.turns


def test_seeds_reach_every_option_every_order_and_whatever_may_happen_around():
    kinds = [plain.kind_of(seed) for seed in range(1, 401)]

    assert {kind.options for kind in kinds} == {*plain.OPTIONS} == {kind.refreshed for kind in kinds} - {''}
    for known in (
        'juju',
        'keeps',
        'joins',
        'leaves',
        'elects',
        'calm_start',
        'slow',
        'gates',
        'asides',
        'orders',
    ):
        assert len({getattr(kind, known) for kind in kinds}) > 1, known


@pytest.fixture
def told():
    model = SimpleNamespace(observers=[], readers=[], now=0.0, units=['app/0', 'app/1'], running={})
    account = plain.Account(model, plain.kind_of(1)._replace(options='one queue', refreshed='', orders=()))

    def tell(unit, what, text=''):
        operation = SimpleNamespace(aside=False, script='')
        model.running[unit] = SimpleNamespace(operation=operation)
        if what in ('CALL', 'DONE', 'HOOK', 'WRONG:'):
            model.readers[0](unit, '{} {}'.format(what, text))
        else:
            model.observers[0](SimpleNamespace(unit=unit, what=what, text=text))

    account.tell = tell
    return account


def works(account, unit='app/0', lock='a'):
    account.tell(unit, 'begins')
    account.tell(unit, 'HOOK')
    account.tell(unit, 'works', 'work 5 ' + lock)


def test_a_unit_that_works_beside_another_is_a_fault(told):
    for unit in ('app/0', 'app/1'):
        told.tell(unit, 'CALL', 'request a False handler')
        works(told, unit)

    assert told.faults == ['at 0.00: app/0 and app/1 work together']


def test_work_that_nobody_asked_for_is_a_fault_and_so_is_work_twice_for_one_request(told):
    told.tell('app/0', 'CALL', 'request a False handler')
    works(told)
    told.tell('app/0', 'ends')
    assert told.faults == []
    works(told)
    assert told.faults == ['at 0.00: app/0 works under a, which it has not asked for']


def test_a_lock_that_is_kept_may_be_worked_under_again_and_one_that_is_asked_again_too(told):
    told.tell('app/0', 'CALL', 'request a False handler')
    works(told)
    told.tell('app/0', 'DONE', 'keep a True True True True')
    told.tell('app/0', 'ends')
    works(told)
    told.tell('app/0', 'CALL', 'again a True handler')
    told.tell('app/0', 'ends')
    works(told)
    assert told.faults == []


def test_an_action_that_asks_again_for_a_lock_that_is_kept_asks_for_the_turn_after_that(told):
    """Seed 700432."""
    told.tell('app/0', 'CALL', 'request a False handler')
    works(told)
    told.tell('app/0', 'DONE', 'keep a True True True True')
    told.tell('app/0', 'ends')
    told.tell('app/0', 'CALL', 'again a False aside')
    for _ in range(2):
        works(told)
        told.tell('app/0', 'ends')
    assert told.faults == []


@pytest.mark.parametrize(
    'call, fault',
    [
        ('request a False False False False', 'app/0 has asked for a, and is_requested says no'),
        ('request a False True True False', 'app/0: request_lock of a says True, is_granted False'),
        ('release a True None True True', 'app/0 has released a, and still has it'),
    ],
)
def test_what_a_call_and_the_functions_say_must_agree(told, call, fault):
    told.tell('app/0', 'DONE', call)
    assert told.faults == ['at 0.00: ' + fault]


def test_what_is_owed_at_the_end_is_named(told):
    told.model.flags_of = lambda unit: {'coordinator.requested.b'} if unit == 'app/1' else set()
    told.tell('app/0', 'CALL', 'again a False handler')

    assert told.left() == ['app/0 waits for a', 'app/1 has the flag coordinator.requested.b']
