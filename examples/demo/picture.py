"""The picture of a scene: units down, time across; who led is the last row."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from examples.demo.record import COLOURS, Recorder, Stretch

LEADER, PAUSE = '#309060', '#c8c8d8'
NAMES_UP_TO = 12  # units: beyond it the names in the bars of those that wait would hide the bars
NARROWEST = 0.045  # of the whole width, for a name in a bar


def draw(recorder: Recorder, path: Path, title: str, least_s: Optional[float]) -> None:
    """Draw a scene that is over.

    Args:
        recorder: what happened.
        path: where the picture goes.
        title: what it is called.
        least_s: the least time in which it could be done, if that is known.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    units = _rows(recorder)
    figure, axes = pyplot.subplots(figsize=(11, 2.5 + 0.42 * len(units)), layout='constrained')
    _pauses(axes, recorder, len(units))
    _bars(axes, recorder, units)
    _stages(axes, recorder, units)
    _leaders(axes, recorder, len(units))
    if least_s is not None:
        axes.axvline(least_s, color='black', linestyle=':', linewidth=1)
        least = 'least possible {:.0f} s '.format(least_s)
        axes.annotate(least, (least_s, -0.75), ha='right', va='center', fontsize=8)
    axes.set_yticks(range(len(units) + 1), [*units, 'leader'])
    axes.set_ylim(len(units) + 0.5, -1.0)
    axes.set_xlim(0, 1.02 * max(1.0, recorder.watch.duration_s))
    axes.set_xlabel('seconds of the model')
    axes.set_title(title, loc='left')
    axes.spines[['top', 'right']].set_visible(False)
    handles = _legend(recorder)
    columns = len(handles) if len(handles) < 7 else -(-len(handles) // 2)
    figure.legend(handles=handles, loc='outside lower center', ncols=columns, frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(str(path))
    pyplot.close(figure)


def _rows(recorder: Recorder) -> List[str]:
    """Return the units from the top down: in a roll, in the order of their tickets."""
    return [*recorder.stages, *(unit for unit in recorder.doing if unit not in recorder.stages)]


def _bars(axes: Any, recorder: Recorder, units: List[str]) -> None:
    """Draw what each unit did; in the bar of one that waits stands for whom."""
    whole = recorder.watch.duration_s
    for span in recorder.spans:
        left, place = span.begins - recorder.since, units.index(span.unit)
        thick = 0.34 if span.kind == 'waits' else 0.6
        axes.barh(place, span.ends - span.begins, left=left, height=thick, color=COLOURS[span.kind])
        if span.kind != 'waits' or len(units) > NAMES_UP_TO:
            continue
        for begins, ends, busy in recorder.at_work_between(span.begins, span.ends):
            if ends - begins > NARROWEST * whole * max(1, len(busy)):
                middle = (begins + ends) / 2 - recorder.since
                axes.text(middle, place, ' '.join(busy), ha='center', va='center', fontsize=7.5)
            axes.plot([ends - recorder.since] * 2, [place - 0.17, place + 0.17], color='white', linewidth=1)
    for unit, when in recorder.begun:
        left = when - recorder.since
        axes.plot([left], [units.index(unit) - 0.3], marker='v', color='black', markersize=6, clip_on=False)
    for unit, when in recorder.freed:
        axes.plot([when - recorder.since], [units.index(unit)], marker='X', color='black', markersize=9)


def _stages(axes: Any, recorder: Recorder, units: List[str]) -> None:
    """Draw a line above the first unit of each stage but the first, and name the stage."""
    if len(set(recorder.stages.values())) < 2:
        return
    for number in sorted(set(recorder.stages.values())):
        places = [units.index(unit) for unit, stage in recorder.stages.items() if stage == number]
        if number > 1:
            axes.axhline(min(places) - 0.5, color='black', linewidth=0.8)
        middle = sum(places) / len(places)
        name = 'stage {}'.format(number)
        where = axes.get_yaxis_transform()
        axes.text(1.005, middle, name, transform=where, rotation=0, va='center', fontsize=9)


def _pauses(axes: Any, recorder: Recorder, rows: int) -> None:
    """Draw each time in which no turn begins, and why."""
    for pause in recorder.pauses:
        begins, ends = _effective(recorder, pause)
        if ends > begins:
            left, right = begins - recorder.since, ends - recorder.since
            axes.axvspan(left, right, color=PAUSE, zorder=0, linewidth=0)
            middle, words = (left + right) / 2, pause.order.reason
            axes.text(middle, rows - 0.52, words, ha='center', va='bottom', fontsize=7.5)


def _effective(recorder: Recorder, pause: Stretch) -> Tuple[float, float]:
    """Return when a pause held somebody up: one between stages does so from the end of the first."""
    before = [
        ends
        for unit, kind, _, ends in recorder.spans
        if kind != 'waits' and ends <= pause.ends and recorder.stages.get(unit, 0) == 1
    ]
    return (max([pause.begins, *before]) if pause.order.first else pause.begins), pause.ends


def _leaders(axes: Any, recorder: Recorder, place: int) -> None:
    ends = [when for when, _ in recorder.leaders[1:]] + [recorder.juju.now]
    for (begins, leader), over in zip(recorder.leaders, ends):
        left = begins - recorder.since
        axes.barh(place, over - begins, left=left, height=0.6, color=LEADER, edgecolor='white')
        axes.text(left + 3, place, leader, color='white', va='center', fontsize=9)


def _legend(recorder: Recorder) -> List[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    there = {span.kind for span in recorder.spans}
    names: Dict[str, str] = {'waits': 'waits, for whom', 'works': 'at work'}
    found: List[Any] = [
        Patch(color=colour, label=names.get(kind, kind)) for kind, colour in COLOURS.items() if kind in there
    ]
    if recorder.pauses:
        found.append(Patch(color=PAUSE, label='no turn begins: paused'))
    found.append(Line2D([], [], color='black', marker='v', linestyle='', label='a turn begins'))
    if recorder.freed:
        found.append(Line2D([], [], color='black', marker='X', linestyle='', label='freed'))
    return found
