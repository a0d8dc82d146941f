"""`make on-juju`: rolls of the example charm, and what goes wrong in them, on a controller of Juju.

    make on-juju                          a model of its own, four units, all scenes
    make on-juju SCENES='roll failure'    some of them
    make on-juju MODEL=lab UNITS=3        on the free machines of a model that is there
    make on-juju LOCAL=4                  on the local Juju of this repository, which needs no controller

It ends with 0 if every promise was kept, 1 if one was broken, 2 if the scenes could not be played.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from rich.console import Console

from tests.onjuju import charm as charms
from tests.onjuju import history, local, shown, truth
from tests.onjuju.lab import Lab, Wishes
from tests.onjuju.scenes import SCENES, Stage
from tests.onjuju.trouble import Skipped, Trouble
from tests.onjuju.verdict import Scene, Verdict, judge

KEPT, BROKEN, NOT_PLAYED = 0, 1, 2
WIDTH = 110


class Play:
    """Plays scenes, and keeps what they showed.

    Args:
        lab: the application.
        teller: says what goes on.
        charm: the file that was deployed, for a refresh.
    """

    def __init__(self, lab: Lab, teller: shown.Teller, charm: Path) -> None:
        self.lab, self.teller, self.charm = lab, teller, charm
        self.verdicts: List[Verdict] = []
        self.scenes: List[Scene] = []
        self.skipped: Dict[str, str] = {}
        self.works: Dict[str, List[history.Work]] = {}
        self.lines: List[history.Line] = []
        self.notes: List[history.Line] = []
        self.juju = ''

    def scene(self, name: str) -> None:
        """Play a scene and judge it."""
        kind = SCENES[name]
        self.teller.line('{}: {}'.format(name, str(kind.play.__doc__).strip()), 'bold')
        stage = Stage(self.lab, name)
        try:
            kind.play(stage, **({'charm': self.charm} if name == 'refresh' else {}))
        except Skipped as why:
            self.skipped[name] = str(why)
        finally:
            self.notes += stage.notes
        scene = stage.finish()
        self.read()
        found = judge(scene, self.all_works, self.lines)
        self.scenes.append(scene)
        self.verdicts.append(found)
        self._tell(found)

    def _tell(self, found: Verdict) -> None:
        form = '  {}: {} turns in {:.0f} s, at most {} at once, {} hooks'
        kept = 'skipped' if found.scene in self.skipped else 'BROKEN' if found.broken else 'kept'
        hooks = sum(found.hooks.values())
        self.teller.line(
            form.format(kept, found.turns, found.took_s, found.most, hooks), 'red' if found.broken else ''
        )
        for sentence in found.broken:
            self.teller.line('  BROKEN: ' + sentence, 'red')
        for sentence in found.excused:
            self.teller.line('  {}; it was removed by force, which docs/limits.md excepts'.format(sentence))
        if found.scene in self.skipped:
            self.teller.line('  skipped: ' + self.skipped[found.scene])

    def read(self) -> None:
        """Read what all units wrote down, and the log."""
        self.teller.now('reads what the units wrote down')
        status = self.lab.status()
        self.juju = status.model.version
        for unit in self.lab.units(status):
            said = self.lab.work_of(unit)
            if said is not None:
                self.works[unit] = history.works(unit, said)
        self.lines = history.lines_of(self.lab.log())
        for unit, works in history.works_logged(self.lines).items():
            if len(works) >= len(self.works.get(unit, [])):
                self.works[unit] = works

    @property
    def all_works(self) -> List[history.Work]:
        """The works of all units that there ever were."""
        return [work for works in self.works.values() for work in works]

    @property
    def broken(self) -> bool:
        """Whether a promise was broken."""
        return any(found.broken for found in self.verdicts)

    def show(self, output: Path) -> None:
        """Print the table, and write the history and a picture of each scene."""
        if not self.verdicts:
            return
        self.teller.end()
        self.teller.console.print(shown.table(self.verdicts, self.skipped))
        self.teller.line('hooks: ' + shown.hooks(self.verdicts))
        output.mkdir(parents=True, exist_ok=True)
        path = output / 'history.jsonl'
        record = [truth.version(self.juju), *history.record(self.lines + self.notes, self.all_works)]
        path.write_text(''.join(json.dumps(line) + '\n' for line in record))
        for sentence in truth.said(truth.judged(record)):
            self.teller.line(sentence)
        self.teller.line('history: {}'.format(path))
        for scene, found in zip(self.scenes, self.verdicts):
            self._draw(scene, found, output / '{}.png'.format(scene.name))
        self.teller.line('promises: {}'.format('BROKEN' if self.broken else 'all kept'), 'bold')

    def _draw(self, scene: Scene, found: Verdict, path: Path) -> None:
        drawn = shown.Drawn(scene, self.all_works, self.lines)
        if drawn.spans:  # a scene that was skipped may have none
            title = '{}: {} units, {:.0f} s'.format(scene.name, len(scene.owed), found.took_s)
            shown.picture(drawn, path, title, found.least_s)
            self.teller.line('picture: {}'.format(path))


def parsed(words: Optional[List[str]]) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(prog='make on-juju', description=__doc__.splitlines()[0])
    parser.add_argument('--model', default='', help='a model that is there (MODEL=)')
    parser.add_argument('--units', default='4', help='how many units, 3 to 50 (UNITS=)')
    parser.add_argument('--scenes', default='', help='some scenes (SCENES=): ' + ' '.join(SCENES))
    parser.add_argument('--keep', action='store_true', help='leave all as it is at the end (KEEP=1)')
    parser.add_argument('--juju', default='juju', help='the client (JUJU=)')
    parser.add_argument('--local', default='', help='3 or 4: the local Juju instead (LOCAL=)')
    parser.add_argument('--charm', default='', help='the folder of the example, built elsewhere (CHARM=)')
    parser.add_argument('--base', default='', help='as ubuntu@24.04 (BASE=); else that of this machine')
    parser.add_argument('--work', default='10', help='how many seconds a restart takes (WORK=)')
    parser.add_argument('--patience', default='900', help='how many seconds anything may take (PATIENCE=)')
    parser.add_argument('--output', default='build/on-juju', help='where the history goes (OUTPUT=)')
    options = parser.parse_args(words)
    for name, least, most in (('units', 3, 50), ('work', 1, 600), ('patience', 10, 86400)):
        text = getattr(options, name)
        if not text.isdigit() or not least <= int(text) <= most:
            form = '{}: expected a whole number from {} to {}, found {!r}'
            parser.error(form.format(name.upper(), least, most, text))
        setattr(options, name, int(text))
    chosen = options.scenes.replace(',', ' ').split()
    unknown = [name for name in chosen if name not in SCENES]
    if unknown:
        parser.error('SCENES: there is no {}; there are {}'.format(unknown[0], ', '.join(SCENES)))
    options.scenes = [name for name in SCENES if name in (chosen or SCENES)]
    too_short = options.work < 5 and not all(SCENES[name].looks_on for name in options.scenes)
    if too_short:
        still = ' '.join(name for name in SCENES if SCENES[name].looks_on)
        parser.error(
            'WORK: less than 5 s go with SCENES={!r} only: other scenes act on a unit at work'.format(still)
        )
    if options.local not in ('', *local.VERSIONS):
        parser.error('LOCAL: expected 3 or 4, found {!r}'.format(options.local))
    if options.units - sum(SCENES[name].removes - SCENES[name].adds for name in options.scenes) < 1:
        parser.error('UNITS: {} are too few for these scenes, which remove some'.format(options.units))
    return options


def prepared(options: argparse.Namespace, folder: Path, say: Any) -> Path:
    """Return the .charm file to deploy."""
    if options.charm:
        source = Path(options.charm)
    elif options.local:
        source = local.charm(folder)
    else:
        source = charms.built(Path('build') / 'on-juju-charm', say)
    marked = charms.recorded(source, folder / 'charm', options.work)
    return charms.packed(marked, folder / 'rolling-db.charm', options.base or charms.base_of_this_machine())


def wishes_of(options: argparse.Namespace) -> Wishes:
    """Return what the command line asks of the model."""
    pace: Dict[str, Any] = {'poll_s': local.STEP_S, 'pause': lambda seconds: None} if options.local else {}
    return Wishes(
        options.model,
        options.units,
        sum(SCENES[name].adds for name in options.scenes),
        options.keep,
        options.base or charms.base_of_this_machine(),
        float(options.patience),
        **pace,
    )


def _played(options: argparse.Namespace, folder: Path, teller: shown.Teller) -> int:
    """Play the scenes; whatever happens, remove what was made."""
    binary = local.client(folder, options.local) if options.local else options.juju
    lab = Lab(binary, wishes_of(options), teller.now)
    play: Optional[Play] = None
    code = KEPT
    try:
        lab.check()
        charm = prepared(options, folder, teller.now)
        play = Play(lab, teller, charm)
        lab.open(charm)
        for name in options.scenes:
            play.scene(name)
    except Trouble as trouble:
        code = NOT_PLAYED
        teller.line(trouble.sentence, 'red')
        for line in trouble.details:
            teller.line('  ' + line)
    except KeyboardInterrupt:
        code = NOT_PLAYED
        teller.line('Stopped by hand; what was made is removed.' if not options.keep else 'Stopped by hand.')
    finally:
        with _not_interrupted():
            for sentence in lab.close():
                teller.line(sentence)
            if options.local:
                local.end()
            teller.end()
    if play:
        play.show(Path(options.output))
    return BROKEN if play and play.broken else code


class _not_interrupted:  # noqa: N801 - it reads as what it does
    """Within it, Ctrl-C reaches neither this program nor the clients that it starts."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def __exit__(self, *_: Any) -> None:
        signal.signal(signal.SIGINT, self._before)


def main(words: Optional[List[str]] = None) -> int:
    """Play what the command line asks for; return the exit code."""
    options = parsed(words)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix='on-juju-'))
    try:
        return _played(options, folder, shown.Teller(console))
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
