"""The house rules that a test can keep: who may import what, and what may not ship."""

import ast
import re

import pytest

from tests.deploy import ROOT

pytestmark = pytest.mark.every_python

LAYER = ROOT / 'lib' / 'charms' / 'layer' / 'coordinator'
OURS = 'charms.layer.coordinator'

MAY_IMPORT = {
    'values.py': set(),
    'rules.py': {'values'},
    'merging.py': {'rules', 'values'},
    'terms.py': {'values'},
    'forms.py': {'values'},
    'ordertext.py': {'forms', 'values'},
    'wire.py': {'forms', 'ordertext', 'rules', 'values'},
    'orders.py': {'rules', 'values'},
    'plan.py': set(),
    'why.py': {'orders', 'rules', 'values'},
    'policy.py': {'forms', 'values'},
    'context.py': set(),
    'view.py': {'context', 'merging', 'orders', 'plan', 'policy', 'rules', 'terms', 'values'},
    'turns.py': {'context', 'orders', 'rules', 'values', 'view', 'wake'},
    'own.py': {'merging', 'orders', 'rules', 'turns', 'values'},
    'leading.py': {'context', 'orders', 'own', 'rules', 'terms', 'values', 'why'},
    'waking.py': {'context', 'leading', 'orders', 'rules', 'values', 'wake'},
    'holding.py': {'context', 'orders', 'rules', 'values', 'waking'},
    'session.py': {'context', 'holding', 'orders', 'rules', 'terms', 'values', 'why'},
    'wake.py': {'forms', 'rules', 'values', 'wire'},
    'wakeup.py': {'forms', 'store'},  # and the one that starts programs
    'failing.py': {'store', 'wakeup'},
    'rest.py': {'callbacks', 'environment', 'flags'},  # what an idle hook needs, and no more
    'store.py': {'forms', 'values', 'wake', 'wire'},
    'environment.py': {'context', 'forms', 'wakeup'},
    'callbacks.py': set(),
    'juju.py': {
        'callbacks',
        'context',
        'environment',
        'failing',
        'forms',
        'merging',
        'store',
        'values',
        'wake',
        'wakeup',
        'wire',
    },
    'flags.py': set(),
    'gates.py': {'forms'},
    'report.py': {'orders', 'rules', 'values', 'why'},
    'table.py': {'values'},
    'onlooker.py': {
        'compat.predecessor',
        'environment',
        'juju',
        'policy',
        'report',
        'rules',
        'session',
        'store',
        'terms',
        'values',
        'view',
        'wire',
    },
    'ordering.py': {'forms', 'plan', 'values', 'why'},
    'answers.py': {'table', 'values'},
    'actions.py': {
        'answers',
        'compat.choice',
        'environment',
        'forms',
        'onlooker',
        'ordering',
        'orders',
        'report',
        'table',
    },
    '__init__.py': {
        'compat.choice',
        'compat.classes',
        'environment',
        'forms',
        'gates',
        'onlooker',
        'ordering',
        'report',
        'rest',
        'wakeup',
    },
    'compat/__init__.py': set(),
    'compat/deciding.py': {'policy', 'rules', 'session', 'values'},
    'compat/predecessor.py': {'environment', 'forms', 'juju', 'values', 'wire'},
    'compat/classes.py': {
        'compat.deciding',
        'compat.predecessor',
        'context',
        'environment',
        'forms',
        'juju',
        'policy',
        'view',
    },
    'compat/choice.py': {
        'compat.classes',
        'compat.predecessor',
        'environment',
        'flags',
        'forms',
        'gates',
        'policy',
        'rest',
        'session',
        'wire',
    },
}
"""What each module of the layer may import of the others."""

PURE = (
    *('values.py', 'rules.py', 'terms.py', 'forms.py', 'ordertext.py', 'wire.py', 'orders.py', 'plan.py'),
    *('why.py', 'policy.py', 'context.py', 'view.py', 'own.py', 'leading.py', 'waking.py', 'session.py'),
    *(
        'turns.py',
        'merging.py',
        'holding.py',
        'compat/deciding.py',
        'report.py',
        'table.py',
        'ordering.py',
        'answers.py',
    ),
)
OUTSIDE_OF_PURE = {'typing', 'types', 'json', 're', 'enum', 'math'}
ALSO = {
    # It says how long ago a time is; the present is in its data. And it asks how a word is read as YAML.
    'table.py': {'datetime', 'textwrap', 'yaml'},
    'answers.py': {'textwrap'},
}

PAGES = sorted(
    path
    for pattern in ('*.md', 'docs/*.md', 'jujusim/*.md', 'tests/**/*.md', 'examples/**/*.md')
    for path in ROOT.glob(pattern)
)


def imported(path):
    """Return the modules a file imports as it runs, ours by their short names."""
    ours, others = set(), set()
    tree = ast.parse(path.read_text(encoding='utf-8'))
    tree.body = [node for node in tree.body if not isinstance(node, ast.If)]  # if TYPE_CHECKING
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ''
            if module in (OURS, OURS + '.compat'):
                ours |= {(module + '.' + alias.name)[len(OURS) + 1 :] for alias in node.names}
            elif module.startswith(OURS + '.'):
                ours.add(module[len(OURS) + 1 :])
            else:
                others.add(module.split('.')[0])
        elif isinstance(node, ast.Import):
            others |= {alias.name.split('.')[0] for alias in node.names}
    return ours, others


def test_every_module_of_the_layer_is_in_the_map():
    assert {str(path.relative_to(LAYER)) for path in LAYER.rglob('*.py')} == set(MAY_IMPORT)


@pytest.mark.parametrize('name', sorted(MAY_IMPORT))
def test_a_module_imports_only_what_its_place_allows(name):
    ours, others = imported(LAYER / name)

    assert ours <= MAY_IMPORT[name]
    if name in PURE:
        assert others <= OUTSIDE_OF_PURE | ALSO.get(name, set())


def test_hook_tools_are_called_in_one_place():
    calls = (
        'leader_get',
        'leader_set',
        'relation_get',
        'relation_set',
        'is_leader',
        'goal_state',
        'related_units',
    )
    for path in LAYER.rglob('*.py'):
        text = path.read_text(encoding='utf-8')
        if path.name == 'rest.py':  # it asks this so that most hooks need not import juju.py
            text = text.replace('hookenv.is_leader()', '')
        assert path.name == 'juju.py' or not any('hookenv.' + call in text for call in calls)


SCRIPT = {'coordinator-relation-changed', 'coordinator-relation-joined', 'leader-settings-changed'}
"""One script under three names."""

OTHERS = {'relations', 'coordinator-failed', 'coordinator-wake-up'}


def test_nothing_of_the_layer_stands_in_the_way_of_layer_basic():
    assert not (ROOT / 'lib' / 'charms' / '__init__.py').exists()
    assert not (ROOT / 'lib' / 'charms' / 'layer' / '__init__.py').exists()
    assert {path.name for path in (ROOT / 'hooks').iterdir()} == {*OTHERS, *SCRIPT}
    assert len({(ROOT / 'hooks' / name).read_bytes() for name in SCRIPT}) == 1
    assert (ROOT / 'hooks' / 'relations' / 'coordinator').is_symlink()


def test_the_local_juju_knows_no_name_of_the_layer():
    for path in (ROOT / 'jujusim').rglob('*.py'):
        assert 'coordinator' not in path.read_text(encoding='utf-8'), path


def test_every_rule_of_juju_that_is_cited_is_in_the_table_of_the_local_juju():
    readme = (ROOT / 'jujusim' / 'README.md').read_text(encoding='utf-8')
    table = set(re.findall(r'^\| (R\d+) \|', readme, re.MULTILINE))
    tracked = [
        path
        for folder in ('lib', 'reactive', 'interfaces', 'jujusim', 'tests', 'benchmarks', 'examples', 'docs')
        for path in (ROOT / folder).rglob('*')
        if path.suffix in ('.py', '.md', '.pml')
    ]

    for path in [*tracked, *ROOT.glob('*.md')]:
        cited = set(re.findall(r'\bR\d+\b', path.read_text(encoding='utf-8')))
        assert cited <= table, path


def test_the_version_is_the_newest_heading_of_the_changes():
    """CONTRIBUTING tells how one is released: nothing else names the version."""
    headings = re.findall(r'^## (.*)$', (ROOT / 'CHANGES.md').read_text(encoding='utf-8'), re.MULTILINE)

    assert headings[0] == 'Unreleased'
    assert [
        heading for heading in headings[1:] if not re.match(r'\d+\.\d+\.\d+ – \d{4}-\d\d-\d\d$', heading)
    ] == []


def prose(page):
    """Return a page without its blocks of code."""
    return re.sub(r'^( *)```.*?^\1```', '', page.read_text(encoding='utf-8'), flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """Return the anchors that GitHub gives the headings of a page."""
    found = []
    for heading in re.findall(r'^#+ (.*)$', prose(page), re.MULTILINE):
        text = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading).strip().lower()
        found.append(re.sub(r'[^\w\- ]', '', text).replace(' ', '-'))
    return [
        name + '-{}'.format(found[:place].count(name)) * (name in found[:place])
        for place, name in enumerate(found)
    ]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page):
    broken = []
    for target in re.findall(r'\]\(([^)\s]+)\)', prose(page)):
        place, _, anchor = target.partition('#')
        if re.match(r'\w+:', target):
            continue
        to = page.parent / place if place else page
        if not to.exists() or (anchor and anchor not in anchors(to)):
            broken.append(target)

    assert broken == []


def test_every_test_and_every_make_target_that_a_page_names_exists():
    there = {
        name
        for folder in ('tests', 'jujusim', 'benchmarks')
        for path in (ROOT / folder).rglob('test_*.py')
        for name in [
            path.stem,
            *re.findall(r'^def (test_\w+)', path.read_text(encoding='utf-8'), re.MULTILINE),
        ]
    }
    targets = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(encoding='utf-8'), re.MULTILINE))
    for page in PAGES:
        code = '\n'.join(re.findall(r'`([^`\n]+)`', prose(page)))
        assert set(re.findall(r'\btest_\w+', code)) - {'test_', 'test_my_charm'} <= there, page
        assert set(re.findall(r'\bmake ([a-z-]+)', code)) <= targets, page


PYTHON = sorted(
    path
    for folder in ('lib', 'reactive', 'interfaces', 'jujusim', 'tests', 'benchmarks', 'examples')
    for path in (ROOT / folder).rglob('*.py')
)


def test_no_test_module_imports_another():
    for path in PYTHON:
        tree = ast.parse(path.read_text(encoding='utf-8'))
        modules = [node.module or '' for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        modules += [
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        ]
        assert not [module for module in modules if module.split('.')[-1].startswith('test_')], path


def test_no_file_edits_the_module_path_but_the_one_that_runs_hooks_in_this_process():
    edits = re.compile(r'sys\.path(\[[^\]]*\]\s*=|\.insert|\.append|\.extend|\s*=)')
    found = {path.relative_to(ROOT).parts[0] for path in PYTHON if edits.search(path.read_text('utf-8'))}

    assert found <= {'jujusim'}  # a hook's process has the path of its charm


@pytest.mark.parametrize('path', sorted(LAYER.rglob('*.py')), ids=lambda path: path.stem)
def test_a_file_of_the_layer_has_at_most_450_lines_and_a_function_40(path):
    text = path.read_text(encoding='utf-8')
    assert len(text.splitlines()) <= 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            said = ast.get_docstring(node, clean=False) or ''
            assert node.end_lineno - node.lineno - said.count('\n') <= 40, node.name
