"""What a scene can do: let time pass, type an operator's commands, and let things go wrong."""

from typing import Callable, List

from examples.demo.programs import Machine
from examples.demo.record import Recorder
from examples.demo.show import Screen
from jujusim.juju import Juju

LONGEST_S = 3600.0


class Play:
    """One scene under way."""

    def __init__(self, juju: Juju, machine: Machine, recorder: Recorder, screen: Screen) -> None:
        self.juju, self.machine, self.recorder, self.screen = juju, machine, recorder, screen
        self.watch = recorder.watch
        self.broken: List[str] = []

    # Time

    def rest(self) -> None:
        """Let time pass until nothing is left to do."""
        self.juju.run()

    def until(self, happened: Callable[[], bool], what: str) -> None:
        """Let time pass until something has happened; note it as broken if it never does."""
        ends = self.juju.now + LONGEST_S
        self.juju.run(until=lambda: happened() or self.juju.now > ends)
        if not happened():
            self.broken.append('in an hour not: ' + what)

    def passes(self, seconds: float) -> None:
        """Let so much time pass."""
        self.juju.run(seconds=seconds)

    # The operator

    def types(self, command: str, do: Callable[[], None]) -> None:
        """Show a command of the operator and do it."""
        self.screen.say('$ ' + command)
        do()

    def orders(self, action: str, whole: bool = False, refused: bool = False, **parameters: object) -> None:
        """Run an action of the layer on the leader, and show what it answers.

        Args:
            action: its name.
            whole: whether to show the commands, too, that it proposes.
            refused: whether this scene shows that it is refused.
            parameters: as juju takes them, with _ for -.
        """
        given = {name.replace('_', '-'): value for name, value in parameters.items()}
        words = ['{}={}'.format(name, _quoted(str(value))) for name, value in given.items()]
        unit, before = str(self.juju.controller.leader), len(self.juju.history)
        self.juju.run_action(unit, action, **given)
        title = 'action ' + action

        def ended() -> List[str]:
            new = self.juju.history[before:]
            ends = [each for each in new if each.unit == unit and each.what in ('ran', 'fails')]
            return [each.text[len(title) + 2 :] for each in ends if each.text.startswith(title)]

        self.until(lambda: bool(ended()), '{} ends'.format(action))
        answer = ''.join(ended()[:1])
        if not answer.startswith('failed: ' if refused else 'coordinator: '):
            self.broken.append('{} answers: {}'.format(action, answer))
        said = answer.partition(': ')[2]
        said = said if whole else said.split('\n\n')[0]
        command = ' '.join(['$ juju run db/leader', action, *words])
        self.screen.say(command, *('    ' + line for line in said.splitlines()))

    # What goes wrong

    def turns_off(self, unit: str, seconds: float) -> None:
        """Turn a unit's machine off, and on again after some seconds."""
        self.screen.tell(unit, 'is off', 'its machine is turned off')
        self.juju.kill_hook(unit)
        self.juju.die_agent(unit, seconds)

    def loses(self, unit: str) -> None:
        """Let a unit's machine be lost for good."""
        self.screen.tell(unit, 'is lost', 'its machine does not come back')
        self.juju.lose_unit(unit)


def _quoted(word: str) -> str:
    return "'{}'".format(word) if ' ' in word else word
