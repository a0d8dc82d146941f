"""A relation that gets another id, and a model that moves to Juju 4."""

import pytest

from jujusim.tests.scripts import (
    CHANGED,
    CREATED,
    JOINED,
    act,
    both,
    forget,
    hooks,
    noted,
    published,
    run_until,
    times,
)

ASK = """
note("ids", *ask("relation-ids", "cluster"))
for number in ("0", "1"):
    done = tool("relation-get", "-r", "cluster:" + number, "word", ME, "--format=json")
    note("word", number, done.returncode, done.stdout.strip())
"""

# The relation's id


@both
@pytest.mark.parametrize('keep', [True, False])
def test_after_the_relation_has_another_id_tools_with_the_old_one_exit_2(deployed, juju, keep):
    made = deployed(juju, {'actions/ask': ASK})
    act(made, 'app/0', 'say-a')

    made.change_relation_id(keep_databags=keep)
    made.run()
    act(made, 'app/0', 'ask')

    assert noted(made, 'app/0', 'ids') == [['cluster:1']]
    assert noted(made, 'app/0', 'word') == [['0', 2, ''], ['1', 0, '"a"' if keep else 'null']]
    assert 'ingress-address' in made.controller.units['app/0'].settings


@both
def test_the_relation_gets_no_other_id_while_a_hook_of_it_has_failed(deployed, juju):
    """Nobody has seen what Juju does then, so nothing is made up."""
    made = deployed(juju, {CHANGED: 'note("changed")'})
    made.fail_hook('app/1', CHANGED.split('/')[-1], times=3)
    made.run_action('app/0', 'say-a')
    made.run(until=lambda: made.fails_in_the_relation('app/1'))

    with pytest.raises(ValueError, match='expected no failed hook of the relation, found one of app/1'):
        made.change_relation_id()
    made.run()
    made.change_relation_id()


@both
def test_units_enter_the_new_relation_and_run_its_hooks_from_the_first_on(deployed, juju):
    made = deployed(juju, {CREATED: 'note("id", os.environ["JUJU_RELATION_ID"])'})

    made.change_relation_id()
    made.run()

    assert hooks(made, 'app/0') == [CREATED, JOINED + ' (app/1)', CHANGED + ' (app/1)']
    assert noted(made, 'app/0', 'id') == [['cluster:1']]


@both
def test_what_the_application_wrote_comes_along_or_is_gone(deployed, juju):
    made = deployed(juju)
    act(made, 'app/0', 'app-a')
    forget(made)

    made.change_relation_id(keep_databags=True)
    made.run()
    kept, heard = dict(made.controller.app_settings), hooks(made, 'app/1')
    made.change_relation_id(keep_databags=False)
    forget(made)
    made.run()

    assert (kept, made.controller.app_settings) == ({'word': 'a'}, {})
    assert heard[0] == CREATED
    assert CHANGED in heard
    assert CHANGED not in hooks(made, 'app/1')


@both
def test_a_hook_under_way_keeps_the_old_id_and_fails_if_it_wrote_there(deployed, juju):
    script = 'time.sleep(30)\nrelation, = ask("relation-ids", "cluster")\nnote("id", relation)\n'
    made = deployed(juju, {'upgrade-charm': script + 'tool("relation-set", "-r", relation, "word=b")'})

    made.upgrade('app/0')
    run_until(made, 'app/0', 'begins')
    made.run(seconds=5)
    made.change_relation_id()
    made.run()

    assert noted(made, 'app/0', 'id') == [['cluster:0'], ['cluster:1']]
    assert len(times(made, 'app/0', 'fails')) == 1
    assert published(made, 'app/0') == 'b'


@both
def test_a_relation_hook_under_way_belongs_to_the_old_relation(deployed, juju):
    made = deployed(juju, {CHANGED: 'time.sleep(30)'})

    act(made, 'app/1', 'say-a')
    made.run_action('app/1', 'say-b')
    run_until(made, 'app/0', 'begins', CHANGED)
    made.run(seconds=5)
    made.change_relation_id()
    forget(made)
    made.run()

    assert hooks(made, 'app/0') == [CREATED, JOINED + ' (app/1)', CHANGED + ' (app/1)']


# From Juju 3 to Juju 4

VERSION = """
note("version", os.environ["JUJU_VERSION"][0])
try:
    note("led", ask("leader-get"))
    told("lead", tool("leader-set", "word=b"))
    note("led", ask("leader-get"))
except FileNotFoundError:
    note("led", "no such tool")
"""


@pytest.fixture
def moving(deployed):
    """A model of Juju 3 whose leader has written leader settings; `actions/ask` asks for them."""

    def make(scripts=None, **options):
        made = deployed(3, {'actions/ask': VERSION, **(scripts or {})}, **options)
        act(made, 'app/0', 'lead-a')
        act(made, 'app/1', 'say-a')
        forget(made)
        return made

    return make


def test_a_move_to_4_drops_leader_settings_and_keeps_databags(moving):
    made = moving()

    made.migrate()
    made.run()
    act(made, 'app/0', 'ask')
    act(made, 'app/0', 'app-a')

    assert noted(made, 'app/0', 'version') == [['4']]
    assert noted(made, 'app/0', 'led') == [['no such tool']]
    assert made.controller.leader_settings == {}
    assert published(made, 'app/1') == 'a'
    assert CHANGED in hooks(made, 'app/1')
    assert made.controller.leader == 'app/0'


def test_an_agent_of_3_on_a_controller_of_4_writes_leader_settings_into_the_void(moving):
    made = moving()

    made.migrate(agents=['app/1'])
    made.run()
    act(made, 'app/0', 'ask')
    forgotten = hooks(made, 'app/1')
    made.upgrade_agent('app/0')
    made.run()
    act(made, 'app/0', 'ask')

    assert noted(made, 'app/0', 'version') == [['3'], ['4']]
    assert noted(made, 'app/0', 'led') == [[{}], [{}], ['no such tool']]
    assert noted(made, 'app/0', 'lead') == [[0, '']]
    assert 'leader-settings-changed' not in forgotten


def test_a_hook_under_way_in_a_move_keeps_its_tools_is_refused_and_runs_again_with_the_new_ones(moving):
    made = moving({'upgrade-charm': 'time.sleep(30)\nsay("c")\n' + VERSION})

    made.upgrade('app/0')
    run_until(made, 'app/0', 'begins', 'upgrade-charm')
    made.run(seconds=5)
    made.migrate()
    run_until(made, 'app/0', 'fails')
    lost = published(made, 'app/0')
    made.run()

    assert noted(made, 'app/0', 'version') == [['3'], ['4']]
    assert noted(made, 'app/0', 'led') == [[{}], [{}], ['no such tool']]
    assert (lost, published(made, 'app/0')) == (None, 'c')
    assert len(times(made, 'app/0', 'fails')) == 1


def test_a_hook_whose_agent_is_upgraded_only_after_it_is_committed(moving):
    made = moving({'upgrade-charm': 'time.sleep(30)\nsay("c")\n'})

    made.upgrade('app/0')
    run_until(made, 'app/0', 'begins', 'upgrade-charm')
    made.migrate(agents=[])
    made.run()

    assert times(made, 'app/0', 'fails') == []
    assert published(made, 'app/0') == 'c'


def test_a_failed_leader_settings_changed_is_forgotten_by_the_new_agent(moving):
    made = moving()
    made.fail_hook('app/1', 'leader-settings-changed', times=100)

    made.run_action('app/0', 'lead-b')
    run_until(made, 'app/1', 'fails')
    made.migrate()
    made.run()

    assert made.quiet
    assert hooks(made, 'app/1').count('leader-settings-changed') == 1


@both
def test_only_3_to_4_is_a_move(deployed, juju):
    made = deployed(juju)

    with pytest.raises(ValueError, match='expected from 3 to 4, found {} to 3'.format(juju)):
        made.migrate(to=3)
