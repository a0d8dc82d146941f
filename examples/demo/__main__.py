"""`make demo`: a scene with the example charms, live, on the local Juju of this repository.

Real charm code runs in a process per hook; the controller is modelled and time is
virtual. What is shown is seen from outside: programs that run, the status that each unit
sets, the leader, what actions answer. Every sentence about locks is the layer's own.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from charms.layer.coordinator import policy
from rich.console import Console

from examples.demo import picture
from examples.demo.play import Play
from examples.demo.programs import Machine, Turns
from examples.demo.record import Recorder
from examples.demo.scenes import DEFAULT, SCENES, Scene
from examples.demo.show import Screen
from jujusim.juju import Juju
from tests.deploy import assemble

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 100  # columns, where there is no terminal
RELEASE = {3: 'Juju 2.9–3.x (leader settings)', 4: 'Juju 4 (application databag)'}

Lines = List[Tuple[str, str]]


def show(options: argparse.Namespace, scene: Scene, charm: Path, console: Console) -> bool:
    """Show one scene; return whether all went as promised."""
    machine = Machine()
    with Juju(
        charm, units=options.units, juju=options.juju, seed=options.seed, app='db', config={'memory': 1},
        machine=machine,
    ) as juju:  # fmt: skip
        machine.clock = lambda: juju.now
        form = 'Deploying {} units of examples/{} on a local {} …'
        console.print(form.format(options.units, scene.charm, RELEASE[options.juju]), highlight=False)
        juju.run()
        slots = policy.from_options({'slots': options.slots}).slots_among(options.units)
        watch = Turns(juju, slots, scene.last)
        recorder = Recorder(juju, watch)
        about = scene.about[0].upper() + scene.about[1:]
        title = '{}, {} at a time'.format(about, slots)
        with Screen(recorder, console, title) as screen:
            screen.say(*([] if screen.live else [title]))
            play = Play(juju, machine, recorder, screen)
            due = scene.play(play)
        recorder.finish()
        good, lines = verdict(play, due, scene)
        path = Path(options.output or str(ROOT / 'build' / '{}.png'.format(options.scene)))
        title = '{}, {} at a time, {:.0f} s · {}'.format(
            about, slots, watch.duration_s, RELEASE[options.juju]
        )
        picture.draw(recorder, path, title, recorder.least_s() if scene.alone else None)
    console.print()
    for heading, text in lines:
        console.print('  {:<10} {}'.format(heading, text), highlight=False, markup=False)
    console.print('  {:<10} {}'.format('picture', path), highlight=False, markup=False, soft_wrap=True)
    return good


def verdict(play: Play, due: Dict[str, int], scene: Scene) -> Tuple[bool, Lines]:
    """Return whether all went as promised, and what says so in numbers, each under a heading.

    Args:
        play: a scene that is over.
        due: how many turns each unit must have had.
        scene: which one.
    """
    recorder, watch = play.recorder, play.watch
    served = {unit: watch.served(unit) for unit in play.juju.units}
    broken = [*watch.faults, *recorder.too_late, *play.broken]
    broken += [
        '{} had {} of {} turns'.format(unit, served[unit], due[unit])
        for unit in due
        if served[unit] != due[unit]
    ]
    failed = sum(span.kind == 'work that failed' for span in recorder.spans)
    once = '{} of {} units, each once'.format(sum(count == 1 for count in served.values()), len(served))
    fails = '; {} restart{} failed'.format(failed, 's' * (failed > 1)) if failed else ''
    freed = ''.join('; {} was freed'.format(unit) for unit, _ in recorder.freed)
    least = '; the least possible is {:.0f} s'.format(recorder.least_s()) if scene.alone else ''
    cost = '{} hooks, {} hook-tool calls, {} ledger writes'
    return not broken, [
        ('restarted', once + fails + freed),
        ('at work', 'at most {} of {} slots in use'.format(watch.most_at_work, watch.slots)),
        ('took', '{:.0f} s of the model{}'.format(watch.duration_s, least)),
        ('led by', ', then '.join(leader for _, leader in recorder.leaders)),
        ('cost', cost.format(watch.hooks, watch.calls, watch.ledger_writes)),
        ('promises', 'BROKEN: ' + '; '.join(broken) if broken else 'all kept'),
    ]


def parsed(words: Optional[List[str]] = None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(prog='make demo', description=__doc__.splitlines()[0])
    scenes = '; '.join('{}: {}'.format(name, scene.about) for name, scene in SCENES.items())
    parser.add_argument('--scene', default=DEFAULT, help=scenes + ' (make demo SCENE=lost-unit)')
    parser.add_argument('--units', default='5', help='how many units, 1 to 100 (make demo UNITS=12)')
    parser.add_argument('--juju', default='3', help='3 for Juju 2.9-3.x, 4 for Juju 4 (make demo JUJU=4)')
    parser.add_argument(
        '--slots', default='1', help='units at work at once, as in layer.yaml (make demo SLOTS=2)'
    )
    parser.add_argument('--seed', default='1', help='another history (make demo SEED=7)')
    parser.add_argument(
        '--output', default='', help='where the picture goes, .png or .svg (make demo OUTPUT=roll.svg)'
    )
    options = parser.parse_args(words)
    if options.scene not in SCENES:
        parser.error('SCENE: expected {}, found {!r}'.format(', '.join(SCENES), options.scene))
    options.units = _number(parser, 'UNITS', options.units, SCENES[options.scene].least_units, 100)
    options.seed = _number(parser, 'SEED', options.seed, 0, 10**9)
    options.juju = _number(parser, 'JUJU', options.juju, 3, 4)
    try:
        policy.from_options({'slots': options.slots})
    except ValueError:
        parser.error('SLOTS: expected {}, found {!r}'.format(policy.SLOTS_FORM, options.slots))
    if options.output and Path(options.output).suffix not in ('.png', '.svg'):
        parser.error('OUTPUT: expected a file name ending in .png or .svg, found {!r}'.format(options.output))
    return options


def _number(parser: argparse.ArgumentParser, name: str, text: str, least: int, most: int) -> int:
    if not text.isdigit() or not least <= int(text) <= most:
        parser.error('{}: expected a whole number from {} to {}, found {!r}'.format(name, least, most, text))
    return int(text)


def main(words: Optional[List[str]] = None) -> int:
    """Run the demo; return 0 if every promise was kept, else 1."""
    options = parsed(words)
    scene = SCENES[options.scene]
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        charm = assemble(ROOT / 'examples' / scene.charm, Path(folder) / 'charm', {'slots': options.slots})
        return 0 if show(options, scene, charm, console) else 1


if __name__ == '__main__':
    sys.exit(main())
