"""Pictures of test accuracy: by share of the data, size, length and rate of reasons."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from stepdistill.common.figures import COLOURS, MARKERS, Picture
from stepdistill.trainer.settings.train import SIZES
from stepdistill.trainer.study.frame import CONTENDER, CONTEXT, Mean, mean_of, telling
from stepdistill.trainer.study.run_tables import named

_WHOSE = {"own": "your runs", "original": "the original's runs"}
_SIZES = (*SIZES, "small", "base", "large", "xl", "xxl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of one panel."""

    panel: str
    label: str
    points: tuple[tuple[float, Mean], ...]  # (where, test accuracy), in rising order of where
    runs: pd.DataFrame
    level: float | None = None  # the teacher's accuracy on the same rows; None: not known


def by_subsample(frame: pd.DataFrame) -> Iterator[Series]:
    """Contenders at two shares of the data or more."""
    for panel, part in _panels(frame):
        for _, runs in part.groupby(list(CONTENDER), dropna=False, sort=True):
            yield _series(panel, named(runs, frame), runs, "subsample")


def by_size(frame: pd.DataFrame) -> Iterator[Series]:
    """Contenders with all data, over the sizes of the student."""
    for source, whole in frame.loc[frame["subsample"] == 1.0].groupby("source", sort=False):
        order = sorted(set(whole["model"]), key=lambda model: (_size(model), model))
        places = [float(order.index(model)) for model in whole["model"]]
        for _, runs in whole.assign(size=places).groupby(list(CONTENDER), dropna=False, sort=True):
            yield _series(_whose(str(source), frame), named(runs, frame), runs, "size")


def by_words(frame: pd.DataFrame) -> Iterator[Series]:
    """Step-by-step runs over the mean length of the rationales learnt from, as many rows having
    one."""
    column = "rationale_words"
    for panel, part in _panels(_explained(frame, column)):
        share = _at_their_mean(part, "rationale_rate")["rationale_rate"].round(2)
        alike = [part["labels"], part["teacher"], part["subsample"], share]
        for _, runs in part.groupby(alike, sort=True, dropna=False):
            if len({round(words) for words in runs[column]}) > 1:
                yield _series(panel, _taught(runs), _at_their_mean(runs, column), column)


def by_rate(frame: pd.DataFrame) -> Iterator[Series]:
    """Step-by-step runs of the same prompts over the share of rows with a rationale.

    Runs without rationales stand at 0, where the labels, the student and the share are the same.
    """
    column = "rationale_rate"
    for panel, part in _panels(_explained(frame, column)):
        for _, runs in part.groupby(["labels", "teacher", "templates", "subsample"], sort=True):
            placed = _at_their_mean(runs, column)
            if len({round(rate, 3) for rate in placed[column]}) > 1:
                whole = pd.concat([placed, _unexplained(frame, runs)])
                yield _series(panel, _taught(runs), whole, column)


def _size(model: str) -> int:
    """A place in the order of sizes by the model's name; those without a size come first."""
    words = model.replace("_", "-").split("-")
    return max((_SIZES.index(word) for word in words if word in _SIZES), default=-1)


def _explained(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    return frame.loc[(frame["mode"] == "step-by-step") & frame[column].notna()]


def _unexplained(frame: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """The runs without rationales that are else like these, on the labels of the same teacher."""
    one, found = like.iloc[0], frame.loc[frame["mode"] == "standard"]
    for name in ("source", "model", "labels", "subsample"):
        found = found.loc[found[name] == one[name]]
    return found.loc[(found["teacher"] == "") | (found["teacher"] == one["teacher"])]


def _taught(runs: pd.DataFrame) -> str:
    """Labels, reasons and share of runs that have them in common."""
    one = runs.iloc[0]
    share = f", {100 * float(one['subsample']):g} % of the data" if one["subsample"] != 1.0 else ""
    return f"{one['labels']} labels, reasons of {one['teacher']}{share}"


def _at_their_mean(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Runs on the same data stand at one place, though each seed draws rows of its own."""
    return runs.assign(**{column: runs.groupby(["data", "mix"])[column].transform("mean")})


def _panels(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """One for each source and student, small students first."""
    parts = [(str(part.iloc[0]["model"]), part) for _, part in frame.groupby(["source", "model"])]
    for model, part in sorted(parts, key=lambda each: _size(each[0])):
        whose = _whose(str(part.iloc[0]["source"]), frame)
        yield f"student {model}{whose and f', {whose}'}", part


def _whose(source: str, frame: pd.DataFrame) -> str:
    """Empty where all are one's own."""
    return "" if set(frame["source"]) == {"own"} else _WHOSE[source]


def _series(panel: str, label: str, runs: pd.DataFrame, column: str) -> Series:
    points = tuple(
        (float(str(where)), mean_of(part["test_accuracy"].tolist()))
        for where, part in runs.groupby(column, sort=True)
    )
    known = [level for level in runs["teacher_accuracy"].tolist() if level == level]  # not NaN
    level = fmean(known) if known else None
    return Series(panel=panel, label=label, points=points, runs=runs, level=level)


_DASHES = ("-", "--", ":")
_PANEL_IN, _HEIGHT_IN, _LEGEND_LINE_IN = 4.2, 3.6, 0.2
_COLUMNS = 2
_NO_SELECTION = "No selection: every run that the tracking file has for this is in it"
_MOST_BANDS = 4  # in a panel; more of them hide each other
_SHADE, _BAR = 0.15, 0.3  # opacity, 0..1
_LEGEND_COLUMNS, _LONG_LABEL = 2, 40  # a longer label has a line of the legend to itself


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureKind:
    """One kind of figure."""

    name: str  # of its files, before the task's
    along: str  # what its x-axis is
    make: Callable[[pd.DataFrame], Iterator[Series]]
    needs: str  # what a tracking file must hold for it


KINDS = (
    PictureKind(
        name="accuracy-by-subsample",
        along="share of the training rows",
        make=by_subsample,
        needs="a method at two shares of the data",
    ),
    PictureKind(
        name="accuracy-by-size",
        along="student",
        make=by_size,
        needs="a method with all data and two sizes of the student",
    ),
    PictureKind(
        name="accuracy-by-rationale-length",
        along="mean words of a rationale",
        make=by_words,
        needs="step-by-step runs whose rationales differ in length by a word or more",
    ),
    PictureKind(
        name="accuracy-by-rationale-rate",
        along="share of the rows with a rationale",
        make=by_rate,
        needs="runs of the same prompts at two rationale rates",
    ),
)


def pictures(kind: PictureKind, frame: pd.DataFrame) -> Iterator[Picture]:
    """One for each task whose runs hold what it needs."""
    for task, part in frame.groupby("task", sort=True):
        drawn = _lines(kind, part)
        if drawn:
            # Once more of these runs alone: a line is named by what tells it from the others here.
            yield _picture(kind, str(task), _lines(kind, _runs_of(drawn)))


def _lines(kind: PictureKind, frame: pd.DataFrame) -> list[Series]:
    return [one for one in kind.make(frame) if len(one.points) > 1]


def _runs_of(series: Sequence[Series]) -> pd.DataFrame:
    return pd.concat([one.runs for one in series]).drop_duplicates(["source", "key"])


def _picture(kind: PictureKind, task: str, series: Sequence[Series]) -> Picture:
    panels = list(dict.fromkeys(one.panel for one in series))
    labels = list(dict.fromkeys(one.label for one in series))
    columns = min(_COLUMNS, len(panels))
    rows = ceil(len(panels) / columns)
    legend_lines = ceil(len(labels) / _legend_columns(labels))

    def paint(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True).flatten().tolist()
        for axes, panel in zip(grid, panels, strict=False):
            _draw(axes, kind, panel, [one for one in series if one.panel == panel], labels)
        for axes in grid[len(panels) :]:
            axes.remove()
        low, high = grid[0].get_ylim()
        grid[0].set_ylim(max(low, 0.0), min(high, 1.0))
        _name_lines(figure)

    return Picture(
        name=f"{kind.name}-{task}",
        caption=_caption(kind, task, series),
        paint=paint,
        width_in=max(6.4, _PANEL_IN * columns),
        height_in=_HEIGHT_IN * rows + _LEGEND_LINE_IN * (legend_lines + 4),
    )


def _draw(
    axes: Axes, kind: PictureKind, panel: str, series: Sequence[Series], labels: Sequence[str]
) -> None:
    axes.set_title(panel)
    axes.set_xlabel(kind.along)
    axes.set_ylabel("test accuracy")
    for one in series:
        number = labels.index(one.label)
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(
            [where for where, _ in one.points],
            [mean.mean for _, mean in one.points],
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            linestyle=_DASHES[number // len(COLOURS) % len(_DASHES)],
            label=one.label,
        )
        _mark_intervals(axes, one, colour, shaded=len(series) <= _MOST_BANDS)
    if kind.make is by_size:
        _name_sizes(axes, series)
        _draw_teachers(axes, series)
    elif kind.make is not by_words:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlim(-0.03, 1.03)


def _mark_intervals(axes: Axes, one: Series, colour: str, *, shaded: bool) -> None:
    """Bands, or bars where many bands would hide each other."""
    places = [where for where, _ in one.points]
    lows, highs = ([getattr(mean, end) for _, mean in one.points] for end in ("low", "high"))
    if shaded:
        axes.fill_between(places, lows, highs, color=colour, alpha=_SHADE, linewidth=0)
    else:
        axes.vlines(places, lows, highs, color=colour, alpha=_BAR, linewidth=2)


def _name_lines(figure: Figure) -> None:
    """One legend above all panels, each line once."""
    found: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    figure.legend(
        list(found.values()),
        list(found),
        loc="outside upper left",
        ncols=_legend_columns(list(found)),
        fontsize="small",
    )


def _legend_columns(labels: Sequence[str]) -> int:
    return 1 if max(map(len, labels)) > _LONG_LABEL else _LEGEND_COLUMNS


def _name_sizes(axes: Axes, series: Sequence[Series]) -> None:
    runs = _runs_of(series).drop_duplicates("size").sort_values("size")
    axes.set_xticks(runs["size"].tolist(), runs["model"].tolist())
    axes.margins(x=0.12)  # the outer names are as wide as that


def _draw_teachers(axes: Axes, series: Sequence[Series]) -> None:
    levels = {round(one.level, 4): one for one in series if one.level is not None}
    for level, one in levels.items():
        teacher = next(name for name in one.runs["teacher"] if name)
        axes.axhline(level, color="0.4", linestyle=(0, (1, 1)), label=f"the teacher, {teacher}")


def _caption(kind: PictureKind, task: str, series: Sequence[Series]) -> str:
    runs = _runs_of(series)
    counts = [mean.n for one in series for _, mean in one.points]
    few, many = min(counts), max(counts)
    each = str(few) if few == many else f"{few} to {many}"
    caption = (
        f"{task}: test accuracy by {kind.along}; mean over all seeds, n = {each} runs a point, "
        f"{len(runs)} runs in all; bands or bars: 95 % interval, Student's t over runs. "
        f"{_NO_SELECTION}."
    )
    others = [name for name in telling(runs, (*CONTEXT[4:], "alpha")) if name != "method"]
    if others:
        caption += f" Runs that differ in {', '.join(others)} alone are put together."
    if kind.make is by_size and all(one.level is None for one in series):
        caption += " The teacher's accuracy is not known."
    if kind.make is by_rate and any(one.points[0][0] == 0 for one in series):
        caption += " At 0: trained without rationales, on the same labels."
    return caption
