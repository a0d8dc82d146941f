"""What is judged a broken promise, from values."""

import pytest

from jujusim.records import History
from tests.deploy import ROOT
from tests.onjuju import truth
from tests.onjuju.history import Work, lines_of, record, works, works_logged
from tests.onjuju.verdict import Scene, Turn, hooks, judge, ledger_writes, turns

LOG = """unit-db-0: 2026-11-26 10:47:00.000 INFO juju.worker.leadership db/0 promoted to leadership of db
unit-db-0: 2026-11-26 10:47:01.000 DEBUG juju.worker.uniter.operation running operation run config-changed hook for db/0
unit-db-0: 2026-11-26 10:47:01.250 INFO unit.db/0.juju-log coordinator: db/0 is given a ticket, token 7
unit-db-0: 2026-11-26 10:47:01.300 INFO unit.db/0.juju-log work: 1795690021.300 db/0-config-changed-1 begin
unit-db-0: 2026-11-26 10:47:03.300 INFO unit.db/0.juju-log work: 1795690023.300 db/0-config-changed-1 end 0
unit-db-0: 2026-11-26 10:47:03.400 DEBUG juju.worker.uniter.operation committing operation "run config-changed hook" for db/0
unit-db-1: 2026-11-26 10:47:03.500 DEBUG juju.worker.uniter.operation running operation run relation-changed (1; unit: db/0) hook for db/1
unit-db-1: 2026-11-26 10:47:03.600 INFO unit.db/1.juju-log coordinator:1: coordinator: restart: released
unit-db-1: 2026-11-26 10:47:03.700 ERROR juju.worker.uniter.operation hook "coordinator-relation-changed" (via explicit, bespoke hook script) failed: exit status 1
machine-0: 2026-11-26 10:47:03.800 INFO juju.worker.machiner something else
a line that was cut
"""  # noqa: E501 - as the agents write it


def scene(owed=('db/0', 'db/1'), gone=None, forced=()):
    return Scene('roll', 0.0, 1000.0, owed, gone or {}, forced)


def worked(unit, begins, ends, code=0):
    return Work(unit, begins, ends, code)


def test_turns_one_after_the_other_keep_the_promise():
    found = judge(scene(), [worked('db/0', 1, 11), worked('db/1', 12, 22)], [])

    assert (found.broken, found.turns, found.most) == ((), 2, 1)
    assert (found.took_s, found.least_s) == (22, 20)


def test_two_units_at_work_at_once_break_it():
    found = judge(scene(), [worked('db/0', 1, 11), worked('db/1', 10.9, 22)], [])

    assert found.broken == ('db/1 worked from 10.9 s, while db/0 had its turn until 11.0 s',)
    assert found.most == 2


@pytest.mark.parametrize('first', [worked('db/0', 1, 5, 1), Work('db/0', 1)], ids=['failed', 'killed'])
def test_a_unit_has_its_turn_until_its_work_went_well(first):
    between = [first, worked('db/1', 6, 16), worked('db/0', 20, 30)]
    behind = [first, worked('db/0', 20, 30), worked('db/1', 31, 41)]

    assert judge(scene(), between, []).broken == (
        'db/1 worked from 6.0 s, while db/0 had its turn until 30.0 s',
    )
    found = judge(scene(), behind, [])
    assert (found.broken, found.turns, found.tries) == ((), 2, 3)


def test_a_unit_that_never_works_has_lost_its_turn_unless_it_is_gone():
    only = [worked('db/0', 1, 11)]

    assert judge(scene(), only, []).broken == ('db/1 asked for its turn, and never had it',)
    assert judge(scene(gone={'db/1': 5.0}), only, []).broken == ()


def test_a_turn_that_begins_long_after_the_one_before_was_not_handed_over():
    late = [worked('db/0', 1, 11), worked('db/1', 60, 70)]

    found = judge(scene()._replace(direct=True), late, [])
    assert found.broken == ('db/1 began 49 s after db/0 had ended, and nobody worked',)
    assert judge(scene(), late, []).broken == ()
    assert (
        judge(scene()._replace(direct=True), [worked('db/0', 1, 11), worked('db/1', 14, 24)], []).broken == ()
    )


def test_work_of_an_earlier_scene_serves_nobody():
    later = scene()._replace(began=20.0)

    assert len(judge(later, [worked('db/0', 1, 11), worked('db/1', 12, 19)], []).broken) == 2


def test_a_unit_that_was_removed_by_force_is_excused_from_then_on_and_no_other():
    lost = [Work('db/0', 1), worked('db/1', 6, 16)]

    assert judge(scene(gone={'db/0': 5.0}, forced=('db/0',)), lost, []).broken == ()
    late = judge(scene(gone={'db/0': 7.0}, forced=('db/0',)), lost, [])
    assert late.broken == ('db/1 worked from 6.0 s, while db/0 had its turn until 7.0 s',)
    going_on = [worked('db/0', 1, 11), worked('db/1', 6, 16)]
    found = judge(scene(gone={'db/0': 5.0}, forced=('db/0',)), going_on, [])
    assert (found.broken, len(found.excused)) == ((), 1)
    assert len(judge(scene(gone={'db/0': 5.0}), going_on, []).broken) == 1


def test_a_scene_is_drawn_with_what_was_in_it_and_nothing_of_the_next():
    pytest.importorskip('rich', reason='the suite shows with rich, which this environment has not')
    from tests.onjuju.shown import Drawn

    first = scene()._replace(ended=100.0, leader='db/0')
    done = [worked('db/0', 1, 11), worked('db/1', 12, 22), worked('db/0', 110, 120), worked('db/1', 121, 131)]
    asks = [(0.5, 'db/0'), (0.6, 'db/1'), (105.0, 'db/0'), (106.0, 'db/1')]
    lines = [{'s': s, 'unit': unit, 'what': 'says', 'text': 'restart: asked'} for s, unit in asks]
    lines.append({'s': 115.0, 'unit': 'db/1', 'what': 'leads', 'text': ''})

    drawn = Drawn(first, done, lines)

    assert [(span.unit, span.kind, span.begins, span.ends) for span in drawn.spans] == [
        ('db/0', 'waits', 0.5, 1), ('db/0', 'works', 1, 11),
        ('db/1', 'waits', 0.6, 12), ('db/1', 'works', 12, 22),
    ]  # fmt: skip
    assert drawn.leaders == [(0.0, 'db/0')]
    assert Drawn(first, done[2:], lines[2:]).spans == []
    later = Drawn(first._replace(began=104.0, ended=140.0), done, lines)
    assert [span.begins for span in later.spans if span.kind == 'works'] == [110, 121]


def test_a_record_tells_works_by_their_context_though_lines_are_cut():
    lines = [
        '1.0 a begin',
        '2.0 b begin',
        '3.0 a end 0',
        '4.0 b end 1',
        '5.0 c begin',
        '6.0 d end 0',
        '7.0 e beg',
    ]

    assert works('db/0', lines) == [worked('db/0', 1, 3), worked('db/0', 2, 4, 1), Work('db/0', 5)]
    assert turns(works('db/0', lines[-3:]), {}) == [Turn('db/0', 5, float('inf'))]


def test_a_log_becomes_a_history_that_the_local_jujus_rules_can_read():
    lines = lines_of(LOG)

    assert [line['what'] for line in lines] == [
        *('leads', 'begin', 'says', 'work', 'work', 'commit', 'begin', 'says', 'failed')
    ]
    assert hooks(lines) == {'config-changed': 1, 'relation-changed': 1}
    assert ledger_writes(lines) == 1
    done = works_logged(lines)['db/0']
    assert [(work.begins, work.ends, work.code) for work in done] == [(1795690021.3, 1795690023.3, 0)]
    written = record(lines, done)
    assert (written[0]['s'], written[1]['s']) == (0.0, 1.0)
    assert {line['what'] for line in written} >= {'works', 'worked'}
    read = History(written)
    assert [str(run.name) for run in read.hooks('db/1')] == ['relation-changed (db/0)']
    assert read.hooks('db/1')[0].outcome == 'failed'


@pytest.mark.parametrize(
    'again, sentence',
    [
        ('run relation-changed (1; unit: db/0) hook', ''),
        (
            'run relation-changed (1; unit: db/2) hook',
            'next hook is the same, with the same event. (R11, R12)',
        ),
        (
            'run relation-departed (1; unit: db/0, departee: db/2) hook',
            'the remote one, or on the leaving unit',
        ),
    ],
)
def test_a_log_that_breaks_a_sentence_about_juju_is_told_with_the_sentence(again, sentence):
    entry = (
        'unit-db-1: 2026-11-26 10:47:08.900 DEBUG juju.worker.uniter.operation running operation {} for db/1'
    )
    lines = [truth.version('4.0.14'), *record(lines_of(LOG + entry.format(again)), [])]

    said = truth.said(truth.judged(lines))

    assert ('NOT SO' in ' '.join(said)) == bool(sentence)
    assert sentence in ' '.join(said)
    assert len(said) > 1 or 'hold' in said[0]


@pytest.mark.parametrize('juju, major', [('4.0.14', '4'), ('3.6.1', '3'), ('2.9.52', '3')])
def test_a_record_tells_the_juju_by_whose_rules_it_is_judged(juju, major):
    assert truth.version(juju)['text'] == major
    assert History([truth.version(juju)]).juju == int(major)


def test_the_page_tells_each_scene_as_its_code_does():
    pytest.importorskip('jubilant', reason='jubilant is not installed; it needs Python 3.10')
    from tests.onjuju.scenes import SCENES

    page = (ROOT / 'docs' / 'on-juju.md').read_text(encoding='utf-8')
    rows = ['| `{}` | {} |'.format(name, kind.play.__doc__.strip()) for name, kind in SCENES.items()]
    assert '\n'.join(rows) in page
