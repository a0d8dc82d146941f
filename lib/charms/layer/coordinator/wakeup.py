"""Wakes this unit by itself: after some seconds a timer has juju-exec run a hook of this charm.

What lives here: when a timer is needed, the file that says which one counts, and the one place
that starts programs, through subprocess: charmhelpers has no call for them. What must not: a rule,
a hook tool, anything that waits for what it starts.

Nothing in Juju gives a unit a hook of its own at a chosen time. juju-exec runs code between two
hooks, but also between a failed hook and its retry, and Juju commits what that code wrote even if it
fails. So most of what it runs may use no turn (rule 12). A wake-up may, since
hooks/coordinator-wake-up runs the charm's ordinary hook only if

* this file names it. A hook that begins takes the name out, and writes it again when all handlers
  have succeeded and a lock is kept. So each wake-up counts once, never after a hook that failed, and
  never beside another one;
* Juju has what that hook said: it has not refused its commit, as far as this unit can see;
* Juju has not put another charm in place, whose upgrade-charm is still to come.

Then the layer looks into the charm's key-value store. That has the name of the hook which wrote this file,
unless the flags of that hook were never saved. Such a wake-up ends there, before any handler.

    wake-up-1 TOKEN end     the wake-up that counts; no TOKEN if none does
    CHARM                   what Juju wrote to .juju-charm with the charm's files
    HOOK                    the hook that wrote this
    TOKEN DUE BOOT          the timer that is set, when it ends, and since which start of the machine
"""

import os
import shlex
import time
import uuid
from subprocess import DEVNULL, Popen, TimeoutExpired, call
from typing import Any, Callable, List, NamedTuple, Optional

from charms.layer.coordinator.forms import problem
from charms.layer.coordinator.store import replace

# Under this key the charm's key-value store has the hook that wrote the file.
HOOK_KEY = 'coordinator.wake-up'

# The longest time after which a unit can wake itself, in seconds.
MOST_S = 86400

# After how many seconds juju-exec starts that is to run when the hook is over: it waits for that by itself.
SOON_S = 1

SCRIPT = 'hooks/coordinator-wake-up'

# These are there where systemd runs the machine, and where Linux says which start of the machine this is.
SYSTEMD, BOOT = '/run/systemd/system', '/proc/sys/kernel/random/boot_id'

# juju-exec is refused where JUJU_CONTEXT_ID is set, so nothing of the hook's environment is handed on.
ENVIRONMENT = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}

# The shell that waits where there is no systemd.
LATER = 'sleep "$1"; shift; exec "$@"'

PATIENCE_S = 10.0  # with systemd-run, which only notes the timer


class Timer(NamedTuple):
    """A timer that was set on this machine.

    Args:
        token: its name.
        due: when it ends, in seconds since 1970.
        boot: the start of the machine since which it runs; another start has none of its timers.
    """

    token: str
    due: int
    boot: str


class Noted(NamedTuple):
    """What the file says.

    Args:
        counts: the token of the wake-up that counts, '' for none.
        charm: what Juju said of the charm whose hook wrote it.
        hook: that hook, by its JUJU_CONTEXT_ID.
        timer: the timer that is set, None for none.
    """

    counts: str = ''
    charm: str = ''
    hook: str = ''
    timer: Optional[Timer] = None


def text(noted: Noted) -> str:
    """Return the file that says this."""
    words = ['wake-up-1', noted.counts, 'end'] if noted.counts else ['wake-up-1', 'end']
    lines = [' '.join(words), noted.charm, noted.hook]
    lines.append(' '.join(map(str, noted.timer)) if noted.timer else '')
    return ''.join(line + '\n' for line in lines)


def read(found: str) -> Noted:
    """Return what the file says; nothing, if it is not whole."""
    lines, whole = found.split('\n'), found.count('\n') == 4
    words, timer = lines[0].split(' '), lines[3].split(' ') if whole else []
    if not whole or len(words) > 3 or (words[0], words[-1]) != ('wake-up-1', 'end'):
        return Noted()
    known = len(timer) == 3 and timer[1].isdigit()
    return Noted(
        ''.join(words[1:-1]),
        lines[1],
        lines[2],
        Timer(timer[0], int(timer[1]), timer[2]) if known else None,
    )


def running(timer: Optional[Timer], now: float, boot: str) -> Optional[Timer]:
    """Return this timer if it has not ended, as far as the clock tells, None otherwise."""
    return timer if timer and timer.boot == boot and now < timer.due <= now + MOST_S else None


def planned(timer: Optional[Timer], now: float, seconds: Optional[int]) -> Optional[int]:
    """Return after how many seconds a new timer must end, None if none is needed.

    Args:
        timer: the timer that runs already.
        now: the time, in seconds since 1970.
        seconds: after how many seconds the charm asks to be woken, None if it does not.
    """
    early_enough = timer is not None and seconds is not None and timer.due <= now + seconds
    return None if early_enough else seconds


def delay(seconds: Any) -> int:
    """Return this number of seconds.

    Raises:
        ValueError: if it is not a whole number, or not one of those that are allowed.
    """
    if isinstance(seconds, int) and not isinstance(seconds, bool) and 1 <= seconds <= MOST_S:
        return seconds
    expected = 'a whole number of seconds from 1 to {}'.format(MOST_S)
    raise ValueError(problem('check_again_in', expected, seconds, 'the lock is not kept'))


class WakeUp:
    """The wake-up of this unit.

    Args:
        path: the file, in the charm's directory.
        unit: this unit.
        note: called with a key and a value for the charm's key-value store; returns False where nobody
            will save it.
        log: called with a sentence.
    """

    def __init__(
        self, path: str, unit: str, note: Callable[[str, Any], bool], log: Callable[[str], None]
    ) -> None:
        self._path, self._charm_dir, self._unit = path, os.path.dirname(path), unit
        self._note, self._log = note, log
        self._counted = ''  # the token of the wake-up that counted when this hook began

    def withdraw(self, woken: bool = False) -> None:
        """Let no wake-up count from now on: a hook begins, and nobody knows whether it will succeed.

        Args:
            woken: whether that hook is the wake-up, which then was not missed.
        """
        noted = _found(self._path)
        if noted.counts:
            self._counted = '' if woken else noted.counts
            replace(self._path, text(noted._replace(counts='')), sync=False)

    def arrange(self, seconds: Optional[int]) -> None:
        """Let a wake-up count from now on: all handlers have succeeded, and a lock is kept.

        Of two timers the earlier one counts. If no timer can be set, the hook goes on without: the unit
        looks again at update-status.

        Args:
            seconds: after how many seconds; None leaves a timer that runs as it is. One that counted when
                this hook began, and has ended since, is set again: its wake-up does not count any more.
        """
        now, boot = time.time(), _first_line(BOOT)
        last = _found(self._path).timer
        timer = running(last, now, boot)
        if seconds is None and not timer and last and last.token == self._counted and last.boot == boot:
            seconds = SOON_S
        new = planned(timer, now, seconds)
        if new is not None:
            before, timer = timer, Timer(uuid.uuid4().hex, int(now + new), boot)
            if before:
                _stop(self._name(before))
            script = os.path.join(self._charm_dir, SCRIPT)
            if not _set(self._name(timer), new, _command(self._unit, script, timer.token)):
                self._log('this unit cannot wake itself in {} s; it looks again at update-status'.format(new))
                return
        hook = os.environ.get('JUJU_CONTEXT_ID', '')
        if timer and self._note(HOOK_KEY, hook):
            charm = _first_line(os.path.join(self._charm_dir, '.juju-charm'))
            replace(self._path, text(Noted(timer.token, charm, hook, timer)), sync=False)

    def _name(self, timer: Timer) -> str:
        """Return a name that systemd has for nothing else.

        It cannot be the same each time: while a wake-up sets the next timer, its own is still in use.
        """
        return _timer_name('wake-up', self._unit, timer.token)


def counts(path: str, token: str, saved: Callable[[str], Any]) -> bool:
    """Return whether the wake-up of this token counts: a hook has succeeded, and none has begun since.

    Args:
        path: the file.
        token: the token.
        saved: returns what the charm's key-value store has under a key.
    """
    noted = _found(path)
    return bool(token) and noted.counts == token and saved(HOOK_KEY) == noted.hook


def _found(path: str) -> Noted:
    try:
        with open(path, encoding='utf-8') as file:
            return read(file.read())
    except (OSError, ValueError):
        return Noted()


def _first_line(path: str) -> str:
    try:
        with open(path, encoding='utf-8') as file:
            return file.readline().strip()
    except (OSError, ValueError):
        return ''


# The machine


def run_later(unit: str, script: str, word: str, seconds: int) -> bool:
    """Have juju-exec run a script of this charm on this unit after some seconds, with one word.

    Returns:
        Whether that is sure to have been noted.
    """
    name = _timer_name(os.path.basename(script)[len('coordinator-') :], unit, uuid.uuid4().hex)
    return _set(name, seconds, _command(unit, script, word))


def _timer_name(what: str, unit: str, token: str) -> str:
    return 'coordinator-{}-{}-{}'.format(what, unit.replace('/', '-'), token)


def _command(unit: str, script: str, word: str) -> List[str]:
    return [_juju_exec(os.environ.get('JUJU_VERSION', '')), unit, '{} {}'.format(shlex.quote(script), word)]


def _juju_exec(version: str) -> str:
    return '/usr/bin/juju-run' if version.startswith('2.') else '/usr/bin/juju-exec'


def _set(name: str, seconds: int, command: List[str]) -> bool:
    """Have a command run after some seconds; return whether that is sure to have been noted.

    juju-exec waits until the hook is over, so nothing here waits for it. systemd's own accuracy would be
    a minute.
    """
    timer = ['systemd-run', '--quiet', '--collect', '--unit=' + name, '--on-active={}s'.format(seconds)]
    timer += ['--timer-property=AccuracySec=1s', '--']
    if os.path.isdir(SYSTEMD) and _done([*timer, *command]):
        return True
    try:
        Popen(
            ['sh', '-c', LATER, 'sh', str(seconds), *command],
            **_alone(), start_new_session=True,
        )  # fmt: skip
    except OSError:
        return False
    return True


def _stop(name: str) -> None:
    """Stop a timer that is needed no more. If it runs on, what it starts ends at once."""
    if os.path.isdir(SYSTEMD):
        _done(['systemctl', 'stop', name + '.timer'])


def _done(argv: List[str]) -> bool:
    try:
        return call(argv, timeout=PATIENCE_S, **_alone()) == 0
    except (OSError, TimeoutExpired):
        return False


def _alone() -> Any:
    """Return what gives a program nothing of the hook: no environment, and no output to hold open (R12)."""
    return {'env': ENVIRONMENT, 'stdin': DEVNULL, 'stdout': DEVNULL, 'stderr': DEVNULL}
