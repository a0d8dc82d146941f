"""The strokes of bad luck themselves: each `do_NAME` makes one kind of thing go wrong in a model.

`luck.STROKES` says how often each is chosen. It returns what it has done, None if it could do nothing.
"""

import random
from typing import Any, Dict, List, Optional, Set, Tuple

from jujusim.juju import Juju
from tests.campaigns import plans
from tests.campaigns.account import WORK, Account

CLAIMS, LEDGER = 'coordinator-claims', 'coordinator-ledger'
STORE, FLAGS = '.coordinator.json*', '.unit-state.db*'
JUNK = ('', '{', '[]', '{"v": 1, "queues": {"": {"asked": -1}}}', '{"v": 2}', 'null', 'x' * 99)

_MARK_3 = """#!/usr/bin/env python3
from contextlib import suppress
from subprocess import CalledProcessError, check_call

with suppress(OSError, CalledProcessError):  # another stroke may have broken the tool
    check_call(['leader-set', 'coordinator-ledger=lost'])
"""
_MARK_4 = """#!/usr/bin/env python3
import json
from contextlib import suppress
from subprocess import CalledProcessError, check_call, check_output

with suppress(OSError, CalledProcessError):
    for relation in json.loads(check_output(['relation-ids', '--format=json', 'coordinator']).decode()):
        check_call(['relation-set', '-r', relation, '--app', 'coordinator-ledger=lost'])
"""


class Trap:
    """Lets leadership leave a unit at one of its calls, and come back, within the same hook if it can."""

    def __init__(self, model: Juju, unit: str, dice: random.Random, work_s: float) -> None:
        self.model, self.unit = model, unit
        self.leave_in, self.back_in = dice.randint(1, 10), dice.choice([1, 2, 3, 5])
        self.back_s = dice.choice([0.0, dice.uniform(0.1, 3), dice.uniform(1, work_s + 5)])
        self.left = False

    def springs(self, unit: str) -> bool:
        """Count a call; return whether the trap has done all it does."""
        if unit != self.unit:
            return False
        if not self.left:
            self.leave_in -= 1
            if self.leave_in <= 0 and self.model.controller.leader == unit:
                others = [name for name in self.model.units if name != unit and self.model.may_lead(name)]
                if not others:
                    return True
                self.left = True
                self.model.elect(others[self.back_in % len(others)])
                if self.back_s:
                    self.model.elect(unit, after_s=self.back_s)
                    return True
            return False
        self.back_in -= 1
        if self.back_in <= 0:
            self.model.elect(unit)
        return self.back_in <= 0


class Strokes:
    """What may go wrong in one model.

    Attributes:
        waits: why a turn may come at an update-status only.
        spoilt: units whose databag was poisoned or lost.
        old_charm: units that were not refreshed yet.
        lasting_tools: tools that may still fail when all is calm, by unit.
    """

    model: Juju
    kind: Any
    account: Account
    dice: random.Random

    def __init__(self) -> None:
        self.waits: Set[str] = set()
        self.spoilt: Set[str] = set()
        self.old_charm: Set[str] = set()
        self.lasting_tools: List[Tuple[str, str]] = []
        self.traps: List[Trap] = []
        self.late: Set[str] = set()
        self.resolved: Dict[str, Tuple[bool, float]] = {}

    def busy(self) -> List[str]:
        """Return the units whose hooks are under way; those at work only, if there are any."""
        under_way = sorted(name for name, hook in self.model.running.items() if hook.child is not None)
        at_work = [
            name for name in under_way if any(name in group for group in self.account.holders.values())
        ]
        return at_work if at_work and self.dice.random() < 0.7 else under_way

    # Leadership

    def do_leader(self, unit: str) -> str:
        self.model.elect(unit)
        return 'leadership moves'

    def do_return(self, unit: str) -> Optional[str]:
        leader = self.model.controller.leader
        if leader is None or len(self.model.units) < 2:
            return None
        self.traps.append(Trap(self.model, leader, self.dice, self.kind.work_s))
        return 'leadership will leave {} in a hook, and return'.format(leader)

    def do_late(self, unit: str) -> Optional[str]:
        leader = self.model.controller.leader
        if leader is None:
            return None
        self.late.add(leader)
        self.model.delay_next_write(leader, self.dice.choice([0.5, 5.0, 40.0]), self.dice.random() < 0.5)
        return 'the next write of {} lands late'.format(leader)

    # Hooks and agents

    def do_cut(self, unit: str) -> str:
        self.model.partition(unit, self.dice.choice([5.0, 40.0, 150.0]))
        return 'a partition'

    def do_crash(self, unit: str) -> str:
        self.model.crash_hook(unit, self.dice.randint(1, 12))
        return 'a crash at a call'

    def do_kill(self, unit: str) -> Optional[str]:
        return self._kills(child_lives=False)

    def do_kill_child(self, unit: str) -> Optional[str]:
        return self._kills(child_lives=True)

    def _kills(self, child_lives: bool) -> Optional[str]:
        busy = [name for name in self.busy() if not self.model.running[name].operation.aside]
        if not busy:
            return None
        self.model.kill_hook(self.dice.choice(busy), child_lives)
        return 'a killed hook whose child lives on' if child_lives else 'a killed hook'

    def do_agent(self, unit: str) -> Optional[str]:
        busy = self.busy()
        if not busy:
            return None
        self.model.die_agent(self.dice.choice(busy), self.dice.choice([3.0, 3.0, 30.0]))
        return 'an agent that dies'

    def do_restart(self, unit: str) -> str:
        self.model.restart_agent(unit)
        return 'the agent of {} restarts by itself'.format(unit)

    def do_reboot(self, unit: str) -> str:
        busy = self.busy()
        unit = self.dice.choice(busy) if busy and self.dice.random() < 0.7 else unit
        self.model.reboot(unit, self.dice.choice([5.0, 20.0, 90.0]))
        return 'the machine of {} boots'.format(unit)

    def do_fail(self, unit: str) -> str:
        self.model.fail_hook(unit, times=self.dice.choice([1, 1, 2]))
        return 'a hook that fails'

    def do_fail_work(self, unit: str) -> str:
        self.model.fail_command(unit, WORK + ' restart', times=self.dice.choice([1, 2]))
        return 'a program that fails'

    def do_lose_commit(self, unit: str) -> str:
        self.model.lose_commit(unit)
        return 'a commit lost'

    def do_repeat_commit(self, unit: str) -> str:
        self.model.repeat_commit(unit)
        return 'a commit repeated'

    def do_debug(self, unit: str) -> str:
        unit, times, code = self._failed_or(unit), self.dice.choice([2, 2, 3]), self.dice.choice([0, 1, 1])
        self.model.debug_hooks(unit, times=times, exit_code=code)
        return 'the next hook of {} is run {} times by hand, and left with {}'.format(unit, times, code)

    def do_collect(self, unit: str) -> Optional[str]:
        if self.model.controller.juju == 4:
            return None
        self.model.collect_metrics(unit)
        return 'collect-metrics of ' + unit

    def do_resolve(self, unit: str) -> str:
        """Let an operator resolve the next hook that fails, before Juju runs it again."""
        busy = self.busy()
        unit = self.dice.choice(busy) if busy else unit
        retry = self.dice.random() < 0.4
        if not retry:
            self.waits.add('a hook that was skipped may have been the only one to hear a request')
        self.resolved[unit] = retry, self.dice.uniform(0.1, 4)
        self.model.fail_hook(unit)
        return 'a hook of {} fails, and is resolved {}'.format(
            unit, 'with a retry' if retry else 'without one'
        )

    # Units

    def do_add(self, unit: str) -> Optional[str]:
        if self._is_full():
            return None
        added = self._added()
        if self.dice.random() < 0.4:
            self.model.elect(added, after_s=self.dice.uniform(0.01, 5))
        return 'a unit added'

    def _is_full(self) -> bool:
        return len(self.model.units) >= 8

    def _added(self) -> str:
        added = self.model.add_unit()
        self.model.clock_skew_s[added] = self.dice.uniform(-300, 300)
        return added

    def _can_spare(self, unit: str) -> bool:
        staying = [each for each in self.model.units if self.model.controller.units[each].life == 'alive']
        return len(staying) > 1 and unit in staying

    def do_remove(self, unit: str) -> Optional[str]:
        if not self._can_spare(unit):
            return None
        self.waits.add('a unit that is removed frees its lock at an update-status')
        self.model.remove_unit(unit)
        return 'a unit removed'

    def do_lose(self, unit: str) -> Optional[str]:
        if not self._can_spare(unit) or self.dice.random() < 0.5:
            return None
        self.waits.add('a unit that is removed by force frees its lock at an update-status')
        self.model.lose_unit(unit)
        self.model.at(self.model.now + 30, lambda: self.model.lose_unit(unit, force=True))
        return 'a unit lost'

    def do_reuse(self, unit: str) -> Optional[str]:
        """Let a unit go, in good order or with its machine, and come again under its name."""
        if not self._can_spare(unit):
            return None
        keep_files, by_force = self.dice.random() < 0.5, self.dice.random() < 0.5
        # A former unit's flags would say that this one has worked already.
        keep_files = keep_files and 'kept' not in self.kind.plan
        self.waits.add('a unit that is removed frees its lock at an update-status')
        if by_force and not self.kind.subordinate:
            self.model.lose_unit(unit, force=True)
        else:  # nobody can tell a lost subordinate's principal once a new unit has its name: docs/limits.md
            self.model.remove_unit(unit)
        self._comes_again(unit, keep_files, patience=60)
        return '{} goes and comes again{}'.format(unit, ' with its files' if keep_files else '')

    def _comes_again(self, unit: str, keep_files: bool, patience: int) -> None:
        former = self.model.controller.units[unit]
        if former.life == 'dead':
            self.model.add_unit(unit, keep_files=keep_files)
            # Kinder than Juju 3: if both databags were written equally often, a busy peer sees nothing (R25).
            self.model.controller.units[unit].writes = former.writes + 1
            self.old_charm.discard(unit)
        elif patience:
            later = self.model.now + 5
            self.model.at(later, lambda: self._comes_again(unit, keep_files, patience - 1))

    def do_upgrade(self, unit: str) -> str:
        self.model.upgrade(unit)
        self.old_charm.discard(unit)
        return 'an upgrade'

    def do_refresh(self, unit: str) -> Optional[str]:
        """Let every unit be refreshed to other layer options, one after another."""
        if self.kind.refreshed in self.account.options:
            return None
        self.account.is_refreshed_to(self.kind.refreshed)
        self.model.charm = plans.charm_of(
            self.kind.lock, self.kind.plan, self.kind.refreshed, self.kind.subordinate
        )
        self.old_charm = set(self.model.units)
        for each in self.model.units:
            self.model.at(
                self.model.now + self.dice.uniform(0, self.kind.work_s * 2),
                lambda each=each: self.renew(each),
            )  # type: ignore[misc]
        return 'a refresh to {}'.format(self.kind.refreshed)

    def renew(self, unit: str) -> None:
        """Upgrade a unit that still has the charm of before a refresh."""
        if unit in self.old_charm and unit in self.model.units:
            self.old_charm.discard(unit)
            self.model.upgrade(unit)

    # Operators

    def _failed_or(self, unit: str) -> str:
        """Return a unit in error, if there is one: what runs there, runs between a hook and its retry."""
        failed = [name for name in self.model.units if self.model.agents[name].local.in_error]
        return self.dice.choice(failed) if failed and self.dice.random() < 0.8 else unit

    def _call(self) -> str:
        calls = [
            call for call in plans.ACTIONS if self.kind.plan != 'guarded' or call not in ('ask', 'again')
        ]
        return self.dice.choice(calls)

    def do_action(self, unit: str) -> str:
        unit, call = self._failed_or(unit), self._call()
        self.model.run_action(unit, call)
        return 'an action of {}: {}'.format(unit, call)

    def do_exec(self, unit: str) -> str:
        unit, call = self._failed_or(unit), self._call()
        script = 'hooks/update-status' if call == 'look' else plans.script(call)
        as_action = self.dice.random() < 0.5
        self.model.run_exec(unit, script, as_action=as_action)
        return '{} on {}: {}'.format('juju exec' if as_action else 'juju-exec', unit, call)

    # Data

    def do_relation_id(self, unit: str) -> Optional[str]:
        if any(map(self.model.fails_in_the_relation, self.model.units)):
            return None
        keep = self.dice.random() < 0.5
        self.waits.add('a peer relation that went and came again')
        self.account.excused.update(self.model.running)  # a hook under way keeps the id that is gone
        self.model.change_relation_id(keep_databags=keep)
        if self.kind.subordinate:
            self.unnamed |= self.account.leavers
        for each in self.model.units:
            self._excuse(each)
        return 'the peer relation has another id' + ('' if keep else ' and empty databags')

    def do_migrate(self, unit: str) -> Optional[str]:
        """Move the model to Juju 4; the agents follow at once or one by one."""
        if self.model.controller.juju == 4:
            return None
        self.waits.add('a model that moved to Juju 4')
        together = self.dice.random() < 0.3
        self.model.migrate(agents=None if together else [])
        for each in self.model.units if not together else []:
            self.model.at(self.model.now + self.dice.uniform(0, 60), lambda each=each: self.new_agent(each))  # type: ignore[misc]
        return 'the model moves to Juju 4, its agents {}'.format('at once' if together else 'one by one')

    def new_agent(self, unit: str) -> None:
        """Upgrade the agent of a unit that is not of its controller's version yet."""
        if unit in self.model.units and self.model.agents[unit].juju != self.model.controller.juju:
            self.model.upgrade_agent(unit)

    def do_poison(self, unit: str) -> str:
        self.model.poison(unit, CLAIMS, self.dice.choice(JUNK))
        self.spoilt.add(unit)
        self._excuse(unit)
        return 'a poisoned databag of ' + unit

    def do_databag(self, unit: str) -> str:
        self.model.lose_databag(unit, self.dice.choice([None, CLAIMS]))
        self.spoilt.add(unit)
        self._excuse(unit)
        return 'a databag lost'

    def do_store(self, unit: str) -> str:
        self.model.lose_store(unit, STORE)
        self.account.loses_store(unit)
        self._excuse(unit)
        return 'a store lost'

    def do_flags(self, unit: str) -> Optional[str]:
        if unit in self.model.running or unit in self.account.beside:
            return None  # SQLite would fail in the hook that has it open
        self.model.lose_store(unit, FLAGS)
        self.account.loses_flags(unit)
        return 'a store of flags lost'

    def _excuse(self, unit: str) -> None:
        """Excuse a unit that has lost its databag before it made good the loss of its store, or both."""
        said = self.model.controller.units[unit].settings.get(CLAIMS, '')
        stored = list(self.model._charm_dir(unit).glob('.coordinator.json'))
        if said in JUNK and not stored:
            self.account.loses_everything(unit)

    def do_store_and_databag(self, unit: str) -> str:
        self.model.lose_store(unit, STORE)
        self.model.lose_databag(unit)
        self.spoilt.add(unit)
        self.account.loses_store(unit)
        self._excuse(unit)
        return 'store and databag lost together'

    def do_ledger_mark(self, unit: str) -> Optional[str]:
        """Do what the operator's page says: mark the ledger as lost. It is safe, and excuses nothing."""
        leader = self.model.controller.leader
        if leader is None:
            return None
        self.waits.add('a ledger that was marked as lost')
        if self.model.controller.juju == 3:
            self.model.run_exec(leader, _MARK_3)
        else:
            self.model.run_exec(leader, _MARK_4)
        return 'the ledger marked as lost'

    def do_ledger_lost(self, unit: str) -> str:
        self.waits.add('a ledger that was lost')
        self.model.lose_app_data(LEDGER)
        return 'the ledger lost'

    def do_new_leader(self, unit: str) -> Optional[str]:
        """Let a unit lead that has met nobody, mostly where the ledger is lost or goal-state fails."""
        if self._is_full():
            return None
        way = self.dice.choice([self.do_ledger_lost, self.do_ledger_lost, self.do_ledger_mark, None])
        said = way and way(unit)
        added = self._added()
        if self.dice.random() < 0.6:
            self._fails_tool(added, 'goal-state', self.dice.choice([1, 4, 9]))
        self.model.elect(added, after_s=self.dice.uniform(0.01, 5))
        return ', '.join(['a new leader', *filter(None, [said])])

    def do_tool(self, unit: str) -> str:
        tools = ['goal-state', 'relation-set', 'relation-get', 'relation-list', 'is-leader']
        tools += ['leader-set', 'leader-get'] if self.model.controller.juju == 3 else []
        tool, times = self.dice.choice(tools), self.dice.choice([1, 1, 2])
        self._fails_tool(unit, tool, times)
        return '{} of {} fails {} times'.format(tool, unit, times)

    def do_tool_for_ever(self, unit: str) -> str:
        for each in self.model.units:
            self._fails_tool(each, 'goal-state', None)
        return 'goal-state fails for ever'

    def _fails_tool(self, unit: str, tool: str, times: Optional[int]) -> None:
        self.model.fail_tool(unit, tool, times)
        self.account.broken_tools.setdefault(unit, set()).add(tool)
        if times is None:
            self.account.broken_tools[unit].discard(tool)  # a tool that tells nothing fails no hook
        if times is None or tool == 'goal-state':
            self.lasting_tools.append((unit, tool))
