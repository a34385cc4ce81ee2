"""The same ranking as CSV, Markdown and a page: whole, escaped, and complete by itself."""

import csv
import html
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import cast

import pytest

from stepdistill.annotator.study.report import (
    COLUMNS,
    as_csv,
    as_html,
    as_markdown,
    facts,
    terminal_table,
    write_report,
)
from stepdistill.common.errors import ConfigError
from tests.annotator.study.made import a_report, a_setting, scored

EVIL = '<script>alert("x")</script> & {{ 7 * 7 }}'
REPORT = a_report(
    scored("good", "1110"),
    scored("poor", "1000", style=None, rationales=0, cost_usd=None),
    setting=a_setting(teacher=EVIL),
    remarks=[EVIL],
)


class Tags(HTMLParser):
    """Counts tags and what they refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def test_csv_has_every_column_and_nothing_where_nothing_is_known() -> None:
    rows = list(csv.DictReader(StringIO(as_csv(REPORT))))
    assert [row["template"] for row in rows] == ["good", "poor"]
    assert list(rows[0]) == [column.name for column in COLUMNS]
    assert float(rows[0]["accuracy"]) == 0.75
    assert rows[1]["usd_per_1000_rows"] == rows[1]["rationale_words"] == ""
    assert float(rows[1]["difference"]) == -0.5


def test_the_page_escapes_what_it_shows_and_needs_nothing_else() -> None:
    page = as_html(REPORT)
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.opened
    assert tags.links == []
    assert "url(" not in page and "@import" not in page
    assert html.escape(EVIL, quote=True).replace("&quot;", "&#34;") in page
    assert tags.opened.count("tr") == 3
    assert set(tags.opened) >= {"html", "style", "table"}


def test_markdown_has_a_row_for_each_template() -> None:
    lines = [line for line in as_markdown(REPORT).splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({len(re.findall(r"\|", line)) for line in lines}) == 1
    assert "75.0 %" in lines[2]


def test_json_has_the_same_values() -> None:
    first = facts(REPORT)["ranking"]
    assert isinstance(first, list)
    assert first[0]["template"] == "good"
    assert first[0]["usd_per_1000_correct"] == pytest.approx(1000 * 0.04 / 3)


def test_a_terminal_shows_two_tables_that_both_name_the_template() -> None:
    headings = [[heading for heading, _ in terminal_table(number)] for number in (1, 2)]
    assert [len(each) for each in headings] == [9, 8]
    assert headings[0][:3] == ["rank", "template", "accuracy\n%"]
    assert headings[1][0] == "template"


def test_measures_of_the_kind_stand_behind_the_accuracy_everywhere() -> None:
    measured = a_report(
        scored("good", "1110", measures={"micro_f1": 0.875, "jaccard": 0.75}),
        scored("poor", "1000", measures={"micro_f1": 0.5}),
        right_is="the same set",
    )
    rows = list(csv.DictReader(StringIO(as_csv(measured))))
    assert list(rows[0])[4:8] == ["accuracy_high", "micro_f1", "jaccard", "difference"]
    assert [row["jaccard"] for row in rows] == ["0.75", ""]
    found = facts(measured)
    assert isinstance(found["ranking"], list)
    assert found["ranking"][0]["micro_f1"] == 0.875
    assert found["right_is"] == "the same set"
    for page in (as_markdown(measured), as_html(measured)):
        assert all(text in page for text in ("micro F1", "0.875", "Right is the same set."))


def test_kinds_without_measures_have_the_fields_that_they_always_had() -> None:
    assert "right_is" not in facts(REPORT)
    assert "Right is" not in as_markdown(REPORT) + as_html(REPORT)


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    write_report(str(tmp_path / "new" / "a.csv"), "x")
    assert (tmp_path / "new" / "a.csv").read_text() == "x"
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(str(tmp_path), "x")


def test_what_could_not_be_read_is_shown_as_that_and_not_as_an_accuracy_of_none() -> None:
    report = a_report(scored("good", "1110"), scored("odd", "0000", labels=0, rationales=0))

    _, odd = csv.DictReader(StringIO(as_csv(report)))
    assert (odd["rank"], odd["accuracy"], odd["readable"], odd["rows"]) == ("", "", "0", "4")
    (_, fact) = cast("list[dict[str, object]]", facts(report)["ranking"])
    assert (fact["rank"], fact["accuracy"], fact["readable"]) == (None, None, 0)
    assert "| odd | 0 of 4 readable |" in as_markdown(report)
    page = as_html(report)
    assert "0 of 4 readable" in page
    assert page.count('class="range"') == 1
    shown = [column.shown(report.ranking[1]) for _, column in terminal_table(1)]
    assert "0 of 4 readable" in shown
