"""What the benchmark computes: exponents, sums of samples, verdicts; and its two models of a roll."""

import os
import subprocess
from types import SimpleNamespace

import pytest

from benchmarks import bench, cpu, cpu_shown, here, machines, ordered, programs, script, thousand
from benchmarks.account import Account
from benchmarks.cpu import BEFORE, NEW, PEER, Counted, Taken
from benchmarks.programs import Used
from benchmarks.thousand import Roll
from jujusim.records import load
from tests.deploy import ROOT, assemble

both = pytest.mark.parametrize('juju', [3, 4])

KIND = ('coordinator-relation-changed', False)
RUNS = 42  # what the stand-in of the charm's ordinary hook exits with


def took(units, whole, cpu_s, left=100, reference_ms=100.0):
    return Taken(
        units=units, whole=whole, left=left, cpu_s=cpu_s, left_s=1.0, error_s=0.0, measured=whole,
        reference_ms=reference_ms, writes=4,
    )  # fmt: skip


# Figures


def test_an_exponent_is_found_from_two_sizes_and_from_no_fewer():
    assert bench.exponent({10: 100, 30: 900, 100: 10000}) == pytest.approx(2)
    assert bench.exponent({10: 50, 100: 500}) == pytest.approx(1)
    assert bench.exponent({10: 100}) is None
    assert bench.exponent({10: 0, 30: 900}) is None


def test_a_size_that_was_not_run_is_extrapolated_by_the_power_that_fits():
    by_size = {10: took(10, 100, 30.0), 30: took(30, 900, 270.0)}

    assert cpu.extrapolated(by_size, 100) == pytest.approx(3000)
    assert cpu.extrapolated({10: took(10, 100, 30.0)}, 100) is None


def test_small_rolls_run_every_hook_as_a_program_and_large_ones_a_sample():
    assert cpu.one_in(NEW[3], 30) == cpu.one_in(NEW[4], 10) == 1
    assert cpu.one_in(NEW[3], 100) > 1
    assert cpu.one_in(PEER, 30) > cpu.one_in(PEER, 10) > 1
    assert cpu.one_in(BEFORE[3], 100, measured=10**6) == 1


def test_hooks_that_were_not_measured_count_as_the_mean_of_their_kind():
    other = ('config-changed', True)
    used = [Used(KIND, True, 5, 300.0), Used(KIND, True, 5, 500.0), Used(KIND, True, 5, None)]
    used += [Used(KIND, False, 0, 2.0), Used(other, True, 9, None)]

    assert programs.total_s(used) == pytest.approx((300 + 500 + 400 + 2 + 400) / 1000)
    assert programs.error_s(used) > 0


def test_where_every_hook_was_measured_the_sum_has_no_error_and_where_none_was_there_is_no_sum():
    assert programs.error_s([Used(KIND, True, 5, 300.0), Used(KIND, True, 5, 500.0)]) == 0
    with pytest.raises(ValueError, match='no hook was measured'):
        programs.total_s([Used(KIND, True, 5, None)])


def test_two_rolls_are_compared_at_the_speed_that_the_machine_had_in_each():
    slow, quick = took(30, 900, 400.0, reference_ms=200.0), took(30, 100, 20.0, reference_ms=100.0)

    assert cpu.ratio(slow, quick) == pytest.approx(10)


def test_a_verdict_tells_the_worst_figure_and_whether_it_meets_the_aim():
    rolls = {
        NEW[3]: {10: took(10, 70, 20.0), 30: took(30, 290, 70.0)},
        BEFORE[3]: {30: took(30, 1800, 630.0)},
        PEER: {30: took(30, 2600, 1400.0)},
    }
    counts = [Counted(4, 0.1, 30, 330, 1500, 5)]

    assert cpu_shown.verdicts(rolls, counts) == [
        'whole hooks ≤ 10 N: worst 11.0 (N = 30, Juju 4, 0.1 s of work): not met',
        'CPU, N = 30, Juju 2.9-3.x: 9.0 times less than `wake: all`; aim 8: met',
        'CPU, N = 30, Juju 2.9-3.x: 20.0 times less than charmhelpers.coordinator; aim 30: not met',
    ]
    assert cpu_shown.verdicts({}, []) == []


def test_the_table_says_of_each_size_that_was_not_run_that_it_was_not():
    rolls = {NEW[3]: {10: took(10, 70, 20.0), 100: took(100, 700, 200.0)}, PEER: {10: took(10, 270, 100.0)}}
    cells = [list(column.cells) for column in cpu_shown.table(rolls, [10, 100]).columns]

    assert cells[1] == ['10', '100', '10', '100']
    assert cells[7] == ['20.0 s', '200.0 s', '100.0 s', 'not run']
    assert list(cpu_shown.growth(rolls).columns[1].cells)[2] == '1.00'


def test_a_simulated_roll_is_priced_by_what_a_hook_of_each_kind_took_in_the_largest_roll():
    found = thousand.Simulated(3, 60.0, 1000, 8000, 2000000, 0, 4, 7, 60900.0)
    measured = {10: took(10, 70, 99.0), 100: took(100, 700, 281.0, left=500)}

    assert cpu_shown.priced(8000, 2000000, measured) == pytest.approx(8000 * 0.4 + 2000000 * 0.002)
    assert cpu_shown.priced(8000, 2000000, {}) is None
    assert '8,000 whole hooks (8.0 N; the leader 7)' in cpu_shown.simulated(found, measured)


def test_a_picture_is_drawn_also_where_a_lock_has_one_size(tmp_path):
    rolls = {NEW[3]: {10: took(10, 70, 20.0), 30: took(30, 290, 70.0)}, PEER: {10: took(10, 270, 100.0)}}
    cpu_shown.picture(rolls, tmp_path / 'cpu.svg')

    assert (tmp_path / 'cpu.svg').read_text().startswith('<?xml')


# Rolls that an action starts


def was(hooks=401, rolled=1, duration_s=1231.0, seed=1):
    return ordered.Ordered(3, 1, 20, seed, hooks, 0, 40, 1, rolled, 1, duration_s)


def test_the_limit_of_a_roll_is_a_hook_of_each_other_for_each_release_and_two_ledger_writes():
    assert was().limit == 20 * 19 + 2 * 19
    assert [ordered.at_once(slots, 20) for slots in (1, 2, '25%', '1%')] == [1, 2, 5, 1]
    assert was(duration_s=1220.0).over_floor == 1
    assert was(duration_s=1260.0).over_work == pytest.approx(1.05)


def test_the_verdict_on_many_rolls_names_the_worst_and_how_many_miss_an_aim():
    found = [was(), was(hooks=419, seed=2), was(rolled=0, duration_s=1261.0, seed=3), was(rolled=2, seed=4)]

    assert ordered.verdicts(found) == [
        'hooks ≤ limit, 4 rolls: worst 1.002 times (Juju 2.9-3.x, slots 1, seed 2): not met in 1',
        '≤ 4 ledger writes, 4 rolls: worst 1 (Juju 2.9-3.x, slots 1, seed 1): met',
        'the flag is set in one hook, 4 rolls: worst 1 off (Juju 2.9-3.x, slots 1, seed 3): not met in 2',
        'duration ≤ 1.05 × floor, 4 rolls: worst 1.034 (Juju 2.9-3.x, slots 1, seed 3): met',
        'duration ≤ 1.05 × work, 4 rolls: worst 1.051 (Juju 2.9-3.x, slots 1, seed 3): not met in 1',
    ]
    cells = [list(column.cells) for column in ordered.table(found).columns]
    assert [column[0] for column in cells[3:9]] == ['419', '418', '40', '2.0', '1', '0 or 1 or 2']


@both
@pytest.mark.parametrize('slots', ordered.SLOTS)
def test_a_roll_that_an_action_starts_is_counted_until_all_is_at_rest(juju, slots):
    found = ordered.roll(juju, slots, units=8, seed=1)

    assert found.most_at_work == ordered.at_once(slots, 8)
    assert (found.rolled, found.writes) == (1, 1)
    assert 8 * 7 <= found.hooks <= found.limit
    looks = 0 if slots == 1 else 8  # and at most one wake-up, of a leader whose own turn was the last
    assert looks <= found.scripts <= looks + 1
    assert 1 < found.over_floor < found.over_work < 1.1


# Which machine

X86 = 'processor\t: 0\nmodel name\t: A CPU @ 2.5: fast\n\nprocessor\t: 1\nmodel name\t: A CPU @ 2.5: fast\n'


def test_the_machine_is_named_by_its_cpu_and_by_its_architecture_where_the_cpu_has_no_name(tmp_path):
    cpuinfo = tmp_path / 'cpuinfo'
    for text, name in (
        (X86, 'A CPU @ 2.5: fast'), ('processor : 0\n\nModel : A Pi\n', 'A Pi'),
        ('processor : 0\n', os.uname().machine), ('model name :\n', os.uname().machine),
    ):  # fmt: skip
        cpuinfo.write_text(text)
        assert here.model(str(cpuinfo)) == name
    assert here.model(str(tmp_path / 'none')) == os.uname().machine


def test_a_figure_comes_with_cpu_cores_python_and_load(tmp_path, monkeypatch):
    (tmp_path / 'cpuinfo').write_text(X86)
    monkeypatch.setattr(os, 'getloadavg', lambda: (2.34, 9.0, 9.0))
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {0, 3})

    said = here.told(str(tmp_path / 'cpuinfo'))

    assert said.startswith('This machine: A CPU @ 2.5: fast, 2 cores for this process, Python 3.')
    assert said.endswith('; load 2.3 at the start.')


def test_the_roll_of_a_controller_is_priced_for_this_machine_too():
    account = SimpleNamespace(whole=[None] * 87, left=[None] * 801)
    found = machines.Controlled(account, 'app/0', 5, 65.0)

    said = cpu_shown.here_predicted(found, {4: took(4, 10, 3.0, left=100)})

    assert said.startswith('predicted for this machine: 25 s of CPU in hooks (0.20 s a whole one, 10.0 ms')


# Real processes


def test_a_roll_of_real_processes_measures_each_hook_and_says_which_were_whole():
    found = cpu.taken(NEW[4], units=2, seed=1)

    assert found.measured == found.whole > 0
    assert found.error_s == 0
    assert found.cpu_s > found.left_s >= 0


def test_a_hook_that_is_no_program_counts_as_those_that_were():
    sampled = cpu.taken(BEFORE[4], units=3, seed=1, measured=1)

    assert 0 < sampled.measured < sampled.whole
    assert sampled.left == 0


# The roll on machines


def test_units_of_one_machine_take_turns(tmp_path):
    charm = assemble(bench.CHARMS[bench.OURS], tmp_path / 'charm')
    (charm / 'reactive' / 'plan.py').write_text(bench.PLAN)
    with machines.Machines(charm, machines=2, units=4, juju=4, quick=True, config={'go': 0}) as model:
        together = []
        model.observers.append(lambda _: together.append({model._machine_of(unit) for unit in model.running}))
        model.observers.append(lambda _: together.append(len(model.running)))
        model.run()

        places, counts = together[::2], together[1::2]
        assert max(counts) == 2
        assert all(len(here) == count for here, count in zip(places, counts))


def test_an_account_has_each_hook_once_and_tells_what_the_whole_ones_were_for():
    found = machines.roll(seed=1, units=4)
    account = found.account

    assert isinstance(account, Account)
    assert sum(hook.worked for hook in account.hooks) == 4
    assert all(hook.whole for hook in account.hooks if hook.worked or hook.gave is not None)
    twice = [hook.unit for hook in account.hooks if hook.event == 'config-changed']
    assert sorted(twice) == sorted(2 * [hook.unit for hook in account.hooks if hook.worked])
    lines = machines.told(found)
    assert sum(int(line.split()[0]) for line in lines if line.startswith(' ')) == len(account.whole)


RECORDS = ROOT / 'tests' / 'conformance' / 'records'
RECORDED = [
    pytest.param('roll-4', 4, 2.0, 13.0, None),
    pytest.param('roll-20', 20, 1.0, 256.0, 448.0, marks=pytest.mark.long),
]


GIVEN = 'is given a ticket'


def giver(record, place):
    """Return the place where the hook began in which a line was said."""
    runs = record.runs[record.lines[place]['unit']]
    return max(run.at[0] for run in runs if run.at[0] < place)


@pytest.mark.parametrize('name, units, work_s, duration_s, cpu_s', RECORDED)
def test_a_roll_recorded_on_a_real_controller_is_predicted_within_a_quarter(
    name, units, work_s, duration_s, cpu_s
):
    """With `wake: all`, as it was then; duration and CPU were noted beside the record."""
    record = load(RECORDS / (name + '.jsonl'))
    giving = {
        giver(record, place) for place, line in enumerate(record.lines) if GIVEN in line.get('text', '')
    }

    found = machines.roll(seed=1, units=units, work_s=work_s, wake='all')

    assert found.duration_s == pytest.approx(duration_s, rel=0.25)
    assert len(found.account.hooks) == pytest.approx(len(record.all), rel=0.25)
    assert found.writes == pytest.approx(len(giving), rel=0.25)
    assert cpu_s is None or found.cpu_s == pytest.approx(cpu_s, rel=0.25)


# The simulation


class Recorded(Roll):
    """Keeps what each script was given, and what was decided."""

    def __init__(self, *about):
        super().__init__(*about)
        self.decided = []

    def _leaves(self, home, kind, remote):
        file = (home.folder / thousand.WAKE).read_text() + ''.join(home.left)
        said = thousand.tools.as_json(self.controller.units[home.name].settings.get(thousand.CLAIMS, ''))
        found = super()._leaves(home, kind, remote)
        self.decided.append((file, thousand.NAMES[kind], remote, home.name, said, self._data, found))
        return found


@pytest.fixture
def unit(tmp_path):
    """Returns a function that runs the script itself in a unit's folder, and says whether it leaves."""
    (tmp_path / 'hooks').mkdir()
    (tmp_path / 'bin').mkdir()
    for name in ('coordinator-relation-changed', script.SETTINGS_CHANGED):
        target = tmp_path / 'hooks' / name
        target.write_text((ROOT / 'hooks' / name).read_text())
        target.chmod(0o755)
    whole = tmp_path / 'hooks' / 'coordinator-relation-broken'
    whole.write_text('#!/bin/sh\nexit {}\n'.format(RUNS))
    tool = '#!/bin/sh\ncase " $* " in *" coordinator-claims "*) cat said ;; *) cat data ;; esac\n'
    for path in (whole, tmp_path / 'bin' / 'relation-get', tmp_path / 'bin' / 'leader-get'):
        path.write_text(path.read_text() if path == whole else tool)
        path.chmod(0o755)

    def leaves(file, hook, remote, name, said, data):
        for found, text in ((thousand.WAKE, file), ('said', said), ('data', data)):
            (tmp_path / found).write_text(text)
        env = {
            'JUJU_CHARM_DIR': str(tmp_path), 'JUJU_UNIT_NAME': name, 'JUJU_REMOTE_UNIT': remote,
            'JUJU_RELATION_ID': 'coordinator:0', 'PATH': '{}:/usr/bin:/bin'.format(tmp_path / 'bin'),
        }  # fmt: skip
        code = subprocess.call([str(tmp_path / 'hooks' / hook)], env=env, cwd=str(tmp_path))
        assert code in (0, RUNS)
        return code == 0

    return leaves


@both
def test_the_simulation_decides_as_the_script_itself(unit, juju):
    roll = Recorded(6, juju, 0.1)
    roll.run()

    assert {found for *_, found in roll.decided} == {True, False}
    for file, hook, remote, name, said, data, found in roll.decided:
        assert unit(file, hook, remote, name, said, data + '\n') == found, (file, hook, remote, name, data)


def test_the_simulation_runs_a_hook_whole_where_the_file_is_cut_short_as_the_script_does(unit):
    whole = 'wake-1 coordinator-relation-changed:app/1 app/1 end\nno\tticket\n\n\n\n'
    for size in range(len(whole) + 1):
        file, hook = whole[:size], 'coordinator-relation-changed'
        found = script.Asleep(file).leaves(hook, 'app/2', 'app/0', script.Answers())[0]
        assert unit(file, hook, 'app/2', 'app/0', '', '') == found == (size == len(whole)), repr(file)


@both
@pytest.mark.parametrize('work_s', [60.0, 0.1])
def test_a_simulated_roll_and_one_on_the_local_juju_run_about_as_many_whole_hooks(juju, work_s):
    simulated, counted = Roll(10, juju, work_s).run(), cpu.counted(10, juju, work_s, seed=1)

    assert simulated.whole == pytest.approx(counted.whole, rel=0.3)
    assert simulated.whole + simulated.left == pytest.approx(counted.whole + counted.left, rel=0.2)
    assert max(simulated.whole, counted.whole) <= cpu_shown.MOST_PER_UNIT * 10
