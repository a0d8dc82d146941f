"""The values that units share and remember: claims, tickets, ledgers, terms.

What lives here: their fields and what they mean. What must not: a rule.
"""

from typing import AbstractSet, FrozenSet, Mapping, NamedTuple, Optional, Tuple

# The queue that all locks share by default. No lock can have this name.
ALL_LOCKS = ''

# Stands for the unit of a ticket whose unit cannot be read: nobody knows whose turn that is.
UNNAMED = ''

# No count goes above this, and a higher one is not trusted: a request a second for thirty years.
MAX_COUNT = 10**9

# No token goes above this: not every JSON reader can represent a greater whole number.
MAX_TOKEN = 2**53

# No unit says a higher term. Only spoilt data come near.
MAX_TERM = 10**15

# No leader claims a higher term, and none is believed; so every local store can hold what is believed. It is
# far above MAX_TERM: a leader must be able to claim terms above whatever a unit says.
LAST_TERM = 2 * MAX_TERM - 1

# The longest ledger a leader writes. A ledger is one argument of a command line, which Linux limits to
# 128 KiB; a request for which there is no room waits in its claim.
MAX_BYTES = 120000


# Locks by name, each with the time of its request.
Locks = Tuple[Tuple[str, str], ...]


class Claim(NamedTuple):
    """What one unit says about itself in one queue.

    Args:
        asked: how often it has asked; never falls.
        done: the number of the last ask that it has finished; never falls. The
            claim is a request while `asked > done`.
        locks: the locks it asks for, each with the time of the request (UTC, as
            text that sorts).
        begun: whether handlers have run in the turn of the last ask, which is not over.
        token: the last fencing token whose turn has begun here, 0 for none.
        again: the locks to ask for when the turn is over, each with its time.
        nonce: the incarnation of the unit; a unit that takes over a name has another.
        over: former incarnations of this unit's name, whose tickets are over.
        roll: whether its turn, which has begun, is of a roll.
        ended: the token of the last ticket of a roll that is over here; never falls.
        reason: why the turn is kept, in the charm's words.
    """

    asked: int = 0
    done: int = 0
    locks: Locks = ()
    begun: bool = False
    token: int = 0
    again: Locks = ()
    nonce: str = ''
    over: Tuple[str, ...] = ()
    roll: bool = False
    ended: int = 0
    reason: str = ''

    @property
    def outstanding(self) -> bool:
        """Whether the claim is a request: asked for, and not finished."""
        return self.asked > self.done

    @property
    def holds(self) -> bool:
        """Whether its turn has begun and is not over. Then it goes on, whatever happens to the ledger."""
        return self.outstanding and self.begun and self.token > 0

    @property
    def names(self) -> FrozenSet[str]:
        """The names of the locks it asks for."""
        return frozenset(name for name, _ in self.locks)


class Ticket(NamedTuple):
    """A place in a queue, given by the leader.

    Args:
        token: the fencing token of the turn.
        queue: the queue; ALL_LOCKS for the one that all locks share.
        unit: the unit it is for, UNNAMED where that cannot be read.
        ask: the number of the request that it serves; 0 for a ticket of a roll, which serves whatever
            its unit asks for, or would ask for, when its turn comes.
        slots: how many tickets of the queue may be held at once, this one
            included. It is fixed when the ticket is given. So a holder loses
            nothing when the option changes later, or the number of units of which
            it is a percentage.
        raw: the text of a ledger entry that cannot be read, otherwise ''. It is
            written back as it was, and the ticket is never finished.
        after: the tokens of the tickets that this one waits for; None if it waits
            for every earlier ticket that excludes it.
        requested_at: when the request was made, '' if that is not recorded.
        nonce: the incarnation of the unit that asked.
        stage: the token of the first ticket of its stage, 0 before the first roll. A ticket waits
            until every ticket ahead of it that is of an earlier stage is finished.
        roll: the lock, in a ticket of a roll; otherwise ''.
    """

    token: int
    queue: str
    unit: str
    ask: int
    slots: int = 1
    raw: str = ''
    after: Optional[Tuple[int, ...]] = None
    requested_at: str = ''
    nonce: str = ''
    stage: int = 0
    roll: str = ''

    @property
    def place(self) -> Tuple[str, int]:
        """What it is remembered by: its queue, and its ask, or in a roll its token below zero."""
        return self.queue, -self.token if self.roll else self.ask

    def waits_for(self, earlier: 'Ticket') -> bool:
        """Return whether this ticket's turn may have to wait until an earlier one is finished.

        Tickets of one queue exclude one another. A ticket of the queue of all locks
        and one of a single lock exclude each other, too. The ledger has both kinds
        only during a charm upgrade, while units with different options run.
        """
        if earlier.unit == self.unit:
            return False
        if self.after is not None:
            return earlier.token in self.after
        return self.queue == earlier.queue or ALL_LOCKS in (self.queue, earlier.queue)


class Order(NamedTuple):
    """An operator's word, or the charm's on the leader, about all units; orders.py says what each means.

    Args:
        kind: ROLL, PAUSE, RESUME, CANCEL or FREE.
        name: no other order has it.
        lock: the lock; '' for all.
        since: when it was given (UTC, as text that sorts).
        reason: why, in the words of whoever gave it.
        first: the first token it is about: of a roll, or of the tickets that are paused.
        last: the last token it is about: of a roll, of the pause between its stages, of the tickets that are
            cancelled, or of a unit's. 0 where there is none.
        unit: the unit that is freed.
        nonce: its incarnation.
        asks: the last ask of each queue that is over by this word, for a unit that is freed.
    """

    kind: str
    name: str
    lock: str = ''
    since: str = ''
    reason: str = ''
    first: int = 0
    last: int = 0
    unit: str = ''
    nonce: str = ''
    asks: Tuple[Tuple[str, int], ...] = ()


ROLL, PAUSE, RESUME, CANCEL, FREE = 'roll', 'pause', 'resume', 'cancel', 'free'


class Wish(NamedTuple):
    """An order that this unit, as the leader, has still to write into the ledger.

    Args:
        order: the order.
        stages: the units of each stage of a roll, in order, each with its incarnation.
        pause_after: how many stages of a roll go before it waits for the operator; 0 for all.
        replace: whether a roll takes the place of one of the same lock that is under way.
    """

    order: Order
    stages: Tuple[Tuple[Tuple[str, str], ...], ...] = ()
    pause_after: int = 0
    replace: bool = False


class Ledger(NamedTuple):
    """A leader's record: the last token given, tickets in order, and the orders that stand.

    Args:
        token: the last token given.
        tickets: the tickets, in the order in which they were given.
        readable: False for a text that cannot be read.
        term: the term under which it was opened.
        contested: whether a higher term is claimed and not open yet. Then a unit may use
            only those tickets that it saw before.
        orders: the rolls, pauses, cancellations and freed units.
    """

    token: int = 0
    tickets: Tuple[Ticket, ...] = ()
    readable: bool = True
    term: int = 0
    contested: bool = False
    orders: Tuple[Order, ...] = ()


# A ledger that exists and cannot be read: it gives nobody a turn, and nobody may write over it.
UNREADABLE = Ledger(readable=False)


class Record(NamedTuple):
    """One thing that a leader wrote, under a key that nobody ever writes anything else to.

    Args:
        nonce: the incarnation of the unit that wrote it.
        term: the term that it claims, or under which its ledger is open.
        version: 0 for a claim; the ledgers of one term are numbered from 1.
        ledger: the ledger, None in a claim.
        anew: whether the term was claimed because the ledger is lost.
    """

    nonce: str
    term: int
    version: int = 0
    ledger: Optional[Ledger] = None
    anew: bool = False

    @property
    def place(self) -> Tuple[int, int]:
        """The order of records: by term, then by version."""
        return self.term, self.version

    @property
    def answer(self) -> str:
        """What units say to show that they have read this claim."""
        return '{}-{}'.format(self.term, self.nonce)


class Terms(NamedTuple):
    """All that leaders keep.

    Args:
        records: what they wrote and nobody has removed.
        reset: whether an operator has marked the ledger as lost.
    """

    records: Tuple[Record, ...] = ()
    reset: bool = False


class About(NamedTuple):
    """What one unit says beside its claims.

    Args:
        term: the highest term it knew of.
        heard: the answer to the last claim of a term, made for a lost ledger, that it has read.
        principal: the principal unit beside which a subordinate's unit runs, otherwise ''.
        spoke: whether it runs this layer: it has said its incarnation, a request, or a term.
        zone: the availability zone of its machine, '' if Juju names none.
        failed: the token of the turn of a roll in which a hook of it failed, 0 for none (failing.py).
    """

    term: int = 0
    heard: str = ''
    principal: str = ''
    spoke: bool = False
    zone: str = ''
    failed: int = 0


class Said(NamedTuple):
    """All that one unit has in its databag.

    Args:
        nonce: its incarnation.
        about: what it says beside its claims.
        queues: its claims by queue.
    """

    nonce: str = ''
    about: About = About()
    queues: Tuple[Tuple[str, Claim], ...] = ()


Units = AbstractSet[str]
NOBODY: Units = frozenset()

# Claims by (unit, queue).
Claims = Mapping[Tuple[str, str], Claim]

NO_CLAIM = Claim()


class UnitState(NamedTuple):
    """What a unit remembers between hooks. Each change is saved at once.

    Args:
        own: this unit's claims by queue. A request and the beginning of a turn are
            in it at once. The end of a turn is in it only when the charm's own key-value
            store, which has the flags, was saved with the same end.
        committed: this unit's claims as Juju was last seen to have them.
        peers: claims of other units by (unit, queue): the requests seen, and
            the releases of tickets that are still in the ledger.
        led: whether this unit led in its last hook.
        known: whether Juju has exactly `committed`; not after this unit has published something.
        spoken: whether Juju was ever seen to have claims of this unit, even
            empty ones. Such claims tell the other units that it runs this layer.
        nonce: this unit's incarnation, made with its store.
        term: the highest term that this unit has seen, claimed or open.
        heard: see About.
        about: what units, this one too, were last seen to say beside their claims.
        seen: the places of own tickets that were seen in a ledger that was not contested.
        context: the hook that saved this; Juju gives each hook an id of its own. It follows ANEW if a
            process has found no store, and no hook of the unit has got as far as its handlers since.
        told: the last token that this unit, as the leader, has logged.
        claimed: the highest term that this unit has claimed; no two of its claims have the same.
        opened: the term of the ledger that counted when this unit last read it, 0 if it was lost.
        put_off: in each queue, the place of the last ticket whose turn came in update-status and was left for
            another hook.
        rolling: whether the ledger, when last read, had a roll in which this unit has a ticket, or
            that it leads.
        rolled: the names of the last rolls whose end this unit, as the leader, has shown to handlers.
        wishes: the orders that it has still to write as the leader.
        progress: by the name of a roll, how many of its units were done when this unit, as the leader,
            has last logged that.
    """

    own: Tuple[Tuple[str, Claim], ...] = ()
    committed: Tuple[Tuple[str, Claim], ...] = ()
    peers: Tuple[Tuple[Tuple[str, str], Claim], ...] = ()
    led: bool = False
    known: bool = False
    spoken: bool = False
    nonce: str = ''
    term: int = 0
    heard: str = ''
    about: Tuple[Tuple[str, About], ...] = ()
    seen: Tuple[Tuple[str, int], ...] = ()
    context: str = ''
    told: int = 0
    claimed: int = 0
    opened: int = 0
    put_off: Tuple[Tuple[str, int], ...] = ()
    rolling: bool = False
    rolled: Tuple[str, ...] = ()
    wishes: Tuple[Wish, ...] = ()
    progress: Tuple[Tuple[str, int], ...] = ()

    @property
    def gave_all_up(self) -> bool:
        """Whether this is the state of a unit that has left, and takes no place in any roll any more."""
        return any(claim.ended == MAX_TOKEN for _, claim in self.own)


class End(NamedTuple):
    """The end of a turn, or of a request: these locks of this ask are given up.

    Args:
        ask: the number of the ask.
        locks: the locks; the turn is over when the ask has no others. Under ROLLED, which is the name
            of no queue: the rolls whose end handlers have seen.
        nonce: the incarnation of the unit.
        token: tickets of rolls up to this one are over too.
        asked: when the locks of that ask had been asked for; one that was asked for anew since then, in the
            same ask, is not given up. Empty if that is not known.
        again: what is withdrawn of that which was to be asked for when the turn is over.
    """

    ask: int
    locks: Tuple[str, ...]
    nonce: str = ''
    token: int = 0
    asked: Locks = ()
    again: Locks = ()

    def beside(self, earlier: 'End') -> 'End':
        """Return this end with what an earlier hook saved as over: nothing takes that back."""
        if self.nonce != earlier.nonce:
            return self
        end = self._replace(token=max(self.token, earlier.token))
        if self.ask != earlier.ask or not self.ask:
            return end
        now, before = dict(self.asked), dict(earlier.asked)
        over = {lock for lock in earlier.locks if before.get(lock) in (None, now.get(lock, before.get(lock)))}
        return end._replace(
            locks=tuple(sorted(over.union(self.locks))),
            asked=tuple(sorted({**before, **now}.items())),
            again=tuple(sorted({*earlier.again, *self.again})),
        )


ANEW = 'store made anew by '

ROLLED = '{rolled}'
