"""What the leader does in a hook: it hears requests, gives tickets, and drops those of units that are gone.

What lives here: in which order a leader reads and writes the ledger. What must not: a hook tool,
a rule about whose turn it is, an answer to the charm.
"""

from typing import Dict, FrozenSet, Optional, Tuple

from charms.layer.coordinator import orders, rules, terms, why
from charms.layer.coordinator.context import LedgerClosed, Phase
from charms.layer.coordinator.own import OwnClaims
from charms.layer.coordinator.values import (
    CANCEL,
    FREE,
    LAST_TERM,
    MAX_COUNT,
    NOBODY,
    UNNAMED,
    About,
    Claims,
    Ledger,
    Order,
    Terms,
    Ticket,
    Units,
)

NOT_READ_BACK = (
    'the term that this unit claimed is not the highest: another unit leads, or Juju stored nothing'
)
NO_TERM_LEFT = 'somebody wrote the last term that there is into the ledger, so no ticket can be given'


def _text_of(ledger: Ledger) -> Tuple[int, Tuple[Ticket, ...], Tuple[Order, ...]]:
    """Return what a leader writes of a ledger."""
    return ledger.token, ledger.tickets, ledger.orders


class Leading(OwnClaims):
    """The part of a hook in which a unit acts as the leader; arguments as for View."""

    _answer: Optional[Tuple[Ledger, Ledger]] = None  # what follows a ledger, as the policy has just said
    written: Optional[Ledger] = None  # what this unit has written last in this hook

    def _lead(self) -> None:
        """Give tickets for the known requests, and drop the tickets of units that are gone."""
        full_check = self.context.full_check or not self.state.led
        if full_check:
            self._read_ledger()
            self._read_all_claims()
            self.unheard = frozenset()
        else:
            self._read_claims(sorted(self.unheard))
        asked = any(claim.outstanding for claim in self.claims.values())
        # Otherwise there is no ledger, or a claim is in its way.
        settled = self.state.opened == self.state.term > 0
        ordered = full_check and self.ledger and self.ledger.orders  # perhaps about a unit that is gone
        busy = asked or self.state.rolling or self.state.wishes or ordered
        if settled and not (busy or self.policy.reports_releases):
            return
        if not self.ledger_read:
            self._read_ledger()
        if self.policy.reports_releases:
            self.finished = rules.finished_tickets(self.ledger, self.committed)
        if not self.context.aside:
            self._find_rolled()
        gone = self._gone() if full_check or self.context.departed else frozenset()
        if self.context.full_check and asked:
            gone |= self._left_for_good()
        self._forget(gone | {self.context.departed})
        if self._is_due(gone):
            self._append(gone)
        if self.leading:
            # Otherwise their requests, which have lost their tickets, would be given new ones.
            self._remember(peers=tuple(peer for peer in self.state.peers if peer[0][0] not in gone))

    def members(self) -> Dict[str, Tuple[str, str]]:
        """Return the incarnation and the zone of each unit that a roll can be for.

        These are this unit, and all that have spoken and stay. Any other unit has not run a hook of this
        layer since it joined.
        """
        found = {self.context.unit: (self.state.nonce, self.port.zone)}
        for unit in sorted(self.staying()):
            said = self.port.said_by(unit)
            if said and said.nonce:
                found[unit] = said.nonce, said.about.zone
        return found

    def _find_rolled(self) -> None:
        """Find the rolls that are over and whose end no handler has seen."""
        new = (roll for roll in orders.rolls(self.ledger) if roll.name not in self.state.rolled)
        ledger, committed = self.ledger, self.committed
        self.rolled = tuple(roll for roll in new if ledger and orders.is_over(ledger, roll, committed))
        if ledger:
            self._tell_progress(ledger, committed)

    def _tell_progress(self, ledger: Ledger, committed: Claims) -> None:
        """Log how far each roll is, if that is another number than this unit has logged last."""
        told, now = dict(self.state.progress), {}
        for roll in orders.rolls(ledger):
            now[roll.name] = min(MAX_COUNT, orders.done_of(ledger, roll, committed)[0])
            if now[roll.name] != told.get(roll.name, 0):
                self.log(why.progress(ledger, roll, committed))
        self._remember(progress=tuple(sorted(now.items())))

    def _left_for_good(self) -> FrozenSet[str]:
        """Return the units that leave and have released all their tickets.

        On Juju 2.9 - 3.x nobody hears of such a release: the peers have seen the unit depart before. On
        Juju 4 nobody can read it any more if the peer relation has another id. When the leader drops the
        tickets, its write brings the next unit a hook.
        """
        tickets = self.ledger.tickets if self.ledger else ()
        unfinished = set(rules.unfinished_units(self.ledger, self.claims))
        units = {ticket.unit for ticket in tickets if not ticket.raw} - unfinished
        return frozenset(units - self.staying() - {self.context.unit})

    def _is_due(self, gone: Units = NOBODY) -> bool:
        ledger, self._answer = self.ledger, None
        if ledger is None or ledger.contested:
            return True
        grown = self._grown(ledger, gone)
        self._answer = (ledger, grown) if grown != ledger else None
        return grown != ledger

    def _next(self, base: Ledger, gone: Units, reported: Tuple[Ticket, ...]) -> Ledger:
        """Return the ledger that follows this one.

        It may ask the charm's own class, which may answer each question only once. So what `_is_due`
        has just been told about the same ledger counts.
        """
        answer, self._answer = self._answer, None
        same = answer is not None and _text_of(answer[0]) == _text_of(base)
        return rules.pruned(answer[1] if answer and same else self._grown(base, gone), reported)

    def _grown(self, ledger: Ledger, gone: Units) -> Ledger:
        """Return the ledger with the tickets that this leader would give, and without those it would drop."""
        grown = self._with_tickets(ledger, gone)
        if self.context.full_check or self.state.wishes or _text_of(grown) != _text_of(ledger):
            freed = self._gone_among(frozenset(order.unit for order in grown.orders if order.kind == FREE))
            grown = orders.tidied(grown, self.committed, gone | freed, self.state.rolled)
        return self._with_wishes(grown)  # at the end, so that this unit reads back what it was told

    def ordered(self) -> Tuple[Order, ...]:
        """Return the orders that stand when this leader has written all that it was told."""
        return self._with_wishes(self.ledger or Ledger()).orders

    def ends_early(self, resume: Order) -> Tuple[Order, ...]:
        """Return the pauses between two stages that an order would end before the roll has reached them."""
        if not self.ledger_read:
            self._read_ledger()
        ledger = self._with_wishes(self.ledger or Ledger())
        if orders.ends_early(ledger, resume, self.claims):  # hooks that brought what is over may not have run
            units = {each.unit for each in rules.unfinished(ledger, self.claims) if each.roll}
            self._read_claims(sorted(units - {self.context.unit}))
        return orders.ends_early(ledger, resume, self.claims)

    def _with_wishes(self, ledger: Ledger) -> Ledger:
        for wish in self.state.wishes:
            queue = self.policy.queue_of(wish.order.lock)
            ledger = orders.applied(ledger, wish, self._slots(), queue, self.claims)
        return ledger

    def _with_tickets(self, ledger: Ledger, gone: Units) -> Ledger:
        policy, claims = self.policy, self.claims
        if self.port.durable_at_once:
            # What is over if this hook succeeds is not over yet, but a ticket would be there at once.
            me, ended = self.context.unit, {queue for queue, _ in self.ends}
            claims.update({(me, queue): claim for queue, claim in self.state.own if queue in ended})
        droppable: Claims = {} if policy.reports_releases else self.committed
        if policy.grow is None:
            cancels = {wish.order.lock for wish in self.state.wishes if wish.order.kind == CANCEL}
            every = frozenset(queue for (_, queue), claim in claims.items() if claim.names & cancels)
            dated = policy.reports_releases
            return rules.appended(ledger, claims, droppable, self._slots(), gone, dated, every)
        if self.port.durable_at_once and self.phase > Phase.HANDLERS:
            # Nothing would wake the leader for its own ticket, so it gives none; see `_serve_own`.
            for queue, claim in self.own.items():
                claims[self.context.unit, queue] = claim._replace(asked=claim.done, locks=())
        grown = policy.grow(ledger, claims, self.committed, gone)
        return grown if grown == ledger else rules.pruned(grown, rules.finished_tickets(grown, droppable))

    def _slots(self) -> int:
        """Return how many units may hold at once; a percentage is one of the units that run."""
        if self.policy.slots:
            return self.policy.slots
        if self.port.living() is None and not self.port.durable_at_once:
            return 1  # relation-list of Juju 4 goes on listing units that are gone (juju/juju#23326)
        there = self.port.present()
        return self.policy.slots_among(len(there - self._gone_among(there - {self.context.unit})))

    def _append(self, gone: Units = NOBODY, reported: Tuple[Ticket, ...] = ()) -> None:
        """Give tickets: read the ledger afresh, decide, and write it if it changes (rule 7 of the protocol).

        The steps are is-leader, read, decide, is-leader, write, read back. If the
        write is refused because this unit no longer leads, that is not an error:
        the next leader appends what the claims say. The tickets in `reported`
        are dropped: they are finished, and their release was reported.
        """
        try:
            self._must_lead()
            found = self._fresh_terms()
            if not self.awaited:
                self._write(found, gone, reported)
        except LedgerClosed as closed:
            self.leading = False
            if str(closed):
                self.log(str(closed))
            return
        if self.port.durable_at_once:
            self._read_ledger()

    def _write(self, found: Terms, gone: Units, reported: Tuple[Ticket, ...]) -> None:
        """Write the ledger if anything is owed, under the term that this unit has claimed (rule 13)."""
        me, known = self.state.nonce, self._known_term
        base = terms.newest(found, known)
        grown = self._next(base, gone, reported) if base else None
        if base and not base.contested and grown == base:
            return
        if not terms.may_write(found, me, known):
            self._must_lead()
            if not self._claims_at_once(found, known):
                return
            self._must_lead()
            found = self.port.fresh_terms()
            if not terms.may_write(found, me, known):
                raise LedgerClosed(NOT_READ_BACK)
            before, base = base, terms.newest(found, known)
            grown = grown if base and before and _text_of(base) == _text_of(before) else None
        if self.claimed:
            return  # Juju has the claim only when this hook has succeeded; until then nothing is opened
        own = terms.last_record(found, me)
        if base is None:
            if self.port.relation is None and not self.port.alone():
                return  # it cannot read what others say yet, and they may be at work under a lost ledger
            silent, self.silent = self.silent, self._must_answer(own.answer)
            if self.silent and self.silent != silent:
                what = 'there is no ledger' if terms.is_first(own.answer) else 'the ledger is lost'
                self.log('{}; {}'.format(what, terms.awaiting(self.silent)))
            if self.silent:
                return
            gone = gone | self._gone_among(frozenset(unit for (unit, _), _ in self.state.peers))
            self._end_claims(gone)
            base = rules.rebuilt(self._unfinished_claims(), self._slots())
        self._must_lead()
        grown = grown or self._next(base, gone, reported)
        record = terms.opened(own, grown)
        if record.version == 1:
            self._remember(told=base.token if base.term else 0)  # what it copies, another leader gave
        self.port.write(record, terms.superseded(found, record), unmark=False)
        self._note_written(base, grown, gone)

    def _end_claims(self, gone: Units) -> None:
        """Let what units that are gone have asked for be over: it gets no tickets, and their tokens count."""
        peers = dict(self.state.peers)
        for place, claim in peers.items():
            if place[0] in gone:
                peers[place] = rules.released(claim._replace(again=()))
        self._remember(peers=rules.frozen(peers))

    def _claims_at_once(self, found: Terms, known: int) -> bool:
        """Claim a term; return whether Juju has the claim already."""
        claim = terms.claiming(found, self.state.nonce, known, self.state.claimed)
        if claim.term > LAST_TERM:
            self.log(NO_TERM_LEFT)  # nobody would believe it, so each hook would claim one more
            return False
        self._save(claimed=claim.term)
        self.port.write(claim, (), unmark=found.reset)
        self.claimed = not self.port.durable_at_once
        return not self.claimed

    def _note_written(self, base: Ledger, grown: Ledger, gone: Units) -> None:
        before = set(base.tickets) if base.term else set()
        given = tuple(ticket for ticket in grown.tickets if ticket not in before)
        dropped = tuple(ticket for ticket in base.tickets if ticket.unit in gone)
        self.given, self.dropped, self.written = self.given + given, self.dropped + dropped, grown
        for ticket in dropped:
            self.log('{} is gone; the leader drops its ticket, token {}'.format(ticket.unit, ticket.token))

    def _bring_hook(self, written: bool = True) -> None:
        """As the leader, have Juju bring this unit a hook, where its own write does not.

        On Juju 2.9 - 3.x a write to leader settings wakes every unit but the leader. A program that the
        leader's hook runs writes no ledger on any Juju.

        Args:
            written: whether this hook writes the ledger.
        """
        no_write = not written or self.port.durable_at_once or self.context.child or self._asks_class_later
        if no_write and self.port.relation:
            try:
                self.port.bring_hook(self.context.id)
            except LedgerClosed as closed:
                self.leading = False
                self.log(str(closed))

    @property
    def _asks_class_later(self) -> bool:
        """Whether a class of the charm's own decides, which an action's script does not ask."""
        return self.context.aside and self.policy.grow is not None

    def _must_lead(self) -> None:
        if not self.port.is_leader():
            raise LedgerClosed

    def _fresh_terms(self) -> Terms:
        """Return what leaders keep, as it is now. If there is no ledger, find out whether one may be made.

        The first ledger is made only after the last unit has stopped running a
        predecessor. So an old leader and this one never give turns side by side.
        """
        found = self.port.fresh_terms()
        if not self.ledger_read:
            self._learn(found)  # later in the hook it may be this leader's own, which Juju does not have yet
        if terms.newest(found, self._known_term) is not None:
            self.awaited = self.silent = frozenset()
            return found
        claimed = terms.last_record(found, self.state.nonce).term > 0
        awaited, self.awaited = self.awaited, self._awaited_units(claimed)
        if self.awaited:
            if self.awaited != awaited:
                self.log(self.port.awaiting(self.awaited))
            return found
        waits = terms.may_write(found, self.state.nonce, self._known_term) and not self.context.full_check
        read = (unit for unit, about in self.state.about if about != About())
        known = frozenset(read) if waits else NOBODY
        self._read_claims(sorted(self._everyone() - known))  # every claim must be known
        return self.port.fresh_terms()

    def _everyone(self) -> FrozenSet[str]:
        """Return the other units that may hold a lock: all that live, those that leave too."""
        known = {unit for unit, _ in self.state.about} | self.port.everybody()
        living = self.port.living() or frozenset()
        mine = living if self.context.unit in living else frozenset()
        return frozenset((known | mine) - self._gone_among(frozenset(known)) - {self.context.unit, UNNAMED})

    def _must_answer(self, answer: str) -> FrozenSet[str]:
        """Return the units, or their principals, that must still answer a claim before there is a ledger.

        All that live must. Before the first ledger, those that have neither joined nor spoken hold nothing.

        A unit that is new may lead before it has seen any other join. Where Juju does not list the units, as
        for a subordinate or while goal-state fails, it cannot tell that it is the first. In update-status it
        can: Juju runs each relation-joined that is due before that. But if the peer relation has another id
        now, a unit at work has not joined it yet. Only a unit that led under the old id knows it then.
        """
        living, moved = self.port.living(), self.port.store.get('moved')
        all_joined = self.context.full_check
        if living is None and ((moved and moved != 'led') or not all_joined):
            return frozenset([terms.GOAL_STATE])
        everyone = self._everyone()
        if living and self.context.unit in living:  # goal-state may fail in the next hook
            self._remember(about=rules.frozen({**dict.fromkeys(everyone, About()), **dict(self.state.about)}))
        beside = self.port.principal and not (living and self.context.unit in living)
        if beside and not self._unheard_principals(any_application=True):
            # Beside each principal runs a unit that has spoken. Any other is gone (juju/juju#23326).
            everyone = frozenset(unit for unit in everyone if self.about(unit).spoke)
        first = terms.is_first(answer) and not moved
        members = self.port.related_units() if first else everyone
        silent = terms.silent(dict(self.state.about), everyone, members, answer)
        return silent if first and all_joined else silent | self._unheard_principals(not all_joined)

    def _unheard_principals(self, any_application: bool) -> Units:
        """Return the principals beside which a unit may work of which this one has never heard.

        It may be new, or the relation have another id. Juju lists a subordinate's units nowhere.

        Args:
            any_application: whether all applications count, or only those of which a principal is known.
                Others may be subordinates themselves, beside which no unit runs; so in update-status,
                when each unit has joined, they count no more.
        """
        living = self.port.living() or frozenset()
        if not self.port.principal or self.context.unit in living:
            return NOBODY
        heard = {self.port.principal, *(about.principal for _, about in self.state.about)} - {''}
        applications = {name.split('/')[0] for name in heard}
        units = (name for name in living - heard if '/' in name)  # an application's name is among them
        return frozenset(name for name in units if any_application or name.split('/')[0] in applications)

    def _unfinished_claims(self) -> Claims:
        """Return all claims, this unit's as the others must see them: with each turn whose end Juju lacks."""
        return self._beside_peers(rules.not_said(dict(self.state.own), dict(self.state.committed)))
