"""From what an operator, or the charm on the leader, wants of all units to an order that the leader writes.

What lives here: which parameters an order may have, and the sentence that refuses it. What must not: a
hook tool, what an order does (orders.py), the words of an action's answer.
"""

import re
from typing import TYPE_CHECKING, Any, NamedTuple, Sequence, Tuple

from charms.layer.coordinator import forms, plan, why
from charms.layer.coordinator.values import CANCEL, FREE, PAUSE, RESUME, ROLL, Order, Wish

if TYPE_CHECKING:
    from charms.layer.coordinator.session import Session

EVERYTHING = 'all locks'
UNCHANGED = 'nothing is changed'
MOST_STAGES = 10000

OWN_CLASS = "a class of the charm's own gives the tickets, and no roll can pass it by; let each unit ask"
NOT_DOWN = 'this unit itself gives the order, so it is not down'
RISK = 'if it is alive and in its turn, two units will work at once; make sure that it is down, and confirm'
NO_BATCHES = 'batches beside it: it counts the stages that they make'
TOO_FEW_STAGES = 'the roll has {}, so it would not wait after stage {}'


class Given(NamedTuple):
    """What has become of an order.

    Args:
        wish: the order.
        refused: why it is refused, as a sentence; '' if it is given.
        written: whether the ledger has it, if this hook succeeds. Otherwise the leader writes it later.
        left_out: the units that a roll leaves out, because they have said nothing to the others yet.
        early: the pauses between two stages that end with it before their rolls have reached them.
    """

    wish: Wish
    refused: str = ''
    written: bool = False
    left_out: Tuple[str, ...] = ()
    early: Tuple[Order, ...] = ()


def roll(
    session: 'Session', lock: Any, batches: Sequence[Any], order: Any, by_zone: Any, pause_after: Any,
    reason: Any, replace: Any,
) -> Given:  # fmt: skip
    """Order a roll; `request_roll` tells the parameters.

    Raises:
        ValueError: for a parameter that is not allowed.
    """
    lock, sizes = forms.lock_name(lock), batch_sizes(batches)
    _check('order', order in plan.ORDERS, 'one of ' + ', '.join(plan.ORDERS), order)
    for name, value in (('by_zone', by_zone), ('replace', replace)):
        _check(name, isinstance(value, bool), 'true or false', value)
    counted = forms.is_count(pause_after, MOST_STAGES)
    _check('pause_after', counted, 'a number of stages from 0 to {}'.format(MOST_STAGES), pause_after)
    _check('pause_after', not pause_after or bool(sizes), NO_BATCHES, pause_after)
    wish = Wish(_order(session, ROLL, lock, reason), (), pause_after, replace)
    if not session.leading or session.policy.grow is not None:
        return _give(session, wish, OWN_CLASS if session.leading else '')
    members = session.members()
    zones = {unit: zone for unit, (_, zone) in members.items()}
    stages = plan.planned(zones, session.context.unit, sizes, order, by_zone)
    named = tuple(tuple((unit, members[unit][0]) for unit in stage) for stage in stages)
    number = '1 stage' if len(stages) == 1 else '{} stages'.format(len(stages))
    vain = TOO_FEW_STAGES.format(number, pause_after) if pause_after >= len(stages) > 0 else ''
    given = _give(session, wish._replace(stages=named), vain)
    silent = session.staying() - {*members}
    return given._replace(left_out=tuple(sorted(silent, key=plan.number)))


def pause(session: 'Session', lock: Any = '', reason: Any = '') -> Given:
    """Order a pause of a lock, '' for all. Raises ValueError."""
    return _give(session, Wish(_order(session, PAUSE, '' if lock == '' else forms.lock_name(lock), reason)))


def resume(session: 'Session', lock: Any = '') -> Given:
    """Order the end of the pauses of a lock, '' for all. Raises ValueError."""
    order = _order(session, RESUME, '' if lock == '' else forms.lock_name(lock))
    early = session.ends_early(order) if session.leading else ()
    return _give(session, Wish(order))._replace(early=early)


def cancel(session: 'Session', lock: Any, reason: Any = '') -> Given:
    """Order that all requests for a lock that have not begun are withdrawn. Raises ValueError."""
    return _give(session, Wish(_order(session, CANCEL, forms.lock_name(lock), reason)))


def free(session: 'Session', unit: Any, confirm: Any = False, reason: Any = '') -> Given:
    """Order that all that a unit holds and has asked for is over. Raises ValueError."""
    mine = session.context.unit
    app = mine.partition('/')[0]
    ours = isinstance(unit, str) and re.match(re.escape(app) + r'/[0-9]{1,9}\Z', unit)
    _check('unit', bool(ours), 'a unit of this application, such as {}/3'.format(app), unit)
    _check('confirm', isinstance(confirm, bool), 'true or false', confirm)
    wish = Wish(_order(session, FREE, '', reason, unit))
    if not session.leading:
        return _give(session, wish)
    return _give(session, wish, NOT_DOWN if unit == mine else '' if confirm else RISK)


def still_paused(session: 'Session', order: Order) -> str:
    """Return the pause that keeps turns from beginning by an order that was given, in words; '' for none."""
    begins = order.kind in (ROLL, RESUME)
    pauses = (each for each in session.ordered() if begins and each.kind == PAUSE and not each.first)
    pause = next((each for each in pauses if each.lock in ('', order.lock)), None)
    which = 'this lock is' if pause and pause.lock else 'all locks are'
    return '{} {}'.format(which, why.paused(pause)) if pause else ''


def batch_sizes(batches: Any) -> Tuple[plan.Size, ...]:
    """Return the sizes of batches. Raises ValueError."""
    listed = isinstance(batches, (list, tuple)) and len(batches) <= MOST_STAGES
    good = listed and all(plan.is_size(size) for size in batches)
    _check('batches', good, 'for each batch ' + plan.SIZE_FORM, batches)
    return tuple(batches)


def subject(order: Order) -> str:
    """Return what an order is about: a unit, a lock, or all locks."""
    return order.unit or order.lock or EVERYTHING


def _order(session: 'Session', kind: str, lock: str = '', reason: Any = '', unit: str = '') -> Order:
    why = forms.reason(reason, UNCHANGED)
    return Order(kind, session.port.new_nonce(), lock, session.port.now(), why, unit=unit)


def _give(session: 'Session', wish: Wish, refused: str = '') -> Given:
    refused = refused or session.order(wish)
    if refused:
        return Given(wish, '{}: {}'.format(subject(wish.order), refused))
    return Given(wish, written=session.has_written(wish))


def _check(name: str, good: bool, expected: str, found: Any) -> None:
    if not good:
        raise ValueError(forms.problem(name, expected, found, UNCHANGED))
