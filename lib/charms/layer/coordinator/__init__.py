"""Let the units of an application take turns: restart, upgrade or re-index one at a time.

    from charms.layer import coordinator

    @when('config.changed')
    def reconfigure():
        write_config()
        coordinator.request_lock('restart')

    @when('coordinator.granted.restart')
    def restart():
        service_restart('db')            # the turn ends when this hook succeeds

What lives here: the functions a charm calls; they join the protocol to this
hook's Juju and to the flags. What must not: a rule, a hook tool, work at import.

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

from typing import FrozenSet, Optional, Set

from charmhelpers.core import hookenv
from charms.layer.coordinator import flags, juju, policy, protocol, rules, wire

__all__ = [
    'begin_hook',
    'end_hook',
    'explain',
    'is_granted',
    'is_requested',
    'keep_lock',
    'release_lock',
    'request_again',
    'request_lock',
    'token',
]


class _Here:
    """The hook or action that this process runs."""

    def __init__(self) -> None:
        self.juju = juju.Juju()
        self.hook = protocol.begin(self.juju, juju.occasion(), _chosen_policy())
        self.kept: Set[str] = set()
        self.again: Set[str] = set()
        self.shows_flags = False
        self.ended = False
        self.aside: FrozenSet[rules.Ticket] = frozenset()
        self._told: FrozenSet[rules.Ticket] = frozenset()

    @property
    def serving(self) -> bool:
        """Whether a handler may still use a turn in this hook."""
        return self.hook.serving and not juju.callbacks_running()

    def moved_to(self, hook: protocol.Hook) -> None:
        """Go on from there: log what the leader wrote, bring the flags in line."""
        self.hook = hook
        news = [ticket for ticket in hook.given + hook.dropped if ticket not in self._told]
        for ticket in news:
            verb = 'is gone, its ticket is dropped' if ticket in hook.dropped else 'is given a ticket'
            juju.log('{} {}, token {}'.format(ticket.unit, verb, ticket.token))
        self._told |= frozenset(news)
        if self.shows_flags:
            granted = frozenset() if self.ended else self.granted
            flags.show(self.requested, granted)

    @property
    def requested(self) -> FrozenSet[str]:
        own = self.hook.own.values()
        waiting = frozenset(name for claim in own if claim.outstanding for name in claim.names)
        return waiting | self.again

    @property
    def granted(self) -> FrozenSet[str]:
        """The locks that handlers may use now."""
        return frozenset(lock for lock in self.requested if self.turn(lock))

    def turn(self, lock: str) -> Optional[rules.Ticket]:
        """Return the ticket by which the lock may be used now: in an action not one that came before it."""
        turn = self.hook.turn(lock)
        return None if turn in self.aside else turn


class _Process:
    """Holds the one hook of this process, from its first look on."""

    here: Optional[_Here] = None


def _chosen_policy() -> policy.Policy:
    from charms.layer import options  # type: ignore[attr-defined]  # of layer:basic

    return policy.from_options(options.get('coordinator') or {})


def _here() -> _Here:
    if _Process.here is None:
        here = _Process.here = _Here()
        here.hook = here.hook._replace(serving=False)
    return _Process.here


# When it runs


def begin_hook() -> None:
    """Look at what is true now and show it in the flags; books `end_hook`.

    Called once at the start of a hook, before any handler. Costs at most one
    hook-tool call where nothing is asked and this unit does not lead. In an
    action a turn that came before is left to the next hook: the action may run
    between a failed hook and its retry, and must not use up what that one needs.

    Raises:
        ValueError: for a layer option that does not exist or is not allowed.
        RuntimeError: below Juju 2.9.
    """
    # Who asked before (at import, in another layer's atstart) has begun this hook already: a second
    # look would take what it wrote, and Juju has not committed, for what is true.
    early = _Process.here is not None
    here = _here()
    here.shows_flags = True
    if juju.in_action():
        here.aside = frozenset(here.hook.turns)
    hook = here.hook._replace(serving=True)
    here.moved_to(protocol.serve(here.juju, hook) if early else hook)
    for lock in sorted(here.granted):
        juju.log(explain(lock))
    hookenv.atexit(end_hook)


def end_hook() -> None:
    """Release every lock held that is not kept. Called after all handlers, if they succeeded."""
    here = _here()
    before = here.granted
    here.ended = True
    turns = tuple(turn for turn in here.hook.turns if turn not in here.aside)
    hook, again = here.hook._replace(turns=turns), frozenset(here.again)
    here.again.clear()
    here.moved_to(protocol.end(here.juju, hook, here.kept, again, juju.now()))
    for lock in sorted(before - here.granted):
        juju.log('{}: released{}'.format(lock, ', and asked for again' if lock in again else ''))


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
    lock, here = wire.lock_name(name), _here()
    if here.turn(lock):
        return True
    if here.requested and lock in here.requested:
        return False
    if not here.serving:
        here.hook = here.hook._replace(serving=False)
    if _turn_is_ending(here, lock):
        # The turn of its queue was for other locks and is about to be released.
        here.again.add(lock)
        here.moved_to(here.hook)
        return False
    here.moved_to(protocol.request(here.juju, here.hook, lock, juju.now()))
    juju.log(explain(lock))
    return here.turn(lock) is not None


def _turn_is_ending(here: _Here, lock: str) -> bool:
    queues = {ticket.queue for ticket in here.hook.turns}
    in_turn = here.hook.policy.queue_of(lock) in queues
    return in_turn and here.shows_flags and not here.ended and not here.serving


def keep_lock(name: str) -> bool:
    """Keep a held lock over the end of this hook; return whether it is held.

    The granted flag is set again in the next hook of this unit, and the lock
    is released at the end of that one unless it is kept again. For "hold until
    healthy". Kept locks keep every other unit waiting, so ask `is_granted` or
    the flag, not this, in the handlers that only look.

    Raises:
        ValueError: for a name that is not a lock name.
    """
    lock, here = wire.lock_name(name), _here()
    if here.turn(lock) is None:
        return False
    here.kept.add(lock)
    return True


def release_lock(name: str) -> None:
    """Release a held lock now, or withdraw a request for it; nothing where there is neither.

    Known here at once, so that the turn is not repeated should a later step of
    this hook fail, and to the other units when the hook succeeds. Clears both
    flags of the lock: handlers of the granted flag that have not run yet do not.

    Raises:
        ValueError: for a name that is not a lock name.
    """
    lock, here = wire.lock_name(name), _here()
    was_asked = is_requested(lock)
    here.kept.discard(lock)
    here.again.discard(lock)
    here.moved_to(protocol.release(here.juju, here.hook, lock))
    if was_asked:
        juju.log('{}: released'.format(lock))


def request_again(name: str) -> None:
    """Release a held lock at the end of this hook and queue up again: "not done, next turn please".

    Where the lock is not held this is `request_lock`. Beside another lock of
    the same queue that is kept, the turn goes on and both are held in the next hook.

    Raises:
        ValueError: for a name that is not a lock name.
    """
    lock, here = wire.lock_name(name), _here()
    turn = here.hook.turn(lock)
    if turn is None or turn in here.aside or not here.shows_flags or here.ended:
        if turn:
            release_lock(lock)
        request_lock(lock)
    else:
        here.kept.discard(lock)
        here.again.add(lock)


def is_granted(name: str) -> bool:
    """Return whether this unit holds the lock in this hook, as the granted flag says."""
    return token(name) is not None


def is_requested(name: str) -> bool:
    """Return whether this unit has asked for the lock and its turn is not over."""
    return wire.lock_name(name) in _here().requested


def token(name: str) -> Optional[int]:
    """Return the fencing token of the turn, None where the lock is not held.

    A later turn of any unit has a greater token. Give it to what the lock
    protects, so that it can refuse a holder that was overtaken.
    """
    turn = _here().turn(wire.lock_name(name))
    return turn.token if turn else None


def explain(name: str) -> str:
    """Return why the lock is not held yet, as a sentence, for a status or a log.

    For example "restart: app/3 holds it, 2 ahead of this unit".
    """
    lock, hook = wire.lock_name(name), _here().hook
    turn = _here().turn(lock)
    if turn:
        return '{}: this unit holds it, token {}'.format(lock, turn.token)
    if hook.occasion.leaving:
        return '{}: this unit leaves and takes no new turn'.format(lock)
    if not is_requested(lock):
        return '{}: not asked for by this unit'.format(lock)
    return '{}: {}'.format(lock, rules.refusal(hook.ledger, hook.ticket(lock), hook.claims))
