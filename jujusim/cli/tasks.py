"""`juju run` and `juju exec`: tasks on units, and how the client waits for them."""

import os
import shlex
from typing import Any, Dict, List, Tuple

import yaml

from jujusim.cli.forms import as_yaml, dump, natural
from jujusim.cli.live import Task
from jujusim.cli.model import LocalModel
from jujusim.cli.times import stamp
from jujusim.cli.words import Answer, Line, NotKnown, Refused, seconds

WAIT_S = {'run': 60.0, 'exec': 300.0}


def run(model: LocalModel, line: Line) -> Answer:
    """Run an action on units, and wait for it."""
    units: List[str] = []
    words = list(line.demand(2, None, 'a unit and an action'))
    while words and '/' in words[0] and '=' not in words[0]:
        units.append(words.pop(0))
    if not units:
        raise Refused('no unit specified')
    if not words:
        raise Refused('no action specified')
    action = words.pop(0)
    parameters = _parameters(line, words)
    operation = model.number()
    tasks, wrong = [], []
    for unit in [model.named(unit) for unit in units]:
        why = _why_not(model, unit, action, parameters)
        if why and model.juju == 4 and unit in model.units:
            raise Refused(why)
        if why:
            wrong.append(why)
            continue
        task = _task(model, unit, action)
        model.demand_live().begin_task(task, parameters)
        tasks.append(task)
    if not tasks:
        return _nothing(operation, wrong)
    said = ['Running operation {} with {} task{}'.format(operation, len(tasks), 's' * (len(tasks) > 1))]
    said += ['  - task {} on unit-{}'.format(task.id, task.unit.replace('/', '-')) for task in tasks]
    if line.has('background'):
        form = 'Scheduled operation {0} with task {1}\nCheck operation status with '
        form += "'juju show-operation {0}'\nCheck task status with 'juju show-task {1}'\n"
        return Answer('', form.format(operation, tasks[-1].id))
    err = '\n'.join([*said, '', ''])
    err += ''.join('Waiting for task {}...\n'.format(task.id) for task in tasks)
    return _ended(model, line, tasks, err)


def execute(model: LocalModel, line: Line) -> Answer:
    """Run a shell's command line on units, and wait for it."""
    words = line.demand(1, None, 'a command')
    units = [model.named(name) for given in line.options.get('unit', []) for name in given.split(',')]
    if line.has('application'):
        model.demand_live(line.get('application'))
        units += model.units
    if not units:
        raise NotKnown('juju exec: only --unit and --application are known here')
    command = words[0] if len(words) == 1 else ' '.join(shlex.quote(word) for word in words)
    operation = model.number()
    wrong = [_no_unit(model, unit) for unit in units if unit not in model.units]
    tasks = [_task(model, unit, 'juju-exec') for unit in units if unit in model.units]
    if not tasks:
        return _nothing(operation, wrong)
    for task in tasks:
        model.demand_live().begin_command(task, command)
    return _ended(model, line, tasks, '')


def show_task(model: LocalModel, line: Line) -> Answer:
    """Show a task that was begun before."""
    form = line.format(('json', 'yaml'), 'yaml')
    number = line.demand(1, 1, 'a task')[0]
    if number not in model.tasks:
        raise Refused('task "{}" not found'.format(number))
    return Answer(dump(result(model, model.tasks[number]), form))


def _nothing(operation: int, wrong: List[str]) -> Answer:
    form = 'Operation {} failed to schedule any tasks:\n{}\n'
    return Answer('', form.format(operation, '\n'.join(wrong)))


def _task(model: LocalModel, unit: str, action: str) -> Task:
    task = Task(model.number(), unit, action, model.now)
    model.tasks[task.id] = task
    return task


def _no_unit(model: LocalModel, unit: str) -> str:
    if model.juju == 3:
        return 'unit "{}" not found'.format(unit)
    return 'linking task to unit: getting unit UUID for "{0}": unit "{0}" not found'.format(unit)


def _why_not(model: LocalModel, unit: str, action: str, parameters: Dict[str, Any]) -> str:
    """Return why a unit cannot run an action, '' if it can."""
    if unit not in model.units:
        return _no_unit(model, unit)
    about = model.described('actions.yaml').get(action)
    if about is None:
        form = 'action "{}" not defined on unit "{}"'
        return (form if model.juju == 3 else 'action "{}" not defined for unit "{}". (not found)').format(
            action, unit
        )
    more = sorted(set(parameters) - set(about.get('params') or {}))
    if more and about.get('additionalProperties') is False:
        form = 'validation failed: (root) : additional property "{}" is not allowed'
        return form.format(more[0])
    return ''


def _parameters(line: Line, words: List[str]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    if line.has('params'):
        with open(os.path.join(line.folder, line.get('params'))) as given:
            found.update(yaml.safe_load(given) or {})
    for word in words:
        if '=' not in word:
            raise Refused('argument "{}" must be of the form key.key.key...=value'.format(word))
        name, value = word.split('=', 1)
        *above, key = name.split('.')
        within = found
        for part in above:
            within = within.setdefault(part, {})
        within[key] = value if line.has('string-args') else yaml.safe_load(value)
    return found


def _ended(model: LocalModel, line: Line, tasks: List[Task], err: str) -> Answer:
    """Wait for tasks and tell their results."""
    form = line.format(('json', 'yaml', 'plain'), 'plain')
    wait = seconds(line.get('wait')) if line.has('wait') else WAIT_S[line.verb]
    if not model.wait_for(tasks, wait):
        late = ', '.join('unit ' + task.unit for task in tasks if not task.over)
        return Answer(
            '{}\n' if form != 'plain' else '',
            '{}ERROR timed out waiting for results from: {}\n'.format(err, late),
            1,
        )
    found = {task.unit: result(model, task) for task in sorted(tasks, key=lambda task: task.unit)}
    printed = _printed if line.verb == 'exec' else _plain
    out = printed(found) if form == 'plain' else dump(found, form)
    codes = [(task.id, task.results.get('return-code', 0)) for task in tasks]
    failed = [(number, code) for number, code in codes if code > 0]
    if not failed:
        return Answer(out, err)
    listed = '\n'.join(sorted(' - id "{}" with return code {}'.format(*pair) for pair in failed))
    plural = 's' if len(failed) > 1 else ''
    form = "ERROR the following task{0} failed:\n{1}\n\nuse 'juju show-task' to inspect the failure{0}\n\n"
    return Answer(out, err + form.format(plural, listed), 1)


def result(model: LocalModel, task: Task) -> Dict[str, Any]:
    """Return what a task's result is in JSON; on 4.0.14, `completed` is not in it."""
    times: List[Tuple[str, Any]] = [('enqueued', task.enqueued), ('started', task.started)]
    if model.juju == 3:
        times.insert(0, ('completed', task.completed))
    found: Dict[str, Any] = {'id': task.id}
    if task.message:
        found['message'] = task.message
    if task.results:
        found['results'] = _nested(task.results)
    found['status'] = task.status
    found['timing'] = {name: stamp(time) for name, time in times if time is not None}
    found['unit'] = task.unit
    return found


def _nested(results: Dict[str, Any]) -> Dict[str, Any]:
    """Return an action's results with `a.b` as b within a, in the order of their names."""
    found: Dict[str, Any] = {}
    for name, value in sorted(results.items()):
        *above, key = name.split('.')
        within = found
        for part in above:
            within = within.setdefault(part, {})
        within[key] = value
    return found


def _printed(found: Dict[str, Dict[str, Any]]) -> str:
    """Return what commands printed, as `juju exec` does."""
    outputs: Dict[str, str] = {}
    for unit, about in found.items():
        parts = [about.get('results', {}).get(name, '') for name in ('stdout', 'stderr')]
        outputs[unit] = ''.join(part if part.endswith('\n') or not part else part + '\n' for part in parts)
    if len(found) == 1:
        return next(iter(outputs.values()))
    return ''.join('{}:\n{}\n'.format(unit, outputs[unit]) for unit in sorted(outputs, key=natural))


def _plain(found: Dict[str, Dict[str, Any]]) -> str:
    """Return what actions say, as `juju run` does."""
    parts = {}
    for unit, about in found.items():
        own = {
            name: value
            for name, value in about.get('results', {}).items()
            if name not in ('return-code', 'stdout', 'stderr')
        }
        parts[unit] = {'id': about['id'], 'output': as_yaml(own) if own else '', 'status': about['status']}
        if 'message' in about:
            parts[unit]['message'] = about['message']
    if len(parts) > 1:
        return as_yaml(parts)
    about, only = next(iter(found.values())), next(iter(parts.values()))
    failed = about['status'] == 'failed'
    out: str = 'Action id {} failed: {}\n'.format(only['id'], about.get('message', '')) if failed else ''
    out += only['output'] + '\n'
    for name in ('stdout', 'stderr'):
        if about.get('results', {}).get(name):
            out += about['results'][name].strip('\n') + '\n'
    return out
