"""A prompt search: every proposal, and the best so far."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections import Counter
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stepdistill.annotator.study.optimize.history import HistoryLine
from stepdistill.common.figures import COLOURS, MARKERS, Picture

# State, its name, the colour inside its mark and around it.
_MARKS = (
    ("scored", "asked every row", COLOURS[0], COLOURS[0]),
    ("stopped", "stopped early: expected", "none", COLOURS[1]),
)


def running_best(lines: Sequence[HistoryLine], number: int, source: str) -> Picture:
    """number: of this search among those drawn. source: where its history lies."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (state, name, inside, around) in enumerate(_MARKS):
            found = [each for each in lines if each.state == state]
            if not found:
                continue
            axes.scatter(
                [_place(each, lines) for each in found],
                [100 * (each.expected or 0.0) for each in found],
                s=22,
                marker=MARKERS[place],
                label=f"{name} (n = {len(found)})",
                facecolors=inside,
                edgecolors=around,
            )
        _steps(axes, lines)
        axes.set(xlabel="iteration (0: templates of the start)", ylabel="right rows (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside upper center", ncols=3, fontsize="small")

    return Picture(
        name="running-best" if number == 1 else f"running-best-{number}",
        caption=f"{source}. {_caption(lines)}",
        paint=paint,
        width_in=7.0,
        height_in=4.6,
    )


def _steps(axes: Axes, lines: Sequence[HistoryLine]) -> None:
    """A step as wide as the marks of its iteration."""
    best = {each.iteration: 100 * (each.best_score or 0.0) for each in lines}
    edges = [number - 0.5 for number in range(len(best) + 1)]
    axes.stairs(
        list(best.values()),
        edges,
        baseline=None,
        color=COLOURS[2],
        linewidth=2,
        label="best so far",
    )


def _place(line: HistoryLine, lines: Sequence[HistoryLine]) -> float:
    """Candidates of an iteration side by side, so that equals do not hide one another."""
    of_it = max(each.candidate for each in lines if each.iteration == line.iteration) + 1
    return line.iteration + 0.6 * (line.candidate / of_it - 0.5)


def _caption(lines: Sequence[HistoryLine]) -> str:
    states = Counter(each.state for each in lines if each.iteration)
    rows = max(each.rows for each in lines)
    return (
        f"n = {sum(states.values())} proposals, all of them: {states['scored']} asked every one of "
        f"{rows} rows, {states['stopped']} stopped by the race (shown at what they are expected to "
        f"reach), {states['refused']} refused unasked (not shown). The best is chosen by these "
        "very rows, so its score flatters it."
    )
