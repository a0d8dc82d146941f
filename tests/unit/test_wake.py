"""Whose news can matter to a unit (rule 19): laws of the rule, and what the script does with the file."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from charms.layer.coordinator import rules, wake, wire
from charms.layer.coordinator.store import WakeFile
from charms.layer.coordinator.values import Claim, Ledger, Record, Ticket
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.deploy import ROOT

UNITS = tuple('app/{}'.format(number) for number in range(12))
CHANGED, JOINED = 'coordinator-relation-changed', 'coordinator-relation-joined'


def queue_of(units, slots=1):
    """Return a ledger with a ticket for each of these units, in this order."""
    tickets = (Ticket(place, '', unit, 1, slots, nonce='n') for place, unit in enumerate(units, 1))
    return Ledger(len(units), tuple(tickets))


def claims_of(units, over=()):
    """Return the claims of units that have asked once, where some have finished."""
    return {(unit, ''): Claim(1, int(unit in over), (('a', ''),), nonce='n') for unit in units}


queues = st.lists(st.sampled_from(UNITS), unique=True, min_size=1).map(tuple)
some = st.frozensets(st.sampled_from(UNITS))


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


def test_a_unit_among_the_next_five_watches_everybody_ahead_of_it():
    ledger = queue_of(UNITS)
    for place in range(1, 6):
        needed = wake.waiting(ledger, ledger.tickets[place], claims_of(UNITS), frozenset(UNITS))
        assert needed.units == set(UNITS[:place])


def test_a_unit_that_does_not_know_all_that_juju_has_told_of_one_it_watches_hears_everything():
    ledger = queue_of(UNITS)

    assert wake.waiting(ledger, ledger.tickets[9], claims_of(UNITS), frozenset(UNITS[5:])) is None
    assert wake.waiting(ledger, ledger.tickets[9], claims_of(UNITS), frozenset(UNITS[4:])) is not None


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


@given(st.none() | st.builds(wake.Wake, some, st.just(()), st.booleans()), some)
def test_the_units_whose_news_was_not_heard_are_read_back(needed, unheard):
    assert wake.skipped(wake.text(needed, CHANGED + ':app/1', unheard)) == unheard


@pytest.mark.parametrize(
    'text',
    [
        None,
        '',
        'wake-1 all end',
        'wake-1 all end\n',
        'wake-1 all\n\n',
        'wake-2 all end\n\n',
        'wake-1 all end\n\napp/1',
        'wake-1 all end\n\n\n',
        '\0\n\n',
    ],
)
def test_a_file_that_is_not_as_it_was_written_tells_nothing(text):
    assert wake.skipped(text) is None


def test_a_file_that_is_withdrawn_lets_every_hook_run_and_keeps_what_was_not_heard(tmp_path):
    file = WakeFile(str(tmp_path / 'wake'), CHANGED + ':app/1')
    assert file.withdraw() is None
    assert not list(tmp_path.iterdir())

    file.write(wake.Wake(frozenset({'app/2'})), frozenset({'app/3'}))
    assert file.withdraw() == {'app/3'}
    assert (tmp_path / 'wake').read_text() == 'wake-1 all end\n\napp/3\n'
    assert file.withdraw() == {'app/3'}


def test_a_file_that_cannot_be_read_is_taken_away(tmp_path):
    (tmp_path / 'wake').write_bytes(b'\xff\xfe')

    assert WakeFile(str(tmp_path / 'wake'), '').withdraw() is None
    assert not list(tmp_path.iterdir())


# The script


class Charm:
    """A charm directory with the script, an ordinary hook, and a relation-get that prints some data."""

    def __init__(self, place: Path) -> None:
        self.place, self.file = place, place / '.coordinator.wake'
        (place / 'hooks').mkdir()
        for name in (CHANGED, JOINED):
            os.symlink(str(ROOT / 'hooks' / name), str(place / 'hooks' / name))
        self._program('hooks/coordinator-relation-broken', 'echo "ran $* for $JUJU_HOOK_NAME"')
        self._program('relation-get', 'echo "$@" > "$CALLED"; [ -e "$DATA" ] && cat "$DATA"')

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
    """Return the leader's data as `relation-get --format json` prints them."""
    kept = {'coordinator-ledger-' + wire.record_name(each): wire.record_text(each) for each in records}
    return json.dumps(kept, separators=(',', ':')) + '\n'


LEDGER = queue_of(('app/1', 'app/2', 'app/3', 'app/30'))
RECORD = Record('l', 1, 4, LEDGER)
WAITS = wake.Wake(frozenset({'app/1', 'app/2'}), LEDGER.tickets[:3])


def test_news_of_a_unit_that_is_not_watched_runs_no_hook_and_is_noted(charm):
    charm.file.write_text(wake.text(WAITS, 'start:', frozenset()))

    assert charm.run('app/10') == ''
    assert charm.run('app/30', hook=JOINED) == ''
    assert charm.run('app/2') == RAN.format(CHANGED)
    assert charm.run('app/1', hook=JOINED) == RAN.format(JOINED)
    assert wake.skipped(charm.file.read_text()) == {'app/10', 'app/30'}


def test_the_hook_that_wrote_the_file_runs_again_since_it_may_be_a_retry(charm):
    charm.file.write_text(wake.text(WAITS, CHANGED + ':app/7', frozenset()))

    assert charm.run('app/7') == RAN.format(CHANGED)
    assert charm.run('app/7', hook=JOINED) == ''
    charm.file.write_text(wake.text(WAITS, CHANGED + ':', frozenset()))
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
    charm.file.write_text(wake.text(needed, 'start:', frozenset()))

    assert charm.run('', data) == (RAN.format(CHANGED) if runs else '')
    if (charm.place / 'called').exists():
        assert (charm.place / 'called').read_text() == '--format json -r coordinator:1 --app - app\n'


def test_a_queue_with_letters_that_json_escapes_is_found_in_the_leaders_data(charm):
    tickets = tuple(each._replace(queue='caf\u00e9 "x" \\') for each in LEDGER.tickets)
    charm.file.write_text(wake.text(WAITS._replace(tickets=tickets[:3]), 'start:', frozenset()))

    assert charm.run('', data_of(RECORD._replace(ledger=LEDGER._replace(tickets=tickets)))) == ''


@pytest.mark.parametrize(
    'text',
    ['', 'wake-1 end', 'wake-1 start: end\n', 'wake-1 start:\n\n', 'wake-2 start: end\n-\n', 'x\n', '\0'],
)
@pytest.mark.parametrize('news', ['app/10', ''])
def test_where_the_file_is_not_as_expected_the_hook_runs(charm, text, news):
    charm.file.write_text(text)

    assert charm.run(news, data_of(RECORD._replace(ledger=queue_of(('app/1',))))) == RAN.format(CHANGED)


def test_without_a_file_the_hook_runs(charm):
    assert charm.run('app/10') == RAN.format(CHANGED)
    charm.file.mkdir()
    assert charm.run('app/10') == RAN.format(CHANGED)


@settings(max_examples=60, deadline=None)
@given(
    needed=st.none() | st.builds(wake.Wake, some, st.just(()), st.just(False)), news=st.sampled_from(UNITS)
)
def test_the_script_lets_through_exactly_the_units_in_the_file(tmp_path_factory, needed, news):
    charm = Charm(tmp_path_factory.mktemp('charm'))
    charm.file.write_text(wake.text(needed, 'start:', frozenset()))

    assert bool(charm.run(news)) == (needed is None or news in needed.units)


def test_both_hooks_are_one_script_and_bash_agrees_with_sh(charm):
    assert (ROOT / 'hooks' / CHANGED).read_bytes() == (ROOT / 'hooks' / JOINED).read_bytes()
    charm.file.write_text(wake.text(WAITS, 'start:', frozenset()))
    for shell in (('bash',), ('sh',)):
        assert charm.run('app/10', shell=shell) == ''
        assert charm.run('app/2', shell=shell) == RAN.format(CHANGED)
        assert charm.run('', data_of(RECORD), shell=shell) == ''
        assert charm.run('', data_of(RECORD, Record('m', 2)), shell=shell) == RAN.format(CHANGED)
