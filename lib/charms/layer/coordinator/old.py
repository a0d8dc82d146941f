"""Text to values and back: what charmhelpers.coordinator and the old layer keep under their key.

What lives here: the old formats, what is refused of them, and what a leader
that still runs old code is told. What must not: IO, a rule. Old code reads all
of it in every hook and dies of what it cannot parse, so nothing is written
there but what it could have written itself.

    requests    {LOCK: SINCE}            in a unit's databag
    grants      {UNIT: {LOCK: SINCE}}    in leader settings
"""

import json
import re
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple

from charms.layer.coordinator.rules import Claim
from charms.layer.coordinator.wire import Problems, is_lock, is_unit, parsed, problem

REQUESTS_FORM = '{LOCK: "YYYY-MM-DD HH:MM:SS.ffffffZ"} as the old layer writes it'
GRANTS_FORM = '{UNIT: {LOCK: "YYYY-MM-DD HH:MM:SS.ffffffZ"}} as the old layer writes it'
_TIME = re.compile(r'[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\Z')


def requests(text: Optional[str], where: str) -> Tuple[Dict[str, str], Problems]:
    """Return when a unit asked for which lock, and what could not be read."""
    consequence = 'ignored: the charm asks again, or not at all'
    found = parsed(text) if text else {}
    if not isinstance(found, dict):
        return {}, (problem(where, REQUESTS_FORM, text, consequence),)
    asked: Dict[str, str] = {}
    problems: Problems = ()
    for lock, since in sorted(found.items()):
        if is_lock(lock) and _is_time(since):
            asked[lock] = since
        else:
            problems += (problem(where, REQUESTS_FORM, {lock: since}, consequence),)
    return asked, problems


def grants(text: Optional[str], where: str) -> Tuple[Dict[str, Dict[str, str]], Problems]:
    """Return which lock each unit was granted, and when it had asked, and what could not be read."""
    found = parsed(text) if text else {}
    if not isinstance(found, dict):
        return {}, (problem(where, GRANTS_FORM, text, 'taken for no grant'),)
    held: Dict[str, Dict[str, str]] = {}
    problems: Problems = ()
    for unit, locks in sorted(found.items()):
        if is_unit(unit) and isinstance(locks, dict):
            held[unit] = {lock: since for lock, since in locks.items() if isinstance(since, str)}
        else:
            problems += (problem(where, GRANTS_FORM, {unit: locks}, 'taken for no grant'),)
    return held, problems


def text(own: Mapping[str, Claim]) -> str:
    """Return what a leader that still runs old code is told of a unit that runs this layer.

    Nothing, but for a turn that had begun in the old layer and is not over:
    that one the old leader must go on taking for held. It is the claim that is
    kept and has had no token yet.
    """
    begun = [claim for claim in own.values() if claim.outstanding and claim.kept and not claim.token]
    return json.dumps(dict(pair for claim in begun for pair in claim.locks), sort_keys=True)


def refusal(units: Iterable[str]) -> str:
    """Return why nobody is given a ticket yet, where these units still run old code; '' is one not known."""
    names = sorted(unit or 'a unit that has not been heard of yet' for unit in units)
    verb = 'runs' if len(names) == 1 else 'run'
    form = '{} still {} the old layer; turns begin when every unit runs the new one'
    return form.format(' and '.join(names), verb)


def _is_time(found: Any) -> bool:
    return isinstance(found, str) and bool(_TIME.match(found))
