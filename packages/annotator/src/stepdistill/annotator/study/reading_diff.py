"""What changes when answers are read by other rules: by pair of rules, and answer by answer."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from stepdistill.annotator.reading.reading import Reading

Place = tuple[str, str, int]
KINDS = ("found", "lost", "other", "rationale")
NOT_READ = "not read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One answer that is read in two ways. place: template, split, index of its row.

    kind: the label is `found` by the second way alone, `lost` in it, an `other` one, or the same
    and only the `rationale` differs. before: None where a file of readings lacks the answer.
    """

    place: Place
    kind: str
    before: Reading | None
    after: Reading | None


@dataclass(slots=True, kw_only=True)
class ReadingTally:
    """How many answers were compared, and the changes among them by both rules and kind."""

    compared: int = 0
    by_rules: dict[tuple[str, str], Counter[str]] = field(
        default_factory=dict[tuple[str, str], Counter[str]]
    )

    def changes(
        self, pairs: Iterable[tuple[Place, Reading | None, Reading | None]]
    ) -> Iterator[Change]:
        """The changes among pairs of readings, counted as they pass."""
        for place, before, after in pairs:
            self.compared += 1
            kind = kind_of(before, after)
            if kind is not None:
                rules = rule_name(before), rule_name(after)
                self.by_rules.setdefault(rules, Counter())[kind] += 1
                yield Change(place=place, kind=kind, before=before, after=after)


def kind_of(before: Reading | None, after: Reading | None) -> str | None:
    """What kind of change it is; None for none."""
    old, new = (reading and reading.label for reading in (before, after))
    if old != new:
        return "found" if old is None else "lost" if new is None else "other"
    same = (before and before.rationale) == (after and after.rationale)
    return None if same else "rationale"


def rule_name(reading: Reading | None) -> str:
    """The rule that read a label, or why there is none."""
    if reading is None:
        return NOT_READ
    return reading.rule if reading.label is not None else f"none: {reading.reason}"
