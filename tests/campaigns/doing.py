"""What one run of a hook has done so far, and what a unit has coming, as the campaign's judges keep them."""

import sqlite3
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, NamedTuple, Set, Tuple

WAKE_UP = 'hooks/coordinator-wake-up'
MARK = 'campaign.hook'
"""Where the charm's first handler notes its hook, in the charm's own key-value store: CONTEXT#RUN."""

CAUSES = (
    'made to fail',
    'flush refused',  # for example a hook that wrote the ledger where leadership has moved (R10)
    'left by hand',
    "CalledProcessError: Command '['systemctl'",
    'its agent died',
    'not the leader',
    'coordinator-ledger=lost',  # the operator's command, where leadership had moved
)
"""What a hook that was made to fail says of it."""


def is_wake_up(script: str) -> bool:
    return script.startswith('/') and WAKE_UP in Path(script).read_text(encoding='utf-8')


def hook_saved_in(path: Path) -> str:
    """Return the last hook whose flags are saved in a charm's key-value store, '' if there is none."""
    if not path.exists():
        return ''
    store = sqlite3.connect(str(path))
    try:
        row = store.execute('select data from kv where key = ?', [MARK]).fetchone()
    finally:
        store.close()
    return row[0].strip('"') if row else ''


class Doing:
    """What one run of a hook, an action or a script has done so far."""

    def __init__(self, execution: Any, before: str = '') -> None:
        self.execution, self.before = execution, before
        self.context = execution.context.id if execution else ''
        operation = execution.operation if execution else None
        self.woken = bool(operation and is_wake_up(operation.script))  # a hook of its own: rule 12
        self.aside = bool(operation and operation.aside) and not self.woken
        self.unanswered = False  # a tool was made to fail in it
        self.emptied = False  # store and databag of its unit were lost in it
        self.turns: Dict[str, Any] = {}  # by lock, queue and token
        self.worked: Set[str] = set()
        self.granted: Set[str] = set()
        self.kept: Set[str] = set()
        self.released: Set[str] = set()

    @property
    def lands(self) -> bool:
        """Whether its writes have passed Juju's check, and land whatever becomes of the hook."""
        return bool(self.execution and self.execution.context.checked)

    @property
    def runs_again(self) -> bool:
        """Whether somebody will run its file once more by hand, in the same context."""
        return bool(self.execution and self.execution.rounds > 1)


NOTHING = Doing(None)


class Owed(NamedTuple):
    """What a unit has coming for one lock: yes, maybe or ''.

    Args:
        turn: a turn that has not been used.
        more: one more after that.
    """

    turn: str = ''
    more: str = ''


class Due(NamedTuple):
    """What one roll owes one unit: yes, maybe, or '' when the turn has been used.

    Args:
        queue: in which the unit's ticket stands.
        token: of that ticket.
    """

    queue: str
    token: int
    sure: str


class Start(NamedTuple):
    """What stood when a hook, an action or a script began.

    Args:
        execution: what began.
        stood: the names of the orders that stood.
        going: the turns that had begun: the token by queue.
        covered: the locks of these turns.
        known: the units that have spoken, as far as its agent knows, if it is an action.
    """

    execution: Any
    stood: FrozenSet[str] = frozenset()
    going: Tuple[Tuple[str, int], ...] = ()
    covered: FrozenSet[str] = frozenset()
    known: FrozenSet[str] = frozenset()


NO_START = Start(None)


class Freed:
    """A unit that was freed.

    Args:
        last: the last token that is over.
        until: the hooks under way, to whose end the unit may go on.
    """

    def __init__(self, last: int, until: List[Any]) -> None:
        self.last, self.until = last, until
        self.forgotten = False  # with a ledger that was lost
