"""The hook tools, answered from the model (R28).

A tool or an argument that this module does not know is never guessed: `Unanswered`
stops the run.
"""

import json
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import yaml

from jujusim.agent import Context
from jujusim.model import NotLeader, address_of


class Unanswered(Exception):
    """Raised where a hook calls a tool, a flag or a program that this Juju has no answer for."""


class Answer(NamedTuple):
    """How a hook tool ended: its exit code, and what it printed."""

    code: int = 0
    out: str = ''
    err: str = ''


class Misuse(Exception):
    """A flag or argument error: exit code 2."""


class Refused(Exception):
    """An error while running: exit code 1."""


Tool = Callable[[Context, List[str]], str]


def answer(context: Context, argv: List[str]) -> Optional[Answer]:
    """Return what a hook tool answers, None where Juju has no such tool in this version."""
    name, arguments = argv[0], list(argv[1:])
    if not exists(context, name):
        return None
    if context.operation.restricted:
        return RESTRICTED
    if not context.connected:
        return SHUT_DOWN if name != 'is-leader' else _dump(False)
    try:
        return Answer(0, _TOOLS[name](context, arguments))
    except KeyError as missing:
        if missing.args == (name,):
            raise Unanswered('no answer for {}'.format(' '.join(argv))) from None
        raise
    except Misuse as misuse:
        return Answer(2, '', 'ERROR {}\n'.format(misuse))
    except Refused as refused:
        return Answer(1, '', 'ERROR {}\n'.format(refused))


PIPE_BROKEN = Answer(-13)
"""How a tool ends in a hook whose agent has died: of SIGPIPE, since the agent read what it printed."""


SHUT_DOWN = Answer(1, '', 'ERROR connection is shut down\n')


RESTRICTED = Answer(1, '', 'ERROR not implemented for restricted context\n')


def exists(context: Context, name: str) -> bool:
    """Tell whether Juju has such a tool in this version."""
    return context.juju != 4 or os.path.basename(name) not in ('leader-get', 'leader-set')


def is_tool(name: str) -> bool:
    """Tell whether a program's name is that of a hook tool which this module answers."""
    return name in _TOOLS


def names() -> List[str]:
    """Return the names of the hook tools which this module answers, but juju-log."""
    return list(_TOOLS)


def _dump(found: Any) -> Answer:
    return Answer(0, as_json(found))


def as_json(found: Any) -> str:
    """Return JSON as Juju's tools print it, with Go's json.Marshal: keys in order, and <, > and & escaped."""
    text = json.dumps(found, separators=(',', ':'), sort_keys=True, ensure_ascii=False)
    return text.replace('&', '\\u0026').replace('<', '\\u003c').replace('>', '\\u003e') + '\n'


def _options(tool: str, arguments: List[str], known: Dict[str, bool]) -> Tuple[Dict[str, str], List[str]]:
    """Return the flags given and the rest. `known` says of each flag whether it takes a value."""
    flags: Dict[str, str] = {}
    rest: List[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word.startswith('--') and '=' in word and known.get(word.split('=')[0]):
            flags[word.split('=')[0]] = word.split('=', 1)[1]
        elif word in known:
            flags[word] = waiting.pop(0) if known[word] else 'true'
        elif word.startswith('-') and word != '-':
            raise Unanswered('{}: flag {}'.format(tool, word))
        else:
            rest.append(word)
    return flags, rest


def _reading(
    tool: str, arguments: List[str], words: int = 0, smart: bool = False, **more: bool
) -> Tuple[Dict[str, str], List[str]]:
    known = {'--format': True, **{'--' + flag.replace('_', '-'): takes for flag, takes in more.items()}}
    if tool.startswith('relation-'):
        known['-r'] = True
    flags, rest = _options(tool, arguments, known)
    if flags.get('--format') != 'json' and not (smart and flags.get('--format') == 'smart'):
        raise Unanswered('{}: only --format=json is answered, found {}'.format(tool, arguments))
    if len(rest) > words:
        raise Unanswered('{}: at most {} words beside flags, found {}'.format(tool, words, rest))
    return flags, rest


def _pairs(words: List[str]) -> Dict[str, Optional[str]]:
    pairs: Dict[str, Optional[str]] = {}
    for word in words:
        if '=' not in word:
            raise Misuse('expected "key=value", got "{}"'.format(word))
        key, value = word.split('=', 1)
        pairs[key] = value or None
    return pairs


def _relation(context: Context, flags: Dict[str, str]) -> str:
    """Return the name of the peer relation that is meant, '' for the one whose hooks run."""
    given = flags.get('-r')
    if given is None:
        if not context.operation.with_relation:
            raise Misuse('no relation id specified')
        return ''
    known = {context.relation_id: '', **context.other_relations} if context.knows_relation else {}
    for relation, name in known.items():
        if relation.split(':')[-1] == given.split(':')[-1]:
            return name
    raise Misuse('invalid value "{}" for option -r: relation not found'.format(given))


def _relation_ids(context: Context, arguments: List[str]) -> str:
    _, rest = _reading('relation-ids', arguments, 1)
    if not rest:
        raise Unanswered('relation-ids without a name')
    known = [context.relation_id, *context.other_relations] if context.knows_relation else []
    return as_json([relation for relation in known if relation.rpartition(':')[0] == rest[0]])


def _relation_list(context: Context, arguments: List[str]) -> str:
    flags, _ = _reading('relation-list', arguments)
    _relation(context, flags)
    return as_json(list(context.members))


def _relation_get(context: Context, arguments: List[str]) -> str:
    flags, rest = _reading('relation-get', arguments, 2, smart=True, app=False)
    other = _relation(context, flags)
    key, target = (*rest, None, None)[:2]
    app = context.controller.app
    if '--app' in flags:
        if target != app:
            raise Unanswered('relation-get --app of {}'.format(target))
        found = context.other_bag(other, app) if other else context.app_settings()
    else:
        unit = target or context.operation.remote_unit
        if not unit:
            raise Misuse('no unit or application specified')
        if unit == app:
            raise Misuse('expected unit name, got application name "{}"'.format(unit))
        found = context.other_bag(other, unit) if other else context.settings_of(unit)
        if found is None:  # R22
            raise Refused(_no_settings(context, unit))
    settings = found or {}
    if flags['--format'] == 'smart':
        if key in (None, '-'):
            raise Unanswered('relation-get --format=smart of all settings')
        text = settings.get(str(key))
        return text + '\n' if text else ''  # a text as it is
    return as_json(settings if key in (None, '-') else settings.get(str(key)))


def _no_settings(context: Context, unit: str) -> str:
    if context.controller.juju == 4:
        return 'relation unit not found'
    form = 'cannot read settings for unit "{0}" in relation "{1}": unit "{0}": settings not found'
    return form.format(unit, context.relation_id)


def _relation_set(context: Context, arguments: List[str]) -> str:
    if arguments == ['--help']:
        return 'Usage: relation-set [options] key=value [key=value ...]\n--file (= "")\n'
    flags, rest = _options('relation-set', arguments, {'-r': True, '--app': False, '--file': True})
    other = _relation(context, flags)
    changes: Dict[str, Optional[str]] = {}
    if '--file' in flags:
        with open(flags['--file']) as given:
            found = yaml.safe_load(given) or {}
        changes.update({str(key): None if value is None else str(value) for key, value in found.items()})
    changes.update(_pairs(rest))
    if '--app' in flags and not context.is_leader():
        raise Refused('cannot write relation settings')
    if other:
        owner = context.controller.app if '--app' in flags else context.agent.name
        context.other_written.add(owner)
        written = context.other_bag(other, owner)
        assert written is not None  # this unit has entered it
        settings = written
    elif '--app' in flags:
        settings, context.app_written = context.app_settings(), True
    else:
        settings = context.own_settings()
    for key, value in changes.items():
        if value:
            settings[key] = value
        else:
            settings.pop(key, None)
    return ''


def _is_leader(context: Context, arguments: List[str]) -> str:
    _reading('is-leader', arguments)
    return as_json(context.is_leader())


def _leader_get(context: Context, arguments: List[str]) -> str:
    _, rest = _reading('leader-get', arguments, 1)
    key = rest[0] if rest else '-'
    if '=' in key:
        raise Misuse('invalid key "{}"'.format(key))
    settings = context.leader_settings()
    return as_json(settings if key == '-' else settings.get(key))


def _leader_set(context: Context, arguments: List[str]) -> str:
    _, rest = _options('leader-set', arguments, {})
    if max(len(word) for word in rest + ['']) >= 131072:
        raise OSError(7, 'Argument list too long')  # Linux: one argument of a command line
    if not context.is_leader():
        raise Refused('cannot write leadership settings: cannot write settings: not the leader')
    return _merge(context, rest)


def _merge(context: Context, pairs: List[str], checked: bool = False) -> str:
    try:
        context.controller.write_leader_settings(context.agent.name, _pairs(pairs), checked)
    except NotLeader as refused:
        raise Refused('failed to merge leadership settings: {}'.format(refused)) from None
    context.forget_leader_settings()
    return ''


def leader_set_lands(context: Context, pairs: List[str], checked: bool) -> Answer:
    """Write what a leader-set carried whose first check is over; `checked`: the lease is not asked again."""
    try:
        return Answer(0, _merge(context, pairs, checked))
    except Refused as refused:
        return Answer(1, '', 'ERROR {}\n'.format(refused))


def _goal_state(context: Context, arguments: List[str]) -> str:
    _reading('goal-state', arguments)
    controller = context.controller
    if controller.subordinate:
        found: Dict[str, Any] = {name: _goal(status) for name, status in controller.principals().items()}
        found.update({name.split('/')[0]: _goal('joined') for name in found})
        return as_json({'units': {}, 'relations': {controller.container_endpoint: found} if found else {}})
    units = {
        name: _goal('dying' if unit.life == 'dying' else unit.status)
        for name, unit in controller.goal_units().items()
    }
    return as_json({'units': units, 'relations': {}})


def _goal(status: str) -> Dict[str, str]:
    return {'status': status, 'since': '2026-01-01 00:00:00Z'}


def juju_log(arguments: List[str]) -> Tuple[str, str]:
    """Return the level and the text of a juju-log call."""
    flags, rest = _options('juju-log', arguments, {'-l': True, '--debug': False})
    if not rest:
        raise Unanswered('juju-log without a message')
    return flags.get('-l', 'INFO'), ' '.join(rest)


def _status_set(context: Context, arguments: List[str]) -> str:
    if len(arguments) != 2 or arguments[0] not in ('maintenance', 'blocked', 'waiting', 'active'):
        raise Unanswered('status-set {}'.format(arguments))
    unit = context.controller.units[context.agent.name]
    unit.status, unit.status_message = arguments
    return ''


def _status_get(context: Context, arguments: List[str]) -> str:
    _reading('status-get', arguments, include_data=False)
    unit = context.controller.units[context.agent.name]
    first: Dict[str, object] = {'status': unit.status, 'message': unit.status_message, 'status-data': {}}
    return as_json(context.cached.setdefault('status', first))


def _config_get(context: Context, arguments: List[str]) -> str:
    flags, rest = _reading('config-get', arguments, 1, all=False)
    if '--all' in flags and rest:
        raise Unanswered('config-get --all {}'.format(rest[0]))
    config = context.cached.setdefault('config', dict(context.controller.config))
    return as_json(config if '--all' in flags or not rest else config.get(rest[0]))


def _unit_get(context: Context, arguments: List[str]) -> str:
    _, rest = _reading('unit-get', arguments, 1)
    if rest not in (['private-address'], ['public-address']):
        raise Misuse('unknown setting "{}"'.format(' '.join(rest)))
    return as_json(address_of(context.agent.name))


def _accepted(context: Context, arguments: List[str]) -> str:
    """Accept a call that no other unit can see the effect of, and forget it."""
    return ''


def _juju_reboot(context: Context, arguments: List[str]) -> str:
    flags, rest = _options('juju-reboot', arguments, {'--now': False})
    if rest:
        raise Misuse('unrecognized args: {}'.format(json.dumps(rest)))
    if context.operation.action:
        raise Refused('juju-reboot is not supported when running an action.')
    context.reboots = 'now' if '--now' in flags else 'later'
    return ''


def _in_action(context: Context) -> None:
    if not context.operation.action:
        raise Refused('not running an action')


def _action_get(context: Context, arguments: List[str]) -> str:
    _, rest = _reading('action-get', arguments, 1)
    _in_action(context)
    found: Any = dict(context.operation.parameters)
    for word in rest[0].split('.') if rest and rest != ['-'] else []:
        found = found.get(word) if isinstance(found, dict) else None
    return as_json(found)


def _action_set(context: Context, arguments: List[str]) -> str:
    _in_action(context)
    context.action_results.update({key: value or '' for key, value in _pairs(arguments).items()})
    return ''


def _action_fail(context: Context, arguments: List[str]) -> str:
    _in_action(context)
    context.action_failed = ' '.join(arguments)
    return ''


_TOOLS: Dict[str, Tool] = {
    'relation-ids': _relation_ids,
    'relation-list': _relation_list,
    'relation-get': _relation_get,
    'relation-set': _relation_set,
    'is-leader': _is_leader,
    'leader-get': _leader_get,
    'leader-set': _leader_set,
    'goal-state': _goal_state,
    'status-set': _status_set,
    'status-get': _status_get,
    'config-get': _config_get,
    'unit-get': _unit_get,
    'application-version-set': _accepted,
    'open-port': _accepted,
    'close-port': _accepted,
    'action-get': _action_get,
    'action-set': _action_set,
    'action-fail': _action_fail,
    'juju-reboot': _juju_reboot,
}
