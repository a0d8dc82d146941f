"""Let the units of an application take turns: restart, upgrade or re-index one at a time.

    from charms.layer import coordinator

    @when('config.changed')
    def reconfigure():
        write_config()
        coordinator.request_lock('restart')

    @when('coordinator.granted.restart')
    def restart():
        service_restart('db')            # the turn ends when this hook succeeds

What lives here: the functions a charm calls. What must not: a rule, a hook
tool, work at import. The classes of charmhelpers.coordinator are here too, see
classes.py, for charms written for them.

A lock is fair and not re-entrant: turns come in the order in which the leader
learns of requests, and asking for what is asked for already changes nothing.
All functions work in handlers, in `@hook` functions, in library code, in
`hookenv.atexit` callbacks and in actions; outside the handlers of a hook (in
callbacks, and in an action script that does not run `charms.reactive.main()`)
a request is recorded and its turn comes in a later hook.

Flags, right before any handler runs:
    coordinator.requested.LOCK  from the request until the turn is used and released
    coordinator.granted.LOCK    in exactly those hooks in which this unit holds the lock
"""

from typing import Optional

from charmhelpers.core import hookenv
from charms.layer.coordinator import flags, wire
from charms.layer.coordinator.compat.choice import chosen
from charms.layer.coordinator.compat.classes import BaseCoordinator, Serial, SimpleCoordinator
from charms.layer.coordinator.session import Session

__all__ = ['begin_hook', 'end_hook', 'explain', 'is_granted', 'is_requested', 'keep_lock', 'release_lock']
__all__ += ['BaseCoordinator', 'Serial', 'SimpleCoordinator', 'request_again', 'request_lock', 'token']


def _session() -> Session:
    return chosen().session


# When it runs


def begin_hook() -> None:
    """Look at what is true now and show it in the flags; book `end_hook`.

    Called once at the start of a hook, before any handler. Costs at most one
    hook-tool call where nothing is asked and this unit does not lead. An action
    cannot use a turn that came before it, since it may run between a failed hook
    and its retry: the turn stays for the next hook.

    Raises:
        ValueError: for a layer option that does not exist or is not allowed.
        RuntimeError: below Juju 2.9.
    """
    session = _session()
    session.show = flags.show
    chosen().begin()
    for lock in sorted(session.granted):
        session.log(session.explain(lock))
    hookenv.atexit(end_hook)


def end_hook() -> None:
    """Release every lock held that is not kept. Called after all handlers, if they succeeded."""
    chosen().end()


# What a charm calls


def request_lock(name: str) -> bool:
    """Ask for a lock once, without waiting; return whether this unit holds it now.

    Asking again before the turn is over changes nothing. The request survives
    a hook that fails. Sets `coordinator.requested.NAME`, and
    `coordinator.granted.NAME` where the lock is held. False, and nothing is
    asked, in a hook in which this unit leaves (stop, remove, its own departed).

    Raises:
        ValueError: for a name that is not a lock name.
    """
    return _session().request(wire.lock_name(name))


def keep_lock(name: str) -> bool:
    """Keep a held lock over the end of this hook; return whether it is held.

    The granted flag is set again in the next hook of this unit, and the lock
    is released at the end of that one unless it is kept again. For "hold until
    healthy". Kept locks keep every other unit waiting, so ask `is_granted` or
    the flag, not this, in the handlers that only look.

    Raises:
        ValueError: for a name that is not a lock name.
    """
    return _session().keep(wire.lock_name(name))


def release_lock(name: str) -> None:
    """Release a held lock now, or withdraw a request for it; nothing where there is neither.

    Known here at once, so that the turn is not repeated should a later step of
    this hook fail, and to the other units when the hook succeeds. Clears both
    flags of the lock: handlers of the granted flag that have not run yet do not.

    Raises:
        ValueError: for a name that is not a lock name.
    """
    _session().release(wire.lock_name(name))


def request_again(name: str) -> None:
    """Release a held lock at the end of this hook and queue up again: "not done, next turn please".

    Where the lock is not held this is `request_lock`. Beside another lock of
    the same queue that is kept, the turn goes on and both are held in the next hook.

    Raises:
        ValueError: for a name that is not a lock name.
    """
    _session().request_again(wire.lock_name(name))


def is_granted(name: str) -> bool:
    """Return whether this unit holds the lock in this hook, as the granted flag says."""
    return token(name) is not None


def is_requested(name: str) -> bool:
    """Return whether this unit has asked for the lock and its turn is not over."""
    return wire.lock_name(name) in _session().requested


def token(name: str) -> Optional[int]:
    """Return the fencing token of the turn, None where the lock is not held.

    A later turn of any unit has a greater token. Give it to what the lock
    protects, so that it can refuse a holder that was overtaken.
    """
    turn = _session().turn(wire.lock_name(name))
    return turn.token if turn else None


def explain(name: str) -> str:
    """Return why the lock is not held yet, as a sentence, for a status or a log.

    For example "restart: app/3 holds it, 2 ahead of this unit".
    """
    return _session().explain(wire.lock_name(name))
