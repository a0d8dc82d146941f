"""The scenes of `make on-juju`: what an operator does, and what goes wrong, in a roll."""

from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import jubilant

from tests.onjuju.lab import APP, QUIET_LOOKS, Lab, moment, resting
from tests.onjuju.trouble import Skipped, Trouble, last_line
from tests.onjuju.verdict import Scene

STALLED_S = 200.0
"""So long nothing may happen: three update-status hooks, of a minute each, and some seconds."""


class Stage:
    """What a scene acts on.

    Args:
        lab: the application.
        name: the scene's name.
    """

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.juju, self.name = lab, lab.juju, name
        self.notes: List[Dict[str, Any]] = []
        self.owed: Tuple[str, ...] = ()
        self.gone: Dict[str, float] = {}
        self.forced: Tuple[str, ...] = ()
        self.began, self.leader = 0.0, ''
        self._since: Dict[str, str] = {}
        self._memory = int(self.juju.config(APP)['memory'])

    # What an operator does

    def roll(self) -> None:
        """Change the configuration: each unit that is there asks for its turn."""
        self._owes_all()
        self._memory += 1
        self.note('op', 'config memory={}'.format(self._memory))
        self.juju.config(APP, {'memory': self._memory})

    def order(self) -> None:
        """Run the action coordinator-roll on the leader: each unit that is there has a turn."""
        self._owes_all()
        self.note('op', 'run {} coordinator-roll'.format(self.leader))
        try:
            self.juju.run(self.leader, 'coordinator-roll', {'lock': 'restart'}, wait=120)
        except (jubilant.CLIError, jubilant.TaskError, TimeoutError) as error:
            raise Trouble('coordinator-roll on {} failed: {}'.format(self.leader, error)) from None

    def _owes_all(self) -> None:
        status = self.lab.status()
        self.owed = tuple(self.lab.units(status))
        self._since = {name: unit.workload_status.since for name, unit in self.lab.units(status).items()}
        self.began, self.leader = moment(status), self._leader()

    def fail_work_of(self, unit: str) -> None:
        """Let each work of a unit fail from now on."""
        self.exec(unit, 'touch work-fails')

    def mend_work_of(self, unit: str) -> None:
        """Let the work of a unit succeed again."""
        self.exec(unit, 'rm -f work-fails')

    def exec(self, unit: str, command: str) -> None:
        """Run a command on a unit, in the charm's folder."""
        try:
            self.juju.exec(command, unit=unit, wait=300)
        except (jubilant.CLIError, jubilant.TaskError, TimeoutError) as error:
            raise Trouble('juju exec on {} failed: {}'.format(unit, error)) from None

    def resolve(self, unit: str) -> None:
        """Let a failed hook run again now; Juju may have done so by itself."""
        self.note('op', 'resolve {}'.format(unit))
        try:
            self.juju.cli('resolve', unit)
        except jubilant.CLIError as error:
            if 'not in' not in str(error.stderr):
                raise Trouble('juju resolve {} failed: {}'.format(unit, last_line(error))) from None

    def on_machine_of(self, unit: str, command: str) -> None:
        """Do something on a unit's machine, by `juju ssh`.

        Raises:
            Skipped: there is no shell on it.
        """
        try:
            self.juju.ssh(unit, command, host_key_checks=False)
        except jubilant.CLIError as error:
            if 'pkill' in command and error.returncode == 1 and not error.stderr.strip():
                raise Skipped('no process of a hook was found on the machine of {}'.format(unit)) from None
            form = 'it needs a shell on the machine of {}, and `juju ssh` has none: {}'
            raise Skipped(form.format(unit, last_line(error))) from None

    def note(self, what: str, text: str) -> None:
        """Write down what is done, for the history; its time is that of the newest status."""
        self.notes.append({'s': moment(self.lab.seen), 'unit': '', 'what': what, 'text': text})

    # What is waited for

    def holder(self, of: Callable[[str, Any], bool] = lambda name, unit: True) -> str:
        """Wait until a unit works, of those that are wanted; return its name."""

        def working(status: Any) -> str:
            return next(
                (name for name, unit in self.lab.units(status).items() if works(unit) and of(name, unit)), ''
            )

        return str(self.lab.until('{}: until a unit works'.format(self.name), working))

    def until_failed(self, unit: str) -> None:
        """Wait until a unit's hook has failed."""
        self.lab.until(
            '{}: until {} fails'.format(self.name, unit),
            lambda status: self.lab.units(status)[unit].workload_status.current == 'error',
        )

    def _leader(self) -> str:
        """Return the unit that leads as the newest status has it, '' if none does."""
        found = self.lab.units(self.lab.seen).items()
        return next((name for name, unit in found if unit.leader), '')

    def some_looks(self, count: int = 4) -> None:
        """Let time pass: what must not happen has the time to."""
        looks: List[int] = []
        self.lab.until(self.name, lambda status: looks.append(1) or len(looks) > count)

    def finish(self) -> Scene:
        """Wait until all units that are owed a turn have had it and all is at rest, or nothing goes on.

        Raises:
            Trouble: something goes on for too long.
        """
        rests: List[Any] = []
        still: List[Any] = []

        def over(status: Any) -> bool:
            units = self.lab.units(status)
            for name in set(self.owed) - set(units) - set(self.gone):
                self.gone[name] = moment(status)
            idle = all(resting(unit) and unit.workload_status.current != 'error' for unit in units.values())
            rests[:] = [*rests, status] if idle else []
            shown = [(name, unit.workload_status.message) for name, unit in units.items()]
            still[:] = [*still, shown] if not still or still[-1] == shown else [shown]
            served = all(self._served(name, unit) for name, unit in units.items() if name in self.owed)
            if served and not set(self.removed) & set(units):
                return len(rests) > QUIET_LOOKS
            return len(still) > stalled and idle and not any(works(unit) for unit in units.values())

        stalled = STALLED_S / self.lab.wishes.poll_s
        self.lab.until('{}: until all is quiet'.format(self.name), over)
        return Scene(
            self.name,
            self.began,
            moment(rests[-1]),
            self.owed,
            self.gone,
            self.forced,
            self.leader,
            SCENES[self.name].direct,
        )

    @property
    def removed(self) -> List[str]:
        """The units that scenes removed."""
        return [note['text'].split()[1] for note in self.notes if note['text'].startswith('remove-unit ')]

    def _served(self, name: str, unit: Any) -> bool:
        shown = unit.workload_status
        return shown.message == 'restarted' and shown.since != self._since[name]

    def remove(self, unit: str, force: bool = False) -> None:
        """Remove a unit."""
        self.note('op', 'remove-unit {}{}'.format(unit, ' --force' if force else ''))
        if force:
            self.forced += (unit,)
            self.gone[unit] = moment(self.lab.seen)
        self.juju.remove_unit(unit, force=force)


def works(unit: Any) -> bool:
    """Tell whether a unit works now."""
    shown = unit.workload_status
    return bool(shown.current == 'maintenance' and shown.message == 'restarting')


# The scenes


def roll(stage: Stage) -> None:
    """A change of the configuration restarts every unit, one at a time."""
    stage.roll()


def ordered(stage: Stage) -> None:
    """An operator's `coordinator-roll` restarts every unit, one at a time, the leader last."""
    stage.order()


def failure(stage: Stage) -> None:
    """A restart that fails stops the roll; it goes on when the restart succeeds, after `juju resolve`."""
    unit = _last_follower(stage)
    stage.fail_work_of(unit)
    stage.roll()
    stage.until_failed(unit)
    stage.some_looks()
    stage.mend_work_of(unit)
    stage.resolve(unit)


def action(stage: Stage) -> None:
    """An action between a failed restart and its retry asks for nothing twice, and uses no turn."""
    unit = _last_follower(stage)
    stage.fail_work_of(unit)
    stage.roll()
    stage.until_failed(unit)
    stage.note('op', 'run {} restart'.format(unit))
    try:
        stage.juju.run(unit, 'restart', wait=120)
    except (jubilant.CLIError, jubilant.TaskError, TimeoutError) as error:
        raise Trouble('The action restart of {} failed: {}'.format(unit, error)) from None
    stage.mend_work_of(unit)
    stage.resolve(unit)


def refresh(stage: Stage, charm: Any) -> None:
    """A refresh in the middle of a roll loses no turn, and gives none twice."""
    stage.roll()
    stage.holder()
    stage.note('op', 'refresh')
    stage.juju.refresh(APP, path=charm)


def kill(stage: Stage) -> None:
    """The hook's process is killed at work: the unit keeps its turn, and works again."""
    stage.roll()
    unit = stage.holder()
    stage.note('fault', 'kill the hook of {}'.format(unit))
    stage.on_machine_of(unit, "sudo pkill -KILL -f '[h]ooks/'")


def agent(stage: Stage) -> None:
    """The leader's agent is stopped in a roll: another unit leads and goes on, also when it is back."""
    stage.roll()
    stage.holder(lambda name, unit: not unit.leader)
    leader = stage.leader
    machine = stage.lab.units(stage.lab.seen)[leader].machine
    stage.note('fault', 'stop the agent of {}'.format(leader))
    service = 'jujud-machine-{}'.format(machine.replace('/', '-'))
    stage.on_machine_of(leader, 'sudo systemctl stop ' + service)
    try:
        stage.lab.until(
            'agent: until another unit leads', lambda status: _other_leads(stage, status, leader), 300
        )
    finally:
        stage.on_machine_of(leader, 'sudo systemctl start ' + service)


def _other_leads(stage: Stage, status: Any, before: str) -> bool:
    return any(unit.leader and name != before for name, unit in stage.lab.units(status).items())


def scale(stage: Stage) -> None:
    """A unit is added in a roll, and one that waits is removed: all others have their turn."""
    stage.roll()
    holder = stage.holder()
    to = {'to': stage.lab.free[stage.lab.wishes.units]} if stage.lab.wishes.model else {}
    stage.note('op', 'add-unit')
    stage.juju.add_unit(APP, num_units=1, **to)
    waits = [
        name
        for name, unit in stage.lab.units(stage.lab.status()).items()
        if name in stage.owed
        and name != holder
        and not unit.leader
        and unit.workload_status.current == 'waiting'
    ]
    if waits:
        stage.remove(waits[-1])


def removed(stage: Stage) -> None:
    """The unit at work is removed without force: it ends its work, and the next unit follows."""
    stage.roll()
    stage.remove(stage.holder())


def forced(stage: Stage) -> None:
    """The unit at work is removed by force: it counts as gone, and the roll goes on without it."""
    stage.roll()
    stage.remove(stage.holder(), force=True)


def _last_follower(stage: Stage) -> str:
    """Return the last unit that does not lead."""
    units = stage.lab.units(stage.lab.status())
    return [name for name, unit in units.items() if not unit.leader][-1]


class Kind(NamedTuple):
    """A scene that can be played.

    Args:
        play: what is done.
        adds: how many units it adds.
        removes: how many it removes.
        direct: whether each turn must follow the one before within a hook.
        looks_on: whether nothing is done to a unit while it works, so that the work may be short.
    """

    play: Callable[..., None]
    adds: int = 0
    removes: int = 0
    direct: bool = False
    looks_on: bool = False


SCENES: Dict[str, Kind] = {
    'roll': Kind(roll, direct=True, looks_on=True),
    'ordered': Kind(ordered, direct=True, looks_on=True),
    'failure': Kind(failure, direct=True),
    'action': Kind(action, direct=True),
    'refresh': Kind(refresh, direct=True),
    'kill': Kind(kill, direct=True),
    'agent': Kind(agent),
    'scale': Kind(scale, adds=1, removes=1),
    'removed': Kind(removed, removes=1),
    'forced': Kind(forced, removes=1),
}
"""In the order in which they are played: those that leave fewer units come last."""
