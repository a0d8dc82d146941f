"""From text to orders and wishes, and back.

What lives here: the form of what orders.py decides about. What must not: IO, a rule.
"""

from typing import Any, List, Optional, Tuple

from charms.layer.coordinator.forms import (
    is_count,
    is_lock,
    is_nonce,
    is_queue,
    is_reason,
    is_time,
    is_token,
    is_unit,
)
from charms.layer.coordinator.values import CANCEL, FREE, PAUSE, RESUME, ROLL, Order, Wish

KINDS = (ROLL, PAUSE, RESUME, CANCEL, FREE)


def order_entry(order: Order) -> List[Any]:
    """Return an order as an entry of the ledger."""
    return [*order[:-1], dict(order.asks)]


def orders_in(rolls: Any, others: Any) -> Optional[Tuple[Order, ...]]:
    """Return the orders that stand in a ledger, None if one of them cannot be read."""
    if not (isinstance(rolls, list) and isinstance(others, list)):
        return None
    read = [order_in(entry) for entry in (*rolls, *others)]
    orders = tuple(order for order in read if order)
    return orders if len(orders) == len(read) else None


def order_in(entry: Any) -> Optional[Order]:
    """Return the order that an entry says, None if it cannot be read."""
    if not (isinstance(entry, list) and len(entry) == len(Order._fields)):
        return None
    kind, name, lock, since, reason, first, last, unit, nonce, asks = entry
    named = kind in KINDS and is_lock(name) and is_queue(lock) and is_reason(reason)
    whose = (unit == '' or is_unit(unit)) and is_nonce(nonce) and is_time(since) and since.isprintable()
    counted = isinstance(asks, dict) and all(is_queue(each) and is_count(asks[each]) for each in asks)
    if not (named and whose and counted and is_token(first) and is_token(last)):
        return None
    return Order(kind, name, lock, since, reason, first, last, unit, nonce, tuple(sorted(asks.items())))


def wish_entry(wish: Wish) -> List[Any]:
    """Return a wish as an entry of the local store."""
    return [order_entry(wish.order), *wish[1:]]


def wish_in(entry: Any) -> Optional[Wish]:
    """Return the wish that an entry of the local store says, None if it cannot be read."""
    if not (isinstance(entry, list) and len(entry) == len(Wish._fields)):
        return None
    order, stages, pause_after, replace = order_in(entry[0]), *entry[1:]
    if not (order and isinstance(stages, list) and is_count(pause_after) and isinstance(replace, bool)):
        return None
    pairs = [pair for stage in stages for pair in (stage if isinstance(stage, list) else [None])]
    if not all(isinstance(pair, list) and len(pair) == 2 and is_unit(pair[0]) for pair in pairs):
        return None
    planned = tuple(tuple((str(unit), str(nonce)) for unit, nonce in stage) for stage in stages)
    return Wish(order, planned, pause_after, replace)
