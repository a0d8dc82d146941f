"""`make conformance`: thousands of histories of the local Juju, each judged by `jujusim.conformance`.

A history is a model of 2 to 5 units of a small charm, whose hooks write down what they read, and write
to databags by chance; and bad luck. All of it follows from the seed. The records of a real Juju in
`records/` are judged by the same sentences.

    make conformance HISTORIES=2000     histories 1 to 2000, with progress
    make conformance SEED=17            tells that one
"""

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Tuple

from jujusim.conformance import PREDICATES, judge
from jujusim.juju import Juju
from jujusim.records import History, Recorder, load

RECORDS = Path(__file__).resolve().parent / 'records'

HOOK = """#!/usr/bin/env python3
import hashlib, json, os, subprocess, time

ME = os.environ['JUJU_UNIT_NAME']
NOWHERE = dict.fromkeys(('stdin', 'stdout', 'stderr'), subprocess.DEVNULL)
LUCK = int(hashlib.sha256(os.environ['JUJU_CONTEXT_ID'].encode()).hexdigest()[:8], 16)


def tool(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def ask(*argv):
    done = tool(*argv, '--format=json')
    return json.loads(done.stdout) if done.returncode == 0 else 'ERROR'


def hook():
    subprocess.run(['juju-log', 'runs'])
    goal = ask('goal-state')
    said = ['gs=' + json.dumps(goal, separators=(',', ':'))] if goal != 'ERROR' else []
    ids = ask('relation-ids', 'peer')
    if ids and ids != 'ERROR':
        others = sorted(set(ask('relation-list', '-r', ids[0])) | set(goal['units'])) if said else []
        for unit in [name for name in others if name != ME] + ['app/99']:
            bag = ask('relation-get', '-r', ids[0], '-', unit)
            if unit == 'app/99':
                said.append('u9=' + (bag if bag == 'ERROR' else 'x'))
            elif bag != 'ERROR':
                said.append('u{}.x={}'.format(unit.split('/')[1], bag.get('x', '')))
        bag = ask('relation-get', '-r', ids[0], '--app', '-', 'app')
        said += ['app.a=' + bag.get('a', '')] if bag != 'ERROR' else []
    for part in said:
        tool('juju-log', 'reads ' + part)
    if LUCK % 11 == 0:
        tool('juju-log', 'reads direct: ' + tool('juju-exec', ME, 'hooks/update-status').stderr.strip())
    if not os.environ['JUJU_HOOK_NAME'] and 'JUJU_ACTION_NAME' not in os.environ:
        tool('juju-log', 'reads hook= ctx=' + os.environ['JUJU_CONTEXT_ID'])
    if LUCK % 13 == 0:
        subprocess.Popen(['juju-exec', ME, 'hooks/update-status'], env={}, **NOWHERE)
    if LUCK % 7 == 0:
        time.sleep(LUCK % 40)
    if not ids or ids == 'ERROR':
        return
    if LUCK % 3 == 0:
        tool('relation-set', '-r', ids[0], 'x={}'.format(LUCK // 3 % 3))
    if LUCK % 5 < 2 and ask('is-leader') is True:
        tool('relation-set', '-r', ids[0], '--app', 'a={}'.format(LUCK // 5 % 3))
        time.sleep(LUCK % 3 * 4)


hook()
"""
HOOKS = ('install', 'leader-elected', 'leader-settings-changed', 'config-changed', 'start', 'upgrade-charm')
HOOKS += ('update-status', 'stop', 'remove')
HOOKS += tuple('peer-relation-' + event for event in ('created', 'joined', 'changed', 'departed'))
METADATA = 'name: app\nsummary: it writes down what it reads\npeers:\n  peer:\n    interface: peer\n'


def build(top: Path) -> Path:
    """Write the charm to a folder."""
    for name in HOOKS:
        path = top / 'hooks' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HOOK)
        path.chmod(0o755)
    (top / 'actions').mkdir()
    (top / 'actions' / 'look').write_text(HOOK)
    (top / 'lib').mkdir()
    (top / 'metadata.yaml').write_text(METADATA)
    (top / 'config.yaml').write_text('options:\n  go: {type: int, default: 0}\n')
    return top


# Bad luck

Stroke = Callable[[Juju, str, random.Random], None]


def lose_an_action(juju: Juju, unit: str, dice: random.Random, patience: int = 40) -> None:
    """Let a hook fail, and the agent be lost in an action between that and its retry."""
    if patience == 40:
        juju.fail_hook(unit)
        juju.update_status(unit)
    if unit in juju.units and juju.agents[unit].local.in_error and unit not in juju.running:
        lose = dice.choice(
            (juju.die_agent, juju.die_agent, juju.reboot, lambda name: juju.partition(name, 5))
        )
        juju.run_action(unit, 'look')
        juju.at(juju.now + dice.uniform(0.1, 2), lambda: lose(unit))
    elif patience and unit in juju.units:
        juju.at(juju.now + 1, lambda: lose_an_action(juju, unit, dice, patience - 1))


STROKES: Dict[str, Stroke] = {
    'configure': lambda juju, unit, dice: juju.configure(go=dice.randrange(10**6)),
    'fail': lambda juju, unit, dice: juju.fail_hook(unit, times=dice.choice((1, 2))),
    'crash': lambda juju, unit, dice: juju.crash_hook(unit, dice.randrange(1, 9)),
    'kill': lambda juju, unit, dice: juju.kill_hook(unit),
    'agent': lambda juju, unit, dice: juju.die_agent(unit),
    'restart': lambda juju, unit, dice: juju.restart_agent(unit),
    'reboot': lambda juju, unit, dice: juju.reboot(unit, dice.choice((5, 20))),
    'cut': lambda juju, unit, dice: juju.partition(unit, dice.choice((5, 40, 120))),
    'leader': lambda juju, unit, dice: juju.elect(),
    'action': lambda juju, unit, dice: juju.run_action(unit, 'look'),
    'lose action': lose_an_action,
    'exec': lambda juju, unit, dice: juju.run_exec(unit, 'hooks/update-status'),
    'refresh': lambda juju, unit, dice: juju.upgrade(unit),
    'status': lambda juju, unit, dice: juju.update_status(unit),
    'lose': lambda juju, unit, dice: juju.lose_commit(unit),
    'repeat': lambda juju, unit, dice: juju.repeat_commit(unit),
    'resolve': lambda juju, unit, dice: juju.resolve(unit, retry=dice.random() < 0.5),
    'add': lambda juju, unit, dice: None if len(juju.units) > 6 else (juju.add_unit(), None)[1],
    'remove': lambda juju, unit, dice: None if len(juju.units) < 3 else juju.remove_unit(unit),
    'lost': lambda juju, unit, dice: None if len(juju.units) < 3 else juju.lose_unit(unit, force=True),
}
WEIGHTS = (4, 3, 2, 2, 2, 1, 2, 1, 2, 2, 2, 2, 1, 2, 1, 1, 1, 2, 1, 1)
assert len(WEIGHTS) == len(STROKES)


def live(charm: Path, seed: int) -> Recorder:
    """Live through the history of a seed, and return its record."""
    dice = random.Random(seed)
    units, version = dice.randrange(2, 6), dice.choice((3, 4))
    with Juju(charm, units=units, juju=version, seed=seed, quick=True) as juju:
        recorder = Recorder(juju)
        if dice.random() < 0.7:
            juju.run()

        def strike() -> None:
            alive = [name for name in juju.units if juju.controller.units[name].life == 'alive']
            if alive:
                name = dice.choices(list(STROKES), WEIGHTS)[0]
                STROKES[name](juju, dice.choice(alive), dice)

        for _ in range(dice.randrange(2, 12)):
            juju.at(juju.now + dice.uniform(0, 90), strike)
        juju.run(seconds=100)
        juju.run()
        recorder.note_quiet()
        return recorder


class Verdict(NamedTuple):
    """What a history showed: how often each sentence was judged, and what broke one."""

    seed: int
    judged: Dict[str, int]
    broken: List[Tuple[str, str]]


def verdict_of(history: History, seed: int = 0) -> Verdict:
    """Judge a history by all sentences."""
    found = judge(history)
    broken = [(name, text) for name, (_, texts) in found.items() for text in texts]
    return Verdict(seed, {name: count for name, (count, _) in found.items()}, broken)


def _charm() -> Path:
    return build(Path(tempfile.mkdtemp(prefix='conformance-')) / 'charm')


_OURS: List[Path] = []


def _try(seed: int) -> Verdict:
    if not _OURS:
        _OURS.append(_charm())
    return verdict_of(live(_OURS[0], seed).history(), seed)


def records() -> List[History]:
    """Return the records of a real Juju."""
    return [load(path) for path in sorted(RECORDS.glob('*.jsonl'))]


def campaign(first: int, histories: int) -> int:
    """Judge the records and so many histories; tell what was judged, and return the exit code."""
    real: Counter = Counter()
    broken = []
    for history in records():
        verdict = verdict_of(history)
        real.update(verdict.judged)
        broken += [(history.name, *found) for found in verdict.broken]
        for found in verdict.broken:
            print('{}: {}: {}'.format(history.name, *found))
    made: Counter = Counter()
    began = time.monotonic()
    with multiprocessing.Pool(min(2, os.cpu_count() or 1)) as pool:
        for done, verdict in enumerate(pool.imap_unordered(_try, range(first, first + histories), 5), 1):
            made.update(verdict.judged)
            broken += [('seed {}'.format(verdict.seed), *found) for found in verdict.broken]
            for found in verdict.broken:
                print('seed {}: {}: {}'.format(verdict.seed, *found), flush=True)
            if sys.stdout.isatty() or done == histories:
                print(
                    '\r{} of {} histories, {:.0f} s'.format(done, histories, time.monotonic() - began), end=''
                )
    print(
        '\n\n{:>8} {:>9}  judged in {} records and {} histories'.format(
            'real', 'local', len(records()), histories
        )
    )
    for name, predicate in PREDICATES.items():
        print('{:>8} {:>9}  {} ({})'.format(real[name], made[name], predicate.sentence, predicate.rules))
    idle = [name for name in PREDICATES if not made[name]]
    print('{} broken, {} never judged {}'.format(len(broken), len(idle), ' '.join(idle)))
    return 1 if broken or idle else 0


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--histories', type=int, default=2000)
    parser.add_argument('--first', type=int, default=1)
    parser.add_argument('--seed', type=int)
    given = parser.parse_args()
    if given.seed is None:
        return campaign(given.first, given.histories)
    charm = _charm()
    recorder = live(charm, given.seed)
    shutil.rmtree(str(charm.parent))
    for line in recorder.lines:
        print(line)
    verdict = verdict_of(recorder.history())
    for name, text in verdict.broken:
        print('{}: {}'.format(name, text))
    return 1 if verdict.broken else 0


if __name__ == '__main__':
    sys.exit(main())
