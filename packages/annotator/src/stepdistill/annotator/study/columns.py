"""The columns of a ranking, once for every way of showing it: a name and a value for programs, a
heading and a text for people."""

from collections.abc import Callable
from dataclasses import dataclass

from stepdistill.annotator.study.ranking import PairedComparison, Rank
from stepdistill.annotator.study.score import Style, TemplateScore

Value = str | int | float | None
NOTHING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """value: of a place, None where it has none. text: how a value is shown.

    terminal: which of the two tables of a terminal has it, under which heading.
    """

    name: str
    heading: str
    value: Callable[[Rank], Value]
    text: Callable[[float], str] = "{:,.0f}".format
    terminal: tuple[int, str] | None = None

    def shown(self, place: Rank) -> str:
        """The value as people read it."""
        value = self.value(place)
        if value is None:
            return NOTHING
        return value if isinstance(value, str) else self.text(value)


def _percent(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _of_score(get: Callable[[TemplateScore], Value]) -> Callable[[Rank], Value]:
    return lambda place: get(place.scored.score)


def _of_style(get: Callable[[Style], Value]) -> Callable[[Rank], Value]:
    def value(place: Rank) -> Value:
        style = place.scored.score.style
        return None if style is None else get(style)

    return value


def _compared(get: Callable[[PairedComparison], Value]) -> Callable[[Rank], Value]:
    def value(place: Rank) -> Value:
        return None if place.against_leader is None else get(place.against_leader)

    return value


def _per_1000(get: Callable[[TemplateScore], float | None]) -> Callable[[Rank], Value]:
    def value(place: Rank) -> Value:
        cost = get(place.scored.score)
        return None if cost is None else 1000 * cost

    return value


def _per_row(total: Callable[[TemplateScore], int]) -> Callable[[Rank], Value]:
    def value(place: Rank) -> Value:
        score = place.scored.score
        return total(score) / score.rows if score.rows else None

    return value


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


_USD, _ONE = "{:.4f}".format, "{:.1f}".format

COLUMNS = (
    Column(name="rank", heading="rank", value=lambda place: place.rank, terminal=(1, "rank")),
    Column(
        name="template",
        heading="template",
        value=lambda place: place.scored.template,
        terminal=(0, "template"),
    ),
    Column(
        name="accuracy",
        heading="accuracy",
        value=_of_score(lambda s: s.accuracy),
        text=_percent,
        terminal=(1, "accuracy\n%"),
    ),
    Column(
        name="accuracy_low",
        heading="from",
        value=_of_score(lambda s: s.interval[0]),
        text=_percent,
        terminal=(1, "from\n%"),
    ),
    Column(
        name="accuracy_high",
        heading="to",
        value=_of_score(lambda s: s.interval[1]),
        text=_percent,
        terminal=(1, "to\n%"),
    ),
    Column(
        name="difference",
        heading="points to leader",
        value=_compared(lambda c: c.difference),
        text=_points,
        terminal=(1, "points\nto leader"),
    ),
    Column(name="p", heading="p", value=_compared(lambda c: c.p), text=_p),
    Column(
        name="p_holm",
        heading="p (Holm)",
        value=_compared(lambda c: c.p_holm),
        text=_p,
        terminal=(1, "p\n(Holm)"),
    ),
    Column(name="rows", heading="rows", value=_of_score(lambda s: s.rows), terminal=(1, "rows")),
    Column(name="unanswered", heading="unanswered", value=_of_score(lambda s: s.unanswered)),
    Column(name="correct", heading="correct", value=_of_score(lambda s: s.correct)),
    Column(
        name="parse_rate",
        heading="label read",
        value=_of_score(lambda s: s.parse_rate),
        text=_percent,
        terminal=(1, "label\nread %"),
    ),
    Column(
        name="rationale_rate",
        heading="with rationale",
        value=_of_score(lambda s: s.rationale_rate),
        text=_percent,
        terminal=(2, "with\nreasons %"),
    ),
    Column(
        name="rationale_characters",
        heading="characters",
        value=_of_style(lambda s: s.characters),
        text=_ONE,
    ),
    Column(
        name="rationale_characters_variance",
        heading="variance of characters",
        value=_of_style(lambda s: s.characters_variance),
        text=_ONE,
    ),
    Column(
        name="rationale_words",
        heading="words",
        value=_of_style(lambda s: s.words),
        text=_ONE,
        terminal=(2, "words"),
    ),
    Column(
        name="rationale_sentences",
        heading="sentences",
        value=_of_style(lambda s: s.sentences),
        text=_ONE,
    ),
    Column(
        name="reading_ease",
        heading="reading ease",
        value=_of_style(lambda s: s.reading_ease),
        text=_ONE,
        terminal=(2, "reading\nease"),
    ),
    Column(
        name="prompt_tokens_per_row",
        heading="prompt tokens",
        value=_per_row(lambda s: s.tokens.prompt),
        text=_ONE,
        terminal=(2, "prompt\ntokens"),
    ),
    Column(
        name="answer_tokens_per_row",
        heading="answer tokens",
        value=_per_row(lambda s: s.tokens.completion),
        text=_ONE,
        terminal=(2, "answer\ntokens"),
    ),
    Column(
        name="usd_per_1000_rows",
        heading="USD for 1,000 rows",
        value=_per_1000(lambda s: s.cost_per_row_usd),
        text=_USD,
        terminal=(2, "USD/1,000\nrows"),
    ),
    Column(
        name="usd_per_1000_correct",
        heading="USD for 1,000 right labels",
        value=_per_1000(lambda s: s.cost_per_correct_usd),
        text=_USD,
        terminal=(2, "USD/1,000\nright"),
    ),
)


def terminal_table(number: int) -> list[Column]:
    """The columns of the first or second table of a terminal; both name the template."""
    return [each for each in COLUMNS if each.terminal and each.terminal[0] in (0, number)]
