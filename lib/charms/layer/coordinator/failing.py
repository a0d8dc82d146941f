"""Tells the other units that a hook failed in which this unit used its turn in a roll.

What lives here: the file that says which hook that is, and the timer that has hooks/coordinator-failed
read it. What must not: a rule, a hook tool.

A hook that fails publishes nothing, and goal-state never says "error". But juju-exec waits until a hook is
over, runs while its unit is in error, and Juju commits what it writes (all seen on Juju 4.0.14). So
a hook that begins to work in a roll leaves a timer, whose juju-exec looks at this file. If Juju does not have
what the hook said at its end, the hook has failed, and the script says so in the unit's claims:
"failed": TOKEN. The next hook that succeeds in the turn publishes the claims without that word.

    TOKEN RELATION     of the turn that a hook uses, and the peer relation's id
    SAID               what that hook said at its end; empty until its handlers have succeeded
"""

import os
from typing import Tuple

from charms.layer.coordinator.store import replace
from charms.layer.coordinator.wakeup import SOON_S, run_later

SCRIPT = 'hooks/coordinator-failed'


class Failing:
    """The word that this unit leaves for the case that its hook fails.

    Args:
        path: the file, in the charm's directory.
        unit: this unit.
    """

    def __init__(self, path: str, unit: str) -> None:
        self._path, self._unit, self._turn = path, unit, ''

    def has_begun(self) -> bool:
        """Whether the hook that runs counts as failed until it ends."""
        return bool(self._turn)

    def withdraw(self) -> None:
        """Let no earlier hook count as failed: another one begins."""
        if os.path.exists(self._path):
            os.remove(self._path)

    def begins(self, token: int, relation: str) -> None:
        """Let this hook count as failed until it ends, in the turn of this token."""
        self._turn = '{} {}'.format(token, relation)
        self._write('')
        run_later(self._unit, os.path.join(os.path.dirname(self._path), SCRIPT), str(token), SOON_S)

    def ends(self, said: Tuple[str, str]) -> None:
        """Let this hook count as succeeded once Juju has what it said.

        Args:
            said: the peer relation's id, and the text that this hook has published.
        """
        if self.has_begun():
            self._write(said[1])

    def _write(self, said: str) -> None:
        replace(self._path, '{}\n{}\n'.format(self._turn, said), sync=False)
