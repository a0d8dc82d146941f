"""The account of a history, kept from outside: who asked, who holds, what failed, and if it may be so.

A unit holds a lock from the moment a handler of it sees the granted flag, or works, until a hook of its own
has succeeded in which it did not keep the lock. A hook that fails, is killed or is resolved without a retry,
an action and `juju exec` end nothing. What a failed hook had decided is so if charms.reactive had saved its
flags, and else as if it had not been.
"""

from typing import Any, Callable, Dict, List, Set, Tuple

from jujusim.juju import Event, Juju
from tests.campaigns.doing import CAUSES, NOTHING, Doing, Owed, hook_saved_in
from tests.campaigns.plans import OPTIONS, OURS
from tests.campaigns.word import Word, is_refused

WORK = 'systemctl restart'

Pair = Tuple[str, str]
"""A unit and a lock."""


class Account:
    """Counts from outside which units asked, which work, and what was made to happen.

    Args:
        model: what it watches.
        kind: of this history.

    Attributes:
        excused: units whose hooks may fail now, for they were cut off.
        broken_tools: hook tools that were made to fail, by unit.
        foreign: tells of a unit whether it runs another lock's code, which notes no hook.
    """

    def __init__(self, model: Juju, kind: Any) -> None:
        self.model, self.kind = model, kind
        self.faults: List[str] = []
        self.turns = 0
        self.options = {kind.options}
        self.one_queue = not OPTIONS[kind.options].per_lock and kind.lock == OURS
        self.holders: Dict[str, Set[str]] = {}
        self.owed: Dict[Pair, Owed] = {}
        self.kept: Set[Pair] = set()
        self.over: Set[Pair] = set()  # by a hook that saved its flags, and then failed
        self.unsaid: Set[Pair] = set()  # asked for, and no hook has succeeded since
        self.forgetful: Set[Any] = set()  # hooks in which the unit's store was lost
        self.unknown: Set[Pair] = set()  # turns that began, and what knew it is lost with the unit's store
        self.doing: Dict[str, Doing] = {}
        self.beside: Dict[str, Doing] = {}
        self.leavers: Set[str] = set()
        self.excused: Set[str] = set()
        self.broken_tools: Dict[str, Set[str]] = {}
        self.foreign: Callable[[str], bool] = lambda unit: kind.lock != OURS
        self.most_units = kind.units
        self.spoilt: Set[str] = set()  # units whose databag was poisoned or lost
        self.emptied: Set[str] = set()  # units that have lost store and databag together
        self.withdrawing: Set[Pair] = set()  # cancelled by an operator
        self.word = Word(model, self)
        self._programs: Dict[str, List[Any]] = {}  # by unit, the hooks that wait for one, in order
        self._runs: Any = None  # the hook whose program begins now
        run_program = model._run_program

        def run(execution: Any, argv: List[str]) -> None:
            self._runs = execution
            run_program(execution, argv)

        model._run_program = run  # type: ignore[method-assign]
        model.observers.append(self._see)
        model.readers.append(self._read)
        self._seers = {
            'begins': self._begins,
            'works': self._works,
            'worked': self._worked,
            'failed at': lambda event: self._program_over(event.unit),
            'ran by hand': self._ran_by_hand,
            'ends': self._ends,
            'restarts': self._ends,
            'ran': self._ran,
            'fails': self._fails,
            'is killed': self._dies,
            'loses its agent': self._loses_agent,
            'loses power': self._loses_power,
            'ends beside': self._ends_beside,
            'is gone': self._is_gone,
            'is lost': lambda event: self.leavers.add(event.unit),
            'is removed': lambda event: self.leavers.add(event.unit),
            'is cut off': lambda event: self.excused.add(event.unit),
            'is back': lambda event: self.excused.add(event.unit),
            'cannot use': self._cannot_use,
            'added': self._added,
        }

    def broken(self, sentence: str) -> None:
        self.faults.append('at {:.2f}: {}'.format(self.model.now, sentence))

    # What luck does to a unit

    def is_refreshed_to(self, options: str) -> None:
        """Note that units will have other options, some sooner than others."""
        self.options.add(options)
        self.one_queue = False  # which locks exclude each other is now told by none of both alone
        self.holders.pop('', None)

    def loses_store(self, unit: str) -> None:
        """Note that the layer's own store of a unit is lost: what no hook has said yet may be forgotten."""
        self.forgetful |= {self._now(unit).execution} - {None}
        self.unknown |= {(unit, lock) for lock in self.holders if self._holds(unit, lock)}
        for pair in [pair for pair in self.unsaid if pair[0] == unit]:
            owed = self.owed.get(pair, Owed())
            self.owed[pair] = Owed(owed.turn and 'maybe', owed.more and 'maybe')

    def loses_flags(self, unit: str) -> None:
        """Note that the charm's own store is lost: its handlers may not know what they wanted."""
        self._forgets(unit)
        self.kept = {pair for pair in self.kept if pair[0] != unit}

    def is_cancelled(self, lock: str) -> None:
        """Excuse: an operator has withdrawn all requests for a lock that have not begun."""
        for pair, owed in self.owed.items():
            if pair[1] == lock:
                self.owed[pair] = Owed(owed.turn and 'maybe', owed.more and 'maybe')
                self.withdrawing.add(pair)

    def _is_withdrawn(self, pair: Pair, sure: str) -> bool:
        """Return whether a request joins one that is cancelled, and that its unit has not withdrawn yet."""
        if sure == 'maybe' and not self.word.waits(*pair):  # it is about to ask
            self.withdrawing.discard(pair)
        return pair in self.withdrawing

    def is_freed(self, unit: str) -> None:
        """Believe an operator that a unit holds nothing. What it has asked for, it asks for anew."""
        self._frees(unit, set())
        self._asks_anew(unit)

    def _goes_on_freed(self, unit: str) -> bool:
        """Return whether a unit's charm may believe that it keeps a lock, of which the layer knows nothing.

        The unit was freed, or has lost store and databag together; the charm's flags are still there.
        """
        return 'kept' in self.kind.plan and (unit in self.word.freed or unit in self.emptied)

    def _asks_anew(self, unit: str) -> None:
        for pair in {pair for pair in self.kept if pair[0] == unit}:
            owed = self.owed.get(pair, Owed())
            self.owed[pair] = Owed(owed.turn or 'maybe', owed.more)
            self.kept.discard(pair)

    def loses_everything(self, unit: str) -> None:
        """Excuse: store and databag were lost together."""
        self._forgets(unit)
        self._asks_anew(unit)  # its charm may believe that it keeps a lock, and ask in the same hook
        self.emptied.add(unit)
        if unit in self.doing:
            self.doing[unit].emptied = True
        for group in self.holders.values():
            group.discard(unit)

    def _excuse_emptied(self, unit: str, doing: Doing) -> None:
        """Excuse: a hook fails in which store and databag were lost, so nobody knows what it began."""
        if doing.emptied:
            doing.emptied = False
            self.loses_everything(unit)

    def _forgets(self, unit: str) -> None:
        self.word.forgets(unit)
        for pair, owed in self.owed.items():
            if pair[0] == unit:
                self.owed[pair] = Owed('maybe', owed.more and 'maybe')

    # Events

    def _see(self, event: Event) -> None:
        self.word.look()
        self.word.see(event)
        seer = self._seers.get(event.what)
        if seer and event.unit:
            seer(event)

    def _added(self, event: Event) -> None:
        self.most_units = max(self.most_units, len(self.model.units))
        self.word.added(event.unit)
        self.leavers.discard(event.unit)  # a name that is used again is a new unit
        for pair in [pair for pair in self.owed if pair[0] == event.unit]:
            # The files of one that had hardly begun count as those of the new unit (docs/limits.md).
            self.owed[pair] = Owed('maybe' if self.word.goes_on_for(*pair) else '')
        for known in (self.kept, self.over, self.unsaid):
            known.difference_update([pair for pair in known if pair[0] == event.unit])

    def _begins(self, event: Event) -> None:
        self.doing[event.unit] = Doing(self.model.running[event.unit])

    def _now(self, unit: str) -> Doing:
        return self.doing.get(unit, NOTHING)

    def _works(self, event: Event) -> None:
        unit, lock = event.unit, event.text[len(WORK) + 1 :]
        self._programs.setdefault(unit, []).append(self._runs)
        if self._runs is not self.model.running.get(unit):
            return  # a program that outlives its hook outlives the turn: docs/limits.md
        if self._now(unit).aside:
            self.broken('{} works under {} in {}'.format(unit, lock, self.model.running[unit].title))
        self._takes(unit, lock, 'at work')

    def _program_over(self, unit: str) -> Any:
        """Return the hook whose program is over: all take equally long, so the first that has one."""
        waiting = [each for each in self._programs.get(unit, []) if not each.killed or each.child_lives]
        self._programs[unit] = waiting[1:]
        return waiting[0] if waiting else None

    def _worked(self, event: Event) -> None:
        unit, lock = event.unit, event.text[len(WORK) + 1 :]
        hook = self._program_over(unit)
        both = [self.doing.get(unit), self.beside.get(unit)]
        doing = next((each for each in both if each and each.execution is hook), None)
        if doing is None:
            return
        if not self._may_have(unit, lock):
            self.broken('{} works under {}, which it has not asked for'.format(unit, lock))
        doing.worked.add(lock)

    def _may_have(self, unit: str, lock: str) -> bool:
        asked = self.owed.get((unit, lock), Owed()).turn
        return bool(asked) or (unit, lock) in self.kept or self.word.allows(unit, lock)

    def _takes(self, unit: str, lock: str, how: str) -> None:
        turn = self._now(unit).turns[lock] = self.word.takes(unit, lock)
        self.unknown -= {(unit, lock)} if self._now(unit).execution not in self.forgetful else set()
        if self.word.excepts(unit, turn[1] if turn else None):
            return
        for name in [lock, ''] if self.one_queue else [lock]:
            group = self.holders.setdefault(name, set())
            others = sorted(group - {unit})
            group.add(unit)
            if len(group) > self._most() and others:
                said = '{} at work together' if how == 'at work' else '{} hold a lock together'
                self.broken(said.format(' and '.join([*others, unit])))
                return

    def _most(self) -> int:
        return max(OPTIONS[name].most(self.most_units) for name in self.options)

    def _frees(self, unit: str, but: Set[str]) -> None:
        for lock, group in self.holders.items():
            if lock not in but and not (lock == '' and but):
                group.discard(unit)

    def _ends(self, event: Event) -> None:
        self._succeeds(event.unit, self.doing.pop(event.unit, NOTHING))
        if event.what == 'ends':
            self.excused.discard(event.unit)

    def _succeeds(self, unit: str, doing: Doing) -> None:
        if doing.context and doing.execution.left_with is None:  # else each run has decided by itself
            self._decides(unit, doing)
        self._frees(unit, {lock for holder, lock in self.kept if holder == unit})
        self.over = {pair for pair in self.over if pair[0] != unit}
        self.unsaid = {pair for pair in self.unsaid if pair[0] != unit}
        if self.kind.lock == OURS:
            left = [flag for flag in self.model.flags_of(unit) if flag.startswith('coordinator.granted.')]
            if left:
                self.broken('{} ends a hook with {}'.format(unit, ' and '.join(left)))

    def _decides(self, unit: str, doing: Doing) -> None:
        """Let what a hook decided be so: which turns are used, which are kept."""
        kept = {lock for holder, lock in self.kept if holder == unit}
        idle = self.kind.plan == 'guarded' or self._goes_on_freed(unit)
        unused = doing.granted - doing.worked if idle else set()
        for lock in doing.worked | (kept - doing.kept) | unused:
            owed = self.owed.get((unit, lock), Owed())
            self.turns += lock in doing.worked
            self.owed[unit, lock] = Owed('', owed.more) if lock in doing.kept else Owed(owed.more)
            self.over.add((unit, lock))
            if lock not in doing.kept or lock in doing.worked:
                turn = doing.turns.get(lock)
                self.word.used(unit, lock, turn)
                if owed.turn and lock not in doing.released and self.word.waits_elsewhere(unit, lock, turn):
                    # A refresh has moved its requests to another queue. One turn serves all of them.
                    one = Owed('yes' if 'yes' in owed else 'maybe', owed.more and 'maybe')
                    self.owed[unit, lock] = owed if lock in doing.kept else one
        self.kept = {pair for pair in self.kept if pair[0] != unit} | {(unit, lock) for lock in doing.kept}
        self.over -= self.kept
        if self.word.is_freed_in(unit, doing.execution):
            self._asks_anew(unit)

    def _ran(self, event: Event) -> None:
        doing = self.doing.pop(event.unit, NOTHING)
        failed = ': exit ' in event.text
        self.word.woken_in_vain |= doing.woken and failed
        if doing.woken and self._saved(event.unit).startswith(doing.context + '#'):
            self._succeeds(event.unit, doing)  # it counted, and its flags are saved, even if it failed then
        counted = not (doing.woken and ': exit 75' in event.text) and not doing.unanswered
        if failed and counted:
            said = next((log[3] for log in reversed(self.model.logs) if log[1] == event.unit), '')
            self._must_be_made_to(event.unit, event.text + ' '.join(said.strip().splitlines()[-1:]))

    def _fails(self, event: Event) -> None:
        doing = self.doing.pop(event.unit, NOTHING)
        # The word by which an order brings its own unit a hook is lost with its action.
        ordered = event.text.startswith('action coordinator-') and 'flush refused' in event.text
        self.word.woken_in_vain |= doing.woken or ordered
        if not doing.aside:
            self._comes_to_nothing(event.unit, doing)
        self._must_be_made_to(event.unit, event.text)

    def _ran_by_hand(self, event: Event) -> None:
        """One run of a debug-hooks session is over: what it decided is so if its flags were saved."""
        doing = self.doing.get(event.unit, NOTHING)
        self._comes_to_nothing(event.unit, doing)
        self.doing[event.unit] = Doing(doing.execution, self._saved(event.unit))
        known = self.model.controller.juju == 4 or self.model.controller.leader != event.unit
        if doing.execution in self.forgetful and doing.runs_again and not known:  # docs/limits.md
            self.loses_everything(event.unit)

    def _cannot_use(self, event: Event) -> None:
        doing = self._now(event.unit)
        self.word.woken_in_vain |= doing.woken  # its script leaves at once: docs/limits.md
        doing.unanswered = doing is not NOTHING

    def _dies(self, event: Event) -> None:
        self._is_cut_short(event.unit, self.doing.pop(event.unit, NOTHING))

    def _is_cut_short(self, unit: str, doing: Doing) -> None:
        self.word.woken_in_vain |= doing.woken
        if doing.lands:
            self._succeeds(unit, doing)
        elif not doing.aside:
            self._comes_to_nothing(unit, doing)

    def _loses_agent(self, event: Event) -> None:
        if event.unit in self.doing:
            self.beside[event.unit] = doing = self.doing.pop(event.unit)
            self._excuse_emptied(event.unit, doing)

    def _loses_power(self, event: Event) -> None:
        self._programs.pop(event.unit, None)
        self._dies(event)
        if event.unit in self.beside:
            self._ends_beside(event)

    def _ends_beside(self, event: Event) -> None:
        unit, doing = event.unit, self.beside.pop(event.unit, NOTHING)
        other = {'reindex'} if self.kind.plan == 'two locks' else set()
        for lock in doing.worked | other:  # it logs nothing without its agent: it may have asked for more
            owed = self.owed.get((unit, lock), Owed())
            self.owed[unit, lock] = Owed(owed.turn or 'maybe', owed.more or 'maybe')
        if 'kept' in self.kind.plan and 'kept' in self.model.flags_of(unit):
            doing.kept.add('restart')
        self._is_cut_short(unit, doing)

    def _comes_to_nothing(self, unit: str, doing: Doing) -> None:
        """A hook has failed: what it decided is so if its flags were saved, and else it is not."""
        self._excuse_emptied(unit, doing)
        if self.foreign(unit):
            for lock in doing.worked:
                self.owed[unit, lock] = Owed('maybe', self.owed.get((unit, lock), Owed()).more)
        elif doing.context:
            saved = self._saved(unit)
            if saved != doing.before and saved.startswith(doing.context + '#'):
                self._decides(unit, doing)

    def _saved(self, unit: str) -> str:
        return hook_saved_in(self.model._charm_dir(unit) / '.unit-state.db')

    def _is_gone(self, event: Event) -> None:
        """Excuse: a machine was removed by force while it worked."""
        self.leavers.add(event.unit)
        self._frees(event.unit, set())
        self.kept = {pair for pair in self.kept if pair[0] != event.unit}

    def _must_be_made_to(self, unit: str, text: str) -> None:
        tools = self.broken_tools.get(unit, set())
        made_to = any(cause in text for cause in CAUSES) or any("'{}'".format(tool) in text for tool in tools)
        locked = 'database is locked' in text and unit in self.beside
        if unit not in self.excused and not made_to and not locked and not is_refused(text):
            self.broken('{} fails of itself: {}'.format(unit, text))

    # What the charm says

    def _read(self, unit: str, text: str) -> None:
        self.word.look()  # on Juju 3 a leader may work in the hook in which it writes the ledger
        mark, _, rest = text.partition(': ')
        if mark in ('asks', 'asked'):
            lock, way, held = (rest.split(' ') + ['request', 'False'])[:3] if ' ' in rest else (rest, '', '')
            self._asks(unit, lock, way, held == 'True', 'yes' if mark == 'asked' else 'maybe')
        elif mark in ('releases', 'released'):  # meanwhile a roll may have come to stand
            self._releases(unit, rest)
            self.word.releases(unit, rest)
        elif mark == 'gate':
            self.word.gate(unit, *rest.split(' '))
        elif mark == 'kept':
            if self._now(unit).aside:
                self.broken('{} keeps {} in an action'.format(unit, rest))
            elif unit in self.doing:
                self.doing[unit].kept.add(rest)
        elif mark == 'flags':
            self._reads_flags(unit, rest)
        elif mark == 'measured' and rest != 'False':
            self.broken('{} is granted restart in collect-metrics'.format(unit))

    def _asks(self, unit: str, lock: str, way: str, held: bool, sure: str) -> None:
        doing, pair = self._now(unit), (unit, lock)
        owed = self.owed.get(pair, Owed())
        withdrawn = self._is_withdrawn(pair, sure)
        doubtful = doing.execution in self.forgetful or withdrawn or self._goes_on_freed(unit)
        sure = 'maybe' if doubtful else sure
        under_way = held or lock in doing.worked or (self._holds(unit, lock) and pair not in self.over)
        if not under_way:  # an action cannot see whether the turn has come: it may ask for one after that
            more = 'maybe' if doing.aside and way == 'again' and owed.turn else ''
            self.owed[pair] = Owed('yes' if sure == 'yes' else owed.turn or sure, owed.more or more)
        elif pair in self.unknown and way == 'again':  # its turn begins anew, after this
            self.owed[pair] = Owed('yes' if sure == 'yes' else owed.turn or sure, owed.more or 'maybe')
        elif way == 'again' or lock in doing.released:
            self.owed[pair] = Owed(owed.turn, 'yes' if sure == 'yes' else owed.more or sure)
        self.unsaid.add(pair)

    def _holds(self, unit: str, lock: str) -> bool:
        return unit in self.holders.get(lock, set())

    def _releases(self, unit: str, lock: str) -> None:
        doing, pair = self._now(unit), (unit, lock)
        owed = self.owed.get(pair, Owed())
        if not doing.aside and unit in self.doing:
            doing.released.add(lock)
            doing.kept.discard(lock)
        if lock in doing.worked or (doing.aside and self._holds(unit, lock) and pair not in self.over):
            self.owed[pair] = Owed(owed.turn, owed.more and 'maybe')
        else:
            self.owed[pair] = Owed(owed.turn and 'maybe', owed.more and 'maybe')

    def _reads_flags(self, unit: str, said: str) -> None:
        lock, rest = said.split(' ', 1)
        told, truth = rest.replace('] [', ']|[').split('|')
        if told != truth:
            self.broken('{}: flags of {} say {}, the lock {}'.format(unit, lock, told, truth))
        if not told.endswith('True]'):
            return
        if self._now(unit).aside:
            self.broken('{} is granted {} in an action'.format(unit, lock))
        if not self._may_have(unit, lock):
            self.broken('{} is granted {}, which it has not asked for'.format(unit, lock))
        if unit in self.doing:
            self.doing[unit].granted.add(lock)
        self._takes(unit, lock, 'granted')

    def unserved(self) -> List[str]:
        return [
            '{} waits for {}'.format(unit, lock)
            for (unit, lock), owed in sorted(self.owed.items())
            if 'yes' in owed and unit not in self.leavers
        ] + self.word.unserved()
