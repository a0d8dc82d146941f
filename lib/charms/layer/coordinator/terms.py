"""Which leader's ledger counts, and who may write it (rules 13 and 14 of docs/protocol.md).

What lives here: rules on the reigns, as values. What must not: IO, a clock, whose turn it is.

Juju has no compare-and-swap: the write of a leader that was deposed may land late, over
the ledger of its successor. So each leader writes under a key of its own. It claims a term
above all that it sees, reads again, and if its claim is the highest, it copies the newest open
ledger and opens it under that term. All go by the open ledger of the highest term. A late
write lands under a key that nobody reads any more.

A ticket that a deposed leader gives between the copy and the opening is in its ledger, and not
in the copy. Nobody uses it: while a higher term is claimed and not open, a unit uses only
tickets that it saw before the claim, and the copy, which was read after the claim, has those.
"""

from typing import FrozenSet, Mapping, Optional

from charms.layer.coordinator.values import UNREADABLE, About, Ledger, Reign, Terms, Units


def is_lost(terms: Terms, known: int) -> bool:
    """Return whether there is no ledger that units may go by, though there may have been one.

    Args:
        terms: what leaders keep.
        known: the highest term that anybody is known to have seen.
    """
    opened = max((reign.ledger.term for reign in terms.reigns), default=0)
    anew = any(reign.anew and reign.claimed > opened for reign in terms.reigns)
    return terms.reset or anew or not opened or highest(terms) < known


def highest(terms: Terms) -> int:
    """Return the highest term that a leader has claimed."""
    return max((reign.claimed for reign in terms.reigns), default=0)


def newest(terms: Terms, known: int) -> Optional[Ledger]:
    """Return the ledger that all go by: the open one of the highest term; None if it is lost."""
    if not (terms.reset or all(reign.ledger.readable for reign in terms.reigns)):
        return UNREADABLE
    if is_lost(terms, known):
        return None
    ledger = max((reign.ledger for reign in terms.reigns), key=lambda ledger: ledger.term)
    return ledger._replace(contested=highest(terms) > ledger.term)


def reign_of(terms: Terms, nonce: str) -> Reign:
    """Return the reign of an incarnation; one that claims nothing if it never led."""
    return next((reign for reign in terms.reigns if reign.nonce == nonce), Reign(nonce))


def may_write(terms: Terms, nonce: str, known: int) -> bool:
    """Return whether the highest claim is this incarnation's; if the ledger is lost, made since then."""
    own = reign_of(terms, nonce)
    others = (reign.claimed for reign in terms.reigns if reign.nonce != nonce)
    first = own.claimed > max(others, default=0) and own.claimed >= known and not terms.reset
    return first and (own.anew or not is_lost(terms, known))


def claiming(terms: Terms, nonce: str, known: int) -> Reign:
    """Return this incarnation's reign with a claim above every term that is known."""
    own, top = reign_of(terms, nonce), max(highest(terms), known)
    return own._replace(claimed=top + 1, anew=is_lost(terms, known))


def opened(own: Reign, ledger: Ledger) -> Reign:
    """Return the reign with this ledger, open under the term that it has claimed."""
    return own._replace(ledger=ledger._replace(term=own.claimed, contested=False), anew=False)


def claim_to_answer(terms: Terms) -> str:
    """Return the answer to the highest claim that was made because the ledger is lost, '' for none."""
    term = max((reign.ledger.term for reign in terms.reigns), default=0)
    claims = [reign for reign in terms.reigns if reign.anew and reign.claimed > term]
    return max(claims, key=lambda reign: reign.claimed).answer if claims else ''


def silent(about: Mapping[str, About], units: Units, answer: str) -> FrozenSet[str]:
    """Return those of the units that have spoken, but have not yet answered this claim."""
    return frozenset(unit for unit in units if about.get(unit, About()).spoke and about[unit].heard != answer)


def awaiting(units: Units) -> str:
    """Return, in words, for what units the leader waits before it makes a new ledger."""
    names = ' and '.join(sorted(units))
    verb = 'has' if len(units) == 1 else 'have'
    return 'the leader makes a new ledger when {} {} answered'.format(names, verb)
