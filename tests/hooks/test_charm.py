"""What charm code sees: the API and the flags, through real charms.reactive on the local Juju."""

import json
import re

import pytest

from tests.deploy import ROOT, assemble, begun, said
from tests.ledger import data_of, newest_key, newest_text
from tests.watch import Watch

both = pytest.mark.parametrize('juju', [3, 4])

ASK = """
@when('config.changed.go')
def ask():
    reactive.set_flag('asked') if coordinator.request_lock('a') else None
    hookenv.log('asked')
"""


@both
@pytest.mark.every_python
def test_the_granted_flag_is_set_in_just_the_hook_in_which_the_lock_is_held(model, charm_with, juju):
    charm = charm_with(
        ASK
        + """
@hook('{update-status,config-changed,coordinator-relation-changed,leader-settings-changed,leader-elected}')
def look(*args):
    hookenv.log('look {} {}'.format(hookenv.hook_name(), reactive.is_flag_set('coordinator.granted.a')))

@when('coordinator.granted.a')
def work():
    check_call(['work', '1'])
    hookenv.log('work {} {}'.format(coordinator.token('a'), coordinator.explain('a')))
"""
    )
    made = begun(model, charm, units=2, juju=juju)

    for unit in made.units:
        assert len(said(made, unit, 'work ')) == 1
        assert said(made, unit, 'look ').count('update-status True') == 0
        assert not {flag for flag in made.flags_of(unit) if flag.startswith('coordinator.')}
    assert 'this unit holds it' in said(made, 'app/1', 'work ')[0]


@both
def test_the_requested_flag_stays_from_the_request_until_the_turn_is_used(model, charm_with, juju):
    charm = charm_with(
        ASK
        + """
@when('coordinator.requested.a')
@when_not('coordinator.granted.a')
def wait():
    hookenv.log('waits')

@when('coordinator.granted.a')
def work():
    check_call(['work', '30'])
    hookenv.log('both {}'.format(reactive.is_flag_set('coordinator.requested.a')))
"""
    )
    made = begun(model, charm, units=2, juju=juju)

    assert [said(made, unit, 'both ') for unit in made.units] == [['True'], ['True']]
    assert said(made, 'app/1', 'waits')
    assert not any('coordinator.requested.a' in made.flags_of(unit) for unit in made.units)


@both
def test_a_kept_lock_is_held_in_the_next_hook_and_by_nobody_else(model, charm_with, juju):
    charm = charm_with(
        ASK
        + """
@when('coordinator.granted.a')
def work():
    check_call(['work', '1'])
    turn = hookenv.log('turn {}'.format(coordinator.token('a')))
    if len(open('turns', 'a+').write('x') and open('turns').read()) < 3:
        coordinator.keep_lock('a')
"""
    )
    made = model(charm, units=3, juju=juju)
    made.run(seconds=4000)

    tokens = [said(made, unit, 'turn ') for unit in made.units]
    assert [len(turns) for turns in tokens] == [3, 3, 3]
    assert all(len(set(turns)) == 1 for turns in tokens)  # the same turn
    order = [event.unit for event in made.history if event.what == 'works']
    assert sum(one != other for one, other in zip(order, order[1:])) == 2  # nobody in between


@both
def test_asking_again_gives_the_next_turn_to_the_others_first(model, charm_with, juju):
    charm = charm_with(
        """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    check_call(['work', '30'])
    if coordinator.is_granted('a') and not reactive.is_flag_set('once'):
        reactive.set_flag('once')
        coordinator.request_again('a')
"""
    )
    made = begun(model, charm, units=3, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=2000)

    watch.check()
    order = [turn.unit for turn in watch.turns]
    assert sorted(order) == sorted(made.units * 2)
    # A leader alone in the ledger may come again before it has heard of the others.
    heard = [unit for unit in order if unit != made.controller.leader]
    assert all(one != other for one, other in zip(heard, heard[1:]))


RELEASE = """
import os
from charmhelpers.core import unitdata

@when('config.changed.go')
def ask():
    if not os.path.exists('asked'):  # a file: the charm's own flags are rolled back when a hook fails
        open('asked', 'w').close()
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    check_call(['work', '10'])
    coordinator.release_lock('a')
    hookenv.log('left {} {}'.format(coordinator.is_granted('a'), coordinator.is_requested('a')))
"""
FAIL_ONCE = """    if not os.path.exists('failed'):
        open('failed', 'w').close()
        raise RuntimeError('a later step fails')
"""


@both
def test_a_released_lock_is_held_again_by_the_retry_if_the_hook_fails_afterwards(model, charm_with, juju):
    made = model(charm_with(RELEASE + FAIL_ONCE), units=3, juju=juju)
    watch = Watch(made)
    made.run()

    watch.check()  # nobody else works between the failed hook and its retry
    assert [
        sum(event.what == 'worked' and event.unit == unit for event in made.history) for unit in made.units
    ] == [2, 2, 2]
    assert all(said(made, unit, 'left ') == ['False False'] * 2 for unit in made.units)
    assert sum(event.what == 'fails' for event in made.history) == 3


@both
def test_a_released_lock_is_not_used_twice_if_the_charm_has_saved_its_key_value_store(
    model, charm_with, juju
):
    charm = charm_with(RELEASE + '    unitdata.kv().flush()\n' + FAIL_ONCE)
    made = model(charm, units=3, juju=juju)
    watch = Watch(made)
    made.run()

    watch.check()
    assert [
        sum(event.what == 'worked' and event.unit == unit for event in made.history) for unit in made.units
    ] == [1, 1, 1]
    assert all(said(made, unit, 'left ') == ['False False'] for unit in made.units)
    assert sum(event.what == 'fails' for event in made.history) == 3


@both
def test_a_lock_asked_for_in_the_install_hook_is_given_before_or_after_the_relation_exists(
    model, charm_with, juju
):
    charm = charm_with(
        """
@hook('install')
def ask():
    coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    check_call(['work', '5'])
"""
    )
    made = model(charm, units=3, juju=juju)
    watch = Watch(made)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]


@pytest.mark.parametrize('units', [1, 3])
def test_a_leader_uses_its_ticket_in_its_first_hook_only_if_it_is_the_only_unit(model, charm_with, units):
    """Leader settings need no relation. But nobody knows of a unit that has said nothing, see rule 14."""
    charm = charm_with(
        """
@hook('install')
def ask():
    coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    check_call(['work', '5'])
    hookenv.log('in ' + hookenv.hook_name())
"""
    )
    made = model(charm, units=units, juju=3)
    made.run()

    first = next(event.unit for event in made.history if event.what == 'works')
    assert (said(made, first, 'in ') == ['install']) == (units == 1)


@both
def test_a_lock_asked_for_in_another_layers_atexit_callback_is_not_lost(model, charm_with, juju):
    charm = charm_with(
        """
def ask():
    if not hookenv.config('go') or reactive.is_flag_set('asked'):
        return
    reactive.set_flag('asked')
    hookenv.log('told {}'.format(coordinator.request_lock('a')))

@hook('config-changed')
def early():
    hookenv.atexit(ask)  # booked in a handler: runs before this layer's own

def ask_b():
    if hookenv.config('go') == 2 and not reactive.is_flag_set('b-asked'):
        reactive.set_flag('b-asked')
        coordinator.request_lock('b')

hookenv.atexit(ask_b)  # booked at import: runs after this layer's own

@when('coordinator.granted.a')
def work():
    check_call(['work', '5'])

@when('coordinator.granted.b')
def work_b():
    hookenv.log('b done')
"""
    )
    made = begun(model, charm, units=2, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=700)
    made.configure(go=2)
    made.run(seconds=700)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1], made.story(40)
    assert all(said(made, unit, 'told ') == ['False'] for unit in made.units)
    assert all(made.log_of(unit, 'b done') for unit in made.units)


@both
@pytest.mark.parametrize('main', [False, True])
def test_a_lock_asked_for_in_an_action_is_given(model, charm_with, juju, main):
    charm = charm_with("@when('coordinator.granted.a')\ndef work():\n    check_call(['work', '5'])\n")
    action = 'from charms.layer import coordinator\n'
    if main:
        action = (
            'from charmhelpers.core import hookenv\n'
            'from charms.layer import coordinator\nfrom charms import reactive\n'
            'hookenv.atstart(lambda: None)\nreactive.main()\n'
        )
        (charm / 'reactive' / 'in_action.py').write_text(
            'import os\nfrom charms.layer import coordinator\nfrom charms.reactive import when_not\n\n\n'
            "@when_not('never')\ndef ask():\n    if os.environ.get('JUJU_ACTION_NAME'):\n"
            "        coordinator.request_lock('a')\n"
        )
    else:
        action += "hold = coordinator.request_lock('a')\n"
        action += (
            "from charmhelpers.core import hookenv\nhookenv.action_set({'said': coordinator.explain('a')})\n"
        )
    (charm / 'actions').mkdir(exist_ok=True)
    (charm / 'actions' / 'ask').write_text(action)
    made = begun(model, charm, units=2, juju=juju)
    watch = Watch(made)

    for unit in made.units:
        made.run_action(unit, 'ask')
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1], made.story(40)
    assert sum(event.what == 'ran' for event in made.history) == 2
    running = {}
    for event in made.history:
        running.update({event.unit: event.text} if event.what == 'begins' else {})
        assert event.what != 'works' or not running[event.unit].startswith('action'), made.story(40)


@both
def test_a_unit_that_leaves_takes_no_new_turn_and_gives_up_what_it_has(model, charm_with, juju):
    charm = charm_with(
        ASK
        + """
@hook('stop')
def stopping():
    hookenv.log('told {} {}'.format(coordinator.request_lock('b'), coordinator.explain('b')))

@when('coordinator.granted.a')
def work():
    check_call(['work', '2'])
    coordinator.keep_lock('a')
"""
    )
    made = model(charm, units=2, juju=juju)
    watch = Watch(made)
    made.run(until=lambda: bool(watch.turns))
    holder = watch.turns[0].unit

    made.remove_unit(holder)
    made.run(seconds=1000)

    watch.check()
    assert said(made, holder, 'told ') == ['False b: this unit leaves and takes no new turn']
    assert all(watch.served(unit) for unit in made.units), made.story(60)


@both
def test_units_of_a_subordinate_take_turns_too(model, example, juju):
    made = begun(model, example, units=3, juju=juju, subordinate=True)
    watch = Watch(made)

    made.configure(memory=2)
    made.elect(after_s=40)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]


@both
def test_by_default_the_unit_whose_turn_it_is_holds_all_it_asked_for(model, charm_with, juju):
    plan = """
@when('config.changed.go')
def ask():
    coordinator.request_lock('a')
    coordinator.request_lock('b')

@when('coordinator.granted.a')
def work_a():
    check_call(['work', '5'])

@when('coordinator.granted.b')
def work_b():
    check_call(['work', '5'])
"""
    one, each = charm_with(plan), charm_with(plan, queues='per-lock')
    most = {}
    for charm in (one, each):
        made = model(charm, units=3, juju=juju)
        watch = Watch(made, slots=2)
        made.run()
        watch.check()
        most[charm] = watch.most_at_work
        assert [watch.served(unit) for unit in made.units] == [2, 2, 2]

    assert most[one] == 1
    # With a queue per lock different locks may be held by different units; how many
    # were depends on who asked first, but never two for one lock.
    assert most[each] <= 2


@both
def test_a_charm_upgrade_may_change_which_queue_a_lock_is_in(model, example, tmp_path, juju):
    per_lock = assemble(ROOT / 'examples' / 'rolling-db', tmp_path / 'per-lock', {'queues': 'per-lock'})
    made = begun(model, example, units=4, juju=juju)
    watch = Watch(made)

    made.configure(memory=2)
    made.run(seconds=20)
    for unit in made.units:
        made.upgrade(unit, per_lock)
    made.run()

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


# Bad input


@pytest.mark.parametrize(
    'options, sentence',
    [
        ({'queues': 'two'}, "queues: expected one of one, per-lock, found 'two'"),
        ({'slots': 0}, 'slots: expected a number of units from 1 to 10000'),
        ({'slots': 'lots'}, "found 'lots'"),
        ({'slots': '101%'}, 'percentage from "1%" to "100%"'),
        ({'slots': None}, 'slots: expected'),
    ],
)
def test_a_wrong_option_fails_the_first_hook_in_a_sentence(model, charm_with, options, sentence):
    made = model(charm_with('', **options))

    made.run(seconds=3)

    failed = [event.text for event in made.history if event.what == 'fails']
    assert failed
    assert sentence in failed[0]
    assert 'layer.yaml, options, coordinator' in failed[0]


@pytest.mark.parametrize('name', ['', ' a', 'a ', 'a{b}', 'a\nb', 'x' * 201])
def test_a_bad_lock_name_is_a_value_error_that_says_what_is_allowed(model, charm_with, name):
    charm = charm_with(
        """
@hook('install')
def ask():
    for function in (coordinator.request_lock, coordinator.release_lock, coordinator.keep_lock,
                     coordinator.request_again, coordinator.is_granted, coordinator.is_requested,
                     coordinator.token, coordinator.explain):
        try:
            function({!r})
        except ValueError as refused:
            hookenv.log('refused {{}}'.format(refused))
""".format(name)
    )
    made = begun(model, charm)

    refusals = said(made, 'app/0', 'refused ')
    assert len(refusals) == 8
    assert all('expected 1 to 200 printable characters without braces' in text for text in refusals)


POISON = [
    'no json',
    '{"v": 3, "queues": {}}',
    '[]',
    'null',
    '{"v": 1}',
    '{"v": 2, "unit": "-o/x", "queues": {"": {"asked": 9, "done": 9}}}',
    '{"v": 2, "term": -1, "queues": {"": {"asked": 9, "done": 9}}}',
    '{"v": 2, "queues": {"": {"asked": 9, "done": 9, "over": "x"}}}',
    '{"v": 2, "queues": {"": {"asked": 9, "done": 9, "again": ["a"]}}}',
    '{"v": 1, "queues": {"": {"asked": -1, "done": -5}}}',
    '{"v": 1, "queues": {"": {"asked": 99999999999999999999, "done": 99999999999999999999}}}',
    '{"v": 1, "queues": {"": {"asked": true, "done": 0}}}',
    '{"v": 1, "queues": {"": {"asked": 1, "done": 9}}}',
    '[' * 5000,
]


@both
def test_a_holders_poisoned_claim_frees_nothing_and_fails_no_hook(model, example, juju):
    made = begun(model, example, units=3, juju=juju)
    for place, text in enumerate(POISON[juju - 3 :: 2]):  # each in one of the two modes
        watch, since = Watch(made), made.now
        made.configure(memory=2 + place)
        # The second unit works. By then the third has its ticket, and reads the claim ahead of it.
        made.run(until=lambda watch=watch: len(watch.turns) == 1 and bool(watch.at_work))
        holder = next(iter(watch.at_work))

        made.poison(holder, 'coordinator-claims', text)
        made.run()

        watch.check()
        assert [watch.served(unit) for unit in made.units] == [1, 1, 1], text
        told = [
            (unit, log) for when, unit, _, log in made.logs if when > since and 'databag of ' + holder in log
        ]
        assert told
        assert len(told) == len(set(told))  # each unit that read it logged it once
    assert not any(event.what == 'fails' for event in made.history)


@pytest.mark.parametrize(
    'ledger, served',
    [
        ('no json', 0),
        ('{"v": 3, "token": 9, "tickets": []}', 0),
        ('{"v": 2, "token": -1, "tickets": []}', 0),
        (
            '{"v": 2, "token": 9, "tickets": [[9, "", "app/0", 99999999999, 1, ""]]}',
            1,
        ),  # its own unit's, which it may pass
        ('{"v": 2, "token": 9, "tickets": ["?", [9, "", "app/1", 1, 1, ""]]}', 0),
        ('{"v": 2, "token": 9, "tickets": [[8, "other", "app/0", -3, 1, ""]]}', 3),
    ],
    ids=range(6),
)
def test_a_poisoned_ledger_gives_nobody_a_lock_and_fails_no_hook(model, charm_with, ledger, served):
    charm = charm_with(
        """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        coordinator.request_lock('a')
        hookenv.log('told ' + coordinator.explain('a'))

@when('coordinator.granted.a')
def work():
    check_call(['work', '5'])
""",
        queues='per-lock',
    )
    made = begun(model, charm, units=3)
    key = newest_key(made.controller.leader_settings)
    made.controller.write_leader_settings('app/0', {key: ledger})
    watch = Watch(made)

    made.configure(go=1)
    made.run(seconds=700)

    watch.check()
    assert len(watch.turns) == served
    assert not any(event.what == 'fails' for event in made.history)
    assert len(made.log_of('app/0', 'leader settings, key "{}"'.format(key))) == 1
    if served == 3:  # what could not be read is still there
        assert '"other","app/0",-3' in newest_text(made.controller.leader_settings).replace(' ', '')


def test_a_local_store_that_is_no_json_is_put_aside_and_nothing_held_is_lost(model, example):
    made = begun(model, example, units=3)
    watch = Watch(made)
    made.configure(memory=2)
    made.run(until=lambda: len(watch.turns) == 1)
    waiting = next(unit for unit in made.units if not watch.served(unit))

    (made._charm_dir(waiting) / '.coordinator.json').write_bytes(b'rubbish' * 1000)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]
    assert made.log_of(waiting, 'local store .coordinator.json: expected JSON with its checksum')
    assert (made._charm_dir(waiting) / '.coordinator.json.unreadable').exists()
    assert not any(event.what == 'fails' for event in made.history)


def test_below_juju_2_9_the_layer_refuses_in_a_sentence(monkeypatch, model, charm_with):
    monkeypatch.setattr('jujusim.juju.VERSIONS', {3: '2.8.7'})
    made = model(charm_with(''))

    made.run(seconds=3)

    failed = [event.text for event in made.history if event.what == 'fails']
    assert failed
    assert "JUJU_VERSION: expected 2.9 or newer, found '2.8.7'" in failed[0]


@both
def test_a_ledger_lost_when_the_model_moved_is_rebuilt_with_growing_tokens(model, charm_with, juju):
    charm = charm_with(
        ASK
        + """
@when('coordinator.granted.a')
def work():
    check_call(['work', '5'])
    hookenv.log('token {}'.format(coordinator.token('a')))
"""
    )
    made = begun(model, charm, units=3, juju=juju)
    before = max(int(token) for unit in made.units for token in said(made, unit, 'token '))

    if juju == 3:
        made.controller.leader_settings.clear()
    else:
        made.controller.app_settings.clear()
    watch = Watch(made)
    made.configure(go=7)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]
    after = [int(token) for unit in made.units for token in said(made, unit, 'token ')[1:]]
    assert min(after) > before


@both
def test_what_a_unit_and_a_leader_write_is_what_the_protocol_says(model, example, juju):
    made = begun(model, example, units=2, juju=juju)
    made.configure(memory=2)
    made.run()

    claims = json.loads(made.controller.units['app/1'].settings['coordinator-claims'])
    shared = {key: text for key, text in data_of(made.controller).items() if key.startswith('coordinator')}
    (key,), ledger = shared, json.loads(newest_text(shared))  # every other record is superseded

    assert claims['v'] == ledger['v'] == 2
    assert claims['queues'][''] == {'asked': 1, 'done': 1, 'token': claims['queues']['']['token']}
    assert re.match('coordinator-ledger-{}-[1-9][0-9]*-[0-9a-f]{{8}}$'.format(claims['term']), key)
    assert re.match('[0-9a-f]{8}$', claims['unit'])
    nonces = {ticket[5] for ticket in ledger['tickets'] if ticket[2] == 'app/1'}
    assert nonces <= {claims['unit']}
    assert all(len(ticket) == 6 for ticket in ledger['tickets'])
