"""The picture of a what-if: how good each choice is, against what it costs, with intervals; those
that no other beats are joined by a line."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stepdistill.annotator.what_if.estimates import Interval
from stepdistill.annotator.what_if.outcome import Outcome
from stepdistill.annotator.what_if.weighed import WhatIf
from stepdistill.common.errors import ConfigError
from stepdistill.common.figures import COLOURS, MARKERS, Picture, write_picture

_THOUSAND = 1000
_MOST_NAMED = 14  # mixes in a legend
_WIDTH_IN, _HEIGHT_IN = 8.0, 5.0


def draw(found: WhatIf, path: Path) -> tuple[Path, Path]:
    """Write it as PNG and SVG; both paths. Raises ConfigError: there is nothing to draw."""
    shown = [each for each in (*found.choices, *found.rates) if each.score and _cost(each)]
    if not shown:
        raise ConfigError(
            f"--plot {path}: there is no choice of which it is known how good it is and what it "
            "costs"
        )
    answered = found.answered
    picture = Picture(
        name=path.stem,
        caption=(
            f"{found.run.config.task} by {found.run.config.teacher}: {answered.n_rows:,} rows, "
            f"{int(answered.has_gold.sum()):,} with gold, all choices that the store tells of. "
            "Lines are 95 % intervals of rows like these; hollow marks are predicted from how "
            "fewer votes agree. Joined: no other is as cheap and as good. Nobody was asked."
        ),
        paint=lambda figure: _paint(figure, found, shown),
        width_in=_WIDTH_IN,
        height_in=_HEIGHT_IN,
    )
    return write_picture(picture, path.parent)


def _cost(each: Outcome) -> Interval | None:
    """USD of a thousand rows; of what is free, or of no known price, tokens of a row."""
    if each.usd_a_row is not None and each.usd_a_row.value > 0:
        return each.usd_a_row.times(_THOUSAND)
    tokens = each.tokens_a_row
    return None if tokens is None else Interval(tokens, tokens, tokens)


def _paint(figure: Figure, found: WhatIf, shown: Sequence[Outcome]) -> None:
    axes = figure.subplots()
    named: set[str] = set()
    most = max(cost.value for each in shown if (cost := _cost(each)))
    mixes = list(dict.fromkeys(each.choice.name for each in shown))
    for each in shown:
        cost = _cost(each)
        assert cost is not None and each.score is not None  # else it would not be shown
        number = mixes.index(each.choice.name)
        colour = COLOURS[number % len(COLOURS)]
        value, low, high = (100 * share for share in each.score)
        axes.errorbar(
            cost.value,
            value,
            xerr=[[cost.value - cost.low], [cost.high - cost.value]],
            yerr=[[value - low], [high - value]],
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            markerfacecolor="white" if each.predicted else colour,
            linewidth=0.8,
            capsize=2,
            label=each.choice.name if each.choice.name not in named else None,
        )
        named.add(each.choice.name)
        if each.efficient:
            axes.annotate(
                each.choice.title,
                (cost.value, value),
                xytext=(-4 if (is_right := cost.value > 0.7 * most) else 4, 5),
                textcoords="offset points",
                ha="right" if is_right else "left",
                fontsize="small",
            )
    _join(axes, shown)
    priced = any(each.usd_a_row is not None and each.usd_a_row.value > 0 for each in shown)
    good = "right labels (%)" if found.answered.has_gold.any() else "one more answer agrees (%)"
    axes.set(xlabel="1,000 rows (USD)" if priced else "tokens of a row", ylabel=good)
    axes.margins(x=0.12)
    if 1 < len(mixes) <= _MOST_NAMED:
        figure.legend(loc="outside upper left", ncols=3, fontsize="small")


def _join(axes: Axes, shown: Sequence[Outcome]) -> None:
    """The frontier, as steps: what so much money buys."""
    places = sorted(
        (cost.value, 100 * each.score.value)
        for each in shown
        if each.efficient and each.score and (cost := _cost(each))
    )
    xs, ys = [x for x, _ in places], [y for _, y in places]
    axes.step(xs, ys, where="post", color="black", linewidth=1, alpha=0.6, zorder=0)
