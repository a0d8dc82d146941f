"""Which leader's ledger counts, and who may write it (rules 13 and 14 of docs/protocol.md).

What lives here: rules on what leaders wrote, as values. What must not: IO, a clock, whose turn it is.

Juju has no compare-and-swap. On Juju 2.9 - 3.x the write of a leader that was deposed may land
late. On Juju 4 the commit of a leader whose leadership left and returned within one hook
writes back every value that it had read of the application's databag, however old. So
nothing is ever written over: each write of a leader is a record under a key of its own, with
term, version and incarnation in its name. A late or old write can only bring back records that
have been superseded.

A new leader claims a term above all that it sees and reads again. If its claim is the
highest, it copies the newest open ledger and opens it under that term. All go by the open
ledger of the highest term and version. A ticket that a deposed leader gives between the copy
and the opening is in its ledger, and not in the copy. Nobody uses it: while a higher term is
claimed and not open, a unit uses only tickets that it saw before the claim, and the copy, which
was read after the claim, has those.
"""

from typing import FrozenSet, Mapping, Optional, Tuple

from charms.layer.coordinator.values import LAST_TERM, About, Ledger, Record, Terms, Units

GOAL_STATE = "Juju's goal-state"  # what a leader waits for that does not know which units there are


def highest(terms: Terms) -> int:
    """Return the highest term that a leader has claimed, 0 for none."""
    return max((record.term for record in terms.records), default=0)


def newest_record(terms: Terms) -> Optional[Record]:
    """Return the record of the ledger with the highest term and version, None if there is no ledger."""
    opened = [record for record in terms.records if record.version]
    return max(opened, key=lambda record: record.place, default=None)


def _made_anew(terms: Terms) -> Tuple[Record, ...]:
    """Return the claims, above the newest ledger, that were made because the ledger is lost."""
    newest = newest_record(terms)
    opened = newest.term if newest else 0
    return tuple(record for record in terms.records if record.anew and record.term > opened)


def is_lost(terms: Terms, known: int) -> bool:
    """Return whether there is no ledger that units may go by, though there may have been one.

    Args:
        terms: what leaders keep.
        known: the highest term that anybody is known to have seen.
    """
    none_counts = terms.reset or newest_record(terms) is None or bool(_made_anew(terms))
    return none_counts or highest(terms) < known


def newest(terms: Terms, known: int) -> Optional[Ledger]:
    """Return the ledger that all go by: the open one of the highest term; None if it is lost."""
    record = newest_record(terms)
    if is_lost(terms, known) or not record or not record.ledger:
        return None
    return record.ledger._replace(term=record.term, contested=highest(terms) > record.term)


def last_record(terms: Terms, nonce: str) -> Record:
    """Return the last record of an incarnation; a claim of term 0 if it has written none."""
    own = [record for record in terms.records if record.nonce == nonce]
    return max(own, key=lambda record: record.place, default=Record(nonce, 0))


def may_write(terms: Terms, nonce: str, known: int) -> bool:
    """Return whether the highest claim is this incarnation's; if the ledger is lost, made since then."""
    own = last_record(terms, nonce)
    others = max((record.term for record in terms.records if record.nonce != nonce), default=0)
    first = own.term > others and own.term >= known and not terms.reset
    return first and (own.anew or not is_lost(terms, known))


def claiming(terms: Terms, nonce: str, known: int, claimed: int = 0) -> Record:
    """Return a claim of a term above every one that is known, or that this incarnation has claimed before.

    A claim may be lost before anybody but those who answered it has seen it. A second one
    of the same name would have their answers. Only the first of all, if nobody is known to have seen it,
    is made once more: it was lost with its hook, and for the first ledger no machine is waited for that is
    still being made.
    """
    seen = max(highest(terms), known)
    return Record(nonce, max(seen, claimed) + 1 if seen else 1, anew=is_lost(terms, known))


def opened(own: Record, ledger: Ledger) -> Record:
    """Return the record with this ledger that follows a leader's last one."""
    plain = ledger._replace(term=0, contested=False)
    return Record(own.nonce, own.term, own.version + 1, plain)


def superseded(terms: Terms, by: Record) -> Tuple[Record, ...]:
    """Return the records that nobody needs once this one is written; a claim supersedes none."""
    return tuple(record for record in terms.records if by.version and record.place < by.place)


def claim_to_answer(terms: Terms) -> str:
    """Return the answer to the highest claim that was made because the ledger is lost, '' for none."""
    claim = max(_made_anew(terms), key=lambda record: record.term, default=None)
    return claim.answer if claim else ''


def known_once_read(terms: Terms, known: int, heard: str) -> int:
    """Return the highest term that a unit knows of when it has read what leaders keep.

    A leader that knows of no earlier ledger may claim a term that this unit knows from one. The
    unit answers, and says that it knows a higher term. So the leader must claim anew, and takes what it
    makes for no first ledger.

    Args:
        terms: what leaders keep.
        known: the highest term that the unit knew before.
        heard: the last claim that it has answered.
    """
    found = highest(terms)
    of_another = known == found < LAST_TERM and claim_to_answer(terms) not in ('', heard)
    return found + 1 if of_another else max(known, found)


def is_first(answer: str) -> bool:
    """Return whether no leader had claimed a term before the claim that has this answer."""
    return answer.startswith('1-')


def silent(about: Mapping[str, About], units: Units, members: Units, answer: str) -> FrozenSet[str]:
    """Return those of the units that must still answer this claim.

    What is known of a member of the relation may be old: Juju keeps a member's databag in a cache
    (R6). So every member must answer. Of the others only those must that have spoken.
    """
    said = {unit: about.get(unit, About()) for unit in units}
    return frozenset(
        unit for unit in units if said[unit].heard != answer and (unit in members or said[unit].spoke)
    )


def awaiting(units: Units) -> str:
    """Return, in words, for what units the leader waits before it makes a new ledger."""
    names = ' and '.join(sorted(units))
    verb = 'has' if len(units) == 1 else 'have'
    return 'the leader makes a new ledger when {} {} answered'.format(names, verb)
