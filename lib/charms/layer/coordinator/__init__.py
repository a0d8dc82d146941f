"""Let the units of an application take turns: restart, upgrade or re-index one at a time.

    from charms.layer import coordinator

    @when('config.changed')
    def reconfigure():
        write_config()
        coordinator.request_lock('restart')

    @when('coordinator.granted.restart')
    def restart():
        check_call(['systemctl', 'restart', 'db'])  # the turn ends when this hook succeeds

What lives here: the functions a charm calls. What must not: a rule, a hook tool, work at import. The classes
of charmhelpers.coordinator are here too, for charms written for them; see compat/.

A lock is fair and not re-entrant: turns come in the order in which the leader
learns of requests, and asking again for a lock before its turn is over changes
nothing. All functions work in handlers, in `@hook` functions, in library code,
in `hookenv.atexit` callbacks and in actions. Outside the handlers of a hook (in
callbacks and in actions) a request is recorded and its turn comes in a later hook.

The first call in a process reads the current state from Juju and from disk. So each function may raise, in
addition to what its docstring lists: ValueError for a layer option with a value that is not allowed,
RuntimeError below Juju 2.9, CalledProcessError if a hook tool fails, and OSError if the disk is full.

Flags, which are up to date before the first handler runs:
    coordinator.requested.LOCK  from the request until the turn is used and released
    coordinator.granted.LOCK    in exactly those hooks in which this unit holds the lock
    coordinator.rolled.LOCK     on the leader, when a roll of all units is over: in the hook that finds it
                                so, which may be the wake-up `coordinator-wake-up`
"""

from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Union

from charmhelpers.core import hookenv
from charms.layer.coordinator import environment, rest

if TYPE_CHECKING:
    from charms.layer.coordinator.compat.choice import Choice
    from charms.layer.coordinator.compat.classes import BaseCoordinator, Serial, SimpleCoordinator
    from charms.layer.coordinator.session import Session

__all__ = ['begin_hook', 'end_hook', 'explain', 'is_granted', 'is_requested', 'keep_lock', 'release_lock']
__all__ += [
    'BaseCoordinator',
    'Serial',
    'SimpleCoordinator',
    'cancel',
    'free',
    'gate',
    'pause',
    'request_again',
    'request_lock',
    'request_roll',
    'resume',
    'status',
    'token',
]


# The exit code of a wake-up that does not count: with another than 0, charms.reactive saves nothing.
NOT_COUNTED = 75

# Most hooks need nothing of what these four import, and rest.py lets those hooks go on without it.


def __getattr__(name: str) -> Any:
    """Return the gate decorator, or a class of charmhelpers.coordinator's API, when it is asked for."""
    if name not in ('gate', 'BaseCoordinator', 'Serial', 'SimpleCoordinator'):
        raise AttributeError('module {!r} has no attribute {!r}'.format(__name__, name))
    from charms.layer.coordinator import gates
    from charms.layer.coordinator.compat import classes

    return getattr(gates if name == 'gate' else classes, name)


def _chosen() -> 'Choice':
    from charms.layer.coordinator.compat.choice import chosen

    return chosen()


def _session() -> 'Session':
    """Return this hook's LeaderSession (a Session on an OldJuju); compat/choice.py makes it at first use."""
    return _chosen().session


def _lock(name: str) -> str:
    from charms.layer.coordinator import forms

    return forms.lock_name(name)


# When it runs


def begin_hook() -> None:
    """Find out what is true now, show it in the flags, and book `end_hook`.

    reactive/coordinator.py has it called once at the start of a hook, before any handler. It costs at most
    one hook-tool call if this unit has no request and does not lead; two more in update-status, one more in a
    relation-departed, one more after the leader has written the ledger. An action, juju exec, or a program
    that a hook runs cannot use a turn, since it may run between a failed hook and its retry: the turn stays
    for the next hook.

    Raises:
        ValueError: for a layer option with a value that is not allowed.
        RuntimeError: below Juju 2.9.
        SystemExit: in a wake-up that does not count (wakeup.py): it ends here and saves nothing.
    """
    if environment.wake_up() is False:
        raise SystemExit(NOT_COUNTED)
    if not rest.begin():
        _chosen().begin()
    hookenv.atexit(end_hook)


def end_hook() -> None:
    """Release every held lock that is not kept. It runs after all handlers, if they succeeded.

    The turn is over when charms.reactive saves its flags, just after this; the other units know
    it when Juju has committed the hook.
    """
    if rest.lasts():
        rest.end()
    else:
        _chosen().end()


# What a charm calls


def request_lock(name: str) -> bool:
    """Ask for a lock once, without waiting.

    Asking again before the turn is over changes nothing. The request survives a
    hook that fails. Sets the flag `coordinator.requested.NAME`, and
    `coordinator.granted.NAME` if the lock is held. A unit that is leaving (in the
    hooks stop, remove and its own relation-departed) asks for nothing.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.

    Returns:
        Whether this unit holds the lock now. Before the handlers, at import, True begins the turn.

    Raises:
        ValueError: for a name that is not a lock name; nothing changes.
    """
    return _session().request(_lock(name))


def keep_lock(name: str, reason: str = '', check_again_in: Optional[int] = None) -> bool:
    """Keep a held lock over the end of this hook. For "hold until healthy".

    Sets the flag `coordinator.granted.NAME` again in the next hook of this unit.
    The lock is released at the end of that hook unless it is kept again. A kept
    lock keeps every other unit waiting: to find out only whether the lock is held,
    read the flag or call `is_granted`. It goes together with `request_again`.

    With `check_again_in`, this unit wakes itself after so many seconds, if this hook succeeds and keeps the
    lock. A unit has one such timer, the earliest that was asked for, and hooks that keep the lock leave it as
    it is. The wake-up is a hook named `coordinator-wake-up`: turns go on in it, and none begins. If it fails,
    Juju does not retry it, and the turn goes on in the next hook.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.
        reason: why, in one line of up to 200 characters; `explain` and coordinator-show say it everywhere.
        check_again_in: after how many seconds this unit wakes itself, 1 to 86400. Without it, the next
            hook may be update-status.

    Returns:
        Whether the lock is held. If it is not, nothing changes.

    Raises:
        ValueError: for a name, a reason or a number of seconds that is not allowed; nothing changes.
    """
    if check_again_in is not None:
        from charms.layer.coordinator import wakeup  # most hooks do not need it

        check_again_in = wakeup.delay(check_again_in)
    from charms.layer.coordinator import forms

    return _session().keep(_lock(name), check_again_in, forms.reason(reason, 'the lock is not kept'))


def release_lock(name: str) -> None:
    """Release a held lock, or withdraw a request, if this hook succeeds. If there is neither, do nothing.

    Clears both flags of the lock: handlers of the granted flag that have not run yet do
    not run. If a later step of the hook fails, the turn is not over, and the next run of the
    hook has it again. It is over once the charm's key-value store is saved: charms.reactive
    does so after all handlers, and a charm may do so earlier with `unitdata.kv().flush()`.
    Outside a hook (in an action, say) it withdraws a request whose turn has not begun;
    a turn that has begun stays for the next hook.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.

    Raises:
        ValueError: for a name that is not a lock name; nothing changes.
    """
    _session().release(_lock(name))


def request_again(name: str) -> None:
    """Queue up again for a held lock when its turn is over: "not done, next turn please".

    If the lock is not held, this does the same as `request_lock`. With `keep_lock`, in any
    order, the turn goes on, and when it is over the unit queues up again. The flag
    `coordinator.requested.NAME` stays set. The request survives a hook that fails.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.

    Raises:
        ValueError: for a name that is not a lock name; nothing changes.
    """
    _session().request_again(_lock(name))


def is_granted(name: str) -> bool:
    """Return whether this unit may use the lock in this hook, as the granted flag says.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.

    Returns:
        True while this unit holds the lock. Before the handlers, at import, True begins the turn: it goes on
        if this hook fails.

    Raises:
        ValueError: for a name that is not a lock name; nothing changes.
    """
    return token(name) is not None


def is_requested(name: str) -> bool:
    """Return whether this unit has asked for the lock and has not released it, as the requested flag says.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.

    Returns:
        True from the request until the release.

    Raises:
        ValueError: for a name that is not a lock name; nothing changes.
    """
    return _lock(name) in _session().requested


def token(name: str) -> Optional[int]:
    """Return the fencing token of the turn. What the lock protects can refuse late work by it.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.

    Returns:
        A number from 1 to 2**53 that is never given twice. With one slot, every
        later turn of any unit has a greater one. None if the lock is not held. Before the handlers, at
        import, a token begins the turn.

    Raises:
        ValueError: for a name that is not a lock name; nothing changes.
    """
    turn = _session().turn(_lock(name))
    return turn.token if turn else None


def explain(name: str) -> str:
    """Return why the lock is not held yet, as a sentence for a status or a log.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.

    Returns:
        For example "restart: app/3 holds it, 2 ahead of this unit".

    Raises:
        ValueError: for a name that is not a lock name; nothing changes.
    """
    return _session().explain(_lock(name))


def status() -> Dict[str, Any]:
    """Return what this unit knows of all locks: who holds them, who waits, and what is the matter.

    It changes nothing, and works in any hook and in actions. It reads the ledger, and the claims of units at
    the front of each queue: up to 100 unfinished tickets, and those before them. The action
    coordinator-show prints the same for people.

    Returns:
        A dict of plain values, which JSON can express. `version` is 1; report.py tells the keys. What
        cannot be read is under `problems`.
    """
    from charms.layer.coordinator import onlooker, report  # only who asks needs them

    return report.data(onlooker.beside(_session()).seen(report.MOST))


# What the leader may do for all units; the actions that come with the layer do the same


def request_roll(
    name: str,
    batches: Sequence[Union[int, str]] = (),
    order: str = 'leader-last',
    by_zone: bool = False,
    pause_after: int = 0,
    reason: str = '',
    replace: bool = False,
) -> str:
    """On the leader, ask for a lock for all units at once: "restart all units".

    Each unit that has run a hook of this layer gets a turn, whether it asks or not: the flags
    `coordinator.requested.NAME` and `coordinator.granted.NAME` are set on it as after `request_lock`. A
    unit that joins later is not in the roll; one that leaves is dropped from it. When all have had their
    turn, the flag `coordinator.rolled.NAME` is set on the leader, in one hook that succeeds.

    A roll is saved at once, and written with the ledger: now, or in the next hook in which the leader
    may write it. A second roll of a lock is refused while one is under way, and so is any roll where a
    class of the charm's own gives the tickets.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.
        batches: how many units are in the first stage, in the second, and so on; the last one repeats.
            No turn of a stage begins before all turns of the stage before it are over. Each is a number from
            1 to 10000, or a percentage of all units such as '25%', rounded down and at least one unit.
            Empty: all units are in one stage. How many units of a stage work together, the option `slots`
            says.
        order: 'leader-last', 'leader-first', or 'name', which puts the leader where its number is.
        by_zone: whether no stage has units of two availability zones; zone comes after zone.
        pause_after: after this many stages, from 1 to 10000, the roll waits for `resume`: a first batch
            as a trial. 0 if it does not wait. It goes with `batches` only.
        reason: why, in one line of up to 200 printable characters, for all who look.
        replace: whether it takes the place of a roll of this lock that is under way. Turns of that one
            that have begun go on.

    Returns:
        '' if the roll is given, otherwise why not, as a sentence: on a unit that does not lead,
        "restart: this unit does not lead"; otherwise, for example, "restart: a roll is under way, 7 of 20
        done; cancel it first, or replace it".

    Raises:
        ValueError: for a parameter that is not allowed; nothing changes.
    """
    from charms.layer.coordinator import ordering  # few hooks need it

    session = _session()
    return ordering.roll(session, name, batches, order, by_zone, pause_after, reason, replace).refused


def pause(name: str = '', reason: str = '') -> str:
    """On the leader, let no turn of a lock begin until `resume`. A turn that has begun goes on.

    Requests are recorded meanwhile, and the flags `coordinator.requested.NAME` stay set. A unit whose turn
    has come, and that has not read of the pause, may begin it: it learns of it in its next hook.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end; '' for all locks.
        reason: why, in one line of up to 200 printable characters; `explain` says it on all units.

    Returns:
        '' if the pause is given, otherwise why not, as a sentence: "restart: already paused".

    Raises:
        ValueError: for a parameter that is not allowed; nothing changes.
    """
    from charms.layer.coordinator import ordering  # few hooks need it

    return ordering.pause(_session(), name, reason).refused


def resume(name: str = '') -> str:
    """On the leader, end the pauses of a lock, and let a roll of it go on after its first stages.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end; '' for all locks, those that were paused one by one too.

    Returns:
        '' if the order is given, otherwise why not, as a sentence: "restart: not paused".

    Raises:
        ValueError: for a parameter that is not allowed; nothing changes.
    """
    from charms.layer.coordinator import ordering  # few hooks need it

    return ordering.resume(_session(), name).refused


def cancel(name: str, reason: str = '') -> str:
    """On the leader, withdraw all requests for a lock, and the rest of a roll of it.

    Each unit withdraws its own in its next hook, and clears the flag `coordinator.requested.NAME`. A turn
    that has begun goes on. A unit may ask again when it has withdrawn (on Juju 4, a leader: a hook later).

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.
        reason: why, in one line of up to 200 printable characters.

    Returns:
        '' if the order is given, otherwise why not, as a sentence: "restart: no unit has asked for it,
        and no roll of it is under way".

    Raises:
        ValueError: for a parameter that is not allowed; nothing changes.
    """
    from charms.layer.coordinator import ordering  # few hooks need it

    return ordering.cancel(_session(), name, reason).refused


def free(unit: str, confirm: bool = False, reason: str = '') -> str:
    """On the leader, say that another unit is down, and that all it holds or has asked for is over.

    The other units go on. When the freed unit runs again it learns that, and asks anew for what it had asked
    for itself. This is the one order that can break exclusion: if that unit is alive and in its turn, two
    units work at once. It is refused while there is no ledger: the leader makes one when that unit has
    answered, too.

    Args:
        unit: a unit of this application, such as app/3; not this one.
        confirm: whether you have made sure that it is down. Otherwise the order is refused, and the
            sentence says what it risks.
        reason: why, in one line of up to 200 printable characters.

    Returns:
        '' if the order is given, otherwise why not, as a sentence: "app/3: it holds no lock and waits for
        none".

    Raises:
        ValueError: for a parameter that is not allowed; nothing changes.
    """
    from charms.layer.coordinator import ordering  # few hooks need it

    return ordering.free(_session(), unit, confirm, reason).refused
