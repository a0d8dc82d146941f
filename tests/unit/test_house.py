"""The house rules that a test can keep: who may import what, and what may not ship."""

import ast
import re

import pytest

from tests.deploy import ROOT

pytestmark = pytest.mark.every_python

LAYER = ROOT / 'lib' / 'charms' / 'layer' / 'coordinator'
OURS = 'charms.layer.coordinator'

MAY_IMPORT = {
    'rules.py': set(),
    'wire.py': {'rules'},
    'old.py': {'rules', 'wire'},
    'policy.py': {'rules', 'wire'},
    'protocol.py': {'rules', 'policy', 'wire'},
    'juju.py': {'rules', 'wire', 'old', 'protocol'},
    'flags.py': set(),
    'here.py': {'rules', 'old', 'policy', 'protocol', 'juju', 'flags'},
    'classes.py': {'rules', 'wire', 'policy', 'juju', 'here'},
    'choice.py': {'policy', 'juju', 'here', 'classes'},
    '__init__.py': {'wire', 'here', 'classes', 'choice'},
}
PURE = ('rules.py', 'wire.py', 'old.py', 'policy.py', 'protocol.py')
OUTSIDE_OF_PURE = {'typing', 'json', 're'}


def imported(path):
    """Return the modules a file imports, ours by their short names."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ''
            if module == OURS:
                ours |= {alias.name for alias in node.names}
            elif module.startswith(OURS + '.'):
                ours.add(module[len(OURS) + 1 :])
            else:
                others.add(module.split('.')[0])
        elif isinstance(node, ast.Import):
            others |= {alias.name.split('.')[0] for alias in node.names}
    return ours, others


def test_every_module_of_the_layer_is_in_the_map():
    assert {path.name for path in LAYER.glob('*.py')} == set(MAY_IMPORT)


@pytest.mark.parametrize('name', sorted(MAY_IMPORT))
def test_a_module_imports_only_what_its_place_allows(name):
    ours, others = imported(LAYER / name)

    assert ours <= MAY_IMPORT[name]
    if name in PURE:
        assert others <= OUTSIDE_OF_PURE


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
    for path in LAYER.glob('*.py'):
        text = path.read_text(encoding='utf-8')
        assert path.name == 'juju.py' or not any('hookenv.' + call in text for call in calls)


def test_nothing_of_the_layer_stands_in_the_way_of_layer_basic():
    assert not (ROOT / 'lib' / 'charms' / '__init__.py').exists()
    assert not (ROOT / 'lib' / 'charms' / 'layer' / '__init__.py').exists()
    assert [path.name for path in (ROOT / 'hooks').iterdir()] == ['relations']
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
