"""The scenes of `make demo`: what the operator does, what goes wrong, and what must have come of it."""

from typing import Callable, Dict, List, NamedTuple, Tuple

from examples.demo.play import Play
from examples.demo.programs import CHECK, RESTART, RESTART_S

THINKS_S = 20.0  # an operator, before the next command


class Scene(NamedTuple):
    """One scene.

    Args:
        about: what it shows, in a sentence.
        play: does it; returns how many turns each unit must have had.
        charm: the example charm.
        least_units: how few units it can be shown with.
        last: the last program of a turn.
        alone: whether no operator takes part, whose time would count.
    """

    about: str
    play: Callable[[Play], Dict[str, int]]
    charm: str = 'rolling-db'
    least_units: int = 1
    last: str = RESTART
    alone: bool = True


def once(units: List[str]) -> Dict[str, int]:
    """Return one turn for each unit."""
    return dict.fromkeys(units, 1)


def restart(play: Play) -> Dict[str, int]:
    """All units ask; one restart fails at the first try, and leadership moves about half-way."""
    juju = play.juju
    if len(juju.units) > 1:
        juju.fail_command(juju.units[1], 'systemctl restart rolling-db')
        successor = juju.units[-1]
        juju.at(juju.now + (RESTART_S + 1) * len(juju.units) / 2, lambda: juju.elect(successor))
    play.types('juju config db memory=2', lambda: juju.configure(memory=2))
    play.rest()
    return once(juju.units)


def roll(play: Play) -> Dict[str, int]:
    """The operator restarts all units: a trial, a failure that stops the roll, and a unit that is lost."""
    juju = play.juju
    bad = juju.units[2]
    juju.fail_command(bad, 'systemctl restart rolling-db', times=99)
    play.orders('coordinator-roll', lock='restart', batches='1,100%', pause_after=1, reason='new key')
    play.rest()
    play.passes(THINKS_S)
    play.orders('coordinator-resume', lock='restart')
    play.until(lambda: play.recorder.doing[bad][0] == 'until the retry', '{} fails'.format(bad))
    play.orders('coordinator-pause', lock='restart', reason='{} does not start'.format(bad))
    play.passes(THINKS_S)
    play.loses(bad)
    play.passes(THINKS_S)
    play.orders('coordinator-free', unit=bad, confirm='yes', reason='its machine is lost')
    play.orders('coordinator-resume', lock='restart')
    play.until(lambda: bool(rolled(play)), 'the roll is over')
    for leader, text in rolled(play):
        play.screen.tell(leader, 'logs', text)
    return {**once(juju.units), bad: 0}


def rolled(play: Play) -> List[Tuple[str, str]]:
    """Return who logged, at the end of a roll, that it is over."""
    return [(unit, text) for _, unit, _, text in play.juju.logs if text == 'the roll is over']


def lost_unit(play: Play) -> Dict[str, int]:
    """A unit is down while it holds the lock; the operator frees it, and later it comes back."""
    juju, down_s = play.juju, 300.0
    play.types('juju config db memory=2', lambda: juju.configure(memory=2))

    def works() -> List[str]:
        return sorted(unit for unit in play.watch.at_work if unit != juju.controller.leader)

    play.until(lambda: bool(works()), 'a unit works that does not lead')
    down = works()[0]
    play.passes(RESTART_S / 2)
    play.turns_off(down, down_s)
    play.passes(RESTART_S)
    play.orders('coordinator-show', whole=True)
    play.orders('coordinator-free', refused=True, unit=down)
    play.orders('coordinator-free', unit=down, confirm='yes', reason='its machine is off')
    play.until(lambda: play.watch.served(down) > 0, '{} has its turn'.format(down))
    play.rest()
    return once(juju.units)


def hold_until_healthy(play: Play) -> Dict[str, int]:
    """Each unit keeps the lock until it is healthy, and wakes itself to look."""
    juju = play.juju
    play.types('juju config db memory=2', lambda: juju.configure(memory=2))
    play.rest()
    return once(juju.units)


def upgrade(play: Play) -> Dict[str, int]:
    """A new revision of the charm: each unit upgrades, restarts and gets healthy in one turn."""
    juju = play.juju

    def refresh() -> None:
        for unit in juju.units:
            juju.upgrade(unit)

    play.types('juju refresh db', refresh)
    play.rest()
    return once(juju.units)


SCENES = {
    'restart': Scene('the configuration changes, and each unit restarts in its turn', restart),
    'roll': Scene(
        'the operator restarts all units, and one of them is lost', roll, least_units=4, alone=False
    ),
    'lost-unit': Scene('a unit is down while it holds the lock', lost_unit, least_units=2, alone=False),
    'hold-until-healthy': Scene(
        'each unit keeps the lock until it is healthy', hold_until_healthy, 'careful-db', last=CHECK
    ),
    'upgrade': Scene(
        'a new revision: upgrade, restart and get healthy in one turn', upgrade, 'careful-db', last=CHECK
    ),
}
DEFAULT = 'roll'
