"""What the environment of the hook that runs says, and other facts for which no hook tool is asked.

What lives here: JUJU_* variables, metadata, the clock. What must not: a hook tool, a rule.
"""

import os
import re
import sys
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional
from urllib.parse import quote

from charmhelpers.core import hookenv
from charms.layer.coordinator.context import HookContext

# The layer's peer relation. Frozen: Juju refuses an upgrade that changes it (lp:2049953).
PEERS = 'coordinator'

# The beginning of the layer's own keys in databags and leader settings, and of its files. Frozen, too.
KEY = 'coordinator'

# What the option `class` says where the charm has no class of its own.
DEFAULT_CLASS = 'charms.coordinator.SimpleCoordinator'

TIME_FORM = '%Y-%m-%d %H:%M:%S.%fZ'
RESTRICTED = ('collect-metrics', 'meter-status-changed')
INSIDE = 'COORDINATOR_HOOK'  # in the environment of what a hook runs: the id of that hook
WAKE_UP = 'COORDINATOR_WAKE_UP'  # in the environment of a wake-up: its token


def context(peers: str = PEERS) -> HookContext:
    """Return what the environment says about this hook or action (JUJU_*, see Juju's hook reference)."""
    unit, name = hookenv.local_unit(), hookenv.hook_name()
    ours = hookenv.relation_type() == peers
    remote = (hookenv.remote_unit() or '') if ours else ''
    departing = (hookenv.departing_unit() or remote) if name.endswith('-relation-departed') else ''
    here, inside = os.environ.get('JUJU_CONTEXT_ID', ''), os.environ.get(INSIDE, '')
    child = bool(here) and here == inside and here not in _HERE
    woken = not child and bool(wake_up())
    aside = child or bool(hookenv.action_name()) or (_is_exec(here) and not woken)
    if here and not aside:
        os.environ[INSIDE] = here
        _HERE.append(here)
    return HookContext(
        unit=unit,
        news=remote if name.endswith(('-relation-joined', '-relation-changed')) else '',
        departed=departing if ours and departing != unit else '',
        leaving=(ours and departing == unit) or name in ('stop', 'remove'),
        reread=name in ('start', 'upgrade-charm'),
        full_check=name == 'update-status',
        aside=aside,
        child=child,
        shared_news=name == 'leader-settings-changed' or (ours and not remote),
        restricted=restricted(),
        newborn=name == 'install',
        id=here,
        woken=woken,
    )


# The ids of the hooks that this process is; a program that it runs has the same in its environment only.
_HERE: List[str] = []

# juju exec, juju run of 2.9: the id is UNIT-run-commands-NUMBER (seen on 4.0.14).
_EXEC = '-run-commands-'


def _is_exec(context_id: str) -> bool:
    return context_id.startswith(hookenv.local_unit() + _EXEC)


def wake_up() -> Optional[bool]:
    """Return whether this is a wake-up that counts (wakeup.py says when), None if it is no wake-up."""
    here, token = os.environ.get('JUJU_CONTEXT_ID', ''), os.environ.get(WAKE_UP, '')
    if not _is_exec(here) or not token or hookenv.action_name():
        return None
    if here in _HERE:
        return True  # the first call has found so; since then the hook that it is has begun
    if os.environ.get(INSIDE) == here:
        return None  # a program that it runs
    from charms.layer.coordinator import wakeup  # no other hook needs it so early: see rest.py

    return wakeup.counts(local_file(KEY, 'wake-up'), token, saved)


def restricted() -> bool:
    """Return whether Juju answers next to nothing in this hook; it does not even say its version."""
    return hookenv.hook_name() in RESTRICTED


def zone() -> str:
    """Return the availability zone of this unit's machine, '' if Juju names none that may be written."""
    found = os.environ.get('JUJU_AVAILABILITY_ZONE', '')
    return found if re.match(r'\w[\w.:/-]{0,99}\Z', found) else ''


def event() -> str:
    """Return which hook this is, as NAME:REMOTE-UNIT."""
    return '{}:{}'.format(hookenv.hook_name(), hookenv.remote_unit() or '')


def layer_options() -> Dict[str, Any]:
    """Return the options of this layer, as the charm's layer.yaml sets them."""
    from charms.layer import options  # type: ignore[attr-defined]  # of layer:basic

    return dict(options.get('coordinator') or {})


def has_default_class() -> bool:
    """Return whether the layer's default class decides; one of the charm's own runs in every hook."""
    return bool(layer_options().get('class', DEFAULT_CLASS) == DEFAULT_CLASS)


def local_file(key: str, ending: str) -> str:
    """Return the path of one of the layer's own files on this unit's disk."""
    return os.path.join(hookenv.charm_dir() or '', '.{}.{}'.format(quote(key, safe=''), ending))


def key_value_path() -> str:
    """Return where charmhelpers keeps the charm's own key-value store."""
    return os.environ.get('UNIT_STATE_DB') or os.path.join(hookenv.charm_dir() or '', '.unit-state.db')


def saved(key: str) -> Any:
    """Return what the charm's own key-value store has under a key, None if nothing."""
    if not os.path.exists(key_value_path()):
        return None
    from charmhelpers.core import unitdata  # imports sqlite3, so not before it is needed

    return unitdata.kv().get(key)


def note(key: str, value: Any) -> bool:
    """Put a value into the charm's own key-value store, which charms.reactive saves with its flags.

    Returns:
        False where charms.reactive does not run, so nobody would save it.
    """
    bus = sys.modules.get('charms.reactive.bus')
    if not (bus and bus.Handler.get_handlers()):
        return False
    from charmhelpers.core import unitdata

    unitdata.kv().set(key, value)
    return True


def flush() -> None:
    """Save the charm's own key-value store now, with the flags as they are."""
    from charmhelpers.core import unitdata

    unitdata.kv().flush()


def major_version(version: str) -> int:
    """Return the agent's major version.

    Raises:
        RuntimeError: below Juju 2.9, or if JUJU_VERSION has no version.
    """
    found = re.match(r'(\d+)\.(\d+)', version)
    if not found or (int(found.group(1)), int(found.group(2))) < (2, 9):
        from charms.layer.coordinator import forms  # no other hook needs it so early: see rest.py

        consequence = 'upgrade the model: this hook fails until then'
        raise RuntimeError(forms.problem('JUJU_VERSION', '2.9 or newer', version, consequence))
    return int(found.group(1))


def peer_relations() -> List[str]:
    """Return the names of the charm's peer relations, sorted.

    Raises:
        AssertionError: if the charm has none.
    """
    peers = sorted(map(str, hookenv.metadata().get('peers') or {}))
    if not peers:
        from charms.layer.coordinator import forms  # as above

        consequence = 'units cannot take turns without one, so this hook fails'
        raise AssertionError(forms.problem('metadata.yaml, peers', 'a peer relation', peers, consequence))
    return peers


def container_endpoints() -> List[str]:
    """Return the endpoints by which a subordinate is related to its principals; none of any other charm."""
    described = hookenv.metadata()
    both = {**(described.get('provides') or {}), **(described.get('requires') or {})}
    return sorted(str(name) for name, found in both.items() if (found or {}).get('scope') == 'container')


def utc() -> datetime:
    """Return the time by this unit's clock, in UTC without a time zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def time_of(text: str) -> Optional[datetime]:
    """Return a text in TIME_FORM as a UTC time without a time zone, None if it is not one."""
    try:
        return datetime.strptime(text, TIME_FORM)
    except ValueError:
        return None
