"""What a model's process does for each verb, but `status` and the like (`show.py`) and tasks (`tasks.py`)."""

import os
from pathlib import Path
from typing import Any, Callable, Dict, List

import yaml

from jujusim.cli import machine, show, tasks
from jujusim.cli.forms import dump
from jujusim.cli.model import LEVELS, MODEL_SETTINGS, LocalModel
from jujusim.cli.times import clock
from jujusim.cli.words import Answer, Line, NotKnown, Refused, pairs


def _path(line: Line, given: str) -> Path:
    return Path(os.path.join(line.folder, os.path.expanduser(given)))


def _count(line: Line, name: str = 'num-units') -> int:
    given = line.get(name, '1')
    if not given.isdigit():
        raise Refused('invalid value "{}" for option --{}: not a number'.format(given, name))
    return int(given)


def _placed(line: Line) -> List[str]:
    return line.get('to').split(',') if line.has('to') else []


def deploy(model: LocalModel, line: Line) -> Answer:
    """Deploy a charm from a folder, or a .charm file."""
    words = line.demand(1, 2, 'a charm')
    if not words[0].startswith(('.', '/', '~')):
        form = 'juju deploy: {} is no path, and there is no Charmhub here; a path begins with ./ or /'
        raise NotKnown(form.format(words[0]))
    if model.live:
        form = 'juju deploy: this model has {} already; here a model has one application'
        if words[1:] in ([], [model.app]) and model.live:
            raise Refused('cannot add application "{0}": application already exists'.format(model.app))
        raise NotKnown(form.format(model.app))
    for name in _placed(line):
        if name not in model.places:
            raise Refused('machine {} not found'.format(name))
    if line.has('base'):
        name, _, channel = line.get('base').partition('@')
        model.base = (name, channel.partition('/')[0])
    model.deploy(_path(line, words[0]), (words + [''])[1], pairs(line.options.get('config', [])))
    model.add_units(_count(line), _placed(line))
    form = (
        'Located local charm "{0}", revision {1}\n'
        'Deploying "{2}" from local charm "{0}", revision {1} on {3}@{4}/stable\n'
    )
    return Answer('', form.format(model.charm_name, model.revision, model.app, *model.base))


def add_unit(model: LocalModel, line: Line) -> Answer:
    """Add units to the application."""
    model.demand_live(line.demand(1, 1, 'an application')[0])
    model.add_units(_count(line), _placed(line))
    return Answer()


def add_machine(model: LocalModel, line: Line) -> Answer:
    """Add machines without a unit."""
    line.demand(0, 0, 'no words')
    return Answer(
        '', ''.join('created machine {}\n'.format(model.add_machine()) for _ in range(_count(line, 'n')))
    )


def remove_unit(model: LocalModel, line: Line) -> Answer:
    """Remove units."""
    _demand_no_prompt(line)
    units = line.demand(1, None, 'a unit')
    out, err = '', ''
    for unit in units:
        if unit not in model.units:
            err += 'ERROR removing unit {0} failed: unit "{0}" does not exist\n'.format(unit)
            continue
        out += 'will remove unit {}\n'.format(unit)
        model.remove_unit(unit, line.has('force'))
    return Answer(out, err, 1 if err else 0)


def remove_application(model: LocalModel, line: Line) -> Answer:
    """Remove the application with all its units."""
    _demand_no_prompt(line)
    app = line.demand(1, 1, 'an application')[0]
    model.demand_live(app)
    out = 'will remove application {}\n'.format(app)
    out += ''.join('- will remove unit {}\n'.format(unit) for unit in model.units)
    model.remove_application(line.has('force'))
    return Answer(out)


def _demand_no_prompt(line: Line) -> None:
    if not line.has('no-prompt'):
        raise NotKnown('juju {}: it cannot ask; give --no-prompt'.format(line.verb))


def config(model: LocalModel, line: Line) -> Answer:
    """Show or change the application's configuration."""
    words = line.demand(1, None, 'an application')
    live = model.demand_live(words[0])
    reset = tuple(line.get('reset').split(',')) if line.has('reset') else ()
    given = _from_file(model, line) if line.has('file') else {}
    if reset or given or any('=' in word for word in words[1:]):
        values = {**given, **pairs(words[1:])}
        for name, value in values.items():
            if isinstance(value, str) and value.startswith('@'):
                values[name] = _path(line, value[1:]).read_text()
        model.configure(values, reset)
        return Answer()
    form = line.format(('json', 'yaml'), 'yaml')
    if len(words) == 1:
        return Answer(dump(show.settings(model), form))
    name = line.demand(1, 2, 'one option')[1]
    if name not in model.options():
        error = 'key "{}" not found in "{}" application config or charm settings.'
        raise Refused(error.format(name, model.app))
    value = live.controller.config.get(name, '')
    return Answer(dump(value, 'json') if form == 'json' else show.plain(value) + '\n')


def _from_file(model: LocalModel, line: Line) -> Dict[str, Any]:
    found = yaml.safe_load(_path(line, line.get('file')).read_text()) or {}
    if model.app not in found:
        raise Refused('no settings found for "{}"'.format(model.app))
    return dict(found[model.app])


def refresh(model: LocalModel, line: Line) -> Answer:
    """Refresh the application to a local charm."""
    model.demand_live(line.demand(1, 1, 'an application')[0])
    if not line.has('path'):
        raise NotKnown('juju refresh: only --path is known here, for there is no Charmhub')
    model.refresh(_path(line, line.get('path')))
    form = 'Added local charm "{}", revision {}, to the model\nno change to endpoints in space "alpha": {}\n'
    return Answer('', form.format(model.charm_name, model.revision, ', '.join(model.endpoints())))


def resolve(model: LocalModel, line: Line) -> Answer:
    """Let a failed hook run again at once, or count as done."""
    live = model.demand_live()
    failed = [unit for unit in model.units if live.agents[unit].local.in_error]
    units = failed if line.has('all') else line.demand(1, None, 'a unit')
    for unit in units:
        if unit not in model.units:
            raise Refused('unit "{}" not found (not found)'.format(unit))
        if unit not in failed:
            raise Refused(_not_in_error(model, unit))
    for unit in units:
        live.resolve(unit, retry=not line.has('no-retry'))
    return Answer()


def _not_in_error(model: LocalModel, unit: str) -> str:
    if model.juju == 3:
        return 'unit "{}" is not in an error state'.format(unit)
    form = 'resolving unit: checking unit "{}" status: unit is not in error state'
    return form.format(show.uuid_of(model, unit))


def model_config(model: LocalModel, line: Line) -> Answer:
    """Show or change the model's settings, of which there are few here."""
    words = line.words
    changes = pairs([word for word in words if '=' in word])
    changes.update({name: MODEL_SETTINGS.get(name, '') for name in line.get('reset').split(',') if name})
    for name in [*changes, *(word for word in words if '=' not in word)]:
        if name not in MODEL_SETTINGS:
            form = 'juju model-config: {} is not known here; known: {}'
            raise NotKnown(form.format(name, ', '.join(sorted(MODEL_SETTINGS))))
    model.change_settings(changes)
    if changes:
        return Answer()
    form = line.format(('json', 'yaml', 'tabular'), 'tabular')
    if words:
        value = model.settings[words[0]]
        return Answer(value + '\n' if form == 'tabular' else dump(_value(value), form))
    found = {
        name: {'Value': _value(value), 'Source': 'default' if value == MODEL_SETTINGS[name] else 'model'}
        for name, value in sorted(model.settings.items())
    }
    return Answer(dump(found, 'yaml' if form == 'tabular' else form))


def _value(text: str) -> Any:
    return text == 'true' if text in ('true', 'false') else text


def debug_log(model: LocalModel, line: Line) -> Answer:
    """Show what was logged."""
    named = [name for given in line.options.get('include', []) for name in given.split(',')]
    least = LEVELS.index(line.get('level', 'TRACE').upper())
    entries = [
        entry
        for entry in model.entries()
        if (not named or entry.unit in named or entry.unit.replace('/', '-') in [name[5:] for name in named])
        and LEVELS.index(entry.level if entry.level in LEVELS else 'INFO') >= least
    ]
    most = int(line.get('limit', '0' if line.has('replay') else line.get('lines', '10')))
    form = '%H:%M:%S' if not line.has('date') else '%Y-%m-%d %H:%M:%S'
    out = ''
    for entry in entries[-most:] if most else entries:
        at = clock(entry.time, form + ('.%f' if line.has('ms') else ''))
        unit = 'unit-' + entry.unit.replace('/', '-')
        out += '{}: {} {} {} {}\n'.format(
            unit, at[:-3] if line.has('ms') else at, entry.level, entry.module, entry.text
        )
    return Answer(out)


DO: Dict[str, Callable[[LocalModel, Line], Answer]] = {
    'actions': show.actions,
    'add-machine': add_machine,
    'add-unit': add_unit,
    'config': config,
    'debug-log': debug_log,
    'deploy': deploy,
    'exec': tasks.execute,
    'machines': show.machines,
    'model-config': model_config,
    'refresh': refresh,
    'remove-application': remove_application,
    'remove-unit': remove_unit,
    'resolve': resolve,
    'run': tasks.run,
    'show-task': tasks.show_task,
    'show-unit': show.show_unit,
    'ssh': machine.ssh,
    'status': show.status,
}
