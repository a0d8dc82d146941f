"""Every history of a small world: every promise holds in every world, and calm weather serves every request.

A failure prints the shortest history that breaks the promise. The search runs
the layer's own session.py: smalljuju.py is the model of Juju, smallworld.py says what a step is,
promises.py what is promised, search.py how worlds are visited, worlds.py which worlds there are,
tests/broken.py which rules are broken on purpose.
"""

import pytest

from tests.broken import BROKEN, put_in
from tests.proofs.smalljuju import Kind
from tests.proofs.worlds import WORLDS, visited


def worlds(quick):
    return [name for name, world in WORLDS.items() if world.quick is quick]


def check(name):
    found = visited(WORLDS[name].kind)

    print(found)
    assert not found.fault, str(found)
    assert found.worlds > 10000


@pytest.mark.parametrize('name', worlds(quick=True))
def test_a_small_world_keeps_every_promise(name):
    check(name)


@pytest.mark.long
@pytest.mark.parametrize('name', worlds(quick=False))
def test_a_larger_world_keeps_every_promise(name):
    check(name)


# Each rule of the protocol, broken on purpose: the search must find it, and say so in these words.

# Ten seconds each and more; `make mutants` searches them.
SLOW = ('rule 13', 'rule 14', 'rule 19', 'rule 20', 'rule 23', 'new leader')
NOTICED = [
    pytest.param(
        entry,
        history,
        id='{} ({})'.format(entry.name, history.fault),
        marks=[pytest.mark.long] * (entry.rule in SLOW),
    )
    for entry in BROKEN
    for history in entry.histories
]


@pytest.mark.parametrize('entry, history', NOTICED)
def test_the_search_notices_a_broken_rule(monkeypatch, entry, history):
    put_in(entry, monkeypatch.setattr)

    found = visited(history.kind, history.most, history.fault)

    print(found)
    assert history.fault in found.fault, str(found)


# The search itself


def search(kind):
    from tests.proofs.search import Search  # needs numpy, which not every Python of `make test` has

    return Search(kind)


@pytest.mark.parametrize(
    'kind',
    [
        Kind(juju=4, asks=2),
        Kind(removals=1),
        Kind(newcomer=True),
        Kind(fine=True),
        Kind(loses=1),
        Kind(aside=True),
    ],
)
def test_worlds_move_on_by_table_exactly_as_they_do_one_by_one(kind):
    numpy = pytest.importorskip('numpy')
    searched = search(kind)
    frontier = searched.start
    for _ in range(9):
        by_table = set(searched.after(frontier).tolist())
        one_by_one = set()
        for world in frontier:
            one_by_one |= {searched.number(after) for _, after in searched.steps(searched.told(world))}
        assert one_by_one == by_table
        frontier = numpy.array(sorted(by_table)[:300], dtype=numpy.uint64)


def test_of_worlds_that_differ_in_who_is_who_one_is_visited_and_none_is_missed():
    from tests.proofs.search import distinct

    kind = Kind(asks=0, anytime=True, stale=True, symmetric=True, blank=True, terms=1)
    reduced, whole = search(kind), search(kind)
    names, whole.names = whole.names, whole.names[:1]

    assert not reduced.run().fault
    assert not whole.run().fault

    whole.names = names
    assert len(reduced.visited) == len(distinct(whole.least(whole.visited.whole())))
    assert len(reduced.visited) < 0.6 * len(whole.visited)


# What `make prove` shows


def test_a_world_is_searched_in_a_process_of_its_own_and_what_it_found_comes_back():
    prove = pytest.importorskip('tests.proofs.prove', reason='it shows its tables with rich')
    found = prove.searched_apart('once-3')

    assert prove.verdict(found) == 'none'
    assert found.worlds > 10000
    assert found.beyond > 0  # with terms=1 a second leader is beyond it


def test_a_search_that_dies_is_a_fault():
    prove = pytest.importorskip('tests.proofs.prove', reason='it shows its tables with rich')

    assert prove.verdict(prove.searched_apart('no such world')).startswith('FAULT')
