"""The protocol in Promela: the quick share of tests/proofs/spin.py, and how it reads what spin says."""

import re

import pytest

from tests.proofs import spin

PROVED = spin.LARGE[0]
BROKEN = next(case for case in spin.CASES if case.broken)

HOLDS = """
State-vector 112 byte, depth reached 3933, errors: 0
  1749374 states, stored
unreached in proctype unit
	turns.pml:452, state 481, "-end-"
"""


@pytest.fixture(scope='module')
def path():
    try:
        return spin.find_spin()
    except spin.Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize('case', [case for case in spin.CASES if case.quick], ids=lambda case: case.name)
def test_spin_comes_to_the_expected_verdict(path, case):
    verdict = spin.check(path, case)

    print('\n'.join(verdict.story))
    assert not verdict.fault
    assert verdict.states > 1000
    assert bool(verdict.story) == bool(case.broken)


def test_a_search_that_came_to_its_end_without_an_error_is_a_proof():
    assert spin.fault(PROVED, HOLDS, 0) == ''


@pytest.mark.parametrize(
    'said',
    [
        'error: max search depth too small\n' + HOLDS,
        'pan: reached -DMEMLIM bound\n' + HOLDS,
        'pan: out of memory\n' + HOLDS,
        'Warning: Search not completed\n' + HOLDS,
        HOLDS + '\tturns.pml:300, state 77, "ledger = plan"\n',
        HOLDS.replace('errors: 0', 'errors: 1'),
        'Killed',
        '',
    ],
)
def test_a_search_that_did_not_visit_everything_is_no_proof(said):
    assert spin.fault(PROVED, said, 0)


def test_a_search_that_failed_is_no_proof():
    assert spin.fault(PROVED, HOLDS, 1)


def test_a_broken_rule_must_break_the_promise_that_was_named():
    other = HOLDS + 'pan:1: assertion violated (bag[me].done<works[me]) (at depth 9)\n'

    assert spin.fault(BROKEN, HOLDS, 0)
    assert spin.fault(BROKEN, other, 0)
    assert spin.fault(BROKEN, other.replace('bag[me].done<works[me]', 'ahead<=1'), 0) == ''


def test_without_gcc_a_sentence_says_so(monkeypatch):
    monkeypatch.setenv('PATH', '')

    with pytest.raises(spin.Missing, match='gcc is not installed'):
        spin.find_spin()


def test_each_rule_that_is_broken_on_purpose_is_looked_for_in_the_model():
    model = spin.MODEL.read_text(encoding='utf-8')
    broken = [macro[8:] for case in spin.CASES for macro in case.macros if macro.startswith('-DBREAK=')]

    known = [2, 3, 4, 5, 7, 8, 9, *range(11, 15), 19, 22, 121, 122, 131, 132, 133, 136]
    known += [*range(142, 148), *range(191, 200)]
    assert sorted(set(broken), key=int) == [str(number) for number in known]
    assert all(re.search(r'^#(if|elif) BREAK [!=]= {}\b'.format(number), model, re.M) for number in broken)
