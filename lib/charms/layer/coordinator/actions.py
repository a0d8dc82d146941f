"""The actions that come with the layer; each file in actions/ calls one function of this module.

What lives here: parameters, answers and refusals of actions. What must not: a rule, a word about locks.
An action never changes a unit's status. `show` only reads; the others give an order on the leader, and run
nothing of the charm.
"""

import os
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any, Callable, Dict

from charmhelpers.core import hookenv
from charms.layer.coordinator import answers, environment, forms, onlooker, ordering, orders, report, table

if TYPE_CHECKING:
    from charms.layer.coordinator.session import Session

RESULT = 'coordinator'  # the name of what an action answers
FORMATS = ('text', 'json')
LONGEST = 100000  # an answer is one argument of a command line, which Linux limits to 128 KiB
NO_ANSWER = 'Juju did not answer: {}'
LOOK_FIRST = '{}; look with coordinator-show before you try again'
NOT_LEADING = '{}: only the leader can do this, and {} does not lead: {}'
YES = (True, 'yes', 'true', 'YES', 'True')

Parameters = Dict[str, Any]


def show() -> None:
    """Answer the action coordinator-show: who holds which lock, and who is next."""
    try:
        form = _form(hookenv.action_get() or {}, 'nothing is shown')
        answer = _shown_as_json() if form == 'json' else _shown_as_text()
    except (ValueError, CalledProcessError, RuntimeError, OSError) as refused:
        hookenv.action_fail(_words(refused))
        return
    hookenv.action_set({RESULT: answer})


def roll() -> None:
    """Answer the action coordinator-roll: each unit gets a turn."""

    def give(session: 'Session', asked: Parameters) -> ordering.Given:
        return ordering.roll(
            session, asked.get('lock', ''), _batches(asked.get('batches', '')),
            asked.get('order', 'leader-last'), asked.get('by-zone', False), asked.get('pause-after', 0),
            asked.get('reason', ''), asked.get('replace', False),
        )  # fmt: skip

    _order('coordinator-roll', give)


def pause() -> None:
    """Answer the action coordinator-pause: no turn begins."""
    _order(
        'coordinator-pause',
        lambda session, asked: ordering.pause(session, asked.get('lock', ''), asked.get('reason', '')),
    )


def resume() -> None:
    """Answer the action coordinator-resume: turns begin again."""
    _order('coordinator-resume', lambda session, asked: ordering.resume(session, asked.get('lock', '')))


def cancel() -> None:
    """Answer the action coordinator-cancel: all requests for a lock are withdrawn."""
    _order(
        'coordinator-cancel',
        lambda session, asked: ordering.cancel(session, asked.get('lock', ''), asked.get('reason', '')),
    )


def free() -> None:
    """Answer the action coordinator-free: a unit is down, and its turn is over."""

    def give(session: 'Session', asked: Parameters) -> ordering.Given:
        sure = asked.get('confirm') in YES
        return ordering.free(session, asked.get('unit', ''), sure, asked.get('reason', ''))

    _order('coordinator-free', give)


# An order


def _order(action: str, give: Callable[['Session', Parameters], ordering.Given]) -> None:
    """Give an order by what an action's parameters say, and answer."""
    begun = False
    try:
        asked = hookenv.action_get() or {}
        form = _form(asked, ordering.UNCHANGED)
        session = _session()
        begun = True
        given = give(session, asked)
        if given.refused.endswith(orders.NOT_LEADING):
            hookenv.action_fail(_leaders_command(session, action, given, asked))
        elif given.refused:
            hookenv.action_fail(given.refused + _confirmed(session, action, given, asked))
        else:
            hookenv.action_set({RESULT: _answer(session, given, form)})
    except (ValueError, CalledProcessError, RuntimeError, OSError) as refused:
        words = _words(refused)
        hookenv.action_fail(
            LOOK_FIRST.format(words) if begun and not isinstance(refused, ValueError) else words
        )


def _session() -> 'Session':
    from charms.layer.coordinator.compat.choice import chosen  # `show` needs no session

    return chosen().session


def _answer(session: 'Session', given: ordering.Given, form: str) -> str:
    found = answers.data(given.wish, given.written, given.left_out, given.early)
    if form == 'json':
        return answers.as_json(found)
    app = session.context.unit.partition('/')[0]
    paused = ordering.still_paused(session, given.wish.order)
    return answers.text(found, app, _juju(), session.why_not_written(), paused)


def _leaders_command(session: 'Session', action: str, given: ordering.Given, asked: Parameters) -> str:
    unit, subject = session.context.unit, ordering.subject(given.wish.order)
    command = table.command(_juju(), unit.partition('/')[0], action, _told(asked))
    return NOT_LEADING.format(subject, unit, command)


def _confirmed(session: 'Session', action: str, given: ordering.Given, asked: Parameters) -> str:
    """Return the command that confirms an order, after a sentence that says what it risks."""
    if not given.refused.endswith(ordering.RISK):
        return ''
    app = session.context.unit.partition('/')[0]
    return ': ' + table.command(_juju(), app, action, {**_told(asked), 'confirm': 'yes'})


def _told(asked: Parameters) -> Parameters:
    """Return the parameters that differ from the action's own."""
    usual = {'format': 'text', 'order': 'leader-last', 'confirm': 'no'}
    return {name: value for name, value in asked.items() if value not in ('', False, usual.get(name))}


def _juju() -> int:
    return environment.major_version(os.environ.get('JUJU_VERSION', ''))


# Parameters


def _form(asked: Parameters, consequence: str) -> str:
    form = asked.get('format', 'text')
    if form not in FORMATS:
        raise ValueError(forms.problem('format', 'one of ' + ', '.join(FORMATS), form, consequence))
    return str(form)


def _batches(text: Any) -> Any:
    """Return the sizes of batches in a text such as '1,2,25%'; what is no size stays as it is."""
    words = [word.strip() for word in str(text).split(',')] if str(text).strip() else []
    return [int(word) if word.isascii() and word.isdigit() and len(word) < 9 else word for word in words]


def _words(refused: Exception) -> str:
    return str(refused) if isinstance(refused, ValueError) else NO_ANSWER.format(refused)


# What is shown


def _shown_as_text() -> str:
    return table.text(report.data(onlooker.alone().seen(table.FIRST), table.FIRST))


def _shown_as_json() -> str:
    return report.as_json(onlooker.alone().seen(report.MOST), LONGEST)
