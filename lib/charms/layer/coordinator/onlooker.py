"""A session that only looks: what it reads is for a report, and nothing of it is kept.

What lives here: what must be read before a unit can say who holds which lock, and a port that
writes nothing. What must not: a decision, the form of the report.

It reads claims from the front of each queue until as many unfinished tickets are found as are
reported; each claim once. If the ledger is lost, it reads every unit's claim, to say who has not answered.
"""

import os
from typing import Any, Callable, Dict, FrozenSet, List, Tuple

from charms.layer.coordinator import environment, rules, terms
from charms.layer.coordinator.compat.predecessor import OldJuju
from charms.layer.coordinator.juju import Read
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.report import Seen
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.store import Store
from charms.layer.coordinator.values import NO_CLAIM, UNNAMED, Terms, UnitState
from charms.layer.coordinator.view import Snapshot
from charms.layer.coordinator.wire import Problems


class OnlyRead(Store):
    """The local store, which stays as it is."""

    def update(self, name: str, change: Callable[[Any], Any]) -> None:
        """Do nothing."""

    def clear(self) -> None:
        """Do nothing."""

    def _put_aside(self, text: str) -> None:
        """Leave a file that cannot be read where it is: the next hook finds it."""
        self._warn('local store {}: it cannot be read'.format(self.name))


class Looking(OldJuju):
    """This hook's Juju for one who only looks and never publishes: it stores nothing and logs nothing.

    Attributes:
        problems: what could not be read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems: List[str] = []
        self.store = OnlyRead(environment.local_file(environment.KEY, 'json'), self._note)

    def _note(self, problem: str) -> None:
        self.problems += [problem] if problem not in self.problems else []

    def believed(self, read: Tuple[Read, Problems]) -> Read:
        """Return what could be read, and note each problem."""
        for problem in read[1]:
            self._note(problem)
        return read[0]


class Onlooker(Session):
    """One who looks at the locks of this unit's application. It is used once and thrown away."""

    port: Any  # a Looking

    def look(self) -> None:
        """Find out what is true now, outside a hook of this unit, and change nothing."""
        self._recall(self.port.load() or UnitState())
        if self.context.restricted:
            return
        self.leading = self.port.is_leader()
        self._compare_own_claims(first=True, reread=True)
        self.unheard = self.port.wake.unheard() or frozenset()

    def seen(self, most: int) -> Seen:
        """Return what this unit knows, after it has read what it needs to say who is at the front.

        Args:
            most: how many unfinished tickets of a queue are looked for.
        """
        major = environment.major_version(os.environ.get('JUJU_VERSION', '')) if self._answers else 0
        start = Seen(self.context.unit, self.port.now(), major, self.leading, self._answers)
        if not self._answers:
            return start._replace(claims=self.claims, term=self.state.term)
        if not self.ledger_read:
            self._read_ledger()
        if self.leading:
            self._read_claims(sorted(self.unheard - {self.context.unit}))
        lost, reason = False, ''
        if self.ledger is None:
            lost, reason = self._about_lost_ledger(self.port.terms())
        self._read_front(most)
        units = frozenset(rules.unfinished_units(self.ledger, self.claims))
        return start._replace(
            gone=self._gone_among(units - {self.context.unit, UNNAMED}),
            term=self.state.term, ledger=self.ledger, lost=lost, claims=self.claims, reason=reason,
            awaited=self.awaited | self.silent, failed=self._failed(), failures=self.failed,
            problems=tuple(self.port.problems), wishes=self.state.wishes, rolled=self.state.rolled,
        )  # fmt: skip

    @property
    def _answers(self) -> bool:
        return not self.context.restricted

    def _read_front(self, most: int) -> None:
        """Read the claims of the first unfinished tickets of each queue, and of those before them."""
        read = {self.context.unit, UNNAMED}
        found: Dict[str, int] = {}
        claims = self.claims
        for ticket in self.ledger.tickets if self.ledger else ():
            if found.get(ticket.queue, 0) >= most or rules.finished(ticket, claims):
                continue
            if ticket.unit not in read:
                read.add(ticket.unit)
                self._read_claims([ticket.unit])
                claims = self.claims
            if not rules.finished(ticket, claims):
                found[ticket.queue] = found.get(ticket.queue, 0) + 1

    def _about_lost_ledger(self, found: Terms) -> Tuple[bool, str]:
        """Return whether there has been a ledger, and why the leader makes none; note the awaited units."""
        self.awaited = self.awaited or self._awaited_units(claimed=False)
        self.silent = self._silent(terms.claim_to_answer(found))
        reason = self.port.awaiting(self.awaited) if self.awaited else self._why_no_ledger()
        return bool(self.state.term or found.reset), reason or 'the leader makes a new one in its next hook'

    def _silent(self, answer: str) -> FrozenSet[str]:
        """Return the units that have not answered the leader's claim of a term, made for a lost ledger."""
        if not answer:
            return frozenset()
        self._read_claims(sorted(self._everyone()))
        units, me = self._must_answer(answer), self.context.unit
        return units if self.about(me).heard == answer else units | {me}

    def _failed(self) -> FrozenSet[str]:
        """Return the queues whose turn has begun here in a hook that has not succeeded.

        A hook that succeeds publishes that the turn has begun. Nothing of this unit runs beside an action.
        """
        if not self.context.aside or self.context.child:
            return frozenset()
        published, own = dict(self.state.committed), self.own
        begun = [(queue, claim) for queue, claim in own.items() if claim.holds]
        return frozenset(
            queue
            for queue, claim in begun
            if not (published.get(queue, NO_CLAIM).begun and published[queue].asked == claim.asked)
        )


def beside(session: Session) -> Onlooker:
    """Return one who looks at what this session knows, and leaves the session as it is."""
    start = session.snapshot()
    return Onlooker(Looking(), start, session.policy, lambda sentence: None)


def alone() -> Onlooker:
    """Return one who looks in an action, where no session has looked."""
    port = Looking()
    found = Onlooker(port, Snapshot(environment.context(port.peers)), Policy(), lambda sentence: None)
    found.look()
    return found
