"""The local store: one file, written at once, shared by the processes of one unit."""

import json
import os
import tempfile
import zlib
from pathlib import Path

import pytest
from charms.layer.coordinator import environment, juju, merging, rules, terms, wire
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.store import Store
from charms.layer.coordinator.values import NO_CLAIM, PAUSE, Claim, Order, Record, Terms, UnitState, Wish
from charms.layer.coordinator.view import Snapshot

from tests.threeunits import MEMORY, first_world

pytestmark = pytest.mark.every_python


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        yield Path(place)


def test_what_was_written_is_there_for_the_next_process(folder):
    Store(str(folder / 'store'), pytest.fail).set('here', {'a': [1, 'é']})

    assert Store(str(folder / 'store'), pytest.fail).get('here') == {'a': [1, 'é']}
    assert Store(str(folder / 'store'), pytest.fail).get('elsewhere') is None


def test_a_process_that_writes_one_value_keeps_what_another_has_written_meanwhile(folder):
    ours, theirs = (Store(str(folder / 'store'), pytest.fail) for _ in range(2))
    assert ours.get('theirs') is None

    theirs.set('theirs', 1)
    ours.set('ours', 2)

    assert [ours.get('theirs'), theirs.get('ours')] == [1, 2]


def test_a_change_is_made_to_the_value_as_it_is_now(folder):
    ours, theirs = (Store(str(folder / 'store'), pytest.fail) for _ in range(2))
    ours.set('count', 1)

    theirs.update('count', lambda found: found + 1)
    ours.update('count', lambda found: found + 1)

    assert ours.get('count') == 3


def test_a_write_that_is_cut_off_leaves_the_file_as_it_was(folder, monkeypatch):
    store = Store(str(folder / 'store'), pytest.fail)
    store.set('here', 1)

    def cut_off(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'fsync', cut_off)
    with pytest.raises(KeyboardInterrupt):
        store.set('here', 2)

    assert Store(str(folder / 'store'), pytest.fail).get('here') == 1


def test_a_file_that_cannot_be_believed_is_put_aside_with_a_sentence(folder):
    said = []
    store = Store(str(folder / 'store'), said.append)
    store.set('here', 1)
    (folder / 'store').write_text((folder / 'store').read_text().replace('1', '2'))

    assert store.get('here') is None
    assert 'local store store: expected JSON with its checksum, found' in said[0]
    assert (folder / 'store.unreadable').exists()
    store.set('here', 3)
    assert store.get('here') == 3
    assert len(said) == 1


@pytest.mark.parametrize('values', [None, 7, [], 'x'])
def test_values_that_are_no_values_are_put_aside_though_their_checksum_fits(folder, values):
    text = json.dumps(values, sort_keys=True)
    checksum = '{:08x}'.format(zlib.crc32(text.encode()))
    (folder / 'store').write_text(json.dumps({'checksum': checksum, 'values': values}))

    assert Store(str(folder / 'store'), lambda sentence: None).get('here') is None
    assert (folder / 'store.unreadable').exists()


# What a unit remembers


@pytest.mark.parametrize('first, second', [('a', 'b'), ('b', 'a')])
def test_two_processes_of_one_unit_lose_neither_request(folder, first, second):
    world = first_world(3, None, folder)
    with world.in_hook('app/1'):
        ours, theirs = juju.Juju(), juju.Juju()
        known = ours.load()
        assert theirs.load() == known

        theirs.save(asking(known, first))
        merged = ours.save(asking(known, second))

        assert dict(merged.own)[''].names == {'a', 'b'}
        assert juju.Juju().load() == merged


def test_what_another_process_asked_for_is_published_too(folder):
    world = first_world(3, None, folder)
    with world.in_hook('app/1') as hook:
        ours, theirs = (session_of(juju.Juju()) for _ in range(2))

        theirs.request('a')
        ours.request('b')

    hook.commit()
    assert set(json.loads(world.claims_text('app/1'))['queues']['']['locks']) == {'a', 'b'}


def test_a_state_that_cannot_be_read_stops_no_write_however_many_problems_it_has(folder):
    """The write reported each problem into the store whose lock it held, and waited for itself."""
    world = first_world(3, None, folder)
    peers = {'app/{}'.format(number): {'v': 2} for number in range(100)}
    whole = wire.state_value(UnitState())
    Store(str(world.store('app/1')), pytest.fail).set(
        'state', {**whole, 'claims': {**whole['claims'], **peers}}
    )
    with world.in_hook('app/1'):
        port = juju.Juju()
        assert port.load() is None

        assert port.save(UnitState(led=True)) == UnitState(led=True)


def test_a_process_that_wrote_alone_reads_back_just_what_it_wrote(folder):
    world = first_world(3, None, folder)
    with world.in_hook('app/1'):
        port = juju.Juju()
        asked = port.save(asking(port.load(), 'a'))
        withdrawn = asked._replace(own=(('', rules.released(dict(asked.own)[''])),), peers=())

        assert port.save(withdrawn) == withdrawn
        assert juju.Juju().load() == withdrawn


def test_a_release_that_another_process_wrote_is_not_forgotten():
    asked = UnitState(own=(('', Claim(2, 1, (('a', ''),))),))
    released = UnitState(own=(('', Claim(2, 2, token=7)),))

    assert merging.merged_states(asked, released).own == released.own
    assert merging.merged_states(released, asked).own == released.own


def test_a_turn_that_began_in_one_process_has_begun_in_the_other():
    asked = UnitState(own=(('', Claim(2, 1, (('a', ''),))),))
    begun = UnitState(own=(('', Claim(2, 1, (('a', ''),), True, 7)),))

    assert dict(merging.merged_states(asked, begun).own)[''].holds
    assert dict(merging.merged_states(begun, asked).own)[''].holds


def test_what_one_process_published_is_not_known_to_be_what_juju_has():
    known = UnitState(known=True)

    assert not merging.merged_states(known, UnitState(known=False)).known
    assert not merging.merged_states(UnitState(known=False), known).known


def test_a_claim_that_one_process_has_read_and_answered_is_no_news_to_the_other():
    """The term alone was kept: so the claim seemed to be of a term that was known from another ledger."""
    found = Terms((Record('c', 2, anew=True),))
    before = UnitState(term=1)
    answered = before._replace(term=terms.known_once_read(found, 1, ''), heard=terms.claim_to_answer(found))

    for merged in (merging.merged_states(before, answered), merging.merged_states(answered, before)):
        assert terms.known_once_read(found, merged.term, merged.heard) == 2


def test_a_store_of_another_unit_or_another_model_is_not_believed(folder):
    world = first_world(3, None, folder)
    for whose in (['elsewhere', 'app/1'], [world.controller.model_uuid, 'app/2']):
        with world.in_hook('app/1'):
            port = juju.Juju()
            assert port.load() is not None
            port.store.set('whose', whose)

            assert juju.Juju().load() is None
            port.save(UnitState())


def session_of(port):
    session = Session(port, Snapshot(environment.context()), Policy(), port.log)
    session.look()
    session.begin()
    return session


def asking(state, lock):
    own = dict(state.own)
    return state._replace(own=(('', rules.asked_for(own.get('', NO_CLAIM), lock, '2026-01-01')),))


def test_what_one_process_was_told_and_has_done_is_not_told_again_by_another():
    pause = Wish(Order(PAUSE, 'p1', 'a'))
    told = UnitState(wishes=(pause,))
    done = told._replace(wishes=())

    assert merging.merged_states(done, told, told).wishes == ()
    assert merging.merged_states(told, done, told).wishes == ()
    assert merging.merged_states(told, done, done).wishes == (pause,)


@pytest.mark.parametrize('at', ['locks', 'again'])
def test_a_lock_that_one_process_has_asked_for_anew_is_asked_for_after_the_merge(at):
    def state(*pairs):
        asked = {'locks': (('c', '1'),), 'again': ()}
        asked[at] = tuple(sorted({**dict(asked[at]), **dict(pairs)}.items()))
        return UnitState(nonce='n', own=(('', Claim(5, 4, nonce='n', **asked)),))

    before, anew = state(('a', '1')), state(('a', '2'))
    other = state(('a', '1'), ('b', '3'))
    for merged in (merging.merged_states(anew, other, before), merging.merged_states(other, anew, before)):
        asked = dict(getattr(dict(merged.own)[''], at))
        assert (asked['a'], asked['b']) == ('2', '3')
