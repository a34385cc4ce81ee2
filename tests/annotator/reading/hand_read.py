"""How well the verdict reader reads answers that were read by hand: label and rationale.

The files hold pointers and readings, no text: task, split, template, index of an answer in the data
kit; the label it commits to (null: to none); the characters that are reasons (null: not judged,
where it commits to no label). README.md beside them says who read which, and when.

    python -m tests.annotator.reading.hand_read            the figures
    python -m tests.annotator.reading.hand_read --misread  and those that rules may be fitted to
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdistill.common.kinds.registry import kind_of
from tests.annotator.reading.real_answers import DATA, json_lines
from tests.annotator.reading.tasks import reader, task

FILES = {
    "first": Path(__file__).with_name("hand_read.jsonl"),
    "second": Path(__file__).with_name("hand_read_second.jsonl"),
    "third": Path(__file__).with_name("hand_read_third.jsonl"),
}
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A reading beside the one by hand. f1: of the rationale's words, None if not judged."""

    pointer: dict[str, Any]
    answer: str
    label: str | None
    rationale: str | None
    right: bool
    f1: float | None

    @property
    def wrong(self) -> bool:
        """A label, but not the right one."""
        return self.label is not None and not self.right


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Shares over some answers, and the mean F1 of those whose rationale was judged."""

    n: int
    right: float
    wrong: float
    f1: float


def judged(name: str) -> Iterator[Judged]:
    """Every answer of one of FILES, read anew."""
    pointers = [json.loads(line) for line in FILES[name].read_text(encoding="utf-8").splitlines()]
    answers = _answers({(each["task"], each["split"], each["template"]) for each in pointers})
    for pointer in pointers:
        where = tuple(pointer[key] for key in ("task", "split", "template", "index"))
        yield _judge(pointer, *answers[where])


def figures(answers: Iterable[Judged]) -> Figures:
    """Over at least one answer."""
    found = list(answers)
    scores = [each.f1 for each in found if each.f1 is not None]
    return Figures(
        n=len(found),
        right=sum(each.right for each in found) / len(found),
        wrong=sum(each.wrong for each in found) / len(found),
        f1=sum(scores) / len(scores),
    )


def _answers(files: set[tuple[str, str, str]]) -> dict[tuple[Any, ...], tuple[str, dict[str, str]]]:
    found: dict[tuple[Any, ...], tuple[str, dict[str, str]]] = {}
    for name, split, template in files:
        path = DATA / "query-results" / name / split / template / "responses.json.gz"
        for line in json_lines(path):
            fields = {key: str(value) for key, value in line["prompt_values"].items()}
            found[name, split, template, line["idx"]] = line["response"], fields
    return found


def _judge(pointer: dict[str, Any], answer: str, fields: dict[str, str]) -> Judged:
    reading = reader(pointer["task"]).read(answer, fields)
    label, by_hand = reading.label, pointer["label"]
    kind = kind_of(task(pointer["task"]).label)
    same = label is not None and by_hand is not None and kind.same(label, by_hand)
    spans: list[tuple[int, int]] = pointer["rationale"] or []
    reasons = " ".join(answer[start:end] for start, end in spans)
    return Judged(
        pointer=pointer,
        answer=answer,
        label=label,
        rationale=reading.rationale,
        right=same or (label is None and by_hand is None),
        f1=None if pointer["rationale"] is None else word_f1(reasons, reading.rationale or ""),
    )


def word_f1(one: str, other: str) -> float:
    """The F1 of two texts' words, 1 where both have none."""
    left, right = (Counter(_WORD.findall(text.lower())) for text in (one, other))
    if not left and not right:
        return 1.0
    return 2 * (left & right).total() / (left.total() + right.total())


def table(name: str, found: list[Judged]) -> Iterator[str]:
    """The figures of one file by half (the first has halves) and by task."""
    yield f"{name:8}{'answers':>9}{'right':>9}{'wrong':>9}{'rationale F1':>15}"
    for part in ("all", "seen", "held", "svamp", "cqa", "anli1", "esnli"):
        chosen = [each for each in found if part in ("all", *each.pointer.values())]
        if not chosen:
            continue
        shown = figures(chosen)
        yield f"{part:8}{shown.n:9}{shown.right:9.1%}{shown.wrong:9.1%}{shown.f1:15.3f}"


def misread(found: list[Judged]) -> Iterator[str]:
    """The answers where the reader differs, but for the held half of the first file."""
    for each in found:
        differs = not each.right or (each.f1 is not None and each.f1 < 0.9)
        if differs and each.pointer.get("half") != "held":
            yield f"\n{each.pointer}\n  {each.answer}\n  read: {each.label}: {each.rationale}"


def main() -> None:
    """Print the figures, and what is misread with --misread."""
    for name in FILES:
        found = list(judged(name))
        shown = "--misread" in sys.argv and name != "third"
        lines = [*table(name, found), *(misread(found) if shown else ())]
        sys.stdout.write("\n".join(lines) + "\n\n")


if __name__ == "__main__":
    main()
