"""A share of the campaign of tests/campaigns/chaos.py, and what the campaign itself is worth."""

import functools
import shutil
from types import SimpleNamespace

import pytest

from jujusim.juju import Juju
from tests import deploy
from tests.broken import BROKEN, written_into
from tests.campaigns import chaos, luck, plans
from tests.campaigns.account import Account
from tests.campaigns.told import Told, app_1_works

EVER_FAILED = (
    (206, ()),
    (13, ()),
    (3, ()),
    (5, ('debug', 'fail-work')),
    (101, ('reuse', 'fail-work')),
    (8, ('agent',)),
    (28, ('store', 'databag', 'fail', 'fail-work')),
    (4301271, ()),
    (4301788, ()),
    (4322552, ()),
    (4341497, ()),
    (4360285, ()),
    (4380147, ()),
    (4382658, ()),
    (4382766, ()),
    (4404315, ()),
    (4406166, ()),
    (4408913, ()),
    (4440223, ()),
    (4460168, ()),
    (4502143, ()),
    (4505020, ()),
    (4508168, ()),
    (4528679, ()),
    (4600256, ('reuse', 'roll', 'remove', 'leader', 'add')),
    (4601285, ('reuse', 'roll', 'remove', 'leader', 'add')),
)
"""Seeds, each with its strokes, in which the layer, or the account of it, was once found wrong."""

COMPANY = ('fail', 'fail-work', 'crash', 'leader')
"""What a stroke is told with: most need a turn that failed, or a leader that moved, to do harm."""


def live(seed, only=(), **options):
    kind = chaos.kind_of(seed, only=only)
    return chaos.live(kind._replace(**options))


@pytest.mark.parametrize('seeds', [range(first, first + 6) for first in range(1, 13, 6)], ids=str)
def test_no_promise_is_broken_in_a_random_history(seeds):
    for seed in seeds:
        verdict = live(seed)

        assert not verdict.fault, '{}\nmake chaos SEED={}\n{}'.format(verdict.fault, seed, verdict.story)


@pytest.mark.parametrize('stroke', luck.STROKES)
def test_no_promise_is_broken_by_one_stroke(stroke):
    only = (stroke, *COMPANY)
    verdict = live(1, only)

    form = '{}\nmake chaos SEED=1 ONLY={}\n{}'
    assert not verdict.fault, form.format(verdict.fault, ','.join(only), verdict.story)


@pytest.mark.parametrize('seed, only', EVER_FAILED)
def test_a_history_that_once_failed_does_not_fail_again(seed, only):
    verdict = live(seed, only)

    assert not verdict.fault, verdict.story


@pytest.mark.parametrize('seed', [2, 7, 12])
def test_quick_hooks_tell_the_same_history_as_a_process_a_hook_to_the_letter(seed):
    kind = chaos.kind_of(seed)

    assert chaos.live(kind, quick=True) == chaos.live(kind, quick=False)


ORDERS = ('roll', 'pause', 'resume', 'cancel', 'free', 'gate')


def test_no_promise_is_broken_by_an_operator_s_orders():
    only = (*ORDERS, *COMPANY)
    for seed in range(930000, 930010):
        verdict = live(seed, only)

        form = '{}\nmake chaos SEED={} ONLY={}\n{}'
        assert not verdict.fault, form.format(verdict.fault, seed, ','.join(only), verdict.story)


@pytest.mark.parametrize(
    'broken, sort',
    [
        ('a turn begins though its lock is paused', 'a turn begun in a pause'),
        ('a cancelled request stays', 'a turn begun that was cancelled'),
        ('a gate is asked again in a turn that has begun', 'a gate asked again'),
    ],
)
def test_the_campaign_finds_an_order_that_is_not_obeyed(broken, sort, tmp_path, monkeypatch):
    (entry,) = [entry for entry in BROKEN if broken in entry.name]
    tree = tmp_path / 'tree'
    shutil.copytree(str(deploy.ROOT), str(tree), symlinks=True, ignore=shutil.ignore_patterns('.*', 'tests'))
    written_into(entry, tree)
    charm_of = functools.lru_cache(maxsize=None)(plans.charm_of.__wrapped__)
    monkeypatch.setitem(deploy.LAYERS, 'layer:coordinator', tree)
    monkeypatch.setattr(plans, '_SCRATCH', SimpleNamespace(name=str(tmp_path)))
    monkeypatch.setattr(chaos, 'charm_of', charm_of)
    monkeypatch.setattr(plans, 'charm_of', charm_of)
    kinds = (
        chaos.kind_of(seed, only=('roll', 'pause', 'cancel', 'gate', 'fail'))
        for seed in range(930000, 930030)
    )

    assert sort in map(chaos.sort_of, (chaos.live(kind).fault for kind in kinds))


def test_the_same_campaign_finds_what_is_known_to_be_wrong_with_charmhelpers():
    verdicts = [chaos.live(chaos.kind_of(seed, plans.THEIRS)) for seed in (5, 6, 21, 30)]

    sorts = {chaos.sort_of(verdict.fault) for verdict in verdicts if verdict.fault}
    assert {'two at work', 'a turn lost'} <= sorts


def test_seeds_reach_every_charm_every_option_and_whatever_may_go_wrong():
    kinds = [chaos.kind_of(seed) for seed in range(1, 401)]

    assert {kind.plan for kind in kinds} == set(plans.PLANS)
    assert {kind.options for kind in kinds} == {kind.refreshed for kind in kinds} == set(plans.OPTIONS)
    assert {(kind.juju, kind.retry, kind.subordinate) for kind in kinds} == {
        (juju, retry, subordinate)
        for juju in (3, 4)
        for retry in (True, False)
        for subordinate in (True, False)
    }
    assert {kind.units for kind in kinds} == set(range(2, 8))
    assert {name for juju in (3, 4) for name in luck.chosen(plans.OURS, juju, ())} == set(luck.STROKES)


def test_a_stroke_can_be_chosen_alone():
    assert set(luck.chosen(plans.OURS, 3, ('exec', 'migrate'))) == {'exec', 'migrate'}
    assert set(luck.chosen(plans.OURS, 4, ('exec', 'migrate'))) == {'exec'}


# The account is strict


@pytest.fixture
def told():
    """Returns a model and its account: app/0 and app/1 have asked, app/0 has worked in its hook."""
    model = Told()
    account = Account(model, chaos.kind_of(1)._replace(options='one queue', plan='plain', units=2))
    account._saved = lambda unit: model.saved.get(unit, '')
    for unit in ('app/0', 'app/1'):
        model.say(unit, 'asked: restart request False')
    model.begins('app/0')
    model.works('app/0')
    return model, account


def test_a_hook_that_succeeds_ends_the_work_of_its_unit(told):
    model, account = told
    model.tell('app/0', 'ends')
    app_1_works(model)

    assert not account.faults
    assert not account.unserved() or account.unserved() == ['app/1 waits for restart']


@pytest.mark.parametrize('end', ['fails', 'is killed', 'loses its agent'])
def test_a_hook_that_does_not_succeed_leaves_its_unit_at_work(told, end):
    model, account = told
    model.tell('app/0', end, 'made to fail')
    app_1_works(model)

    assert account.faults == ['at 0.00: app/0 and app/1 at work together']


@pytest.mark.parametrize('aside', [{'action': 'look'}, {'script': 'hooks/update-status'}])
def test_an_action_and_juju_exec_end_nothing(told, aside):
    model, account = told
    model.tell('app/0', 'fails', 'made to fail')
    model.begins('app/0', **aside)
    model.tell('app/0', 'ran', 'an action')
    app_1_works(model)

    assert account.faults == ['at 0.00: app/0 and app/1 at work together']


def test_a_hook_that_was_skipped_leaves_its_unit_at_work_until_a_later_one_succeeds(told):
    model, account = told
    model.tell('app/0', 'fails', 'made to fail')
    model.tell('app/0', 'resolved', 'no retry')
    app_1_works(model)
    assert account.faults == ['at 0.00: app/0 and app/1 at work together']


def test_a_kept_lock_is_held_until_a_hook_that_does_not_keep_it_succeeds(told):
    model, account = told
    model.say('app/0', 'kept: restart')
    model.tell('app/0', 'ends')
    app_1_works(model)

    assert account.faults == ['at 0.00: app/0 and app/1 at work together']


def test_a_turn_of_a_hook_that_failed_before_its_flags_were_saved_is_still_owed(told):
    model, account = told
    model.tell('app/0', 'is killed')
    assert 'app/0 waits for restart' in account.unserved()


def test_a_turn_of_a_hook_that_failed_after_its_flags_were_saved_is_over(told):
    model, account = told
    model.saved['app/0'] = 'app/0-context#1'
    model.tell('app/0', 'fails', 'made to fail')
    assert 'app/0 waits for restart' not in account.unserved()

    model.begins('app/0')
    model.works('app/0')
    assert account.faults == ['at 0.00: app/0 works under restart, which it has not asked for']


@pytest.mark.parametrize('code, end, late', [(1, 'ends', True), (1, 'fails', False), (0, 'ends', False)])
def test_a_turn_may_come_late_if_its_hook_failed_by_hand_and_counts_as_done(told, code, end, late):
    model, account = told
    weather = luck.BadLuck(model, account.kind, account)
    model.tell('app/0', 'ran by hand', 'config-changed: exit {}'.format(code))
    model.tell('app/0', end, 'config-changed')

    assert bool(weather.waits) == late


def test_a_turn_that_an_action_uses_is_a_fault(told):
    model, account = told
    model.tell('app/0', 'ends')
    model.begins('app/1', action='look')
    model.works('app/1')

    assert account.faults[0] == 'at 0.00: app/1 works under restart in a hook'


def test_a_new_unit_that_leads_before_it_hears_anybody_makes_no_ledger_beside_a_lost_one():
    kind = chaos.kind_of(1)._replace(juju=3, units=2, plan='plain', options='one queue')
    charm = plans.charm_of(plans.OURS, 'plain', 'one queue')
    options = {'machine': lambda unit, argv: (60.0, 0), 'config': {'go': 0}, 'update_status_s': chaos.NEVER_S}
    with Juju(charm, units=2, juju=3, seed=1, quick=True, **options) as model:
        account = Account(model, kind)
        model.run()
        model.configure(go=1)
        model.run(until=lambda: any(account.holders.values()))
        model.run(seconds=5)
        model.lose_app_data('coordinator-ledger')
        model.elect(model.add_unit())
        model.run()

        assert not account.faults, model.story()
        assert not account.unserved()
