"""What a lock adds to one hook, in CPU and wall time of this machine, measured pair by pair.

Each hook is a program: a Python of its own runs the charm's hook file through
charms.reactive, with hook tools that are small shell scripts. A round runs each
kind of hook once, in random order; a pair is two kinds of the same round, so
that what else the machine does falls on both. Medians of many pairs are told.

A hook of 250 ms hides what is small, so the lock's own code is also run alone,
after all that any reactive hook imports, and its CPU is read before and after.
Juju's hook tools cost much more than a shell script (about 22 ms each: a large
program starts and asks the agent); `with tools` is the lock's own Python and
that time for each of its calls.

The hook is one peer's relation-changed, which is what rolls are made of; for a unit that rests, which
is left alone (rest.py), it is config-changed. What its tools answer was recorded from the modelled Juju,
in the third hook.
"""

import argparse
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from charms.layer.coordinator import rules, wire
from charms.layer.coordinator.values import About, Claim, Ledger, Record, Said, Ticket

from jujusim import process
from jujusim.agent import Agent, Operation, environment
from jujusim.juju import EPOCH_S, VERSIONS
from jujusim.model import Controller
from tests import inprocess
from tests.deploy import assemble

ROOT = Path(__file__).resolve().parents[1]
OURS, THEIRS, NONE = 'layer:coordinator', 'charmhelpers.coordinator', 'no lock'
CHARMS = {OURS: 'probe', THEIRS: 'seed-db', NONE: 'seed-db'}
SINCE = '2026-01-01 00:00:{:09.6f}Z'
HANDLERS = """
from subprocess import check_call

from charmhelpers.core import hookenv
from charms.reactive import set_flag, when
{}

@when('config.changed')
def reconfigure():
    if hookenv.config('go'):
        {}


@when('{}')
def restart():
    check_call(['systemctl', 'restart', 'rolling-db'])
"""
ALONE = """
import os, time
from charmhelpers.core import hookenv
from charms.layer import basic, options
import charms.reactive
hookenv.juju_version = lambda: os.environ['JUJU_VERSION']
charms.reactive.get_flags()  # charms.reactive opens the key-value store before any layer's code runs
options.get('basic')  # and layer:basic reads the options
begins = time.process_time()
{}
print(1000 * (time.process_time() - begins))
"""
WORK = {
    NONE: '',
    OURS: 'from charms.layer import coordinator\ncoordinator.begin_hook()\ncoordinator.end_hook()',
    THEIRS: """from charmhelpers.coordinator import Serial
lock = Serial()
lock.initialize()
lock.handle()
lock._release_granted()
lock._save_state()""",
}
"""What each lock does before and after the handlers; theirs books just these with hookenv."""

UBUNTU = "import platform\nplatform.linux_distribution = lambda *a, **k: ('Ubuntu', '22.04', 'jammy')\n"
WRITING = ('juju-log', 'relation-set', 'leader-set', 'status-set')
TOOL_MS = 22.0
NEWS = 'coordinator-relation-changed'
WHOLE = 'coordinator-relation-broken'
"""The charm's ordinary hook file: what the script of ours runs where it does not leave (rule 19)."""


class Kind(NamedTuple):
    """One kind of hook.

    Args:
        lock: the lock of the charm.
        state: rests (nobody asks, and the hook is config-changed), idle (nobody asks), waiting (app/1
            works, this unit and all but the leader wait), or leads (the same, as the leader).
        units: how many units the application has.
    """

    lock: str
    state: str
    units: int


KINDS = (
    Kind(NONE, 'idle', 3),
    Kind(OURS, 'rests', 3),
    Kind(OURS, 'idle', 3),
    Kind(THEIRS, 'idle', 3),
    Kind(OURS, 'idle', 102),
    Kind(THEIRS, 'idle', 102),
    Kind(OURS, 'waiting', 102),
    Kind(THEIRS, 'waiting', 102),
    Kind(OURS, 'leads', 102),
    Kind(THEIRS, 'leads', 102),
    Kind(OURS, 'waiting', 1002),
    Kind(OURS, 'leads', 1002),
)
BASE = KINDS[0]


class Hook(NamedTuple):
    """A hook that can be run again and again: the program, the lock's own part, the tool calls."""

    command: List[str]
    alone: List[str]
    env: Dict[str, str]
    calls: List[str]
    logged: List[str]


class Cost(NamedTuple):
    """What one run took, in ms: CPU, tools included; by the clock; CPU of the lock's own Python."""

    cpu: float
    wall: float
    own: float


# A hook and its tools


def _controller(kind: Kind) -> Controller:
    """Return the application in the state that the kind names, as its own lock would have written it."""
    names = ['app/{}'.format(number) for number in range(kind.units)]
    controller = inprocess.application(3, names)
    controller.config['go'] = 0
    since = {name: SINCE.format(number / 1000) for number, name in enumerate(names)}
    asking = names[1:] if kind.state in ('waiting', 'leads') else []
    if kind.lock == OURS:
        lives = {name: '{:08x}'.format(number) for number, name in enumerate(names)}
        for name in asking:
            claim = rules.asked_for(Claim(nonce=lives[name]), 'restart', since[name])
            said = Said(lives[name], About(term=1), (('', claim),))
            controller.units[name].settings['coordinator-claims'] = wire.said_text(said)
        tickets = tuple(Ticket(token, '', name, 1, nonce=lives[name]) for token, name in enumerate(asking, 1))
        record = Record(lives[names[0]], 1, 1, Ledger(len(asking), tickets))
        leaders = Said(lives[names[0]], About(term=1))
        controller.units[names[0]].settings['coordinator-claims'] = wire.said_text(leaders)
        controller.leader_settings = {
            'coordinator-ledger-' + wire.record_name(record): wire.record_text(record)
        }
    if kind.lock == THEIRS:
        for name in names:
            said = '{{"restart": "{}"}}'.format(since[name]) if name in asking else '{}'
            controller.units[name].settings['coordinator'] = said
        granted = '{{"app/1": {{"restart": "{}"}}}}'.format(since['app/1']) if asking else '{}'
        controller.leader_settings = {'coordinator': granted}
    return controller


def prepare(kind: Kind, place: Path) -> Hook:
    """Put a unit's charm and its recorded tools into a folder."""
    charm = assemble(ROOT / 'tests' / 'charms' / CHARMS[kind.lock], place / 'charm')
    if kind.lock != THEIRS:
        for module in (charm / 'reactive').glob('seed_db.py'):
            module.unlink()
        ours = kind.lock == OURS
        handlers = HANDLERS.format(
            'from charms.layer import coordinator\n' if ours else '',
            "coordinator.request_lock('restart')" if ours else "set_flag('plan.go')",
            'coordinator.granted.restart' if ours else 'plan.go',
        )
        (charm / 'reactive' / 'plan.py').write_text(handlers)
    unit = {'leads': 'app/0', 'waiting': 'app/{}'.format(kind.units // 2)}.get(kind.state, 'app/1')
    agent = inprocess.agent_of(_controller(kind), unit)
    operation = Operation(NEWS, 'app/{}'.format(kind.units - 1), version=1, with_relation=True)
    env = environment(agent, operation, str(charm), VERSIONS[3])
    script = str(charm / 'hooks' / WHOLE)
    for number in range(3):  # the first two leave behind what a unit remembers; each is a hook of its own
        if kind.state == 'rests' and number == 2:
            operation = Operation('config-changed')
            env = environment(agent, operation, str(charm), VERSIONS[3])
        env['JUJU_CONTEXT_ID'] = '{}-{}-{}'.format(unit, operation.name, number)
        calls, answers, logged = _recorded(agent, operation, script, env, str(place / 'log'))
    _write_tools(place / 'bin', answers)
    (place / 'site').mkdir()
    (place / 'site' / 'sitecustomize.py').write_text(UBUNTU)  # charmhelpers 1.2.1 refuses Debian
    env = {**env, 'PATH': '{}:/usr/bin:/bin'.format(place / 'bin'), 'PYTHONPATH': str(place / 'site')}
    alone = [sys.executable, '-c', ALONE.format(WORK[kind.lock])]
    return Hook([sys.executable, script], alone, env, calls, logged)


def _recorded(
    agent: Agent, operation: Operation, script: str, env: Dict[str, str], log: str
) -> Tuple[List[str], Dict[Tuple[str, ...], str], List[str]]:
    """Run the hook against the model; return its tools in order, what they answered, what it logged."""
    hook = inprocess.Hook(agent.context(operation))
    child = process.Child(script, env, EPOCH_S, log)
    answers: Dict[Tuple[str, ...], str] = {}
    while True:
        message = child.message()
        _, what, *about = message
        if what == 'exit':
            hook.hear(message[0])
            if about[0] != 0:
                raise RuntimeError('{}: exit code {}: {}'.format(script, *about))
            hook.commit()
            agent.done(operation)
            return hook.calls, answers, [' '.join(argv[1:]) for argv in hook.logged]
        answer = hook.answer(message)
        answers[tuple(about[0])] = answer[3]
        child.answer(*answer)


def _write_tools(place: Path, answers: Dict[Tuple[str, ...], str]) -> None:
    """Write one script a tool; what was not recorded, it refuses, and the hook fails."""
    place.mkdir()
    for name in {argv[0] for argv in answers} | {'juju-log'}:
        cases = [
            '{}) printf %s {};;'.format(shlex.quote(' '.join(argv[1:])), shlex.quote(answer))
            for argv, answer in answers.items()
            if argv[0] == name and (name not in WRITING or argv[1:] == ('--help',))
        ]
        otherwise = 'exit 0' if name in WRITING else 'echo "not recorded: $0 $*" >&2; exit 1'
        lines = ['#!/bin/sh', 'case "$*" in', *cases, '*) {};;'.format(otherwise), 'esac', '']
        (place / name).write_text('\n'.join(lines))
        (place / name).chmod(0o755)


# Measuring


def run(hook: Hook) -> Cost:
    """Run the hook once as a program.

    Raises:
        RuntimeError: where it fails; its output is told.
    """
    with tempfile.TemporaryFile() as output:
        begins = time.perf_counter()
        started = subprocess.Popen(
            hook.command, cwd=hook.env['CHARM_DIR'], env=hook.env, stdout=output, stderr=output
        )
        _, status, used = os.wait4(started.pid, 0)  # with all that the program waited for
        ends = time.perf_counter()
        started.returncode = status
        if status:
            output.seek(0)
            raise RuntimeError('{}: {}'.format(hook.command, output.read().decode()[-2000:]))
    env = {**hook.env, 'PYTHONPATH': 'lib:' + hook.env['PYTHONPATH']}
    own = subprocess.check_output(hook.alone, cwd=env['CHARM_DIR'], env=env, stderr=subprocess.DEVNULL)
    return Cost(1000 * (used.ru_utime + used.ru_stime), 1000 * (ends - begins), float(own.split()[-1]))


def measure(pairs: int, seed: int = 1, kinds: Tuple[Kind, ...] = KINDS) -> Tuple[Any, ...]:
    """Return the hooks by kind, and the costs by kind, one a round."""
    with tempfile.TemporaryDirectory(dir='/dev/shm' if os.path.isdir('/dev/shm') else None) as folder:
        hooks = {
            kind: prepare(kind, Path(folder) / 'hook-{}'.format(number)) for number, kind in enumerate(kinds)
        }
        costs: Dict[Kind, List[Cost]] = {kind: [] for kind in kinds}
        for kind in kinds:
            run(hooks[kind])  # its files are in memory and compiled
        chance, order = random.Random(seed), list(kinds)
        for _ in range(pairs):
            chance.shuffle(order)
            for kind in order:
                costs[kind].append(run(hooks[kind]))
    return hooks, costs


class Told(NamedTuple):
    """A line of the table, in ms; `added` is beyond a hook without a lock, pair by pair.

    `python` is the CPU of the lock's own Python; `real` the same and TOOL_MS for
    each tool that it calls.
    """

    kind: Kind
    calls: int
    cpu: float
    ratio: Tuple[float, float, float]
    added_cpu: Tuple[float, float, float]
    added_wall: float
    python: float
    real: float


def told(hooks: Dict[Kind, Hook], costs: Dict[Kind, List[Cost]]) -> List[Told]:
    """Return a line of figures for each kind of hook, from all its rounds."""
    lines = []
    for kind, of_kind in costs.items():
        calls = len(hooks[kind].calls)
        pairs = list(zip(of_kind, costs[BASE]))
        python = statistics.median(cost.own for cost in of_kind)
        lines.append(
            Told(
                kind=kind,
                calls=calls,
                cpu=statistics.median(cost.cpu for cost in of_kind),
                ratio=_quartiles([cost.cpu / base.cpu for cost, base in pairs]),
                added_cpu=_quartiles([cost.cpu - base.cpu for cost, base in pairs]),
                added_wall=statistics.median(cost.wall - base.wall for cost, base in pairs),
                python=python,
                real=python + (calls - len(hooks[BASE].calls)) * TOOL_MS,
            )
        )
    return lines


def _quartiles(figures: List[float]) -> Tuple[float, float, float]:
    if len(figures) < 2:
        return (figures[0],) * 3
    low, middle, high = statistics.quantiles(figures, n=4)
    return low, middle, high


def table(lines: List[Told]) -> Any:
    """Return those lines as a table for the terminal."""
    from rich.table import Table

    shown = Table(title='One hook, a peer’s relation-changed, run as a program', title_justify='left')
    for heading in ('hook', 'units', 'tools', 'CPU', '× without (quartiles)', 'adds CPU (quartiles)'):
        shown.add_column(heading, justify='left' if heading == 'hook' else 'right')
    for heading in ('adds wall', 'own Python', 'with tools of {:.0f} ms'.format(TOOL_MS)):
        shown.add_column(heading, justify='right')
    for line in lines:
        name = line.kind.lock if line.kind.lock == NONE else '{}, {}'.format(line.kind.lock, line.kind.state)
        cells = [name, str(line.kind.units), str(line.calls), '{:.0f} ms'.format(line.cpu)]
        if line.kind != BASE:
            cells += [
                '{1:.2f} ({0:.2f}-{2:.2f})'.format(*line.ratio),
                '{1:.0f} ms ({0:.0f}-{2:.0f})'.format(*line.added_cpu),
                '{:.0f} ms'.format(line.added_wall),
                '{:.1f} ms'.format(line.python),
                '{:.0f} ms'.format(line.real),
            ]
        shown.add_row(*cells)
    return shown


def verdicts(lines: List[Told]) -> List[str]:
    """Say what ours adds as a share of what theirs adds."""
    by_kind = {line.kind: line for line in lines}
    said = []
    for kind, ours in by_kind.items():
        theirs = by_kind.get(kind._replace(lock=THEIRS))
        if kind.lock == OURS and theirs:
            form = '{} of {} units: own Python {:.1f} ms beside {:.1f}; with tools of {:.0f} ms {:.0%} of {}'
            share = ours.real / theirs.real
            said.append(
                form.format(kind.state, kind.units, ours.python, theirs.python, TOOL_MS, share, THEIRS)
            )
    return said


def main(words: Optional[List[str]] = None) -> int:
    """Measure and print the table, or with --calls print the tool calls only."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pairs', type=int, default=30)
    parser.add_argument('--calls', action='store_true', help='only tell the tool calls of each kind')
    options = parser.parse_args(words)
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    if options.calls:
        with tempfile.TemporaryDirectory() as folder:
            for number, kind in enumerate(KINDS):
                hook = prepare(kind, Path(folder) / str(number))
                console.print(*kind, len(hook.calls), ' '.join(hook.calls[:24]))
                console.print('   ', '\n    '.join(hook.logged), markup=False)
        return 0
    lines = told(*measure(options.pairs))
    console.print(table(lines))
    console.print('\n'.join(verdicts(lines)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
