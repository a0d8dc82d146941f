"""One process per hook: real charm code in a forked child, which asks the model for everything.

In the child, `subprocess` starts no program but files of the charm's hooks/ and
actions/, which the model runs in a process as new as a hook's. Time, sleep and
the wall clock are the model's. All else is real: charms.reactive.main(), charmhelpers,
the charm's own files and databases.

Kinder than Juju: a forked Python that has already imported charms.reactive
runs the hook's file, instead of the file being executed. Tools cost virtual
time only. What a hook logs arrives with its next call, so a crash never falls
on a juju-log.
"""

import datetime
import functools
import gc
import importlib
import os
import pickle
import platform
import re
import runpy
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
import traceback
from importlib.machinery import PathFinder
from types import FrameType, ModuleType
from typing import Any, Callable, ClassVar, Dict, Iterable, List, NoReturn, Optional, Set, Tuple

from jujusim.launch import launched, stopped

# charmhelpers 1.2.1 knows Ubuntu by name and refuses Debian, where these tests may run.
if not hasattr(platform, 'linux_distribution'):
    platform.linux_distribution = lambda *_: ('Ubuntu', '22.04', 'jammy')  # type: ignore[attr-defined]


def warm_up() -> None:
    """Import once what every hook imports, so that a fork finds it there."""
    import charms.reactive  # noqa: F401
    from charmhelpers.core import hookenv, unitdata  # noqa: F401

    gc.collect()
    gc.freeze()


class Child:
    """A hook's process, as the model sees it: it sends a message, then waits for the answer."""

    def __init__(
        self,
        script: str,
        env: Dict[str, str],
        now: float,
        log_path: str,
        counted: Tuple[str, ...] = (),
        arguments: Tuple[str, ...] = (),
    ) -> None:
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            World.counted = counted
            _run([script, *arguments], env, _Line(theirs), now, log_path)
        theirs.close()
        self._line = _Line(ours)
        self._reaped = False

    def message(self) -> Tuple[Any, ...]:
        """Wait for the next message of the hook.

        Returns:
            The juju-log calls made since the last message, and then one of
            'call', argv, counted; 'launch', argv, juju-exec; 'wait', argv; 'start', a file of
            the charm, arguments, environment, captured; 'sleep', seconds; 'exit', code, why; 'killed'.
        """
        try:
            message = self._line.receive()
        except (EOFError, ConnectionError):  # it died without a word
            status = self._reap()
            return ([], 'killed') if os.WIFSIGNALED(status) else ([], 'exit', 1, 'the process ended abruptly')
        if message[1] == 'exit':
            self._reap()
        return message

    def answer(self, *parts: Any) -> None:
        """Answer the last message: the time, and for a call what it returned."""
        self._line.send(parts)

    def kill(self) -> None:
        """Kill the process, unless it has ended."""
        if not self._reaped:
            os.kill(self.pid, signal.SIGKILL)
            self._reap()

    def _reap(self) -> int:
        self._reaped = True
        self._line.close()
        return os.waitpid(self.pid, 0)[1]


class _Line:
    """Length-prefixed messages over a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, message: Tuple[Any, ...]) -> None:
        body = pickle.dumps(message)
        self._sock.sendall(struct.pack('!I', len(body)) + body)

    def receive(self) -> Tuple[Any, ...]:
        message: Tuple[Any, ...] = pickle.loads(self._exactly(struct.unpack('!I', self._exactly(4))[0]))
        return message

    def _exactly(self, size: int) -> bytes:
        body = b''
        while len(body) < size:
            part = self._sock.recv(size - len(body))
            if not part:
                raise EOFError
            body += part
        return body

    def close(self) -> None:
        self._sock.close()


# In the hook


class World:
    """What the hook believes about time, and how it asks the model."""

    ask: Callable[[Tuple[Any, ...]], Tuple[Any, ...]]
    now: float
    logged: ClassVar[List[List[str]]] = []
    counted: ClassVar[Tuple[str, ...]] = ()
    """Fragments of paths: tool calls that such code makes are counted apart."""


def _said(*message: Any) -> Tuple[Any, ...]:
    """Return a message with what was logged before it."""
    logged, World.logged = World.logged, []
    return (logged, *message)


def _ask(*message: Any) -> Tuple[Any, ...]:
    answer = World.ask(_said(*message))
    World.now = answer[0]
    return answer[1:]


class Popen:
    """Stands for subprocess.Popen: the model answers; nothing is started."""

    def __init__(self, args: Any, **options: Any) -> None:
        self.args = [args] if isinstance(args, str) else [str(word) for word in args]
        found, code, out, err = True, 0, '', ''
        own, launch = _own_file(self.args), launched(self.args, options, os.environ)
        if self.args[0] == 'juju-log':
            World.logged.append(self.args)
        elif own:
            env = {'CHARM_DIR': os.environ['CHARM_DIR'], **(options.get('env') or os.environ)}
            found, code, out, err = _ask('start', *own, env, options.get('stdout') == subprocess.PIPE)
        elif launch or stopped(self.args):
            found, code, out, err = _ask('launch', self.args, launch)
        else:
            found, code, out, err = _ask('call', self.args, _is_counted())
        if not found:
            raise FileNotFoundError(2, 'No such file or directory', self.args[0])
        self.returncode: int = code  # None of a juju-exec that goes on
        self.pid = 0
        text = options.get('universal_newlines') or options.get('text') or options.get('encoding')
        self._out = _output(out, options.get('stdout'), sys.stdout, bool(text))
        self._err = _output(err, options.get('stderr'), sys.stderr, bool(text))
        self.stdin = self.stdout = self.stderr = None

    def __enter__(self) -> 'Popen':
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def communicate(self, input: Any = None, timeout: Optional[float] = None) -> Tuple[Any, Any]:
        """Return what the model answered, of each stream that was to be captured."""
        self.wait(timeout)
        return self._out, self._err

    def wait(self, timeout: Optional[float] = None) -> int:
        """Return the exit code at once: the time has passed already."""
        if self.returncode is None:
            _ask('wait', self.args)
        return self.returncode

    def poll(self) -> int:
        """Return the exit code."""
        return self.returncode

    def kill(self) -> None:
        """Do nothing: the program has ended."""


def _own_file(args: List[str]) -> Optional[Tuple[str, List[str]]]:
    """Return the file of this charm's hooks or actions that a command line runs, and its arguments."""
    python = re.match(r'python[\d.]*$', os.path.basename(args[0])) and len(args) > 1
    words = args[1:] if python else args
    if os.sep not in words[0]:
        return None
    place, name = os.path.split(os.path.abspath(words[0]))
    for folder in ('hooks', 'actions'):
        own = os.path.join(os.environ.get('CHARM_DIR', ''), folder)
        if os.path.realpath(place) == os.path.realpath(own) and is_python(os.path.join(own, name)):
            return os.path.join(own, name), words[1:]
    return None


def is_python(path: str) -> bool:
    """Tell whether a file is a script in Python: not one of a shell, which the model is asked about."""
    if not os.path.isfile(path):
        return False
    with open(path, 'rb') as script:
        line = script.readline()
    return not line.startswith(b'#!') or b'python' in line


def _output(said: str, where: Any, otherwise: Any, text: bool) -> Any:
    if where == subprocess.PIPE:
        return said if text else said.encode()
    otherwise.write(said)
    return None


def _is_counted() -> bool:
    frame: Optional[FrameType] = sys._getframe(2)
    while frame is not None:
        if _has_one_of(World.counted, frame.f_code.co_filename):
            return True
        frame = frame.f_back
    return False


@functools.lru_cache(maxsize=4096)
def _has_one_of(fragments: Tuple[str, ...], path: str) -> bool:
    return any(fragment in path for fragment in fragments)


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.fromtimestamp(World.now, tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.fromtimestamp(World.now, datetime.timezone.utc).replace(tzinfo=None)


_really_connect = sqlite3.connect


def connect(*args: Any, **options: Any) -> Any:
    """Open a database; one that another process has locked says so at once: no time passes here."""
    if len(args) < 2:
        options.setdefault('timeout', 0)
    return _really_connect(*args, **options)


def exit_message(run: Callable[[], None]) -> Tuple[Any, ...]:
    """Run a hook's file; return the message that says how it ended: its exit code, and why."""
    code, why = 1, ''
    try:
        run()
        code = 0
    except SystemExit as ended:
        code = 0 if ended.code is None else ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        why = traceback.format_exc()
    return _said('exit', code, why)


def _run(argv: List[str], env: Dict[str, str], line: _Line, now: float, log_path: str) -> NoReturn:
    """Run the hook in this process, and never return into the parent's code."""

    def ask(message: Tuple[Any, ...]) -> Tuple[Any, ...]:
        line.send(message)
        return line.receive()

    def run() -> None:
        gc.disable()
        log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        sys.stdout = sys.stderr = os.fdopen(log, 'w', buffering=1)
        os.environ.clear()
        os.environ.update(env)
        os.chdir(env['CHARM_DIR'])
        _replace_the_world(env['CHARM_DIR'])
        sys.argv = argv
        runpy.run_path(argv[0], run_name='__main__')

    try:
        World.ask, World.now = ask, now
        message = exit_message(run)
        sys.stdout.flush()
        line.send(message)
    finally:
        os._exit(0)  # whatever happens, even with the model gone: this is a copy of the test run


def replaced() -> List[Tuple[Any, str, Any]]:
    """Return what a hook sees of time and of programs: (module, name, stand-in)."""
    return [
        (subprocess, 'Popen', Popen),
        (time, 'time', lambda: World.now),
        (time, 'monotonic', lambda: World.now),
        (time, 'sleep', lambda seconds: _ask('sleep', seconds) and None),
        (datetime, 'datetime', _Datetime),
        (sqlite3, 'connect', connect),
    ]


# Whose modules


NAMESPACES = ('charms', 'charmhelpers')
FRAMEWORK = ('charms.reactive', 'charmhelpers.core', 'charmhelpers.cli', 'charmhelpers.osplatform')
"""What all hooks of a test run share: imported once, before the first hook."""


@functools.lru_cache(maxsize=None)  # asked of every module, twice a hook
def is_hooks_own(name: str) -> bool:
    """Tell by its name whether each hook has a module for itself, wherever its file lies.

    Charms add modules to the packages `charms` and `charmhelpers`, and
    charmhelpers keeps state of a charm in modules that are no part of the
    framework.
    """
    top, _, below = name.partition('.')
    if top not in NAMESPACES or not below:
        return False
    return not any(name == part or name.startswith(part + '.') for part in FRAMEWORK)


def lies_in(found: Any, folder: str) -> bool:
    """Tell whether a module, or the spec of one, was found in a folder."""
    file = getattr(found, '__file__', None) or getattr(found, 'origin', None)
    within = getattr(found, '__path__', None) or getattr(found, 'submodule_search_locations', None)
    places = [file] if isinstance(file, str) else list(within or [])
    return any(_below(place, folder) for place in places)


def _below(place: str, folder: str) -> bool:
    """Tell whether a file lies in a charm's folder.

    A unit's folder has links to its charm's files, and hooks put relative names on their path.
    """
    if not os.path.isabs(place):
        return os.path.exists(os.path.join(folder, place))
    if place.startswith(folder + os.sep):  # nearly always, and where the links lead costs a look at the disk
        return True
    lib = os.path.realpath(os.path.join(folder, 'lib'))
    return place.startswith(os.path.dirname(lib) + os.sep)


def modules_of(charm_dir: str) -> List[str]:
    """Return what is imported now and is a charm's: of the tests' own layer, or of another charm."""
    brought = _brought(charm_dir)
    return [name for name in sys.modules if is_hooks_own(name) or name.partition('.')[0] in brought]


def _brought(charm_dir: str) -> Set[str]:
    """Return the top-level modules that a hook would import from its charm, and that are imported now."""
    own = [os.path.join(charm_dir, 'lib'), charm_dir, os.path.join(charm_dir, 'hooks')]
    names = {entry.partition('.')[0] for place in own for entry in _names(place)}
    path = [own[0], *module_path(charm_dir)[1:], *own[1:]]
    return {
        name
        for name in names.intersection(sys.modules).difference(NAMESPACES)
        if lies_in(PathFinder.find_spec(name, path), charm_dir)
    }


def take_out(names: Iterable[str]) -> Dict[str, ModuleType]:
    """Take modules out of sys.modules and out of their packages; return them."""
    taken = {name: sys.modules.pop(name) for name in names}
    for name, module in taken.items():
        package, _, child = name.rpartition('.')
        if package in sys.modules and vars(sys.modules[package]).get(child) is module:
            delattr(sys.modules[package], child)
    return taken


def put_in(modules: Dict[str, ModuleType]) -> None:
    """Undo `take_out`."""
    sys.modules.update(modules)
    for name, module in modules.items():
        package, _, child = name.rpartition('.')
        if package in sys.modules and package not in modules:
            setattr(sys.modules[package], child, module)


def _replace_the_world(charm_dir: str) -> None:
    for module, name, stand_in in replaced():
        setattr(module, name, stand_in)
    take_out(modules_of(charm_dir))
    sys.path[:] = module_path(charm_dir)
    importlib.invalidate_caches()
    place_charms(charm_dir)


def module_path(charm_dir: str) -> List[str]:
    """Return where a charm's hook looks for modules: not where a layer or a charm of the tests lies."""
    places = [place for place in sys.path if not _holds_a_charm(place)]
    return [os.path.join(charm_dir, 'lib'), *places]


def _holds_a_charm(place: str) -> bool:
    if os.path.isdir(os.path.join(place, 'charms', 'layer')):
        return True
    return any(os.path.exists(os.path.join(place, name)) for name in ('layer.yaml', 'metadata.yaml'))


def place_charms(charm_dir: str) -> None:
    """Let the package `charms` be the charm's: charms.reactive brought it before lib/ was on the path."""
    import charms

    own = os.path.join(charm_dir, 'lib', 'charms')
    charms.__path__ = [own] + [place for place in charms.__path__ if 'layer' not in _names(place)]


def _names(place: str) -> List[str]:
    return os.listdir(place) if os.path.isdir(place) else []
