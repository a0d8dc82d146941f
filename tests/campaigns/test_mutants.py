"""The table of broken rules does not rot, and what `make mutants` reports is so."""

import ast
import builtins
import dis
import inspect
import re
from types import CodeType

import pytest

from tests import broken
from tests.broken import BROKEN, ROOT, Broken
from tests.campaigns import mutants

RULES = ['rule {}'.format(number) for number in range(1, 11)]
QUICK = ['rule 2: absence', 'rule 6', 'the built charm']
ONE_TEST = 'unit/test_rules.py::test_the_leader_writes_rarely'
FUNCTIONS = [entry for entry in BROKEN if not isinstance(entry.instead, str)]
each_function = pytest.mark.parametrize('entry', FUNCTIONS, ids=[entry.name for entry in FUNCTIONS])


def names(code):
    """Return the names that a function takes from its module, those of functions within it included."""
    found = {
        step.argval for step in dis.get_instructions(code) if step.opname in ('LOAD_GLOBAL', 'LOAD_NAME')
    }
    return found.union(*(names(part) for part in code.co_consts if isinstance(part, CodeType)))


@each_function
def test_a_replacement_uses_only_names_of_the_module_that_it_is_put_into(entry):
    known = {*vars(broken.place(entry.where).module), *vars(builtins), 'unbroken'}

    assert names(entry.instead.__code__) <= known


def attributes(entry):
    """Return where a replacement takes an attribute of a module, or of self: whose, and its name."""
    for node in ast.walk(ast.parse(broken.source(entry.instead))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, node.attr


@each_function
def test_what_a_replacement_takes_from_a_module_or_from_self_is_there(entry):
    at = broken.place(entry.where)
    of_self = set(dir(at.owner))
    for base in inspect.getmro(at.owner) if inspect.isclass(at.owner) else ():
        if base.__module__.startswith(broken.LIBRARY):
            module = broken.MODULES[base.__module__]
            of_self.update(re.findall(r'\bself\.(\w+)', inspect.getsource(module)))
    for whose, name in attributes(entry):
        module = vars(at.module).get(whose)
        if whose == 'self':
            assert name in of_self
        elif inspect.ismodule(module):
            assert hasattr(module, name)


@each_function
def test_a_replacement_hides_no_other_name_of_that_module(entry):
    assert entry.instead.__name__ not in vars(broken.place(entry.where).module)


@each_function
def test_a_replacement_takes_the_arguments_of_what_it_replaces(entry):
    theirs = list(inspect.signature(broken.place(entry.where).function).parameters)
    ours = list(inspect.signature(entry.instead).parameters)

    assert theirs[: len(ours) - 1] == ours[:-1] if ours[-1:] == ['rest'] else theirs == ours


@each_function
def test_a_replacement_differs_from_what_it_replaces(entry):
    there = broken.place(entry.where).function.__code__

    assert (there.co_code, there.co_names) != (
        entry.instead.__code__.co_code,
        entry.instead.__code__.co_names,
    )


def test_a_file_that_is_added_is_not_there():
    files = [entry.where for entry in BROKEN if isinstance(entry.instead, str)]

    assert files
    assert not [where for where in files if (ROOT / where).exists()]


def test_each_entry_has_a_name_of_its_own_and_something_that_must_notice():
    assert len({entry.name for entry in BROKEN}) == len(BROKEN)
    assert all(entry.noticed_by for entry in BROKEN)


@pytest.mark.parametrize('rule', RULES)
def test_each_rule_of_the_protocol_is_broken_at_least_once(rule):
    assert [entry for entry in BROKEN if entry.rule == rule]


def test_a_function_that_the_layer_does_not_have_is_refused_in_a_sentence():
    with pytest.raises(LookupError, match=r'rules\.nothing: no such function in the layer'):
        broken.place('rules.nothing')


@pytest.mark.parametrize('words', QUICK)
def test_a_broken_rule_is_noticed(words):
    (entry,) = [entry for entry in BROKEN if entry.name.startswith(words)]
    tests = tuple(notice for notice in entry.noticed_by if isinstance(notice, str))

    assert all(found.by for found in mutants.tried(entry._replace(noticed_by=tests)))


def as_before(ledger, *rest):
    return unbroken(ledger, *rest)  # noqa: F821


def without_its_names(ledger, *rest):
    return nothing  # noqa: F821


@pytest.mark.parametrize('instead', [as_before, without_its_names])
def test_a_replacement_that_breaks_no_rule_or_does_not_run_is_not_called_noticed(instead):
    (found,) = mutants.tried(Broken('', '', 'rules.appended', instead, (ONE_TEST,)))

    assert not found.by
