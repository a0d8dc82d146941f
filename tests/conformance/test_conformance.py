"""Each sentence of `jujusim.conformance` holds on every record of a real Juju and on local histories.

It refuses a record that was bent so that this sentence is broken.
"""

import copy
import json
from collections import Counter

import pytest

from jujusim.conformance import PREDICATES, judge
from jujusim.records import History, load
from tests.conformance import campaign

UNSEEN = {'leader_elected_comes_once_a_term'}
"""Sentences for which no record of a real Juju has anything to judge."""


@pytest.fixture(scope='module')
def charm(tmp_path_factory):
    return campaign.build(tmp_path_factory.mktemp('conformance') / 'charm')


def lines_of(name):
    return copy.deepcopy(load(campaign.RECORDS / (name + '.jsonl')).lines)


def broken(lines):
    return {name for name, (_, texts) in judge(History(lines)).items() if texts}


# They hold


@pytest.mark.parametrize('name', [path.stem for path in sorted(campaign.RECORDS.glob('*.jsonl'))])
def test_a_record_of_a_real_juju_keeps_every_sentence(name):
    assert not broken(lines_of(name))


def test_the_records_have_something_to_judge_for_every_sentence_but_one():
    judged = Counter()
    for history in campaign.records():
        judged.update(campaign.verdict_of(history).judged)

    assert {name for name in PREDICATES if not judged[name]} == UNSEEN


@pytest.mark.parametrize('seeds', [range(1, 21), range(21, 41)], ids=str)
def test_a_history_of_the_local_juju_keeps_every_sentence_and_each_is_judged(charm, seeds):
    judged = Counter()
    for seed in seeds:
        verdict = campaign.verdict_of(campaign.live(charm, seed).history())
        judged.update(verdict.judged)

        assert not verdict.broken, 'make conformance SEED={}'.format(seed)
    assert {name for name in PREDICATES if not judged[name]} <= UNSEEN


# They refuse


def place(lines, unit, what, nth=0, **about):
    """Return where the n-th line of a unit lies that says all that; of texts, a part is enough."""
    found = [
        index
        for index, line in enumerate(lines)
        if (line['unit'], line['what']) == (unit, what)
        and all(
            value in line.get(key, '') if key == 'text' else line.get(key) == value
            for key, value in about.items()
        )
    ]
    return found[nth]


def block(unit, hook, remote='', relation='', members=(), **more):
    """Return the lines of a hook that runs and succeeds."""
    about = {'remote': remote, 'relation': relation, 'departing': '', 'is_leader': True}
    begin = {'s': 4.0, 'unit': unit, 'what': 'begin', 'hook': hook, **about, 'relation_list': list(members)}
    return [{**begin, **more}, {'s': 4.0, 'unit': unit, 'what': 'end', 'hook': hook, 'exit': 0}]


def retried(lines):
    """Return the place of a retry that succeeds."""
    for runs in History(lines).runs.values():
        for failed, retry in zip(runs, runs[1:]):
            if (failed.outcome, retry.outcome, retry.asked) == ('failed', 'done', False):
                return retry.at[0]
    raise LookupError


def bend_one_at_a_time():
    lines = lines_of('probe-app-bag')
    end = lines.pop(place(lines, 'probe/1', 'end', hook='update-status'))
    lines.insert(place(lines, 'probe/1', 'begin', remote='probe/0') + 1, end)
    return lines


def bend_a_failed_hook_runs_again_with_the_same_event():
    lines = lines_of('failed-work')
    lines[retried(lines)]['text'] = 'relation-changed (1; unit: rdb/9) hook'
    return lines


def bend_a_failed_hook_stays_failed_beside_actions():
    lines = lines_of('failed-work')
    retry = retried(lines)
    lines[retry]['text'] = 'relation-changed (1; unit: rdb/9) hook'
    about = {**lines[retry], 'text': 'action 7'}
    lines[retry:retry] = [about, {**about, 'what': 'commit'}]
    return lines


def bend_a_failed_hook_is_over_when_the_agent_is_lost_in_an_action():
    lines = lines_of('chaos')
    action = place(lines, 'rdb/3', 'begin', text='action 261')
    [begin] = [place(lines[action:], 'rdb/3', 'begin', 1) + action]
    lines[begin : begin + 1] = [{**lines[begin], 's': 682, 'text': 'relation-changed (1; unit: rdb/4) hook'}]
    return lines


def bend_the_start_of_a_reboot_comes_first():
    lines = lines_of('agent-killed-power-cut')
    start = place(lines, 'rdb/2', 'begin', text='start hook')
    about = {**lines[start], 'text': 'update-status hook'}
    lines[start:start] = [about, {**about, 'what': 'commit'}]
    return lines


def bend_update_status_waits():
    lines = lines_of('probe-deploy-2')
    joined = place(lines, 'probe/1', 'end', hook='peer-relation-joined')
    lines[joined + 1 : joined + 1] = block('probe/1', 'update-status', members=['probe/0'])
    return lines


def bend_config_changed_runs_twice():
    lines = lines_of('roll-4')
    del lines[place(lines, 'rdb/1', 'commit', 1, text='config-changed')]
    del lines[place(lines, 'rdb/1', 'begin', 1, text='config-changed')]
    return lines


def bend_a_new_unit_begins_in_order():
    lines = lines_of('probe-deploy-2')
    created = lines[place(lines, 'probe/0', 'begin', hook='peer-relation-created')]
    elected = lines[place(lines, 'probe/0', 'begin', hook='leader-elected')]
    for key in ('hook', 'relation'):
        created[key], elected[key] = elected[key], created[key]
    return lines


def bend_start_follows_the_first_config_changed():
    lines = lines_of('probe-deploy-2')
    configured = place(lines, 'probe/1', 'end', hook='config-changed')
    about = {'s': 0.8, 'unit': 'probe/1', 'text': 'action 7'}
    lines[configured + 1 : configured + 1] = [{**about, 'what': 'begin'}, {**about, 'what': 'commit'}]
    return lines


def bend_peers_join_a_unit_that_is_installed():
    lines = lines_of('probe-new-unit')
    begin = place(lines, 'probe/0', 'begin', hook='peer-relation-joined')
    end = place(lines, 'probe/0', 'end', hook='peer-relation-joined')
    moved = [line for line in lines[begin : end + 1] if line['unit'] == 'probe/0']
    return moved + [line for line in lines if line not in moved]


def bend_the_first_news_come_in_order():
    lines = lines_of('deploy-4')
    for line in lines:
        if line['unit'] == 'rdb/3' and 'unit: rdb/' in line.get('text', ''):
            line['text'] = (
                line['text'].replace('rdb/0)', 'x)').replace('rdb/1)', 'rdb/0)').replace('x)', 'rdb/1)')
            )
    return lines


def bend_changed_follows_joined():
    lines = lines_of('deploy-4')
    lines[place(lines, 'rdb/0', 'begin', text='changed (1; unit: rdb/1)')]['text'] = (
        'relation-changed (1; unit: rdb/2) hook'
    )
    return lines


def bend_a_leaving_unit_departs_stops_and_goes():
    lines = lines_of('probe-unit-removed')
    stopped = place(lines, 'probe/2', 'end', hook='stop')
    lines[stopped + 1 : stopped + 1] = block('probe/2', 'config-changed', is_leader=False)
    return lines


def bend_departed_names_who_departs():
    lines = lines_of('probe-unit-removed')
    lines[place(lines, 'probe/2', 'begin', remote='probe/0')]['departing'] = 'probe/1'
    return lines


def bend_no_unit_hears_of_itself():
    lines = lines_of('roll-4')
    lines[place(lines, 'rdb/0', 'begin', text='unit: rdb/1')]['text'] = (
        'relation-changed (1; unit: rdb/0) hook'
    )
    return lines


def bend_relation_list_is_the_joins_committed():
    lines = lines_of('probe-new-unit')
    lines[place(lines, 'probe/2', 'begin', hook='peer-relation-joined')]['relation_list'] = []
    return lines


def bend_a_members_data_change_in_its_own_hook_only():
    lines = lines_of('probe-member-cache')
    lines[place(lines, 'probe/0', 'reads', text='cc read2=1')]['text'] = 'cc read2=2'
    return lines


def bend_who_never_was_has_no_data():
    lines = lines_of('probe-new-unit')
    found = lines[place(lines, 'probe/2', 'reads', text='start')]
    found['text'] = found['text'].replace('u9=ERROR relation unit not found', 'u9=x')
    return lines


def bend_goal_state_names_who_lives():
    lines = lines_of('probe-unit-removed')
    found = lines[place(lines, 'probe/2', 'reads', text='stop')]
    found['text'] = found['text'].replace('dying', 'active')
    return lines


def bend_juju_exec_is_no_hook():
    lines = lines_of('probe-juju-exec')
    lines[place(lines, 'probe/0', 'reads', text='direct')]['text'] = 'direct: done'
    return lines


def bend_leader_elected_runs_on_the_leader():
    lines = lines_of('probe-deploy-2')
    lines[place(lines, 'probe/0', 'begin', hook='leader-elected')]['is_leader'] = False
    return lines


def bend_leader_elected_comes_once_a_term():
    return lines_of('probe-deploy-2') + block('probe/0', 'leader-elected', members=['probe/1'])


def bend_a_followers_batch_is_refused():
    lines = lines_of('leader-frozen')
    failed = lines[place(lines, 'rdb/3', 'failed')]
    failed['what'] = 'commit'
    return lines


def bend_only_news_of_the_application_wake():
    lines = lines_of('probe-app-bag')
    no_op = [place(lines, 'probe/0', 'writes', 1, bag='app')][0]
    lines[no_op + 1 : no_op + 1] = block('probe/0', 'peer-relation-changed', '', 'peer:0', ['probe/1'])
    return lines


def bend_only_news_of_a_member_wake():
    lines = lines_of('probe-app-bag')
    about = block('probe/0', 'peer-relation-changed', 'probe/1', 'peer:0', ['probe/1'])
    return lines[:-1] + about + about + lines[-1:]


@pytest.mark.parametrize('name', PREDICATES)
def test_a_sentence_and_no_other_refuses_the_record_bent_against_it(name):
    assert broken(globals()['bend_' + name]()) == {name}


def test_a_start_without_a_start_of_its_agent_is_no_reboots():
    lines = lines_of('agent-killed-power-cut')
    del lines[place(lines, 'rdb/2', 'started')]

    assert broken(lines) == {'the_start_of_a_reboot_comes_first'}


def test_a_unit_that_came_to_lead_late_runs_leader_elected_after_leader_settings_changed():
    lines = [{'s': 0.0, 'unit': '', 'what': 'juju', 'text': '3'}]
    hooks = (
        'install',
        'peer-relation-created',
        'leader-settings-changed',
        'leader-elected',
        'config-changed',
    )
    for hook in hooks:
        lines += block('app/0', hook, relation='peer:0' if 'relation' in hook else '')
    assert broken(lines) == {'a_new_unit_begins_in_order'}
    lines.insert(5, {'s': 4.0, 'unit': 'app/0', 'what': 'leads', 'text': ''})

    assert not broken(lines)


def test_a_unit_that_leaves_is_read_in_an_agents_log_too():
    lines = lines_of('probe-unit-removed')
    for line in lines:
        if line['what'] == 'begin' and line['hook'] == 'peer-relation-departed':
            form = 'relation-departed (0; unit: {}, departee: {}) hook'
            line['text'] = form.format(line['remote'], line.pop('departing'))
            for key in ('hook', 'remote', 'relation'):
                del line[key]

    runs = [run for run in History(lines).runs['probe/2'] if run.name.hook == 'relation-departed']

    assert [run.name.remote for run in runs] == ['probe/0', 'probe/1']
    assert {run.departing for run in runs} == {'probe/2'}


def test_a_b_and_a_again_while_a_unit_is_busy_wake_it_twice_or_not_at_all():
    lines = lines_of('probe-app-bag')
    more = block('probe/1', 'peer-relation-changed', '', 'peer:0', ['probe/0'])

    assert broken(lines[:-1] + more + lines[-1:]) == {'only_news_of_the_application_wake'}


def test_a_batch_with_application_data_of_a_unit_that_does_not_lead_is_refused():
    lines = lines_of('probe-app-bag')
    lines.insert(0, {'s': -1.0, 'unit': 'probe/0', 'what': 'leads', 'text': ''})
    assert not broken(lines)
    lines[place(lines, 'probe/0', 'writes', 2, bag='app')]['unit'] = 'probe/1'

    assert broken(lines) == {'a_followers_batch_is_refused'}


@pytest.mark.parametrize('seed', [2, 3])
def test_a_change_that_no_unit_hears_of_is_noticed(charm, seed):
    lines = campaign.live(charm, seed).lines
    written = [line for line in lines if line['what'] == 'writes' and line['bag'] == 'app']
    assert written
    assert lines[-1]['what'] == 'quiet'
    unheard = {**written[-1], 's': 1e6, 'text': json.dumps({'a': 'other'})}

    assert broken([*lines[:-1], unheard, lines[-1]]) == {'only_news_of_the_application_wake'}


def test_a_record_of_the_local_juju_has_the_form_of_the_real_ones(charm, tmp_path):
    recorder = campaign.live(charm, 1)
    recorder.write(tmp_path / 'one.jsonl')
    known = {line['what'] for history in campaign.records() for line in history.lines}

    told = load(tmp_path / 'one.jsonl')

    assert told.lines == recorder.lines
    assert {line['what'] for line in told.lines} - known <= {'juju', 'leads', 'gone'}
