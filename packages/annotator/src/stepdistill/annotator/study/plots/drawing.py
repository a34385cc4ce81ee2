"""Which figures can be drawn of what is known, and why the others cannot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stepdistill.annotator.study.few_shot_cost import FewShotCost
from stepdistill.annotator.study.metadata import Metadata
from stepdistill.annotator.study.optimize.history import HistoryLine
from stepdistill.annotator.study.plots.costs import cost_bars, has_costs
from stepdistill.annotator.study.plots.few_shot import few_shot_bars
from stepdistill.annotator.study.plots.groups import (
    DEVIATION,
    EASE,
    MEASURES,
    groups_of,
    known,
    values,
)
from stepdistill.annotator.study.plots.search import running_best
from stepdistill.annotator.study.plots.styles import (
    accuracy_by_style,
    ease_and_deviation,
    histograms,
)
from stepdistill.common.figures import Picture, write_picture


@dataclass(slots=True)
class Drawn:
    """files: of every figure, by its name. left_out: lines on what is missing, and why."""

    files: dict[str, tuple[Path, Path]] = field(default_factory=dict[str, tuple[Path, Path]])
    left_out: list[str] = field(default_factory=list[str])


def draw(
    metadata: Sequence[Metadata],
    few_shot: Sequence[FewShotCost],
    histories: Mapping[Path, Sequence[HistoryLine]],
    folder: Path,
) -> Drawn:
    """Write every figure that the data have what it takes for."""
    drawn = Drawn()
    pictures = [
        *_of_templates(metadata, drawn.left_out),
        *_of_few_shot(few_shot, drawn.left_out),
        *_of_searches(histories, drawn.left_out),
    ]
    for picture in pictures:
        drawn.files[picture.name] = write_picture(picture, folder)
    return drawn


def _of_templates(metadata: Sequence[Metadata], left_out: list[str]) -> list[Picture]:
    groups = groups_of(metadata)
    if not groups:
        left_out.append("styles, accuracy, costs: no metadata.yaml has a scored template")
        return []
    measures = known(groups, MEASURES)
    unknown = [each.name for each in MEASURES if each not in measures]
    left_out += [f"panels of {name}: no template has it" for name in unknown]
    pictures = [histograms(groups, measures), accuracy_by_style(groups, measures)]
    if any(values(group, EASE, DEVIATION) for group in groups):
        pictures.append(ease_and_deviation(groups))
    else:
        left_out.append("ease-and-deviation: no template has both")
    paid = [group for group in groups if has_costs(group)]
    left_out += [
        f"costs of {group.name}: free, or a price is not known"
        for group in groups
        if group not in paid
    ]
    return [*pictures, cost_bars(paid)] if paid else pictures


def _of_few_shot(costs: Sequence[FewShotCost], left_out: list[str]) -> list[Picture]:
    priced = [each for each in costs if each.few[1]]
    if not priced:
        left_out.append("few-shot-costs: no few-shot.json of annotate estimate --few-shot")
    return [few_shot_bars(priced)] if priced else []


def _of_searches(
    histories: Mapping[Path, Sequence[HistoryLine]], left_out: list[str]
) -> list[Picture]:
    if not histories:
        left_out.append("running-best: no history.jsonl of annotate optimize")
    return [
        running_best(lines, number, str(path))
        for number, (path, lines) in enumerate(histories.items(), 1)
        if lines
    ]
