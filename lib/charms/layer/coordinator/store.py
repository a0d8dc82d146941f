"""The local store: a few values by name in one JSON file on this unit's disk; and the file of wake.py.

What lives here: the files. What must not: a hook tool, a rule, what the values mean.

    {"checksum": "9a0b1c2d", "values": {NAME: VALUE, …}}

It is separate from the charm's own key-value store, which is committed with the
hook: what is kept here must outlive a hook that fails. Juju keeps the file over
a charm upgrade.
"""

import fcntl
import json
import os
import zlib
from typing import Any, Callable, Dict, FrozenSet, Optional

from charms.layer.coordinator import wake
from charms.layer.coordinator.forms import parsed, problem
from charms.layer.coordinator.values import Units

PUT_ASIDE = 'put aside under its name and .unreadable; this unit starts again from what Juju has of it'


class Store:
    """Values by name. Each is written at once, whether or not the hook succeeds.

    Args:
        path: the file. It is replaced atomically, under a lock on a second file,
            `path` + '.lock'.
        warn: called with a sentence when the file cannot be trusted and is put aside.

    Raises:
        OSError: from each method, if the disk is full or the file cannot be
            opened. The file stays as it is: the hook fails, and its retry may
            succeed.
    """

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        self.name = os.path.basename(path)
        self._path, self._warn = path, warn

    def get(self, name: str) -> Any:
        """Return the value of that name, or None."""
        return self._read().get(name)

    def values(self) -> Dict[str, Any]:
        """Return all values by name, from one read of the file."""
        return self._read()

    def set(self, name: str, value: Any) -> None:
        """Write a value that JSON can express."""
        self.update(name, lambda found: value)

    def update(self, name: str, change: Callable[[Any], Any]) -> None:
        """Read a value, change it with `change` and write it back, while no other process can write."""
        with open(self._path + '.lock', 'a') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            values = self._read()
            values[name] = change(values.get(name))
            self._write(values)

    def clear(self) -> None:
        """Forget everything."""
        with open(self._path + '.lock', 'a') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._write({})

    def _read(self) -> Dict[str, Any]:
        if not os.path.exists(self._path):
            return {}
        with open(self._path, 'rb') as file:
            text = file.read().decode('utf-8', 'replace')
        found = parsed(text)
        values = found.get('values') if isinstance(found, dict) else None
        if isinstance(values, dict) and found.get('checksum') == checksum(values):
            return values
        # A digit that changed on the disk could free what another unit holds, so no part of it is trusted.
        self._put_aside(text)
        return {}

    def _put_aside(self, text: str) -> None:
        os.replace(self._path, self._path + '.unreadable')
        self._warn(problem('local store ' + self.name, 'JSON with its checksum', text, PUT_ASIDE))

    def _write(self, values: Dict[str, Any]) -> None:
        text = json.dumps({'checksum': checksum(values), 'values': values}, sort_keys=True)
        replace(self._path, text, sync=True)


def checksum(values: Any) -> str:
    """Return the checksum that the file of these values begins with."""
    return '{:08x}'.format(zlib.crc32(json.dumps(values, sort_keys=True).encode()))


class WakeFile:
    """The file that says whose news can matter; hooks/coordinator-relation-changed reads it.

    It is replaced atomically, and not synchronised with the disk: a file that is missing or cut short
    lets every hook run.

    Args:
        path: the file.
        event: the hook that runs and its remote unit, as NAME:UNIT.
        look: reads the leader settings and sets `settings`.

    Attributes:
        said: the peer relation's id and the claims that this hook has published.
        settings: the digest of the leader settings beside the ledger, if this hook has read them.
    """

    def __init__(self, path: str, event: str, look: Callable[[], object]) -> None:
        self._path, self._event, self._look = path, event, look
        self.said, self.settings, self._settings_before = ('', ''), '', ''

    def _read(self) -> str:
        try:
            with open(self._path, encoding='utf-8') as file:
                return file.read()
        except (OSError, ValueError):
            return ''

    def unheard(self) -> Optional[FrozenSet[str]]:
        """Return the units whose news no hook has heard, None if that is not known."""
        return wake.skipped(self._read())

    def withdraw(self) -> Optional[FrozenSet[str]]:
        """Let every hook run; return the units whose news no hook has heard, None if that is not known."""
        found = self._read()
        unheard = wake.skipped(found)
        if unheard is not None:
            self._settings_before = wake.settings_in(found)
            self._write(wake.text(None, wake.Known(self._event), unheard))
        elif os.path.exists(self._path):
            os.remove(self._path)
        return unheard

    def write(self, needed: 'Optional[wake.Wake]', unheard: Units) -> None:
        """Say what this unit must hear, None for everything, and of which units it has not heard all.

        Other leader settings count as seen once a leader-settings-changed has run with them. If this hook
        sees that they have changed since, or does not read them, the next one must run. A unit that waits
        reads them now: one call here saves a whole hook, which the next write of the ledger would bring.
        """
        waits = needed and not (needed.rest or needed.data)
        if waits and self._settings_before and not self.settings:
            self._look()
        heard = self._event.startswith('leader-settings-changed') or self.settings == self._settings_before
        heard = heard and not self._event.startswith('upgrade-charm')  # new code has seen nothing
        known = wake.Known(self._event, self.said, self.settings if heard else '')
        self._write(wake.text(needed, known, unheard))

    def _write(self, text: str) -> None:
        replace(self._path, text, sync=False)


def replace(path: str, text: str, sync: bool) -> None:
    """Replace a file atomically; `sync` waits until the disk has it."""
    new = '{}.{}'.format(path, os.getpid())
    with open(new, 'w', encoding='utf-8', opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(text)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(new, path)
