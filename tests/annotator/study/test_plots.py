"""Figures of templates: drawn of what is known, the rest left out with a line."""

from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.study.few_shot_cost import FewShotCost
from stepdistill.annotator.study.metadata import Metadata, Style, TemplateResult, TemplateScore
from stepdistill.annotator.study.optimize.history import HistoryLine
from stepdistill.annotator.study.plots.drawing import draw
from stepdistill.annotator.study.plots.groups import groups_of, selection
from stepdistill.annotator.study.tournament.offer_table import Offer, OfferTable
from tests.annotator.study.made import a_score, a_setting


def a_style(number: int) -> Style:
    return Style(
        characters=60,
        characters_variance=4 + number,
        words=10 + number,
        sentences=1,
        reading_ease=50 + number,
    )


def metadata(templates: int, **changes: Any) -> Metadata:
    def score(number: int) -> TemplateScore:
        parts: dict[str, Any] = {"style": a_style(number), **changes}
        return a_score(correct=number % 4, **parts)

    scores = {f"t{number}": score(number) for number in range(templates)}
    result = TemplateResult(setting=a_setting(), reader_version=1, data="", templates=scores)
    return Metadata(task="sums", results=[result])


FEW_SHOT = FewShotCost(
    task="sums",
    teacher="t",
    price_date="2026-11-25",
    rows=500,
    shots=7,
    zero=(0.008, 0.01, 0.012),
    few=(0.04, 0.05, 0.06),
    alike=(0.02, 0.025, 0.03),
)


def offer(teacher: str, right: int, usd: float | None) -> Offer:
    return Offer(
        teacher=teacher,
        model=teacher,
        server="h",
        effort=None,
        service=None,
        template="t",
        rows=10,
        unanswered=0,
        correct=right,
        accuracy=right / 10,
        accuracy_low=0.0,
        accuracy_high=1.0,
        parse_rate=1.0,
        usd_per_1000_rows=usd,
        usd_per_1000_correct=None,
        usd_per_1000_correct_low=None,
        usd_per_1000_correct_high=None,
        left_out=False,
        on_frontier=usd is not None,
    )


def tournament(*offers: Offer) -> OfferTable:
    return OfferTable(task="sums", split="test", seed=0, offers=offers)


PRICED = tournament(offer("dear", 9, 2.0), offer("cheap", 6, 0.1))
HISTORY = [
    HistoryLine(iteration=0, candidate=0, state="scored", rows=4, expected=0.5, best_score=0.5),
    HistoryLine(iteration=1, candidate=0, state="scored", rows=4, expected=0.75, best_score=0.75),
    HistoryLine(iteration=1, candidate=1, state="stopped", rows=2, expected=0.2, best_score=0.75),
    HistoryLine(iteration=1, candidate=2, state="refused", reason="duplicate", best_score=0.75),
]


def test_every_figure_is_drawn_where_all_is_known(tmp_path: Path) -> None:
    drawn = draw(
        [metadata(9)],
        [FEW_SHOT],
        [PRICED, tournament(offer("free", 5, None)), PRICED],
        {Path("history.jsonl"): HISTORY},
        tmp_path,
    )
    assert list(drawn.files) == [
        "templates",
        "costs",
        "styles",
        "accuracy-by-style",
        "ease-and-deviation",
        "few-shot-costs",
        "frontier-sums",
        "frontier-sums-3",
        "running-best",
    ]
    assert drawn.left_out == ["frontier of sums: no price is known"]
    assert all(path.stat().st_size > 1000 for both in drawn.files.values() for path in both)
    svg = drawn.files["few-shot-costs"][1].read_text()
    labels = ("500 rows, 7 examples", "0.05, zero-shot saves 60%", "0.1, zero-shot saves 80%")
    assert all(label in svg for label in labels)
    svg = drawn.files["running-best"][1].read_text()
    assert "n = 3 proposals, all of them" in svg
    assert "1 refused unasked (not shown)" in svg


def test_few_templates_are_named_with_their_intervals_and_make_no_distribution(
    tmp_path: Path,
) -> None:
    drawn = draw([metadata(3)], [], [], {}, tmp_path)
    assert list(drawn.files) == ["templates", "costs"]
    assert "styles, accuracy by style: of 3 templates, they need 8 of a task" in drawn.left_out
    svg = drawn.files["templates"][1].read_text()
    # Of four rows each t2 has two right, t1 one and t0 none: the best is on top.
    assert svg.index("t2<") < svg.index("t1<") < svg.index("t0<")
    assert all(f"{share:.1f} %" in svg for share in (50, 25, 0)) and "4 rows each" in svg


def test_of_many_templates_the_best_are_named_whatever_they_are_called(tmp_path: Path) -> None:
    (result,) = metadata(30).results
    renamed = {f"$\\frac{name}$ & <b>{'long ' * 20}": s for name, s in result.templates.items()}
    many = Metadata(task="$x", results=[result.model_copy(update={"templates": renamed})])
    drawn = draw([many], [], [], {}, tmp_path)
    svg = drawn.files["templates"][1].read_text()
    assert "The best 20 of 30 templates" in svg and svg.count("…<") == 20


def test_what_nobody_knows_is_left_out_and_said(tmp_path: Path) -> None:
    drawn = draw([metadata(8, style=None, cost_usd=0.0)], [], [], {}, tmp_path)
    assert list(drawn.files) == ["templates", "styles", "accuracy-by-style"]
    left_out = "\n".join(drawn.left_out)
    parts = ("reading ease", "words", "length deviation", "costs of sums, t", "few-shot-costs")
    for what in (*parts, "running-best"):
        assert what in left_out


def test_templates_that_could_not_be_read_are_not_drawn_and_said(tmp_path: Path) -> None:
    unread = metadata(1, labels=0)
    drawn = draw([unread], [], [], {}, tmp_path)
    assert list(drawn.files) == []
    assert "template t0 of sums, t: none of its 4 answers could be read" in drawn.left_out


def test_templates_that_are_all_alike_have_no_line(tmp_path: Path) -> None:
    drawn = draw([metadata(9, style=a_style(1))], [], [], {}, tmp_path)
    assert "n = 9, no line" in drawn.files["accuracy-by-style"][1].read_text()


@pytest.mark.parametrize(("templates", "count"), [(1, "n = 1."), (12, "n = 12.")])
def test_a_caption_says_n_and_that_none_was_selected(templates: int, count: str) -> None:
    caption = selection(groups_of([metadata(templates)]))
    assert count in caption
    assert "none selected" in caption


def test_groups_are_named_as_shortly_as_tells_them_apart() -> None:
    known = metadata(1)

    def judged(**setting: Any) -> Metadata:
        result = known.results[0].model_copy(update={"setting": a_setting(**setting)})
        return known.model_copy(update={"results": [result]})

    many, few, reread = (
        judged(test_size=200),
        judged(test_size=50),
        judged(test_size=50, reader="original"),
    )
    assert [each.name for each in groups_of([many])] == ["sums, t"]
    assert [each.name for each in groups_of([many, few])] == [
        "sums, t, 200 rows",
        "sums, t, 50 rows",
    ]
    names = [each.name for each in groups_of([many, few, reread])]
    assert names[0] == "sums, t, 200 rows"
    assert len(set(names)) == 3
