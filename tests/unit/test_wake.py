"""Whose news can matter to a unit (rule 19): laws of the rule, and what the script does with the file."""

import os
import subprocess
from pathlib import Path

import pytest
from charms.layer.coordinator import rules, wake, wire
from charms.layer.coordinator.store import WakeFile
from charms.layer.coordinator.values import About, Claim, Ledger, Record, Said, Ticket
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jujusim.tools import as_json
from tests.deploy import ROOT

UNITS = tuple('app/{}'.format(number) for number in range(12))
CHANGED, JOINED = 'coordinator-relation-changed', 'coordinator-relation-joined'
SETTINGS = 'leader-settings-changed'
AT_START = wake.Known('start:')


def queue_of(units, slots=1):
    """Return a ledger with a ticket for each of these units, in this order."""
    tickets = (Ticket(place, '', unit, 1, slots, nonce='n') for place, unit in enumerate(units, 1))
    return Ledger(len(units), tuple(tickets))


def claims_of(units, over=()):
    """Return the claims of units that have asked once, where some have finished."""
    return {(unit, ''): Claim(1, int(unit in over), (('a', ''),), nonce='n') for unit in units}


queues = st.lists(st.sampled_from(UNITS), unique=True, min_size=1).map(tuple)
some = st.frozensets(st.sampled_from(UNITS))
RESTS = st.sampled_from(['', 'no\trequest']), st.just('9a0b1c2d')


# The rule


@example(UNITS, 7, frozenset())
@given(queues, st.integers(1, 7), some)
def test_a_turn_never_comes_without_news_of_a_unit_that_is_watched(units, slots, over):
    ledger, unit = queue_of(units, slots), units[-1]
    ticket, over = ledger.tickets[-1], over - {unit}
    claims = claims_of(units, over)
    needed = wake.waiting(ledger, ticket, claims, frozenset(units))

    if needed is None:
        assert rules.is_turn(ledger, ticket, claims)
    else:  # though all others have finished
        later = claims_of(units, {*units} - needed.units - {unit})
        assert not rules.is_turn(ledger, ticket, later)


@example(UNITS, 7, frozenset())
@given(queues, st.integers(1, 7), some)
def test_no_slot_is_free_without_news_of_a_unit_that_the_leader_watches(units, slots, over):
    ledger = queue_of(units, slots)
    needed = wake.leading(ledger, units[0], slots, claims_of(units, over))

    if needed is not None:
        later = claims_of(units, {*units} - needed.units)
        assert len(rules.unfinished_units(ledger, later)) >= slots


def test_a_unit_watches_as_many_of_those_just_ahead_of_it_as_there_are_slots():
    for slots in range(1, 6):
        ledger = queue_of(UNITS, slots)
        needed = wake.waiting(ledger, ledger.tickets[7], claims_of(UNITS, {UNITS[6]}), frozenset(UNITS))
        assert needed.units == set(UNITS[6 - slots : 6])


def test_a_unit_that_does_not_know_all_that_juju_has_told_of_one_it_watches_hears_everything():
    ledger = queue_of(UNITS)

    assert wake.waiting(ledger, ledger.tickets[9], claims_of(UNITS), frozenset(UNITS[9:])) is None
    assert wake.waiting(ledger, ledger.tickets[9], claims_of(UNITS), frozenset(UNITS[8:])) is not None


@pytest.mark.parametrize('odd', [{'contested': True}, {'readable': False}])
def test_beside_a_ledger_that_nobody_may_go_by_everything_is_heard(odd):
    ledger = queue_of(UNITS)._replace(**odd)

    assert wake.waiting(ledger, ledger.tickets[9], claims_of(UNITS), frozenset(UNITS)) is None
    assert wake.leading(ledger, UNITS[0], 1, claims_of(UNITS)) is None


def test_a_leader_whose_own_ticket_is_the_only_unfinished_one_hears_everything():
    assert wake.leading(queue_of(UNITS[:1]), UNITS[0], 1, claims_of(UNITS)) is None
    assert wake.leading(queue_of(UNITS[:2]), UNITS[0], 1, claims_of(UNITS)) == wake.Wake(
        frozenset({UNITS[1]}), data=True
    )


# The file


@given(st.none() | st.builds(wake.Wake, some, st.just(()), st.booleans(), *RESTS), some)
def test_the_units_whose_news_was_not_heard_are_read_back(needed, unheard):
    assert (
        wake.skipped(wake.text(needed, wake.Known(CHANGED + ':app/1', ('coordinator:1', '{}')), unheard))
        == unheard
    )


@pytest.mark.parametrize(
    'text',
    [
        None,
        '',
        'wake-1 all end',
        'wake-1 all end\n',
        'wake-1 all end\n\n\n\n',
        'wake-1 all\n\n\n\n\n',
        'wake-2 all end\n\n\n\n\n',
        'wake-1 all end\n\n\n\n\napp/1',
        'wake-1 all end\n\n\n\napp/\n',
        'wake-1 all end\n\n\n\n\napp/1app/2\n',
        '\0\n\n',
    ],
)
def test_a_file_that_is_not_as_it_was_written_tells_nothing(text):
    assert wake.skipped(text) is None


def test_a_file_that_is_withdrawn_lets_every_hook_run_and_keeps_what_was_not_heard(tmp_path):
    file = WakeFile(str(tmp_path / 'wake'), CHANGED + ':app/1', lambda: None)
    assert file.withdraw() is None
    assert not list(tmp_path.iterdir())

    file.write(wake.Wake(frozenset({'app/2'})), frozenset({'app/3'}))
    assert file.withdraw() == {'app/3'}
    assert (tmp_path / 'wake').read_text() == 'wake-1 all end\n\n\n\napp/3\n'
    assert file.withdraw() == {'app/3'}


def test_a_file_that_cannot_be_read_is_taken_away(tmp_path):
    (tmp_path / 'wake').write_bytes(b'\xff\xfe')

    assert WakeFile(str(tmp_path / 'wake'), '', lambda: None).withdraw() is None
    assert not list(tmp_path.iterdir())


# The script


class Charm:
    """A charm directory with the script, an ordinary hook, and a relation-get that prints some data."""

    def __init__(self, place: Path) -> None:
        self.place, self.file = place, place / '.coordinator.wake'
        (place / 'hooks').mkdir()
        for name in (CHANGED, JOINED, SETTINGS):
            os.symlink(str(ROOT / 'hooks' / name), str(place / 'hooks' / name))
        self._program('hooks/coordinator-relation-broken', 'echo "ran $* for $JUJU_HOOK_NAME"')
        for tool in ('relation-get', 'leader-get'):
            self._program(tool, 'echo "${0##*/} $*" >> "$CALLED"; [ -e "$DATA" ] && cat "$DATA"')

    def _program(self, name, text):
        (self.place / name).write_text('#!/bin/sh\n' + text + '\n')
        (self.place / name).chmod(0o755)

    def run(self, news, data=None, hook=CHANGED, shell=()):
        """Run the hook of a unit app/3; return what the ordinary hook printed, '' if it did not run."""
        for name, text in (('data', data), ('called', None)):
            (self.place / name).write_text(text) if text is not None else (self.place / name).unlink(
                missing_ok=True
            )
        env = {
            'PATH': '{}:{}'.format(self.place, os.environ['PATH']),
            'JUJU_CHARM_DIR': str(self.place), 'JUJU_UNIT_NAME': 'app/3', 'JUJU_REMOTE_UNIT': news,
            'JUJU_RELATION_ID': 'coordinator:1', 'JUJU_HOOK_NAME': hook,
            'CALLED': str(self.place / 'called'), 'DATA': str(self.place / 'data'),
        }  # fmt: skip
        command = [*shell, str(self.place / 'hooks' / hook), 'one', 'two words']
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 0
        return done.stdout.decode()


RAN = 'ran one two words for {}\n'


@pytest.fixture
def charm(tmp_path):
    return Charm(tmp_path)


def data_of(*records):
    """Return the leader's data as relation-get prints them."""
    return as_json(
        {'coordinator-ledger-' + wire.record_name(each): wire.record_text(each) for each in records}
    )


LEDGER = queue_of(('app/1', 'app/2', 'app/3', 'app/30'))
RECORD = Record('l', 1, 4, LEDGER)
WAITS = wake.Wake(frozenset({'app/1', 'app/2'}), LEDGER.tickets[:3])


def test_news_of_a_unit_that_is_not_watched_runs_no_hook_and_is_noted(charm):
    charm.file.write_text(wake.text(WAITS, AT_START, frozenset()))

    assert charm.run('app/10') == ''
    assert charm.run('app/30', hook=JOINED) == ''
    assert charm.run('app/2') == RAN.format(CHANGED)
    assert charm.run('app/1', hook=JOINED) == RAN.format(JOINED)
    assert wake.skipped(charm.file.read_text()) == {'app/10', 'app/30'}


def test_the_hook_that_wrote_the_file_runs_again_since_it_may_be_a_retry(charm):
    charm.file.write_text(wake.text(WAITS, wake.Known(CHANGED + ':app/7'), frozenset()))

    assert charm.run('app/7') == RAN.format(CHANGED)
    assert charm.run('app/7', hook=JOINED) == ''
    assert charm.run('app/7') == '', 'a hook has come between, so Juju has committed the first'
    charm.file.write_text(wake.text(WAITS, wake.Known(CHANGED + ':'), frozenset()))
    assert charm.run('', data_of(RECORD)) == RAN.format(CHANGED)


@pytest.mark.parametrize(
    'needed, data, runs',
    [
        (WAITS, data_of(RECORD), False),
        (WAITS, data_of(RECORD._replace(ledger=queue_of(('app/1', 'app/3', 'app/2')))), True),
        (WAITS, data_of(RECORD._replace(ledger=queue_of(('app/2', 'app/3')))), True),
        (WAITS, data_of(RECORD._replace(ledger=queue_of(('app/30',)))), False),
        (WAITS, data_of(RECORD, Record('m', 2)), True),
        (WAITS, data_of(Record('m', 2, anew=True)), True),
        (WAITS, '{}\n', False),
        (WAITS, None, True),
        (wake.Wake(frozenset()), data_of(RECORD), True),
        (wake.Wake(frozenset()), data_of(RECORD._replace(ledger=queue_of(('app/30', 'app/1')))), False),
        (wake.Wake(frozenset(), data=True), data_of(RECORD), True),
        (wake.Wake(frozenset(), data=True), '{}\n', True),
    ],
)  # fmt: skip
def test_the_leaders_data_run_a_hook_where_they_can_matter(charm, needed, data, runs):
    charm.file.write_text(wake.text(needed, AT_START, frozenset()))

    assert charm.run('', data) == (RAN.format(CHANGED) if runs else '')
    if (charm.place / 'called').exists():
        assert (
            charm.place / 'called'
        ).read_text() == 'relation-get --format json -r coordinator:1 --app - app\n'


SAID = wire.said_text(Said('0a1b2c3d', About(), (('', Claim(1, 0, (('a < "b" & caf\u00e9', 'now'),))),)))


def test_the_first_hook_runs_if_juju_does_not_have_what_this_unit_has_published(charm):
    published = wake.Known('start:', ('coordinator:1', SAID))
    for has, runs in ((SAID, False), (SAID + ' ', True), ('', True), (None, True)):
        charm.file.write_text(wake.text(WAITS, published, frozenset()), encoding='utf-8')

        assert charm.run('app/10', has if has is None else as_json(has)) == (
            RAN.format(CHANGED) if runs else ''
        )
        asked = 'relation-get --format json -r coordinator:1 coordinator-claims app/3\n'
        assert (charm.place / 'called').read_text() == asked


def test_what_this_unit_has_published_is_looked_at_once(charm):
    charm.file.write_text(wake.text(WAITS, wake.Known('start:', ('coordinator:1', SAID)), frozenset()))
    assert charm.run('app/10', as_json(SAID)) == ''

    assert charm.run('app/11') == ''
    assert not (charm.place / 'called').exists()


# Leader settings of Juju 2.9 - 3.x

OTHERS = {
    'aaa': 'of "another" layer',
    'coordinator': '<old>',
    'coordinator-ledger': '',
    'zzz': 'caf\u00e9, "}"',
}


def settings_of(ledger, **others):
    """Return leader settings with a ledger and with what other layers keep."""
    key = 'coordinator-ledger-'
    kept = {key + wire.record_name(each): wire.record_text(each) for each in ([ledger] if ledger else [])}
    return {**OTHERS, **kept, **others}


@pytest.mark.parametrize('before', [settings_of(RECORD), {**settings_of(RECORD), **dict.fromkeys(OTHERS)}])
def test_leader_settings_of_others_run_a_hook_whenever_they_have_changed(charm, before):
    before = {key: text for key, text in before.items() if text is not None}
    digest = wake.digest(before, 'coordinator-ledger-')
    later = RECORD._replace(version=5, ledger=queue_of(('app/1', 'app/2', 'app/3', 'app/4')))
    key = 'coordinator-ledger-' + wire.record_name(RECORD)

    def runs(settings):
        charm.file.write_text(wake.text(WAITS, wake.Known('start:', settings=digest), frozenset()))
        return charm.run('', as_json(settings), hook=SETTINGS) == RAN.format(SETTINGS)

    written = dict(before)
    written['coordinator-ledger-' + wire.record_name(later)] = wire.record_text(later)
    del written[key]
    assert not runs(before)
    assert not runs(written)
    for new in ('aab', 'coordinator-lee', 'coordinator-ledger', 'coordinator-ledger-', 'd', 'zzzz', '', '"'):
        for text in ('', 'x', '}', '"', '\\', '","', wire.record_text(RECORD)):
            assert runs({**written, new: text}) == (written.get(new) != text), (new, text)
    for old in OTHERS:
        assert runs({name: text for name, text in written.items() if name != old}) == (old in before)
    assert runs(OTHERS)
    assert not any(text in charm.file.read_text() for text in OTHERS.values() if text), (
        'they may be passwords'
    )


def test_where_leader_settings_were_not_read_their_hook_runs(charm):
    charm.file.write_text(wake.text(WAITS, AT_START, frozenset()))

    assert charm.run('', as_json(settings_of(RECORD)), hook=SETTINGS) == RAN.format(SETTINGS)
    assert charm.run('', None, hook=SETTINGS) == RAN.format(SETTINGS)


@pytest.mark.parametrize('here', [CHANGED + ':app/1', SETTINGS + ':'])
def test_other_leader_settings_count_as_seen_when_their_own_hook_has_run_with_them(tmp_path, here):
    def hook(event, *seen):
        file = WakeFile(str(tmp_path / 'wake'), event, lambda: None)
        file.withdraw()
        for file.settings in seen:
            pass
        file.write(wake.Wake(frozenset()), frozenset())
        return wake.settings_in((tmp_path / 'wake').read_text())

    old, new = 'a1', 'b2'
    assert hook(SETTINGS + ':', old) == old
    assert hook(CHANGED + ':app/1', old) == old
    assert hook(here, new) == (new if here.startswith(SETTINGS) else '')
    assert hook(CHANGED + ':app/1', old) == ''
    assert hook(SETTINGS + ':', old) == old
    assert hook(CHANGED + ':app/1') == '', 'it could not read them'


@pytest.mark.parametrize(
    'needed, looks',
    [
        (WAITS, True),
        (wake.Wake(frozenset()), True),
        (wake.Wake(frozenset(), rest='no\trequest', store='9a0b1c2d'), False),
        (wake.Wake(frozenset(), data=True), False),
        (None, False),
    ],
)
def test_a_unit_that_waits_reads_leader_settings_so_that_a_write_of_the_ledger_runs_no_hook(
    tmp_path, needed, looks
):
    path = tmp_path / 'wake'
    path.write_text(wake.text(WAITS, wake.Known('start:', settings='a1'), frozenset()))
    file = WakeFile(str(path), CHANGED + ':app/1', lambda: setattr(file, 'settings', 'a1'))
    file.withdraw()
    file.write(needed, frozenset())

    assert wake.settings_in(path.read_text()) == ('a1' if looks else '')


def test_a_queue_with_letters_that_json_escapes_is_found_in_the_leaders_data(charm):
    tickets = tuple(each._replace(queue='caf\u00e9 "x" \\') for each in LEDGER.tickets)
    charm.file.write_text(wake.text(WAITS._replace(tickets=tickets[:3]), AT_START, frozenset()))

    assert charm.run('', data_of(RECORD._replace(ledger=LEDGER._replace(tickets=tickets)))) == ''


@pytest.mark.parametrize(
    'text',
    [
        '',
        'wake-1 end',
        'wake-1 start: end\n',
        'wake-1 start: end\n-\n\n\n',
        'wake-1 start:\n-\n\n\n\n',
        'wake-2 start: end\n-\n\n\n\n',
        'x\n',
        '\0',
    ],
)
@pytest.mark.parametrize('news', ['app/10', ''])
def test_where_the_file_is_not_as_expected_the_hook_runs(charm, text, news):
    charm.file.write_text(text)

    assert charm.run(news, data_of(RECORD._replace(ledger=queue_of(('app/1',))))) == RAN.format(CHANGED)


def test_without_a_file_the_hook_runs(charm):
    assert charm.run('app/10') == RAN.format(CHANGED)
    charm.file.mkdir()
    assert charm.run('app/10') == RAN.format(CHANGED)


@settings(max_examples=60)
@given(
    needed=st.none() | st.builds(wake.Wake, some, st.just(()), st.just(False), *RESTS),
    news=st.sampled_from(UNITS),
)
def test_the_script_lets_through_exactly_the_units_in_the_file(tmp_path_factory, needed, news):
    charm = Charm(tmp_path_factory.mktemp('charm'))
    charm.file.write_text(wake.text(needed, AT_START, frozenset()))

    assert bool(charm.run(news)) == (needed is None or news in needed.units)


def test_bash_agrees_with_sh(charm):
    charm.file.write_text(wake.text(WAITS, AT_START, frozenset()))
    for shell in (('bash',), ('sh',)):
        assert charm.run('app/10', shell=shell) == ''
        assert charm.run('app/2', shell=shell) == RAN.format(CHANGED)
        assert charm.run('', data_of(RECORD), shell=shell) == ''
        assert charm.run('', data_of(RECORD, Record('m', 2)), shell=shell) == RAN.format(CHANGED)
