"""Leaves alone a hook that has nothing to do for this layer, before the rest of the layer is imported.

What lives here: how such a hook is recognized, and what it owes if the charm asks for
something after all. What must not: an import of what most hooks of an idle unit do not need
(so is-leader is asked here, though juju.py has all other hook tools).

Most hooks in the life of a unit are of this kind: it has no request, it does not lead, and the
hook is no update-status and brings no news of peers or of the ledger. A session would then read
the store, change nothing, publish nothing, set no flag, and sleep as before; tests/proofs checks
that in each such hook of every history (promises.py). So none is made until the charm asks for
something. It then finds what it would have found at the start of the hook: is-leader said False,
and says so until the hook ends (R15).
"""

from typing import TYPE_CHECKING, Callable, List

from charmhelpers.core import hookenv
from charms.layer.coordinator import callbacks, environment, flags

if TYPE_CHECKING:
    from charms.layer.coordinator.compat.choice import Choice

# What the layer options choose, once something in this process needs it: see compat/choice.py.
CHOSEN: 'List[Choice]' = []

# What has passed of a hook without a session, for one that is made after all; empty in every other hook.
_PASSED: 'List[Callable[[Choice], None]]' = []


def begin() -> bool:
    """Return whether this hook has nothing to do for the layer; from then on it `lasts`."""
    context = environment.context()
    fresh = not CHOSEN and environment.has_default_class()
    fresh = fresh and not _is_to_wake()
    if not (fresh and context.is_for_nothing(_found()) and not flags.present() and not hookenv.is_leader()):
        return False
    _PASSED.append(lambda choice: choice.begin())
    callbacks.when_they_begin(lambda: _pass(lambda choice: choice.session.handlers_succeeded()))
    return True


def _found() -> str:
    """Return what the unit's last hook found, '' if its store has changed since, or that cannot be told."""
    wake, store = (environment.local_file(environment.KEY, ending) for ending in ('wake', 'json'))
    try:
        with open(wake, encoding='utf-8') as file:
            words, (rest, _, checksum) = file.readline(), file.readline().rpartition('\t')
        with open(store, encoding='utf-8') as file:
            same = file.readline(40).startswith('{{"checksum": "{}"'.format(checksum.rstrip('\n')))
    except (OSError, ValueError):
        return ''
    whole = words.startswith('wake-1 ') and words.endswith(' end\n') and checksum.endswith('\n')
    return rest if same and whole else ''


def _is_to_wake() -> bool:
    """Return whether a wake-up counts (wakeup.py): a session must take that back while this hook runs."""
    try:
        with open(environment.local_file(environment.KEY, 'wake-up'), encoding='utf-8') as file:
            return file.readline() != 'wake-up-1 end\n'
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True


def end() -> None:
    """Note that the turns of this hook, if there had been any, are over."""
    _pass(lambda choice: choice.session.hide())


def lasts() -> bool:
    """Return whether this hook has had nothing to do so far."""
    return bool(_PASSED) and not CHOSEN


def make_up(choice: 'Choice') -> None:
    """Bring the session that the charm needs after all to where this hook stands."""
    for step in _PASSED:
        step(choice)


def _pass(step: 'Callable[[Choice], None]') -> None:
    if lasts():
        _PASSED.append(step)
