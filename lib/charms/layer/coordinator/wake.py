"""Whose news can matter to a unit; hooks for all other news need not run (rule 19 of docs/protocol.md).

What lives here: that rule, and the text that hooks/coordinator-relation-changed reads. What must
not: IO, a clock, whose turn it is.

A unit that waits watches the last few unfinished tickets ahead of its own, at least as many as
there are slots. It needs no other news. Proof: its turn comes when fewer than `slots` tickets
ahead are unfinished. Then at least one of those it watches has been finished, since it watches
`slots` or more that were not. That unit's databag has changed since the watch was set, Juju
tells this unit so in a hook (R6, R24), and that hook runs. It sets the next watch, from claims
that are no older than their last news. A watched unit that is gone has relation-departed, which
always runs; the leader's write that drops its ticket changes the text that this unit looks for.

A leader watches in the same way the last of the others' unfinished tickets, if there are as many
as slots. Until one of them is finished, every slot is taken, so a request can wait. What it does
not hear is noted by name, and read in its next hook that runs: so it gives many tickets in one write.

    wake-1 all end              every hook runs
    wake-1 EVENT UNIT … end     news of these units runs; so does EVENT: it may be a retry
    TEXT                        what the leader's data must still say; otherwise they run
    UNIT                        news of this unit came, and its hook did not run; one line for each
"""

import json
from typing import FrozenSet, NamedTuple, Optional, Sequence, Tuple

from charms.layer.coordinator import rules, wire
from charms.layer.coordinator.values import UNNAMED, Claims, Ledger, Ticket, Units

# Those next in line hear each turn that ends ahead of them, so what they say of it is true.
NEAREST = 5

NO_TICKET = 'no\tticket'  # no JSON has a tab


class Wake(NamedTuple):
    """What a unit must hear until its next hook that runs.

    Args:
        units: the units whose news matters.
        tickets: the part of the ledger that this unit's turn depends on; while the leader's data
            have it, nothing that matters has changed. Empty: only data that name this unit matter.
        data: whether all news of the leader's data matters.
        rest: NO_REQUEST or NEVER_ASKED, if this unit has nothing to do in most hooks (rest.py).
    """

    units: FrozenSet[str]
    tickets: Tuple[Ticket, ...] = ()
    data: bool = False
    rest: str = ''


def watched(ledger: Ledger, ticket: Ticket, claims: Claims) -> Tuple[Ticket, ...]:
    """Return the last unfinished tickets ahead of this one: NEAREST, or as many as there are slots."""
    return rules.ahead(ledger, ticket, claims)[-max(NEAREST, ticket.slots) :]


def waiting(ledger: Ledger, ticket: Ticket, claims: Claims, heard: Units) -> Optional[Wake]:
    """Return what a unit must hear that waits with this ticket; None for everything.

    Args:
        ledger: the ledger that it goes by.
        ticket: its ticket.
        claims: what units say, as far as it knows.
        heard: the units of which it knows all that Juju has told it.
    """
    near = watched(ledger, ticket, claims)
    units = frozenset(each.unit for each in near)
    plain = ledger.readable and not ledger.contested and ticket.after is None and UNNAMED not in units
    if not plain or len(near) < ticket.slots or not units <= heard:
        return None
    first, last = ledger.tickets.index(near[0]), ledger.tickets.index(ticket)
    return Wake(units, ledger.tickets[first : last + 1])


def leading(ledger: Ledger, unit: str, slots: int, claims: Claims) -> Optional[Wake]:
    """Return what a leader must hear that has given these tickets of one queue; None for everything.

    Its own ticket does not count, since its own release brings it no hook.

    Args:
        ledger: the ledger that all go by, and that it may write.
        unit: the leader.
        slots: how many units may hold a lock at once; 0 if that is to be seen from the tickets.
        claims: what all units say.
    """
    unfinished = [each for each in ledger.tickets if not rules.finished(each, claims)]
    most = max([slots, 1, *(each.slots for each in unfinished)])
    others = [each.unit for each in unfinished if each.unit != unit]
    plain = ledger.readable and not ledger.contested and UNNAMED not in others
    return Wake(frozenset(others[-most:]), data=True) if plain and len(others) >= most else None


def both(parts: Sequence[Optional[Wake]]) -> Optional[Wake]:
    """Return what a unit must hear for several reasons; None for everything."""
    if None in parts:
        return None
    units = frozenset(unit for part in parts if part for unit in part.units)
    tickets = [part.tickets for part in parts if part and part.tickets]
    data = len(tickets) > 1 or any(part.data for part in parts if part)
    return Wake(units, () if data or not tickets else tickets[0], data)


def text(wake: Optional[Wake], event: str, unheard: Units) -> str:
    """Return the file for a unit that must hear this, and whose hook `event` has written it.

    Args:
        wake: what it must hear, None for everything.
        event: the hook and the remote unit, as NAME:UNIT. If Juju refuses the hook's commit, it comes again.
        unheard: the units of which Juju has told news that this unit has not read.
    """
    words = ['wake-1', event, *sorted(wake.units), 'end'] if wake else ['wake-1', 'all', 'end']
    part = '' if not wake or wake.data else _part(wake.tickets) or wake.rest or NO_TICKET
    return ''.join(line + '\n' for line in [' '.join(words), part, *sorted(unheard)])


def _part(tickets: Sequence[Ticket]) -> str:
    """Return the tickets as `relation-get --format json` prints them: JSON in a JSON string."""
    entries = json.dumps([wire.ticket_entry(ticket) for ticket in tickets], separators=(',', ':'))[1:-1]
    return json.dumps(entries)[1:-1]


def skipped(found: Optional[str]) -> Optional[FrozenSet[str]]:
    """Return the units whose news came in hooks that did not run; None if the file cannot tell."""
    lines = (found or '').split('\n')
    words = lines[0].split(' ')
    names = lines[2:-1]
    whole = len(lines) > 2 and not lines[-1] and words[0] == 'wake-1' and words[-1] == 'end'
    return frozenset(names) if whole and all(map(wire.is_unit, names)) else None
