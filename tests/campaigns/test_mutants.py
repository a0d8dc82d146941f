"""The table of mutations does not rot, and what it reports is so."""

import pytest

from tests.campaigns import mutants
from tests.campaigns.mutants import MUTATIONS, Mutation, misplaced, tried

RULES = ['rule {}'.format(number) for number in range(1, 11)]
QUICK = ['rule 2: absence', 'rule 3: one slot', 'own hook stubs']
ONE_TEST = mutants.tests('unit/test_rules.py::test_the_leader_writes_rarely')


@pytest.mark.parametrize('mutation', MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_what_a_mutation_changes_is_in_the_tree_exactly_once(mutation):
    assert not misplaced(mutation)
    assert mutation.good != mutation.bad


@pytest.mark.parametrize('rule', RULES)
def test_each_rule_of_the_protocol_is_broken_at_least_once(rule):
    assert [mutation for mutation in MUTATIONS if mutation.name.startswith((rule + ':', rule + ','))]


def test_what_is_not_there_once_is_refused_in_a_sentence():
    mutation = Mutation('', mutants.LIB + 'rules.py', 'no such text', '', ONE_TEST)

    assert 'rules.py: expected once, found 0 times' in misplaced(mutation)


@pytest.mark.parametrize('words', QUICK)
def test_a_mutation_is_caught(words):
    (mutation,) = [mutation for mutation in MUTATIONS if words in mutation.name]

    assert tried(mutation).by


@pytest.mark.parametrize(
    'bad', ['MAX_BYTES = 120001\n', 'MAX_BYTES = = 3\n'], ids=['changes nothing', 'no Python']
)
def test_a_mutation_that_breaks_no_rule_or_all_of_python_is_not_called_caught(bad):
    assert not tried(Mutation('', mutants.LIB + 'rules.py', 'MAX_BYTES = 120000\n', bad, ONE_TEST)).by
