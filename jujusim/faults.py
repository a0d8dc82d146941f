"""What goes wrong on purpose: hooks, agents, connections, data."""

import shutil
from typing import List, Optional

from jujusim import tools
from jujusim.hooks import Hooked

ADDRESSES = ('ingress-address', 'egress-subnets', 'private-address')


class Faulty(Hooked):
    """Agents whose hooks, connections and data can be broken."""

    def partition(self, unit: str, seconds: float) -> None:
        """Cut a unit off: its tools and commits fail, and its lease runs out (R16)."""
        if unit in self.running:
            self.running[unit].context.cut_off = True
        self._tell(unit, 'is cut off')
        self._away(unit, seconds)

    def fail_hook(self, unit: str, hook: str = '', times: int = 1) -> None:
        """Let this unit's next hooks of that name exit 1 after all they did; without a name, any hooks."""
        self._faults['fail ' + hook, unit] = times

    def crash_hook(self, unit: str, at_call: int) -> None:
        """Kill the process of this unit's next hook at its n-th tool call; it runs again (R12)."""
        self._crashes[unit] = at_call

    def kill_hook(self, unit: str, child_lives: bool = False, child_holds: bool = False) -> None:
        """Kill the process of the hook that this unit runs now, if any; it runs again (R12).

        While a write of the hook is on its way (`delay_next_write` on Juju 4), its process is over.

        Args:
            unit: whose hook.
            child_lives: the machine's program that the hook runs, if any, goes on
                until its time is over, beside the hook that runs again.
            child_holds: that program holds the hook's output open, as a child that inherits it
                does: the hook runs again when it is over, and not before.
        """
        execution = self.running.get(unit)
        if execution and not execution.operation.aside and not execution.context.checked:
            execution.child_lives, execution.child_holds = child_lives or child_holds, child_holds
            self._die(execution, 'by a signal')

    def debug_hooks(self, unit: str, times: int = 2, exit_code: int = 1, hook: str = '') -> None:
        """Let somebody run this unit's next hook by hand, several times in one context (`juju debug-hooks`).

        Each run is a process of its own, with the same JUJU_CONTEXT_ID. What one
        wrote to a databag the next one sees; it is committed at the end, if at all.

        Args:
            unit: whose hook.
            times: how often the hook's file runs.
            exit_code: with what the session is left, whatever those runs returned.
            hook: the name of the hook to wait for; else the next one.
        """
        self._debugged[unit] = hook, times, exit_code

    def die_agent(self, unit: str, seconds: float = 3.0) -> None:
        """Kill a unit's agent, and nothing else; it is back after some seconds, as an agent that restarts.

        A hook under way goes on without it: every hook tool dies of SIGPIPE from
        now on, and nothing is committed. When the agent is back, that hook counts
        as failed and runs again after its delay, even while the old process still
        works; an action, or juju exec, has failed and does not run again (R12). A
        failed hook beside which an action ran counts as done, and never runs again.
        """
        if unit in self._lost or self.controller.units[unit].life == 'dead':
            return
        execution = self._free(unit)
        self._tell(unit, 'loses its agent', execution.title if execution else '')
        if execution:
            self._broken_off[unit] = execution
            if execution.child is None:
                execution.kill()  # it had been chosen, and had not begun
            else:
                execution.orphaned = True
                self.beside.append(execution)
        self._away(unit, seconds)

    def restart_agent(self, unit: str, seconds: float = 3.0) -> None:
        """Let a unit's agent stop by itself, when what it does is over, and be back after some seconds (R13).

        No hook is broken off. It has forgotten what it had read of its members; a
        failed hook waits for its retry anew.
        """
        if unit not in self._lost and self.controller.units[unit].life != 'dead':
            self._stopping[unit] = seconds
            self._wake(unit)

    def reboot(self, unit: str, seconds: float = 20.0) -> None:
        """Cut the power of a unit's machine, and let it boot; its agent is back after some seconds (R13).

        All processes are gone, and what hooks had booked with systemd-run. A hook
        under way has failed; it runs again after its delay, one that was killed
        before runs again at once. Then start runs, and after that all else. Files
        that a hook has written are there. All units of the machine are down (`jujusim.machines`).
        """
        if unit in self._lost or self.controller.units[unit].life == 'dead':
            return
        self._lose_power(unit)
        for each in self._on_machine_of(unit):
            self._away(each, seconds)

    def lose_commit(self, unit: str) -> None:
        """Let this unit's next hook succeed, and lose what it wrote (R11, R12)."""
        self._faults['lose', unit] = 1

    def repeat_commit(self, unit: str) -> None:
        """Commit this unit's next hook and run it again: its agent dies before it notes that (R12)."""
        self._faults['repeat', unit] = 1

    def fail_command(self, unit: str, command: str, times: int = 1) -> None:
        """Let a program of the machine exit 1 the next times this unit runs it."""
        self._faults['command ' + command, unit] = times

    def fail_tool(self, unit: str, tool: str, times: Optional[int] = 1, code: int = 1) -> None:
        """Let a hook tool fail the next times this unit calls it, whatever else would happen.

        Args:
            unit: whose hooks and actions.
            tool: the tool's name, as 'goal-state'; not juju-log.
            times: how often; None for ever, 0 no more.
            code: its exit code.

        Raises:
            ValueError: this Juju answers no such tool.
        """
        if not tools.is_tool(tool):
            raise ValueError('fail_tool: expected a hook tool but juju-log, found {!r}'.format(tool))
        self._faults['tool ' + tool, unit] = float('inf') if times is None else times
        self._tool_codes[tool, unit] = code

    def delay_next_write(self, unit: str, seconds: float, blindly: bool = False) -> None:
        """Let this unit's next write as a leader pass its check, and land only after some seconds (R9, R10).

        Juju 3.0 to 3.6 check the lease, and then write a leader-set. Where another
        one landed in between they check again, and refuse the write if the unit
        leads no more. Juju 4.0 checks the lease in one database, and writes a
        hook's batch with `relation-set --app` to another. The tool, or the hook,
        ends when the write has landed; one that dies before does not hold it up.

        Args:
            unit: who will write.
            seconds: from the check to the write.
            blindly: on 3, never check again: crueller than Juju.
        """
        self._late[unit] = seconds, blindly

    def lose_store(self, unit: str, *patterns: str) -> List[str]:
        """Lose files that hooks wrote to the charm's directory; what the charm brought stays.

        Args:
            unit: whose files.
            patterns: which, as in '*.db', from the charm's directory on.

        Returns:
            The names of the files and folders that were there, in order.
        """
        place = self._charm_dir(unit).resolve()
        found = {path for pattern in patterns for path in place.glob(pattern)}
        own = [path for path in sorted(found) if not path.is_symlink() and place in path.resolve().parents]
        for path in own:
            if path.is_dir():
                shutil.rmtree(str(path))
            else:
                path.unlink()
        names = [str(path.relative_to(place)) for path in own]
        self._tell(unit, 'loses', ', '.join(names))
        return names

    def lose_databag(self, unit: str, key: Optional[str] = None) -> None:
        """Lose a key of a unit's databag, or all keys but the addresses that Juju wrote.

        A hook under way that has read them brings them back (R8).
        """
        settings = self.controller.units[unit].settings
        lost = [key] if key else [name for name in settings if name not in ADDRESSES]
        kept = {name: value for name, value in settings.items() if name not in lost}
        self._tell(unit, 'loses', 'databag: ' + (key or 'all'))
        self.controller.commit(unit, kept, None)

    def lose_app_data(self, prefix: str = '') -> None:
        """Lose what leaders wrote under keys that begin so: leader settings on 3, the app's databag on 4."""
        self.note('loses', 'what leaders wrote: {}*'.format(prefix))
        self.controller.drop_app_data(prefix)

    def change_relation_id(self, keep_databags: bool = True) -> None:
        """Let the peer relation go and come again with another id, as after a refresh there and back.

        Units enter it anew when they are idle, and run its hooks from relation-created
        on. A hook under way keeps the old id; it fails at its end if it wrote anything.

        Args:
            keep_databags: whether the units' databags and the application's come with it, or are empty.

        Raises:
            ValueError: a hook of the relation has failed, and nobody has seen what Juju does with one whose
                relation is gone.
        """
        failed = [name for name in self.agents if self.fails_in_the_relation(name)]
        if failed:
            form = 'change_relation_id: expected no failed hook of the relation, found one of {}'
            raise ValueError(form.format(', '.join(failed)))
        self.controller.renew_relation(keep_databags)
        self.note('changes', 'relation id: ' + self.controller.relation_id)
        for name, agent in self.agents.items():
            agent.forget_relation()
            self._deliver(name, 'app', name)
            self._wake(name)

    def fails_in_the_relation(self, unit: str) -> bool:
        """Return whether a hook of the peer relation has failed on this unit, and its retry is to come."""
        local = self.agents[unit].local
        return bool(local.in_error and local.pending and local.pending.with_relation)

    def poison(self, unit: str, key: str, text: str) -> None:
        """Put a text into a unit's databag, as a broken peer would."""
        record = self.controller.units[unit]
        self.controller.commit(unit, {**record.settings, key: text}, None)
