"""The programs of the demo's machines, and when a turn is over that runs several of them."""

from typing import Callable, Dict, List, Optional, Set, Tuple

from jujusim.juju import Event, Juju
from tests.watch import Watch

START, RESTART = 'systemctl start', 'systemctl restart'
UPGRADE, CHECK = 'apt-get install', 'db-is-healthy'
RESTART_S, UPGRADE_S, HEALTHY_S = 60.0, 30.0, 20.0


class Machine:
    """Answers what a unit's hooks run: how long it takes, and whether it succeeds."""

    def __init__(self) -> None:
        self.clock: Callable[[], float] = lambda: 0.0
        self._restarted: Dict[str, float] = {}

    def __call__(self, unit: str, argv: List[str]) -> Optional[Tuple[float, int]]:
        """Answer one program; None for one that it does not know."""
        program = ' '.join(argv)
        if program.startswith(RESTART):
            self._restarted[unit] = self.clock() + RESTART_S
            return RESTART_S, 0
        if program == CHECK:
            return 0.0, int(self.clock() < self._restarted[unit] + HEALTHY_S)
        known = {START: 0.0, UPGRADE: UPGRADE_S}
        return next(((takes_s, 0) for name, takes_s in known.items() if program.startswith(name)), None)


class Turns(Watch):
    """A watch for which a turn goes on until its last program has succeeded, and with it a hook or a wake-up.

    Args:
        juju: the model.
        slots: how many units may be at work together.
        last: how the command line of that program begins.
    """

    def __init__(self, juju: Juju, slots: int, last: str) -> None:
        super().__init__(juju, slots)
        self.last = last
        self._over: Set[str] = set()

    def freed(self, unit: str) -> None:
        """Believe the operator: the unit is down, so it is not at work."""
        self.at_work.discard(unit)
        self._began.pop(unit, None)

    def _see(self, event: Event) -> None:
        unit, last = event.unit, event.text.startswith(self.last)
        if event.text.startswith('exec ') and event.what == 'ran':
            event = event._replace(what='ends')  # a wake-up
        if event.what == 'begins':
            self._over.discard(unit)
        elif event.what == 'worked' and last:
            self._over.add(unit)
        one_of_several = event.what == 'worked' and not last
        kept = event.what in ('ends', 'restarts') and unit not in self._over
        if not one_of_several and not kept:
            super()._see(event)
