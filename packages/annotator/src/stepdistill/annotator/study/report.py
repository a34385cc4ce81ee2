"""A study's result for people and programs: JSON, CSV, Markdown, and one HTML page."""

import csv
import sys
from io import StringIO
from pathlib import Path

from stepdistill.annotator.page import rendered
from stepdistill.annotator.study.columns import COLUMNS, Value
from stepdistill.annotator.study.experiment import Report
from stepdistill.annotator.study.race import SLACK, Race
from stepdistill.annotator.study.ranking import Rank
from stepdistill.common.errors import ConfigError

SLACK_POINTS = 100 * SLACK
_TEMPLATES = Path(__file__).parent / "templates"


def facts(report: Report) -> dict[str, object]:
    """The object of `--json`."""
    return {
        "task": report.task,
        "setting": report.setting.model_dump(),
        "rows": report.n_rows,
        "without_gold": report.without_gold,
        "remarks": report.remarks,
        "asked": report.asked,
        "cached": report.cached,
        "cost_usd": report.spent_usd,
        "metadata": str(report.metadata),
        "race": _race_facts(report.race) if report.race else None,
        "ranking": [_row(place) for place in report.places],
    }


def as_csv(report: Report) -> str:
    """A line for each template, under a line of names."""
    out = StringIO()
    writer = csv.DictWriter(out, [column.name for column in COLUMNS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(place) for place in report.places)
    return out.getvalue()


def as_markdown(report: Report) -> str:
    """A page with the whole table."""
    return _rendered("report.md.jinja", report)


def as_html(report: Report) -> str:
    """A page that needs nothing else: styles inside, no script, every text escaped."""
    return _rendered("report.html.jinja", report)


def write_report(path: str, content: str) -> None:
    """Into a file, or to the screen where the path is `-`. Raises ConfigError."""
    if path == "-":
        sys.stdout.write(content)
        return
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None


def outcome(race: Race) -> str:
    """A race in one sentence."""
    return (
        f"Race: {len(race.stopped)} of {len(race.right)} templates were stopped early, "
        f"{race.share:.1%} of the answers asked. The chance that one of them would have ended "
        f"more than {SLACK_POINTS:g} points ahead of the first is put at {race.error:.1%}."
    )


def _race_facts(race: Race) -> dict[str, object]:
    return {
        "share": race.share,
        "error": race.error,
        "slack": SLACK,
        "stopped": {name: len(race.right[name]) for name in race.stopped},
        "finalists": race.finalists,
    }


def _row(place: Rank) -> dict[str, Value]:
    return {column.name: column.value(place) for column in COLUMNS}


def _rendered(name: str, report: Report) -> str:
    return rendered(
        _TEMPLATES / name,
        report=report,
        columns=COLUMNS,
        outcome=outcome(report.race) if report.race else "",
    )
