"""Hooks without a process each: ten times as many in the same time, for campaigns of many histories.

Every hook runs in a greenlet of this process, in the same charms.reactive,
charmhelpers and charm code as in `process.py`. What a process would have of its
own is put in place whenever a hook goes on, and taken away when it stops to ask:
environment, directory, standard output, module path, the charm's modules, time,
programs, and the state that charms.reactive and charmhelpers keep in modules.

Kinder than a process: a module of `charms.layer` is run once for all charms that
have the same lib/ and the same *.yaml, and not once for each hook. Its lists,
dicts, sets and Nones are put back as they were; other values that it changes in
itself stay changed. A function of the framework that a hook replaces is its own.
A hook that is killed stops for ever where it asks; its
databases are closed, so what it had not committed is lost. Their journals are in
memory, for this process does not die. jujusim/tests/test_quick.py demands the
same history from both.
"""

import _imp
import contextlib
import hashlib
import importlib
import linecache
import marshal
import os
import pickle
import sqlite3
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Dict, Iterator, List, Optional, Set, TextIO, Tuple

import yaml
from greenlet import getcurrent, greenlet

from jujusim.modulestate import State
from jujusim.process import (
    World,
    connect,
    exit_message,
    is_hooks_own,
    lies_in,
    module_path,
    modules_of,
    place_charms,
    put_in,
    replaced,
    take_out,
)


class _Charm:
    """The modules of one charm that are run once: those whose import changes nothing but themselves."""

    def __init__(self, framework: State, lib: str) -> None:
        self.modules: Dict[str, ModuleType] = {}
        for name in sorted(_names(Path(lib), '')):
            framework.put(framework.fresh())
            before, known = [repr(value) for value in framework.taken()], set(sys.modules)
            try:
                importlib.import_module(name)
                alone = before == [repr(value) for value in framework.taken()]
            except Exception:  # the hook that imports it will say so
                alone = False
            fresh = {new: sys.modules[new] for new in set(sys.modules) - known if _is_charms(new)}
            if alone:
                self.modules.update(fresh)
            else:  # it registers something: let each hook import it
                take_out(fresh)
            framework.put(framework.fresh())
        self.state = State(list(self.modules.values()))
        _remember_text(list(self.modules.values()))


def _remember_text(modules: List[ModuleType]) -> None:
    """Let a traceback quote modules, as a process would, when the model that brought their files is gone."""
    for module in modules:
        path = module.__file__
        lines = linecache.getlines(path) if path else []
        if path and lines:
            linecache.cache[path] = (sum(map(len, lines)), None, lines, path)  # None: never looked up again


def _names(lib: Path, below: str) -> Iterator[str]:
    for path in (lib / 'charms' / 'layer').rglob('*.py'):
        parts = path.relative_to(lib).with_suffix('').parts
        yield '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


class _Loader(SourceFileLoader):
    """Loads a charm's module where it was found before, compiled once, as the unit's own file."""

    compiled: Dict[Tuple[str, str], bytes] = {}  # noqa: RUF012 - one for the process
    placed: Dict[Tuple[str, str, str], CodeType] = {}  # noqa: RUF012 - the same, as each unit's own file

    def __init__(self, name: str, path: str, lib: str) -> None:
        super().__init__(name, path)
        self._key = lib, name

    def get_code(self, fullname: str) -> CodeType:
        own = (*self._key, self.path)
        if own not in self.placed:
            if self._key not in self.compiled:
                self.compiled[self._key] = marshal.dumps(super().get_code(fullname))
            code: CodeType = marshal.loads(self.compiled[self._key])
            _imp._fix_co_filename(code, self.path)  # type: ignore[attr-defined]  # as importlib does with what it reads from a .pyc
            if len(self.placed) > 1000:  # those of models that are gone
                self.placed.clear()
            self.placed[own] = code
        return self.placed[own]


class _Finder:
    """Finds a charm's modules where they were found before, in the charm directory of each unit."""

    known: Dict[Tuple[str, str], Tuple[str, bool]] = {}  # noqa: RUF012 - one for the process

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        if _Stage.on is None:
            return None
        place, lib = _Stage.on.env['CHARM_DIR'], _Stage.on.lib
        if (lib, name) not in cls.known:
            spec = PathFinder.find_spec(name, path)
            if spec is None or not spec.origin or not spec.origin.startswith(place + os.sep):
                return None
            if not isinstance(spec.loader, SourceFileLoader):
                return None
            cls.known[lib, name] = spec.origin[len(place) + 1 :], spec.submodule_search_locations is not None
        below, package = cls.known[lib, name]
        origin = os.path.join(place, below)
        within = [os.path.dirname(origin)] if package else None
        loader = _Loader(name, origin, lib)
        return spec_from_file_location(name, origin, loader=loader, submodule_search_locations=within)

    @classmethod
    def learn(cls, lib: str, alike: str) -> None:
        """Find the modules of `charms.layer` where they are in a charm that has the same."""
        for (other, name), found in list(cls.known.items()):
            if other == alike and is_hooks_own(name):
                cls.known[lib, name] = found


class _Stage:
    """What is in place now; hooks take turns on it."""

    framework: Optional[State] = None
    charms: Dict[str, _Charm] = {}  # noqa: RUF012 - one stage for the process
    alike: Dict[bytes, str] = {}  # noqa: RUF012 - by their content, whose modules serve all that are alike
    scripts: Dict[str, Tuple[float, CodeType]] = {}  # noqa: RUF012
    on: Optional['Child'] = None
    stand_ins: List[Tuple[Any, str, Any]] = []  # noqa: RUF012
    real: List[Any] = []  # noqa: RUF012
    path: List[str] = []  # noqa: RUF012
    known: Set[str] = set()  # noqa: RUF012 - modules that are no charm's
    places: Set[str] = set()  # noqa: RUF012 - where Python has looked for modules, and no charm lies
    killed: Set[Any] = set()  # noqa: RUF012 - never resumed, and never unwound before this process ends


def _prepare(charm_dir: str) -> None:
    if _Stage.framework is None:
        take_out(modules_of(charm_dir))
        names = [name for name in sys.modules if name.startswith(('charms.reactive', 'charmhelpers.core.'))]
        _Stage.framework = State([sys.modules[name] for name in sorted(names)])
        common = [stand_in for stand_in in replaced() if stand_in[0] is not sqlite3]
        _Stage.stand_ins = [*common, (yaml, 'safe_load', _safe_load), (sqlite3, 'connect', _connect)]
        _Stage.real = [getattr(module, name) for module, name, _ in _Stage.stand_ins]
        _Stage.path = module_path('')[1:]
        _Stage.known = set(sys.modules)
        place_charms('')


_PARSED: Dict[Any, bytes] = {}
_real_load = yaml.safe_load


def _safe_load(stream: Any) -> Any:
    """Parse the same text once: metadata.yaml and layer.yaml are read in every hook."""
    text = stream if isinstance(stream, (str, bytes)) else stream.read()
    if text not in _PARSED:
        _PARSED[text] = pickle.dumps(_real_load(text))
    return pickle.loads(_PARSED[text])


def _connect(*args: Any, **options: Any) -> Any:
    connection = connect(*args, **options)
    with contextlib.suppress(sqlite3.OperationalError):  # locked: its first statement will say so
        connection.execute('pragma journal_mode = memory')
    if _Stage.on is not None:
        _Stage.on.connections.append(connection)
    return connection


class Child:
    """A hook as a greenlet, with the methods of `process.Child`."""

    def __init__(
        self,
        script: str,
        env: Dict[str, str],
        now: float,
        log_path: str,
        counted: Tuple[str, ...] = (),
        arguments: Tuple[str, ...] = (),
    ) -> None:
        _prepare(env['CHARM_DIR'])
        self.script, self.env, self.now, self._log_path = script, env, now, log_path
        self._counted, self._argv = counted, [script, *arguments]
        self.lib = os.path.realpath(os.path.join(env['CHARM_DIR'], 'lib'))
        self.connections: List[Any] = []
        self._logged: List[List[str]] = []
        self._environ = {os.fsencode(key): os.fsencode(value) for key, value in env.items()}
        self._path: List[str] = []
        self._modules: Dict[str, ModuleType] = {}
        self._values: List[Any] = []
        self._replaced: List[Tuple[ModuleType, str, Any]] = []
        self._charm: Optional[_Charm] = None
        self._own_values: List[Any] = []
        self._output: Optional[TextIO] = None
        self._answer: Tuple[Any, ...] = ()
        self._hook = greenlet(lambda _: exit_message(self._run))

    # What the model calls

    def message(self) -> Tuple[Any, ...]:
        """Let the hook run until its next message; see `process.Child.message`."""
        self._enter()
        try:
            message: Tuple[Any, ...] = self._hook.switch(self._answer)
        finally:
            self._leave()
        if message[1] == 'exit':
            self._over()
        return message

    def answer(self, *parts: Any) -> None:
        """Keep the answer to the last message; the hook gets it when it goes on."""
        self._answer = parts

    def kill(self) -> None:
        """Never let the hook go on, unless it has ended."""
        if not self._hook.dead:
            self._over()
            _Stage.killed.add(self._hook)

    def _over(self) -> None:
        for connection in self.connections:
            connection.close()
        if _Stage.on is self and _Stage.framework is not None:
            self._taken_modules()
            _Stage.on = None
            _Stage.framework.put_back()
            _Stage.framework.put(_Stage.framework.idle)
        self._values, self._own_values, self._modules = [], [], {}
        if self._output:
            self._output.close()

    # A hook goes on

    def _enter(self) -> None:
        assert _Stage.framework is not None
        self._outside = (os.environ._data, os.getcwd(), sys.stdout, sys.stderr, sys.path, sys.argv)  # type: ignore[attr-defined]
        for module, name, stand_in in _Stage.stand_ins:
            setattr(module, name, stand_in)
        sys.meta_path.insert(0, _Finder)
        os.environ._data = self._environ  # type: ignore[attr-defined]
        os.chdir(self.env['CHARM_DIR'])
        if self._output is None:
            self._output = open(self._log_path, 'a')  # noqa: SIM115 - closed in _over, hooks later
            self._path = [os.path.join(self.env['CHARM_DIR'], 'lib'), *_Stage.path]
            self._values = _Stage.framework.fresh()
            begins = True
        else:
            begins = False
        sys.stdout = sys.stderr = self._output
        sys.path, sys.argv = self._path, self._argv
        World.ask, World.logged, World.counted = _ask, self._logged, self._counted
        if begins:
            World.now = self.now
        if _Stage.on is not self:
            if _Stage.on is not None:
                _Stage.on._make_room()
            self._take_place()

    def _take_place(self) -> None:
        assert _Stage.framework is not None
        _Stage.on = self
        _place_charms(self.env['CHARM_DIR'])
        if self._charm is None:
            self._charm = _charm_of(self.lib)
            self._own_values, self._modules = self._charm.state.fresh(), dict(self._charm.modules)
        put_in(self._modules)
        self._charm.state.put(self._own_values)
        _Stage.framework.put(self._values)
        for module, name, function in self._replaced:
            setattr(module, name, function)

    def _make_room(self) -> None:
        assert _Stage.framework is not None
        assert self._charm is not None
        self._values, self._replaced = _Stage.framework.taken(), _Stage.framework.put_back()
        self._own_values = self._charm.state.taken()
        self._modules = self._taken_modules()

    def _taken_modules(self) -> Dict[str, ModuleType]:
        """Take the modules that belong to this hook's charm out of sys.modules, and forget where they lie."""
        names = sys.modules.keys() - _Stage.known
        own = [name for name in names if name in self._modules or _is_charms(name)]
        _Stage.known.update(names.difference(own))  # of Python's, or of a library's: one for all
        for place in sys.path_importer_cache.keys() - _Stage.places:
            if place.startswith(self.env['CHARM_DIR']) or not os.path.isabs(place):
                del sys.path_importer_cache[place]
            else:
                _Stage.places.add(place)
        return take_out(own)

    def _leave(self) -> None:
        self._logged = World.logged
        sys.meta_path.remove(_Finder)
        for (module, name, _), real in zip(_Stage.stand_ins, _Stage.real):
            setattr(module, name, real)
        os.environ._data, place, sys.stdout, sys.stderr, sys.path, sys.argv = self._outside  # type: ignore[attr-defined]
        os.chdir(place)

    def _run(self) -> None:
        exec(_code(self.script), {'__name__': '__main__', '__file__': self.script})


def _place_charms(charm_dir: str) -> None:
    import charms

    charms.__path__ = [os.path.join(charm_dir, 'lib', 'charms'), *charms.__path__[1:]]


def _is_charms(name: str) -> bool:
    """Tell whether an imported module belongs to the charm on stage."""
    assert _Stage.on is not None
    return is_hooks_own(name) or lies_in(sys.modules[name], _Stage.on.env['CHARM_DIR'])


def _ask(message: Tuple[Any, ...]) -> Tuple[Any, ...]:
    answer: Tuple[Any, ...] = getcurrent().parent.switch(message)
    return answer


def _charm_of(lib: str) -> _Charm:
    if lib not in _Stage.charms:
        assert _Stage.framework is not None
        assert _Stage.on is not None
        other = modules_of(_Stage.on.env['CHARM_DIR'])  # imported by the tests, or of their own layer
        take_out(other)
        _Stage.known.difference_update(other)
        alike = _content(Path(lib))
        if alike in _Stage.alike:
            _Finder.learn(lib, _Stage.alike[alike])
            _Stage.charms[lib] = _Stage.charms[_Stage.alike[alike]]
        else:
            _Stage.charms[lib] = _Charm(_Stage.framework, lib)
            _Stage.alike[alike] = lib
    return _Stage.charms[lib]


def _content(lib: Path) -> bytes:
    """Return what tells charms apart whose modules of `charms.layer` may differ once they are imported."""
    said = hashlib.sha256()
    for path in sorted([*lib.rglob('*.py'), *lib.parent.glob('*.yaml')]):
        text = path.read_bytes()
        said.update('{}\n{}\n'.format(path.relative_to(lib.parent), len(text)).encode() + text)
    return said.digest()


def _code(script: str) -> CodeType:
    real = os.path.realpath(script)
    written = os.stat(real).st_mtime
    if real not in _Stage.scripts or _Stage.scripts[real][0] != written:
        with open(real) as text:
            _Stage.scripts[real] = written, compile(text.read(), script, 'exec')
    return _Stage.scripts[real][1]
