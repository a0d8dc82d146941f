"""What `status()` and coordinator-show say: values in, data and a table out."""

import json

import pytest
from charms.layer.coordinator import report, table
from charms.layer.coordinator.values import (
    CANCEL,
    FREE,
    PAUSE,
    ROLL,
    UNREADABLE,
    Claim,
    Ledger,
    Order,
    Ticket,
    Wish,
)
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.every_python

NOW = '2026-11-26 02:17:05.000000Z'
MONDAY = '2026-11-23 02:13:00.000000Z'


def at(minute):
    return '2026-11-26 02:{:02d}:00.000000Z'.format(minute)


def asks(lock='restart', since='2026-11-26 02:13:00.000000Z', **more):
    """Return the claim of a unit that asks for the first time."""
    return Claim(**{'asked': 1, 'locks': ((lock, since),), **more})


DONE = Claim(1, 1)


def ledger_for(*units, queue='', slots=1, **more):
    """Return a ledger with a ticket for each unit's first request, from token 11 on."""
    tickets = tuple(Ticket(token, queue, unit, 1, slots) for token, unit in enumerate(units, 11))
    return Ledger(**{'token': 10 + len(units), 'tickets': tickets, 'term': 3, **more})


def seen(claims, ledger=None, unit='app/1', queue='', **more):
    said = {(name, queue): claim for name, claim in claims.items()}
    return report.Seen(unit=unit, at=NOW, juju=more.pop('juju', 3), ledger=ledger, claims=said, **more)


def shown(found, most=table.FIRST):
    return table.text(report.data(found, most))


ASKED = {'app/0': DONE, 'app/3': asks(), 'app/1': asks(since=at(14)), 'app/2': asks(since=at(15))}


def test_the_table_names_the_holder_the_queue_and_the_next_command():
    found = seen(ASKED, ledger_for('app/0', 'app/3', 'app/1'))

    assert (
        shown(found)
        == """\
Locks as app/1 sees them at 02:17 UTC. It does not lead; Juju does not tell it which unit does.

All locks, in one queue: app/3 holds it
  UNIT   TURN           TOKEN  ASKED                   LOCKS
  app/3  holds             12  since 02:13 UTC, 4 min  restart
  app/1  1 ahead           13  since 02:14 UTC, 3 min  restart
  app/2  no ticket yet      -  since 02:15 UTC, 2 min  restart

This unit:
  restart: app/3 holds it, 1 ahead of this unit

If `juju status app` shows app/3 in error, repair the cause, then:
    juju resolve app/3

If app/3 is down, and does not come back soon, make sure that it is off, and give up its turn:
    juju run app/leader coordinator-free unit=app/3

Only the leader knows of all requests without a ticket:
    juju run app/leader coordinator-show"""
    )


def test_the_data_have_the_form_of_version_1_and_json_can_express_them():
    found = report.data(seen(ASKED, ledger_for('app/0', 'app/3', 'app/1'), leads=True))

    assert json.loads(json.dumps(found)) == found
    row = {'begun': False, 'failed': False, 'gone': False, 'holds': False, 'paused': False, 'reason': ''}
    row.update(roll='', stage=0)
    assert found == {
        'version': 1,
        'unit': 'app/1',
        'at': NOW,
        'juju': 3,
        'leads': True,
        'term': 3,
        'ledger': 'open',
        'awaits': [],
        'says': '',
        'this_unit': {'restart': 'app/3 holds it, 1 ahead of this unit'},
        'problems': [],
        **{key: [] for key in ('rolls', 'pauses', 'cancelled', 'freed', 'to_write')},
        'queues': [
            {
                'queue': '',
                'says': 'app/3 holds it',
                'tickets': [
                    {
                        **row, 'unit': 'app/3', 'token': 12, 'slots': 1, 'holds': True, 'ahead': 0,
                        'begun': None, 'locks': {'restart': at(13)}, 'since': at(13),
                    },
                    {
                        **row, 'unit': 'app/1', 'token': 13, 'slots': 1, 'ahead': 1,
                        'locks': {'restart': at(14)}, 'since': at(14),
                    },
                ],
                'more_tickets': 0,
                'requests': [
                    {
                        **row, 'unit': 'app/2', 'token': None, 'slots': None, 'ahead': None,
                        'stage': None, 'locks': {'restart': at(15)}, 'since': at(15),
                    }
                ],
                'more_requests': 0,
            }
        ],
    }  # fmt: skip


def test_where_nobody_asks_the_text_says_so_and_names_no_command_but_the_leaders():
    quiet = shown(seen({'app/0': DONE}, ledger_for('app/0')))

    assert table.NOBODY in quiet
    assert [line for line in quiet.splitlines() if line.startswith('    ')] == [
        '    juju run app/leader coordinator-show'
    ]
    assert 'juju run ' not in shown(seen({}, ledger_for(), leads=True))


def test_on_juju_2_the_leaders_command_is_that_of_juju_2():
    assert '    juju run-action --wait app/leader coordinator-show' in shown(seen({}, juju=2)).splitlines()


# The ledger


@pytest.mark.parametrize(
    'more, state, sentence',
    [
        ({}, 'none', 'no leader has given a ticket yet'),
        ({'ledger': UNREADABLE}, 'unreadable', "the leader's ledger cannot be read, so nobody is given"),
        ({'ledger': ledger_for('app/3', contested=True)}, 'contested', 'a new leader takes over'),
        ({'lost': True, 'reason': 'the leader makes it'}, 'lost', 'the ledger is lost; the leader makes it'),
        ({'answers': False}, 'unknown', 'Juju answers nothing in a hook of this kind'),
        ({'ledger': ledger_for('app/3')}, 'open', ''),
    ],
    ids=lambda value: value if isinstance(value, str) and ' ' not in value else '',
)
def test_what_is_the_matter_with_the_ledger_is_said(more, state, sentence):
    found = report.data(seen({'app/3': asks()}, **more))

    assert (found['ledger'], found['says'][: len(sentence)]) == (state, sentence)
    assert ('The ledger:' in table.text(found)) == (state != 'open')


def test_an_unreadable_ledger_says_where_the_log_tells_more():
    found = seen({'app/3': asks()}, UNREADABLE, problems=('leader settings, key "x": expected JSON',))

    text = shown(found)

    assert 'Not readable:\n  leader settings, key "x": expected JSON\n' in text
    assert "    juju debug-log --replay --no-tail --include app | grep 'coordinator: '" in text
    assert 'In one queue: nobody is known to hold it'.lower() in text.lower()
    assert 'juju resolve' not in text


def test_a_lost_ledger_names_the_units_that_it_waits_for_and_the_turns_that_go_on():
    claims = {'app/3': asks(begun=True, token=12), 'app/0': asks()}
    found = seen(claims, lost=True, reason='R', awaited=frozenset(['app/4', 'app/2', '']))

    data = report.data(found)

    assert data['awaits'] == ['app/2', 'app/4']
    assert data['queues'][0]['says'] == 'app/3 holds it'
    assert [(row['unit'], row['token'], row['begun']) for row in data['queues'][0]['requests']] == [
        ('app/3', 12, True),
        ('app/0', None, False),
    ]
    assert '    juju status app\n' in table.text(data)


def test_where_no_ticket_stands_a_request_is_told_that_the_leader_gives_none():
    found = report.data(seen({'app/2': asks()}, ledger_for()))

    assert found['queues'][0]['says'] == (
        'asked, and the leader has given no ticket yet; a leader in error gives none'
    )


def test_a_ticket_that_cannot_be_read_stands_in_its_place_and_holds():
    raw = Ticket(12, '', '', 0, raw='{"odd": 1}')
    ledger = Ledger(13, (raw, Ticket(13, '', 'app/2', 1)), term=1)

    found = report.data(seen({'app/2': asks()}, ledger))

    assert found['queues'][0]['says'] == 'a ticket that cannot be read holds it'
    assert [row['unit'] for row in found['queues'][0]['tickets']] == ['', 'app/2']
    assert '(not readable)  holds' in table.text(found)
    assert 'juju resolve' not in table.text(found)


# Whose turn it is


def test_as_many_hold_as_there_are_slots():
    units = ['app/{}'.format(number) for number in range(4)]

    found = report.data(seen(dict.fromkeys(units, asks()), ledger_for(*units, slots=2)))

    assert [row['holds'] for row in found['queues'][0]['tickets']] == [True, True, False, False]
    assert found['queues'][0]['says'] == 'app/0 and app/1 hold it'


def test_only_a_units_own_turn_and_one_that_goes_on_are_known_to_have_begun():
    claims = {'app/0': asks(), 'app/1': asks(), 'app/2': asks(begun=True, token=13)}

    found = report.data(seen(claims, ledger_for(*claims, slots=3)))

    assert [row['begun'] for row in found['queues'][0]['tickets']] == [None, False, True]
    turns = [' '.join(line.split()[1:3]) for line in table.text(found).splitlines()[4:7]]
    assert turns == ['holds 11', 'holds, not', 'holds, begun']


def test_an_earlier_request_of_the_unit_says_nothing_of_this_ticket():
    """Its claim is older than its ticket: a leader may use its own before Juju has the claim."""
    found = report.data(seen({'app/0': Claim(1, 0, (('old', at(1)),), begun=True, token=5)}, Ledger(11, (
        Ticket(11, '', 'app/0', 2),
    ))))  # fmt: skip

    row = found['queues'][0]['tickets'][0]
    assert (row['holds'], row['begun'], row['locks'], row['since']) == (True, None, {}, '')


@pytest.mark.parametrize('failed', [True, False])
def test_a_unit_whose_own_hook_failed_names_the_command_that_resolves_it(failed):
    claims = {'app/1': asks(begun=True, token=11), 'app/2': asks()}
    found = seen(claims, ledger_for('app/1', 'app/2'), failed=frozenset([''] if failed else []))

    text = shown(found)

    assert ('    juju resolve app/1' in text.splitlines()) == failed
    assert ('holds, hook failed' in text, 'app/1 keeps the lock' in text) == (failed, not failed)
    assert 'This unit:' not in text


def test_each_lock_has_a_table_of_its_own_where_locks_have_queues_of_their_own():
    claims = {('app/0', 'backup'): asks('backup'), ('app/2', 'restart'): asks()}
    tickets = (Ticket(11, 'backup', 'app/0', 1), Ticket(12, 'restart', 'app/2', 1, requested_at=at(12)))
    found = report.Seen('app/1', NOW, 3, ledger=Ledger(12, tickets, term=1), claims=claims)

    text = shown(found)

    assert 'backup: app/0 holds it\n  UNIT   TURN   TOKEN  ASKED\n  app/0  holds     11  since 02:13' in text
    assert 'restart: app/2 holds it\n' in text


def test_a_unit_that_is_gone_is_not_to_be_resolved():
    claims = {'app/3': asks(), 'app/2': asks()}

    text = shown(seen(claims, ledger_for('app/3', 'app/2'), gone=frozenset(['app/3'])))

    assert 'app/3  unit is gone ' in text
    assert (
        'app/3: Juju no longer lists it. The leader drops its ticket at update-status, if not before.' in text
    )
    assert 'resolve' not in text


# Rolls, pauses, and what else an operator has ordered


def roll_of(*stages, orders=()):
    """Return a ledger with a roll of these stages, from token 1 on, ordered at 02:13."""
    tickets, token = [], 0
    for stage in stages:
        first = token + 1
        for unit in stage:
            token += 1
            tickets.append(Ticket(token, '', unit, 0, nonce='aa', stage=first, roll='restart'))
    roll = Order(ROLL, 'r', 'restart', at(13), 'new key', 1, token)
    return Ledger(token, tuple(tickets), term=1, orders=(*orders, roll))


def had(token):
    """Return the claim of a unit whose turn in a roll is over."""
    return Claim(1, 1, nonce='aa', token=token, ended=token)


def works_since(minute, token, reason=''):
    """Return the claim of a unit that keeps the lock in its turn of a roll."""
    locks = (('restart', at(minute)),)
    return Claim(1, 0, locks, True, token, nonce='aa', roll=True, reason=reason)


def test_a_roll_says_how_many_are_done_who_works_since_when_and_how_much_follows():
    claims = {'app/0': had(1), 'app/1': works_since(14, 2, 'two replicas still sync')}
    found = seen(claims, roll_of(['app/0'], ['app/1', 'app/2'], ['app/3']), unit='app/3')

    assert report.data(found)['rolls'] == [
        {
            'lock': 'restart', 'since': at(13), 'reason': 'new key', 'units': 4, 'done': 1, 'more_stages': 1,
            'works': [{'unit': 'app/1', 'since': at(14), 'paused': False, 'failed': False}],
        }
    ]  # fmt: skip
    text = shown(found)
    assert 'restart: a roll since 02:13 UTC, 4 min: new key. 1 of 4 done, app/1 works since 02:14' in text
    assert ', 3 min, 1 more stage. All locks' in ' '.join(text.split())
    assert 'All locks, in one queue: app/1 holds it: two replicas still sync\n' in text
    assert '  app/1  holds, begun ' in text
    wait = 'app/1 holds it: two replicas still sync, 2 ahead of this unit (app/1, app/2); 1 of 4 done'
    assert report.data(found)['this_unit'] == {'restart': wait}


def test_a_turn_of_a_roll_that_began_is_not_taken_for_that_of_the_units_own_request():
    claim = works_since(14, 2)
    ledger = roll_of(['app/0', 'app/1'])
    ledger = ledger._replace(tickets=(*ledger.tickets, Ticket(3, '', 'app/1', 1, nonce='aa')))

    found = report.data(seen({'app/0': had(1), 'app/1': claim}, ledger, unit='app/2'))

    rows = [(row['token'], row['holds'], row['begun']) for row in found['queues'][0]['tickets']]
    assert rows == [(2, True, True), (3, True, None)]


@pytest.mark.parametrize(
    'claims, waits, words, turn',
    [
        ({}, 'later', 'the roll will wait for you when stage 1 of 2 is done.', '1 ahead'),
        ({'app/0': had(1)}, 'now', 'the roll waits for you: stage 1 of 2 is done.', 'paused'),
    ],
    ids=['before', 'after'],
)
def test_a_roll_that_waits_after_its_first_stage_says_so_and_names_the_command(claims, waits, words, turn):
    pause = Order(PAUSE, 'r-stage', 'restart', at(13), 'stage 1 of 2 is done', 2, 2)
    found = seen(claims, roll_of(['app/0'], ['app/1'], orders=[pause]), unit='app/1')

    data, text = report.data(found), shown(found)

    assert data['pauses'] == [
        {'lock': 'restart', 'since': at(13), 'reason': 'stage 1 of 2 is done', 'waits': waits}
    ]
    assert 'restart: ' + words in text
    assert '  app/1  {} '.format(turn) in text
    resume = '    juju run app/leader coordinator-resume lock=restart'
    assert (resume in text.splitlines()) == (waits == 'now'), 'before that, it would end the trial'
    assert data['this_unit'] == {
        'restart': 'waits for the operator: stage 1 of 2 is done' if claims else
        'app/0 holds it, 1 ahead of this unit; 0 of 2 done; then the roll waits for the operator'
    }  # fmt: skip


def test_of_a_roll_that_is_over_only_the_leader_says_whether_its_end_is_still_to_be_shown():
    over = {'app/0': had(1), 'app/1': had(2)}, roll_of(['app/0', 'app/1'])

    assert '2 of 2 done, the leader shows its end in its' in shown(seen(*over, leads=True))
    assert '2 of 2 done.' in shown(seen(*over))
    assert report.data(seen(*over, leads=True, rolled=('r',)))['rolls'] == []
    assert report.data(seen({}, over[1], rolled=('r',)))['rolls'], 'it is not over in this ledger'


def test_a_pause_says_who_paused_why_and_that_a_unit_may_have_begun():
    pause = Order(PAUSE, 'p', '', at(15), 'an alarm')
    found = seen({}, roll_of(['app/0', 'app/1'], orders=[pause]), unit='app/1')

    text = shown(found)

    assert 'all locks: paused since 02:15 UTC, 2 min: an alarm.\n' in text
    assert '0 of 2 done, app/0 works or is paused.' in text.replace('\n  ', ' ')
    assert '  app/0  holds or paused ' in text
    assert '    juju run app/leader coordinator-resume' in text.splitlines()
    assert 'paused since 2026-11-26 02:15 UTC: an alarm' in report.data(found)['this_unit']['restart']


def test_units_that_were_freed_what_was_cancelled_and_what_is_not_written_are_told():
    freed = {'reason': 'its machine is off', 'last': 9, 'unit': 'app/7', 'nonce': 'bb', 'asks': (('', 3),)}
    orders = Order(FREE, 'f', since=at(12), **freed), Order(CANCEL, 'c', 'backup', at(14), '', 1, 12)
    claims = {'app/0': asks(), 'app/2': asks('backup')}
    ledger = ledger_for('app/0', 'app/2', orders=orders)
    found = seen(claims, ledger, wishes=(Wish(Order(PAUSE, 'p', 'restart', at(16))),))

    text = shown(found)

    assert 'app/7: freed since 02:12 UTC, 5 min: its machine is off; it has not run since' in text
    assert 'backup: cancelled since 02:14 UTC, 3 min; not every unit has withdrawn' in text
    assert 'restart: pause, ordered since 02:16 UTC, 1 min, is not written yet;' in text
    assert report.data(found)['to_write'] == [
        {'order': 'pause', 'lock': 'restart', 'unit': '', 'since': at(16)}
    ]
    obeyed = {'app/0': asks(), 'app/2': DONE, 'app/7': Claim(3, 3, nonce='bb', ended=9)}
    data = report.data(seen(obeyed, ledger))
    assert (data['freed'], data['cancelled']) == ([], []), 'each unit has heard'


# How much


def test_of_a_thousand_tickets_the_table_shows_seven_and_the_data_a_hundred():
    units = ['app/{}'.format(number) for number in range(1000)]
    found = seen(dict.fromkeys(units, asks()), ledger_for(*units), unit='app/500')

    data, lines = report.data(found), shown(found).splitlines()

    assert (len(data['queues'][0]['tickets']), data['queues'][0]['more_tickets']) == (100, 900)
    assert lines[4].startswith('  app/0  holds ')
    assert lines[11] == '  ... and 993 more'
    assert '  restart: app/0 holds it, 500 ahead of this unit' in lines


def test_of_a_thousand_requests_without_a_ticket_the_table_shows_seven():
    units = ['app/{:03d}'.format(number) for number in range(1000)]

    lines = shown(seen(dict.fromkeys(units, asks()), ledger_for('app/000'))).splitlines()

    assert [line.split()[0] for line in lines[5:13]] == [*units[1:8], '...']
    assert lines[12] == '  ... and 992 more without a ticket'


@pytest.mark.parametrize('queue', ['', 'l' * 200], ids=['one queue', 'per-lock'])
@pytest.mark.parametrize('locks', [1, 30])
@pytest.mark.parametrize('name', ['app', 'a' * 64])
def test_no_line_of_a_table_is_wider_than_a_terminal_and_none_ends_in_a_blank(name, locks, queue):
    named = tuple(('{:02d}'.format(number) + 'l' * 198, MONDAY) for number in range(locks))
    units = [name + '/{}'.format(number) for number in range(3)]
    claims = dict.fromkeys(units, Claim(1, locks=named))
    ledger = ledger_for(*units, queue=queue)
    far = ledger._replace(
        tickets=tuple(ticket._replace(token=2**53 - 9 + ticket.token) for ticket in ledger.tickets)
    )

    lines = shown(seen(claims, far, unit=units[0], queue=queue, problems=('p' * 300,))).splitlines()

    commands = [line for line in lines if line.startswith('    juju')]
    assert [
        line for line in lines if line not in commands and (len(line) > 98 or line != line.rstrip())
    ] == []
    assert sum('/{} '.format(number) in line for line in lines for number in range(3)) >= 3


def test_an_answer_in_json_has_as_many_rows_as_there_is_room_for():
    units = ['app/{}'.format(number) for number in range(1000)]
    long = Claim(1, locks=tuple((letter * 200, MONDAY) for letter in 'abcdefghijk'))
    found = seen(dict.fromkeys(units, long), ledger_for(*units))

    text = report.as_json(found, 100000)

    queue = json.loads(text)['queues'][0]
    assert 50000 < len(text) <= 100000
    assert len(queue['tickets']) + queue['more_tickets'] == 1000
    assert json.loads(report.as_json(found, 10))['queues'][0]['more_tickets'] == 1000


names = st.sampled_from(['restart', 'x' * 200, 'über alles', 'a, b', '/7', '日本' * 50])
units = st.sampled_from(['app/0', 'app/1', 'app/2', '', 'a' * 60 + '/12345'])
queues = st.sampled_from(['', 'restart', 'x' * 200])
times = st.sampled_from(
    [NOW, MONDAY, '', 'yesterday', '2026-13-41 99:99:99', '0001-01-01 00:00:00', '\n' * 40]
)
tickets = st.builds(
    Ticket, st.integers(1, 2**53), queues, units, st.integers(0, 3), st.integers(1, 3),
    raw=st.sampled_from(['', '[7]']), after=st.one_of(st.none(), st.tuples(st.integers(1, 9))),
    requested_at=times, nonce=st.sampled_from(['', 'aa']), stage=st.integers(0, 2),
    roll=st.one_of(st.just(''), names),
)  # fmt: skip
some_claims = st.builds(
    lambda asked, done, locks, begun, token, nonce: Claim(
        max(asked, done), done, tuple(sorted(locks.items())), begun, token, nonce=nonce
    ),
    st.integers(0, 3), st.integers(0, 3), st.dictionaries(names, times, max_size=3), st.booleans(),
    st.integers(0, 9), st.sampled_from(['', 'aa']),
)  # fmt: skip
ledgers = st.one_of(
    st.none(),
    st.just(UNREADABLE),
    st.builds(Ledger, st.just(9), st.lists(tickets, max_size=9).map(tuple), contested=st.booleans()),
)


@given(ledgers, st.dictionaries(st.tuples(units, queues), some_claims), st.integers(0, 4))
def test_whatever_was_read_can_be_told(ledger, claims, most):
    found = report.Seen('app/1', NOW, 4, ledger=ledger, claims=claims, failed=frozenset(['', 'restart']))

    data = report.data(found, most)
    lines = table.text(data).splitlines()

    assert json.loads(json.dumps(data)) == data
    assert [line for line in lines if 'juju' not in line and (len(line) > 98 or line != line.rstrip())] == []


# Times as people say them


@pytest.mark.parametrize(
    'asked_at, words',
    [
        (NOW, 'since 02:17 UTC, 0 s'),
        ('2026-11-26 02:16:06.000000Z', 'since 02:16 UTC, 59 s'),
        ('2026-11-26 02:16:05.000000Z', 'since 02:16 UTC, 1 min'),
        ('2026-11-26 01:17:06.000000Z', 'since 01:17 UTC, 59 min'),
        ('2026-11-26 00:12:00.000000Z', 'since 00:12 UTC, 2 h 5 min'),
        ('2026-11-25 23:17:05.000000Z', 'since 2026-11-25 23:17 UTC, 3 h 0 min'),
        ('2026-11-25 02:17:05.000000Z', 'since 2026-11-25 02:17 UTC, 1 day'),
        (MONDAY, 'since 2026-11-23 02:13 UTC, 3 days'),
        ('2026-11-26 02:18:00.000000Z', 'since 02:18 UTC'),
        ('', '-'),
        ('yesterday', '-'),
    ],
)
def test_a_time_is_said_as_people_say_it(asked_at, words):
    row = shown(seen({'app/3': asks(since=asked_at)}, ledger_for('app/3'))).splitlines()[4]

    assert row.split('11', 1)[1].split('restart')[0].strip() == words
