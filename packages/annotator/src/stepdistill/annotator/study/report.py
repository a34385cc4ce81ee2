"""What a study found, for people and programs: JSON, CSV, Markdown, and one HTML page."""

import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from stepdistill.annotator.run.next_commands import run_command
from stepdistill.annotator.study.metadata import Setting, Style, TemplateScore
from stepdistill.annotator.study.race import SLACK, Race
from stepdistill.annotator.study.ranking import PairedComparison, Rank
from stepdistill.common.errors import ConfigError, DistillError
from stepdistill.common.files.storage import write_place
from stepdistill.common.page import rendered
from stepdistill.common.urls import place_of

Value = str | int | float | None
_TEMPLATES = Path(__file__).parent / "templates"
_UNKNOWN = "-"
_SURE = 0.05  # the p value (Holm's) from which on a template may be as good as the leader


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an experiment or an evaluation found."""

    task: str
    setting: Setting
    n_rows: int  # that each template was asked
    without_gold: int  # rows of the split that cannot be judged
    remarks: list[str]  # what a person should know, a line each
    ranking: list[Rank]
    metadata: Path  # the file that keeps the scores
    asked: int = 0  # requests of this run that the teacher answered
    cached: int = 0  # requests of this run that the store answered
    spent_usd: float | None = 0.0  # by this run; None: the model has no known price
    race: Race | None = None  # None: every template was asked every row
    right_is: str = ""  # what counts as right, where that is not the same label
    error: DistillError | None = None  # why it is not done, though it is shown


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a ranking, the same for every way of showing it."""

    name: str  # for programs
    heading: str  # for people
    value: Callable[[Rank], Value]  # None where there is none
    text: Callable[[float], str] = "{:,.0f}".format  # how a number is shown
    without: Callable[[Rank], str] = lambda _: _UNKNOWN  # what is shown where there is none

    def shown(self, entry: Rank) -> str:
        """The value as people read it."""
        value = self.value(entry)
        if value is None:
            return self.without(entry)
        return value if isinstance(value, str) else self.text(value)


def as_row(entry: Rank) -> dict[str, Value]:
    """One template of a ranking, by the columns' names."""
    return {column.name: column.value(entry) for column in columns_of([entry])}


def columns_of(ranking: Sequence[Rank]) -> list[Column]:
    """The columns of a ranking: behind the accuracy come the measures of the task's kind."""
    behind = 1 + [column.name for column in COLUMNS].index("accuracy_high")
    return [*COLUMNS[:behind], *measure_columns(ranking), *COLUMNS[behind:]]


def measure_columns(ranking: Sequence[Rank]) -> list[Column]:
    """A column for each measure besides accuracy that one of the templates has."""
    names = dict.fromkeys(name for entry in ranking for name in entry.scored.score.measures)
    return [
        Column(name, _heading(name), _score(lambda s, name=name: s.measures.get(name)), _THREE)
        for name in names
    ]


def terminal_table(number: int) -> list[tuple[str, Column]]:
    """Headings and columns of the first or second table of a terminal."""
    headings = _TERMINAL_TABLES[number - 1]
    return [(headings[column.name], column) for column in COLUMNS if column.name in headings]


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
        **({"right_is": report.right_is} if report.right_is else {}),
        "race": _race_facts(report.race) if report.race else None,
        "ranking": [as_row(entry) for entry in report.ranking],
    }


def as_csv(report: Report) -> str:
    """A line for each template, under a line of names."""
    out = StringIO()
    names = [column.name for column in columns_of(report.ranking)]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(as_row(entry) for entry in report.ranking)
    return out.getvalue()


def as_markdown(report: Report) -> str:
    """A page with the whole table."""
    return _rendered("report.md.jinja", report)


def as_html(report: Report) -> str:
    """A page that needs nothing else: styles inside, no script, every text escaped."""
    return _rendered("report.html.jinja", report)


def write_report(path: str, content: str) -> None:
    """Into a file, here or at a URL, or to standard output where the path is `-`. Raises
    ConfigError, StorageError."""
    if path == "-":
        sys.stdout.write(content)
        return
    try:
        write_place(place_of(path), content.encode("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None


def leader_sentence(ranking: Sequence[Rank]) -> str:
    """Which template is the best, and how sure that is; empty where none could be ranked."""
    ranked = [entry for entry in ranking if not entry.scored.score.is_unread]
    if not ranked or not ranked[0].scored.score.rows:
        return ""
    leader, others = ranked[0].scored, ranked[1:]
    worse = sum(entry.p_holm is not None and entry.p_holm < _SURE for entry in others)
    said = f"{leader.template} leads: {_percent(leader.score.accuracy)} of its labels are right."
    if not others:
        return said
    alike = f" {len(others) - worse} of the others may be as good" if worse < len(others) else ""
    return f"{said}{alike or ' All others are worse, as far as these rows tell'}."


def _label_all(report: Report) -> str:
    leader = report.ranking[0].scored.template if report.ranking else ""
    return run_command(report.task, report.setting.teacher, leader)


def race_sentence(race: Race) -> str:
    """How a race ended."""
    return (
        f"Race: {len(race.stopped)} of {len(race.correct)} templates were stopped early, "
        f"{race.share:.1%} of the answers asked. The chance that one of them would have ended "
        f"more than {100 * SLACK:g} points ahead of the first is put at {race.error:.1%}."
    )


def _race_facts(race: Race) -> dict[str, object]:
    return {
        "share": race.share,
        "error": race.error,
        "slack": SLACK,
        "stopped": {name: len(race.correct[name]) for name in race.stopped},
        "finalists": race.finalists,
    }


def _rendered(name: str, report: Report) -> str:
    race = race_sentence(report.race) if report.race else ""
    return rendered(
        _TEMPLATES / name,
        report=report,
        columns=columns_of(report.ranking),
        race=race,
        leader=leader_sentence(report.ranking),
        command=_label_all(report),
    )


def _score(get: Callable[[TemplateScore], Value]) -> Callable[[Rank], Value]:
    return lambda entry: get(entry.scored.score)


def _accuracy(get: Callable[[TemplateScore], Value]) -> Callable[[Rank], Value]:
    return _score(lambda score: None if score.is_unread else get(score))


def _unread(entry: Rank) -> str:
    score = entry.scored.score
    return f"{score.labels} of {score.rows:,} readable" if score.is_unread else _UNKNOWN


def _style(get: Callable[[Style], Value]) -> Callable[[Rank], Value]:
    return _score(lambda score: None if score.style is None else get(score.style))


def _against(get: Callable[[PairedComparison], Value]) -> Callable[[Rank], Value]:
    return lambda entry: None if entry.against_leader is None else get(entry.against_leader)


def _tokens(total: Callable[[TemplateScore], int]) -> Callable[[Rank], Value]:
    return _score(lambda score: total(score) / score.rows if score.rows else None)


def _usd(get: Callable[[TemplateScore], float | None]) -> Callable[[Rank], Value]:
    return _score(lambda score: None if (usd := get(score)) is None else 1000 * usd)


def _heading(measure: str) -> str:
    """`micro_f1` in words."""
    return measure.replace("_", " ").replace("f1", "F1")


def _percent(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


def points(share: float) -> str:
    """A difference in points, as `+1.5`."""
    return f"{100 * share:+.1f}"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


_USD, _ONE, _THREE = "{:.4f}".format, "{:.1f}".format, "{:.3f}".format
COLUMNS = (
    Column("rank", "rank", lambda entry: entry.rank),
    Column("template", "template", lambda entry: entry.scored.template),
    Column("accuracy", "accuracy", _accuracy(lambda s: s.accuracy), _percent, _unread),
    Column("accuracy_low", "from", _accuracy(lambda s: s.interval[0]), _percent),
    Column("accuracy_high", "to", _accuracy(lambda s: s.interval[1]), _percent),
    Column("difference", "points to leader", _against(lambda c: c.difference), points),
    Column("p", "p", _against(lambda c: c.p), _p),
    Column("p_holm", "p (Holm)", lambda entry: entry.p_holm, _p),
    Column("rows", "rows", _score(lambda s: s.rows)),
    Column("unanswered", "unanswered", _score(lambda s: s.unanswered)),
    Column("correct", "correct", _score(lambda s: s.correct)),
    Column("readable", "labels read", _score(lambda s: s.labels)),
    Column("parse_rate", "label read", _score(lambda s: s.parse_rate), _percent),
    Column("rationale_rate", "with rationale", _score(lambda s: s.rationale_rate), _percent),
    Column("rationale_characters", "characters", _style(lambda s: s.characters), _ONE),
    Column(
        "rationale_characters_variance",
        "variance of characters",
        _style(lambda s: s.characters_variance),
        _ONE,
    ),
    Column("rationale_words", "words", _style(lambda s: s.words), _ONE),
    Column("rationale_sentences", "sentences", _style(lambda s: s.sentences), _ONE),
    Column("reading_ease", "reading ease", _style(lambda s: s.reading_ease), _ONE),
    Column("prompt_tokens_per_row", "prompt tokens", _tokens(lambda s: s.tokens.prompt), _ONE),
    Column("answer_tokens_per_row", "answer tokens", _tokens(lambda s: s.tokens.completion), _ONE),
    Column("usd_per_1000_rows", "USD for 1,000 rows", _usd(lambda s: s.cost_per_row_usd), _USD),
    Column(
        "usd_per_1000_correct",
        "USD for 1,000 right labels",
        _usd(lambda s: s.cost_per_correct_usd),
        _USD,
    ),
)
# What a terminal shows, in two tables, as one would be too wide: a column's name and its heading.
_TERMINAL_TABLES = (
    {
        "rank": "rank",
        "template": "template",
        "accuracy": "accuracy\n%",
        "accuracy_low": "from\n%",
        "accuracy_high": "to\n%",
        "difference": "points\nto leader",
        "p_holm": "p\n(Holm)",
        "rows": "rows",
        "parse_rate": "label\nread %",
    },
    {
        "template": "template",
        "rationale_rate": "with\nreasons %",
        "rationale_words": "words",
        "reading_ease": "reading\nease",
        "prompt_tokens_per_row": "prompt\ntokens",
        "answer_tokens_per_row": "answer\ntokens",
        "usd_per_1000_rows": "USD/1,000\nrows",
        "usd_per_1000_correct": "USD/1,000\nright",
    },
)
