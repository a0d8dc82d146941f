"""juju-exec (juju-run on 2.9) as code of a hook starts it: at once, detached, or by a timer of systemd.

Seen on 4.0.14: it is refused where JUJU_CONTEXT_ID is set. Elsewhere it waits for the hook under way: a
hook that waits for it never ends. Detached it runs when the hook is over, before the next one.
"""

import os
import re
import shlex
import subprocess
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

PROGRAMS = ('juju-exec', 'juju-run')
IDIOM = 'sleep "$1"; shift; exec "$@"'  # sh -c IDIOM sh SECONDS COMMAND…
TAKES_VALUE = {'-p', '--property', '-E', '--setenv', '-u', '--unit', '--on-active', '--timer-property'}
TAKES_VALUE |= {'--slice', '--uid', '--gid', '--description'}


class Launch(NamedTuple):
    """A juju-exec that a hook starts.

    Args:
        program: juju-exec or juju-run.
        unit: where it is to run its commands.
        commands: a shell's text.
        context: JUJU_CONTEXT_ID in its environment.
        delay_s: seconds until it begins.
        service: whether systemd starts it, and the caller goes on.
        name: of the transient unit of systemd, if one was given.
        inherits: whether it holds the hook's output open, so that the hook is not over before it.
    """

    program: str
    unit: str
    commands: str
    context: str = ''
    delay_s: float = 0.0
    service: bool = False
    name: str = ''
    inherits: bool = False


def launched(args: List[str], options: Dict[str, Any], environ: Mapping[str, str]) -> Optional[Launch]:
    """Return the juju-exec that a command line starts, directly or by setsid, env, sh or systemd-run."""
    if not any(word.endswith(PROGRAMS) for word in args):
        return None
    env = dict(environ if options.get('env') is None else options['env'])
    words, delay_s, service, name = list(args), 0.0, False, ''
    while words and os.path.basename(words[0]) not in PROGRAMS:
        program = os.path.basename(words.pop(0))
        if program in ('setsid', 'nohup'):
            words = words[1:] if words[:1] in (['-f'], ['--fork']) else words
        elif program == 'env':
            words, env = _env(words, env)
        elif program == 'sh' and words[:1] == ['-c'] and words[1:3] == [IDIOM, 'sh'] and len(words) > 4:
            delay_s, words = float(words[3]), words[4:]
        elif program == 'systemd-run':
            words, delay_s, name, env = _systemd(words)
            service = True
        else:
            return None
    if len(words) < 3:
        return None
    program, unit, *rest = [os.path.basename(words[0]), *words[1:]]
    commands = ' '.join(rest[1:] if rest[:1] == ['--'] else rest)
    held = [stream for stream in ('stdout', 'stderr') if options.get(stream) in (None, subprocess.PIPE)]
    inherits = bool(held) and not service
    return Launch(program, unit, commands, env.get('JUJU_CONTEXT_ID', ''), delay_s, service, name, inherits)


def _env(words: List[str], env: Dict[str, str]) -> Tuple[List[str], Dict[str, str]]:
    while words:
        if words[0] in ('-i', '-', '--ignore-environment'):
            env = {}
        elif words[0] == '-u':
            env.pop(words[1], None)
            words = words[1:]
        elif '=' in words[0] and not words[0].startswith('-'):
            key, value = words[0].split('=', 1)
            env[key] = value
        else:
            break
        words = words[1:]
    return words, env


def _systemd(words: List[str]) -> Tuple[List[str], float, str, Dict[str, str]]:
    """Read the options of systemd-run: the command, the seconds, the name, the new environment."""
    delay_s, name, env = 0.0, '', {}
    while words and words[0].startswith('-'):
        flag, given, value = words.pop(0).partition('=')
        if flag == '--':
            break
        if flag in TAKES_VALUE and not given:
            value = words.pop(0)
        if flag == '--on-active':
            delay_s = float(re.sub(r'[a-z ]+$', '', value))
        elif flag in ('--unit', '-u'):
            name = value
        elif flag in ('--setenv', '-E'):
            key, _, worth = value.partition('=')
            env[key] = worth
    return words, delay_s, name, env


def stopped(args: List[str]) -> str:
    """Return the timer that `systemctl stop NAME.timer` stops, '' for any other command line."""
    if args[0].endswith('systemctl') and args[1:2] == ['stop'] and args[-1].endswith('.timer'):
        return args[-1][: -len('.timer')]
    return ''


def file_of(commands: str, charm_dir: str) -> str:
    """Return the file of hooks/ or actions/ that the commands run and nothing else, '' if they do more."""
    words = shlex.split(commands)
    if len(words) != 1 or re.search(r'[$`;&|<>*?]', commands):
        return ''
    path = os.path.normpath(os.path.join(charm_dir, words[0]))
    folder, name = os.path.split(path)
    if folder in (os.path.join(charm_dir, 'hooks'), os.path.join(charm_dir, 'actions')):
        return os.path.join(os.path.basename(folder), name)
    return ''
