"""A hook that is a script of a shell: the real file, run by the interpreter that its first line names.

It runs as Juju runs it: a process of its own in the charm's directory, with the
hook's environment. Before that environment's PATH stands a folder of stubs, one
for each hook tool, one for sleep, one for python3, and one for each program that
`Juju(programs=...)` names. A stub tells its process id; the model finds its
command line and its environment in /proc, and answers with a line for the stub
to do. So a tool that a script calls is the same message as one that Python
calls: the same time, faults and costs.

`exec hooks/OTHER`, a Python file by `#!/usr/bin/env python3`, ends the script:
OTHER goes on in its place, as the model runs Python hooks, with the arguments
and the environment that the script left it. Without `exec` it is a program that
the script waits for, as where a Python hook runs one. Any other use of python3
is the real Python, outside the model's time.

Kinder than Juju: the script itself takes no time but its start's (`hook_s`, or
`script_s` where it is given). All other programs run for real, at once, on the
machine of the test: `cat` and `grep`, but `systemctl` too, unless it is in
`programs`; `date` tells the real time. Crueller: the hook is over when the last
process that the script began is. Not kept: two tools at the same time, a script
that puts another python3 before the PATH, a Python file by another first line,
the current directory at an exec; on Juju 4 `command -v leader-get` finds one. A
script that lost its agent `ends beside` with 120, as Python does. It needs Linux.
"""

import contextlib
import os
import re
import select
import shlex
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from jujusim import tools
from jujusim.process import is_python

ANSWERS, REQUESTS = 997, 998
"""The ends of two pipes that a script and all that it starts inherit: no shell's script uses such numbers."""

STUB = """#!/bin/sh
_jujusim=/proc/self/fd
if [ ! -e $_jujusim/{requests} ]; then  # its caller closes them; the script, leader of the group, does not
    read -r _ _ _ _ _jujusim _ </proc/self/stat
    _jujusim=/proc/$_jujusim/fd
fi
echo $$ >$_jujusim/{requests} && IFS= read -r _jujusim_says <$_jujusim/{answers} || exit 70
eval "$_jujusim_says"
""".format(requests=REQUESTS, answers=ANSWERS)

UNKNOWN_TOOLS = """
    action-log add-metric credential-get juju-exec juju-run k8s-raw-get k8s-raw-set k8s-spec-get
    k8s-spec-set network-get opened-ports payload-register payload-status-set payload-unregister pod-spec-get
    pod-spec-set relation-model-get resource-get secret-add secret-get secret-grant secret-ids
    secret-info-get secret-remove secret-revoke secret-set state-delete state-get state-set storage-add
    storage-get storage-list
"""
"""Tools of Juju that `jujusim.tools` does not know: the model's machine is asked, and nothing is guessed."""

INLINE = 2000
"""Longer answers are read in one go by a program; a shell reads byte by byte."""

SECONDS = {'': 1, 's': 1, 'm': 60, 'h': 3600, 'd': 86400}


def is_script(path: str) -> bool:
    """Tell whether a hook's file is a script that its first line gives to another program than Python."""
    return os.path.isfile(path) and not is_python(path)


class Stubs:
    """The folder that stands first on the PATH of scripts; it is written when the first script runs.

    Args:
        folder: where it will be.
        programs: what the machine answers beside the hook tools, by name.
    """

    def __init__(self, folder: Path, programs: Iterable[str] = ()) -> None:
        self.path, self._programs = str(folder), tuple(programs)

    def before(self, path: str) -> str:
        """Return a PATH with the stubs first."""
        if not os.path.isdir(self.path):
            os.mkdir(self.path)
            with open(os.path.join(self.path, 'python3'), 'w') as stub:
                stub.write(STUB)
            os.chmod(stub.name, 0o755)
            for name in {*tools.names(), 'juju-log', *UNKNOWN_TOOLS.split(), 'sleep', *self._programs}:
                os.symlink('python3', os.path.join(self.path, name))
        return self.path + os.pathsep + path

    def without(self, path: str) -> str:
        """Return a PATH as it is without stubs."""
        return os.pathsep.join(place for place in path.split(os.pathsep) if place != self.path)


class _Asking:
    """A stub that waits for its answer: what its process was given."""

    def __init__(self, pid: int) -> None:
        self.pid, self._place = pid, '/proc/{}/'.format(pid)
        words = self._read('cmdline')[1:]  # after the shell's own name
        self.argv = [os.path.basename(words[0]), *words[1:]]

    def _read(self, name: str) -> List[str]:
        with open(self._place + name, 'rb') as found:
            return os.fsdecode(found.read()).split('\0')[:-1]

    def environ(self) -> Dict[str, str]:
        return dict(pair.split('=', 1) for pair in self._read('environ') if '=' in pair)

    def path_of(self, name: str) -> str:
        return os.path.join(os.readlink(self._place + 'cwd'), name)

    def prints_to(self, log_path: str) -> bool:
        return os.path.exists(log_path) and os.path.samefile(self._place + 'fd/1', log_path)


class Child:
    """A script's process, with the methods of `process.Child`; and then the Python that it becomes.

    Args:
        python: makes the child of a Python file, for `exec`.
        stubs: what stands first on the PATH.
        script: the hook's file.
        env: the hook's environment.
        now: the model's clock.
        log_path: the file for what the script prints.
        counted: fragments of paths; tool calls of such a script are counted apart.
        arguments: of the script.
    """

    def __init__(
        self,
        python: Callable[..., Any],
        stubs: Stubs,
        script: str,
        env: Dict[str, str],
        now: float,
        log_path: str,
        counted: Tuple[str, ...] = (),
        arguments: Tuple[str, ...] = (),
    ) -> None:
        self._python, self._stubs, self._script, self._env = python, stubs, script, env
        self._log_path, self._counted = log_path, counted
        self._is_counted = any(path in script for path in counted)
        self._asked = b''
        self._logged: List[List[str]] = []
        self._becomes: Optional[Tuple[str, Dict[str, str], Tuple[str, ...]]] = None
        self._became: Any = None
        self._failed = ''
        self.pid = 0
        self._requests, theirs_to_ask = os.pipe()
        theirs_to_read, self._answers = os.pipe()
        try:
            self._begin([script, *arguments], theirs_to_read, theirs_to_ask)
        except OSError as error:  # no interpreter, or not executable
            self._failed = str(error)
            self._close()
        finally:
            os.close(theirs_to_ask)
            os.close(theirs_to_read)

    def _begin(self, argv: List[str], answers: int, requests: int) -> None:
        env = {**self._env, 'PATH': self._stubs.before(self._env.get('PATH', ''))}
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, self._log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, answers, ANSWERS),
            (os.POSIX_SPAWN_DUP2, requests, REQUESTS),
        ]
        here = os.open('.', os.O_RDONLY)
        try:
            os.chdir(self._env['CHARM_DIR'])
            python_ignores = [signal.SIGPIPE, signal.SIGXFSZ]
            self.pid = os.posix_spawn(
                argv[0], argv, env, file_actions=files, setpgroup=0, setsigdef=python_ignores
            )
        finally:
            os.fchdir(here)
            os.close(here)

    # What the model calls

    def message(self) -> Tuple[Any, ...]:
        """Let the script run until its next message.

        Returns:
            See `process.Child.message`; and 'exec', where Python begins with the answer.
        """
        if self._became:
            message: Tuple[Any, ...] = self._became.message()
            return message
        while True:
            asking = self._next()
            if asking is None:
                return self._said(*self._ended())
            about = self._about(asking)
            if about:
                return self._said(*about)

    def answer(self, *parts: Any) -> None:
        """Answer the last message: the time, and for a call what it returned."""
        if self._became:
            self._became.answer(*parts)
        elif self._becomes:
            script, env, arguments = self._becomes
            self._became = self._python(script, env, parts[0], self._log_path, self._counted, arguments)
        elif len(parts) == 1:
            self._tell('exit 0')
        else:
            self._tell_result(*parts[1:])

    def kill(self) -> None:
        """Kill the script and all that it started, or the Python that it became, unless that has ended."""
        if self._became:
            self._became.kill()
        elif self.pid:
            self._end()

    # The script's process

    def _said(self, *message: Any) -> Tuple[Any, ...]:
        logged, self._logged = self._logged, []
        return (logged, *message)

    def _next(self) -> Optional[_Asking]:
        """Wait until a stub asks; return None when all is over."""
        while not self._failed:
            while b'\n' not in self._asked:
                part = os.read(self._requests, 4096)
                if not part:
                    return None
                self._asked += part
            pid, self._asked = self._asked.split(b'\n', 1)
            self._demand_alone(bool(self._asked))
            with contextlib.suppress(
                FileNotFoundError, ProcessLookupError, IndexError
            ):  # it has died meanwhile
                return _Asking(int(pid))
        return None

    def _demand_alone(self, another: bool) -> None:
        if another:  # both read the same pipe
            raise tools.Unanswered('{}: two programs ask at the same time'.format(self._script))

    def _ended(self) -> Tuple[Any, ...]:
        if self._failed:
            return 'exit', 126, self._failed
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)  # its id stays its own until all is killed
        status = self._end()
        if os.WIFSIGNALED(status):
            return ('killed',)
        return 'exit', os.WEXITSTATUS(status), ''

    def _end(self) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        self.pid = 0
        self._close()
        return status

    def _close(self) -> None:
        os.close(self._requests)
        os.close(self._answers)

    # What a stub asks

    def _about(self, asking: _Asking) -> Tuple[Any, ...]:
        """Return the message to the model, an empty one where it need not know."""
        name, *words = asking.argv
        if name == 'juju-log':
            self._logged.append(asking.argv)
            self._tell('exit 0')
            return ()
        if name == 'python3':
            return self._about_python(asking, words)
        if name != 'sleep':
            return 'call', asking.argv, self._is_counted
        found = [re.match(r'(\d*\.?\d+)([smhd]?)$', word) for word in words]
        seconds = [float(match[1]) * SECONDS[match[2]] for match in found if match]
        if words and len(seconds) == len(words):
            return 'sleep', sum(seconds)
        self._tell_result(True, 1, '', 'sleep: invalid time interval\n')
        return ()

    def _about_python(self, asking: _Asking, words: List[str]) -> Tuple[Any, ...]:
        while words and re.match(r'-[bBdEIOPqsSuv]+$', words[0]):
            words = words[1:]
        own = words and self._own_file(asking.path_of(words[0]))
        if not own:  # python3 -c, or a file that is no hook
            self._tell('exec {} "$@"'.format(shlex.quote(sys.executable)))
            return ()
        found = asking.environ()
        env = {'CHARM_DIR': self._env['CHARM_DIR'], **found, 'PATH': self._stubs.without(found['PATH'])}
        if asking.pid == self.pid:
            self._becomes = own, env, tuple(words[1:])
            self._end()
            return ('exec',)
        return 'start', own, words[1:], env, not asking.prints_to(self._log_path)

    def _own_file(self, path: str) -> str:
        """Return the file of the charm's hooks or actions that a path means, '' for any other file."""
        place, name = os.path.split(path)
        for folder in ('hooks', 'actions'):
            own = os.path.join(self._env['CHARM_DIR'], folder)
            if os.path.realpath(place) == os.path.realpath(own) and os.path.isfile(path):
                return os.path.join(own, name)
        return ''

    # What a stub does

    def _tell_result(self, found: bool, code: int, out: str, err: str) -> None:
        """Let a stub print and end as the model says."""
        if not found:
            code, err = 127, '{}: not found\n'.format(self._script)
        line, more = [], b''
        for text, where in ((out, ''), (err, ' >&2')):
            if len(text) < INLINE and '\n' not in text[:-1]:
                form = "printf '%s\\n' {}{}" if text.endswith('\n') else "printf '%s' {}{}"
                line += [form.format(shlex.quote(text.rstrip('\n')), where)] if text else []
            else:
                line.append('head -c {} <$_jujusim/{}{}'.format(len(text.encode()), ANSWERS, where))
                more += text.encode()
        ends = 'kill -{} $$'.format(-code) if code < 0 else 'exit {}'.format(code)
        self._tell('; '.join([*line, ends]), more)

    def _tell(self, line: str, more: bytes = b'') -> None:
        """Give the stub that waits a line to do, and what that reads."""
        waiting = select.poll()
        waiting.register(self._requests, select.POLLIN)
        self._demand_alone(any(found & select.POLLIN for _, found in waiting.poll(0)))
        left = line.encode() + b'\n' + more
        with contextlib.suppress(BrokenPipeError):  # all have died meanwhile
            while left:
                left = left[os.write(self._answers, left) :]
