"""The actions that come with the layer; each file in actions/ calls one function of this module.

What lives here: parameters, answers and refusals of actions. What must not: a rule, a word about locks.
An action never changes a unit's status, and these read only.
"""

from subprocess import CalledProcessError

from charmhelpers.core import hookenv
from charms.layer.coordinator import onlooker, report, table

RESULT = 'coordinator'  # the name of what an action answers
FORMATS = ('text', 'json')
LONGEST = 100000  # an answer is one argument of a command line, which Linux limits to 128 KiB
WRONG = 'format: expected one of {}, found {!r}; nothing is shown'
NO_ANSWER = 'Juju did not answer: {}'


def show() -> None:
    """Answer the action coordinator-show: who holds which lock, and who is next."""
    asked = hookenv.action_get('format')
    form = 'text' if asked is None else asked
    if form not in FORMATS:
        hookenv.action_fail(WRONG.format(', '.join(FORMATS), form))
        return
    try:
        answer = _as_json() if form == 'json' else _as_text()
    except (CalledProcessError, RuntimeError, OSError) as refused:
        hookenv.action_fail(NO_ANSWER.format(refused))
        return
    hookenv.action_set({RESULT: answer})


def _as_text() -> str:
    return table.text(report.data(onlooker.alone().seen(table.FIRST), table.FIRST))


def _as_json() -> str:
    return report.as_json(onlooker.alone().seen(report.MOST), LONGEST)
