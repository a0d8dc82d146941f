"""What goes wrong on purpose: hooks, agents, connections, data."""

from jujusim.hooks import Hooked


class Faulty(Hooked):
    """Agents whose hooks, connections and data can be broken."""

    def partition(self, unit: str, seconds: float) -> None:
        """Cut a unit off: its tools and commits fail, and its lease runs out (R16)."""
        self.controller.units[unit].connected = False
        if unit in self.running:
            self.running[unit].context.cut_off = True
        self._cut_until[unit] = max(self.now + seconds, self._cut_until.get(unit, 0.0))
        self._tell(unit, 'is cut off')
        self._soon(seconds, lambda: self._reconnect(unit))

    def fail_hook(self, unit: str, hook: str = '', times: int = 1) -> None:
        """Let this unit's next hooks of that name exit 1 after all they did; without a name, any hooks."""
        self._faults['fail ' + hook, unit] = times

    def crash_hook(self, unit: str, at_call: int) -> None:
        """Kill the process of this unit's next hook at its n-th tool call; it runs again (R12)."""
        self._crashes[unit] = at_call

    def kill_hook(self, unit: str) -> None:
        """Kill the process of the hook that this unit runs now, if any; it runs again (R12)."""
        execution = self.running.get(unit)
        if execution and not execution.operation.action:
            self._die(execution, 'by a signal')

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
