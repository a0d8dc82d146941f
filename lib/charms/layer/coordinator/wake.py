"""Whose news can matter to a unit; hooks for all other news need not run (rule 19 of docs/protocol.md).

What lives here: that rule, and the text that hooks/coordinator-relation-changed reads. What must
not: IO, a clock, whose turn it is.

A unit that waits watches the last unfinished tickets ahead of its own: as many as there are slots, or
all. It needs no other news. Proof: its turn comes when fewer than `slots` tickets ahead are unfinished,
and none of these is of an earlier stage. Then at least one of those it watches has been finished: it
watches `slots` that were not, or all, one of which was of an earlier stage. That
unit's databag has changed since the watch was set, Juju tells this unit so in a hook (R6, R24), and that
hook runs. It sets the next watch, from claims that are no older than their last news. A watched unit
that is gone has relation-departed, which always runs; the leader's write that drops its ticket changes
the text that this unit looks for. While an order of an operator stands in the ledger (orders.py), all
news of the leader's data runs.

A leader watches in the same way the last of the others' unfinished tickets, if there are as many
as slots. Until one of them is finished, every slot is taken, so a request can wait. What it does
not hear is noted by name, and read in its next hook that runs: so it gives many tickets in one write.

    wake-1 all end              every hook runs
    wake-1 EVENT UNIT … end     news of these units runs; so does EVENT if it comes next: it may be a retry
    TEXT                        what the leader's data must still say; otherwise they run
    RELATION SAID               what Juju must have of this unit; otherwise the next hook runs
    SHA256                      of what leader-get must print around the ledger, as it did in the last
                                leader-settings-changed that ran; otherwise that hook runs
    UNIT …                      news of these units had come, and its hooks had not run
    UNIT or data                since then a hook has left; one line for each
"""

import hashlib
import json
from typing import FrozenSet, Mapping, NamedTuple, Optional, Sequence, Tuple

from charms.layer.coordinator import forms, rules, wire
from charms.layer.coordinator.values import UNNAMED, Claims, Ledger, Ticket, Units

NO_TICKET = 'no\tticket'  # no JSON has a tab


class Wake(NamedTuple):
    """What a unit must hear until its next hook that runs.

    Args:
        units: the units whose news matters.
        tickets: the part of the ledger that this unit's turn depends on; while the leader's data
            have it, nothing that matters has changed. Empty: only data that name this unit matter.
        data: whether all news of the leader's data matters.
        rest: NO_REQUEST, if this unit has nothing to do in most hooks (rest.py).
        store: the checksum of the local store that `rest` is true of.
    """

    units: FrozenSet[str]
    tickets: Tuple[Ticket, ...] = ()
    data: bool = False
    rest: str = ''
    store: str = ''


def watched(ledger: Ledger, ticket: Ticket, claims: Claims) -> Tuple[Ticket, ...]:
    """Return the last unfinished tickets ahead of this one, as many as there are slots."""
    return rules.ahead(ledger, ticket, claims)[-ticket.slots :]


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
    if not plain or not near or rules.is_turn(ledger, ticket, claims) or not units <= heard:
        return None
    first, last = ledger.tickets.index(near[0]), ledger.tickets.index(ticket)
    return Wake(units, ledger.tickets[first : last + 1])


def leading(ledger: Ledger, unit: str, slots: int, claims: Claims) -> Optional[Wake]:
    """Return what a leader must hear that has given these tickets of one queue; None for everything.

    Its own ticket does not count, since its own release brings it no hook. A unit that has a place in a
    roll behind another turn counts in any case: after that turn, it may need a write of the leader.

    Args:
        ledger: the ledger that all go by, and that it may write.
        unit: the leader.
        slots: how many units may hold a lock at once; 0 if that grows with the units.
        claims: what all units say.
    """
    unfinished = rules.unfinished(ledger, claims)
    most = max([slots, *(each.slots for each in unfinished)])
    others = [each.unit for each in unfinished if each.unit != unit]
    plain = slots > 0 and ledger.readable and not ledger.contested and UNNAMED not in others
    single = any(each.queue for each in unfinished)  # of an older layout: another lock may be free
    if not plain or single or len(others) < most:
        return None
    return Wake(frozenset(others[-most:]) | rules.has_later_place(ledger, claims), data=True)


def both(parts: Sequence[Optional[Wake]]) -> Optional[Wake]:
    """Return what a unit must hear for several reasons; None for everything."""
    if None in parts:
        return None
    units = frozenset(unit for part in parts if part for unit in part.units)
    tickets = [part.tickets for part in parts if part and part.tickets]
    # A ticket that the unit is given in another queue leaves these tickets as they are.
    elsewhere = bool(tickets) and (len(parts) > 1 or bool(tickets[0][-1].queue))
    data = elsewhere or any(part.data for part in parts if part)
    return Wake(units, () if data or not tickets else tickets[0], data)


class Known(NamedTuple):
    """What a unit knows of its hook when it writes the file.

    Args:
        event: the hook and the remote unit, as NAME:UNIT. If Juju refuses the hook's commit, it comes again.
        said: the peer relation's id, and the claims that this hook has published; empty if it has not.
        settings: the digest of the leader settings beside the ledger; empty if every change of them matters.
    """

    event: str
    said: Tuple[str, str] = ('', '')
    settings: str = ''


def text(wake: Optional[Wake], known: Known, unheard: Units) -> str:
    """Return the file for a unit that must hear this.

    Args:
        wake: what it must hear, None for everything.
        known: what it knows of its hook.
        unheard: the units of which Juju has told news that this unit has not read.
    """
    words = ['wake-1', known.event, *sorted(wake.units), 'end'] if wake else ['wake-1', 'all', 'end']
    rests = '{}\t{}'.format(wake.rest, wake.store) if wake and wake.rest else NO_TICKET
    part = '' if not wake or wake.data else _part(wake.tickets) or rests
    relation, said = known.said
    told = '{} {}'.format(relation, printed(said)) if said else ''
    return ''.join(
        line + '\n' for line in [' '.join(words), part, told, known.settings, ' '.join(sorted(unheard))]
    )


def _part(tickets: Sequence[Ticket]) -> str:
    """Return the tickets as a hook tool prints them: JSON in a JSON string."""
    entries = json.dumps([wire.ticket_entry(ticket) for ticket in tickets], separators=(',', ':'))[1:-1]
    return printed(entries)[1:-1]


def printed(said: str) -> str:
    """Return a text as a hook tool prints it as JSON: Go's json.Marshal escapes <, > and &, too."""
    found = json.dumps(said, ensure_ascii=False)
    return found.replace('&', '\\u0026').replace('<', '\\u003c').replace('>', '\\u003e')


def digest(settings: Mapping[str, str], ledger: str) -> str:
    """Return the digest of what `leader-get --format json` prints around the ledger, '' if there is none.

    It is a digest because leader settings often hold passwords.

    Args:
        settings: all leader settings.
        ledger: the beginning of the ledger's keys; any other key sorts before or after all of these.
    """
    others = sorted(key for key in settings if not key.startswith(ledger))
    if len(others) == len(settings):
        return ''
    before = ''.join(_pair(key, settings) + ',' for key in others if key < ledger)
    after = ''.join(',' + _pair(key, settings) for key in others if key > ledger)
    return hashlib.sha256('{{{} {}}}'.format(before, after).encode()).hexdigest()


def _pair(key: str, settings: Mapping[str, str]) -> str:
    return '{}:{}'.format(printed(key), printed(settings[key]))


def settings_in(found: str) -> str:
    """Return the digest of leader settings in the file."""
    return ''.join(found.split('\n')[3:4])


def skipped(found: Optional[str]) -> Optional[FrozenSet[str]]:
    """Return the units whose news came in hooks that did not run; None if the file cannot tell."""
    lines = (found or '').split('\n')
    words = lines[0].split(' ')
    names = {*' '.join(lines[4:-1]).split(' ')} - {'', 'data'}
    whole = len(lines) > 5 and not lines[-1] and words[0] == 'wake-1' and words[-1] == 'end'
    return frozenset(names) if whole and all(map(_is_whole, names)) else None


def _is_whole(name: str) -> bool:
    """Return whether this is one unit's name; two stand on one line where a write was cut short."""
    app, _, number = name.partition('/')
    return forms.is_unit(app) and number.isdigit()
