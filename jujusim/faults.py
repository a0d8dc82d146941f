"""What goes wrong on purpose: hooks, agents, connections, data."""

from jujusim.hooks import Hooked


class Faulty(Hooked):
    """Agents whose hooks, connections and data can be broken."""

    def partition(self, unit: str, seconds: float) -> None:
        """Cut a unit off: its tools and commits fail, and its lease runs out (R16)."""
        if unit in self.running:
            self.running[unit].context.cut_off = True
        self._tell(unit, 'is cut off')
        self._away(unit, seconds)

    def _away(self, unit: str, seconds: float) -> None:
        """Let a unit's agent reach nobody for some seconds, or longer where that was said before."""
        self.controller.units[unit].connected = False
        self._cut_until[unit] = max(self.now + seconds, self._cut_until.get(unit, 0.0))
        self._soon(seconds, lambda: self._reconnect(unit))

    def fail_hook(self, unit: str, hook: str = '', times: int = 1) -> None:
        """Let this unit's next hooks of that name exit 1 after all they did; without a name, any hooks."""
        self._faults['fail ' + hook, unit] = times

    def crash_hook(self, unit: str, at_call: int) -> None:
        """Kill the process of this unit's next hook at its n-th tool call; it runs again (R12)."""
        self._crashes[unit] = at_call

    def kill_hook(self, unit: str, child_lives: bool = False) -> None:
        """Kill the process of the hook that this unit runs now, if any; it runs again (R12).

        Args:
            unit: whose hook.
            child_lives: the machine's program that the hook runs, if any, goes on
                until its time is over, beside the hook that runs again.
        """
        execution = self.running.get(unit)
        if execution and not execution.operation.aside:
            execution.child_lives = child_lives
            self._die(execution, 'by a signal')

    def die_agent(self, unit: str, seconds: float = 3.0) -> None:
        """Kill a unit's agent, and nothing else; it is back after some seconds, as an agent that restarts.

        A hook under way goes on without it: every hook tool dies of SIGPIPE from
        now on, and nothing is committed. When the agent is back, that hook counts
        as failed and runs again after its delay, even while the old process still
        works; an action, or juju exec, has failed and does not run again (R12).
        """
        execution = self.running.pop(unit, None)
        self._tell(unit, 'loses its agent', execution.title if execution else '')
        if execution:
            self._broken_off[unit] = execution
            if execution.child is None:
                execution.kill()  # it had been chosen, and had not begun
            else:
                execution.orphaned = True
                self.beside.append(execution)
        self._away(unit, seconds)

    def lose_commit(self, unit: str) -> None:
        """Let this unit's next hook succeed, and lose what it wrote (R11, R12)."""
        self._faults['lose', unit] = 1

    def repeat_commit(self, unit: str) -> None:
        """Commit this unit's next hook and run it again: its agent dies before it notes that (R12)."""
        self._faults['repeat', unit] = 1

    def fail_command(self, unit: str, command: str, times: int = 1) -> None:
        """Let a program of the machine exit 1 the next times this unit runs it."""
        self._faults['command ' + command, unit] = times

    def poison(self, unit: str, key: str, text: str) -> None:
        """Put a text into a unit's databag, as a broken peer would."""
        record = self.controller.units[unit]
        self.controller.commit(unit, {**record.settings, key: text}, None)
