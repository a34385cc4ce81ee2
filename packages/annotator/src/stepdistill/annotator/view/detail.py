"""All that is known of one row: what was sent for it, what came back, and where label and rationale
were read in that."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import orjson

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.reading.readers import ORIGINAL, VERDICT
from stepdistill.annotator.reading.record import unusable
from stepdistill.annotator.reading.thinking import without_thoughts
from stepdistill.annotator.store.answer import TIME_BOUND, Answer
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.annotator.view.asked import Asked, Question, stored_reply
from stepdistill.annotator.view.run_lines import Line, fields_of, row_of
from stepdistill.common.kinds.kind import Kind

Span = tuple[int, int]
_JSON_VALUE = re.compile(r':\s*"((?:[^"\\]|\\.)*)"')
_CHANGED = (
    "The request cannot be shown: the task's templates, or the row's texts, are no longer what was "
    "sent."
)
_NO_PROMPTS = "The request cannot be shown: the task's templates were not found (--prompts)."
_NO_STORE = "The answer cannot be shown: there is no store here (--store)."


def detail_of(
    line: Line, asked: Asked | None, stored: Snapshot | None, kind: Kind
) -> dict[str, object]:
    """All that is known of a row of a run or a task."""
    row = row_of(line)
    known = asked.requests(row) if asked is not None and row is not None else {}
    own = own_keys(line)
    template = known[own[0]].template if own and own[0] in known else None
    votes = [k for k, each in known.items() if each.sample and each.template == template]
    answers = [
        _reply(key, known.get(key), asked, row, stored, _part(line, key, own))
        for key in dict.fromkeys([*own, *votes])
    ]
    others = [
        _reply(key, question, asked, row, stored, "another template")
        for key, question in known.items()
        if key not in own and key not in votes and not question.sample
    ]
    found = [each for each in others if "answer" in each]
    return {
        **{name: line.get(name) for name in ("id", "split", "index", "gold", "gold_rationale")},
        **{name: line.get(name) for name in ("label", "rationale")},
        "confidence": confidence_of(line),
        "votes": line.get("label_votes"),
        "probabilities": line.get("label_probs"),
        "input": [[name, text] for name, text in fields_of(line).items()],
        "rejected": line.get("reason"),
        "why": line.get("detail"),
        "is_right": is_right(line, kind),
        "answers": _with_agreement(answers, line.get("label"), row, kind),
        "others": _with_agreement(found, line.get("label"), row, kind),
        "not_asked": len(others) - len(found),
        "remarks": list(_remarks(line, asked, known, stored)),
    }


def own_keys(line: Line) -> list[bytes]:
    """The keys of the answers that a row's line was made from: the label's first."""
    keys = line.get("keys")
    each = [keys["label"], keys["rationale"]] if keys else [line.get("key")]
    return [bytes.fromhex(key) for key in dict.fromkeys(each) if key]


def answer_facts(answer: Answer) -> dict[str, object]:
    """What the store has of an answer, but for its text."""
    usage = answer.usage
    return {
        "finish": answer.finish,
        "ending": answer.ending,
        "model": answer.model,
        "mode": answer.mode,
        "asked_at": datetime.fromtimestamp(min(answer.asked_at, TIME_BOUND), UTC).isoformat(),
        "tokens": {
            "prompt": usage.prompt,
            "completion": usage.completion,
            "cached": usage.cached,
            "reasoning": usage.reasoning,
        },
        "limit": answer.limit,
        "request_id": answer.request_id,
    }


def marked(text: str, label: Iterable[Span], rationale: Span | None) -> list[dict[str, object]]:
    """A text in pieces, each with what it is: `label`, `rationale`, or nothing."""
    ends = {0, len(text)}
    label = [(start, end) for start, end in label if 0 <= start < end <= len(text)]
    for start, end in [*label, *([rationale] if rationale else [])]:
        ends |= {max(0, start), min(end, len(text))}
    places = sorted(ends)
    pieces: list[dict[str, object]] = []
    for start, end in pairwise(places):
        what = None
        if any(first <= start and end <= last for first, last in label):
            what = "label"
        elif rationale and rationale[0] <= start and end <= rationale[1]:
            what = "rationale"
        pieces.append({"text": text[start:end], "is": what})
    return pieces


def values_in_json(text: str) -> dict[Span, str]:
    """The texts that an answer's JSON object has as values, by where they stand between their
    quotes; none where it is no object, or more than one."""
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(content, dict):
        return {}
    found = {(at.start(1), at.end(1)): at[0] for at in _JSON_VALUE.finditer(text)}
    return {span: str(orjson.loads(quoted.lstrip(": \t\r\n"))) for span, quoted in found.items()}


def named_in(values: Mapping[Span, str], what: str | None) -> Span | None:
    """Where a value stands that says this, whatever its letters' case and spacing."""
    said = " ".join((what or "").split()).casefold()
    return next(
        (at for at, text in values.items() if " ".join(text.split()).casefold() == said), None
    )


def _reply(
    key: bytes,
    question: Question | None,
    asked: Asked | None,
    row: Row | None,
    stored: Snapshot | None,
    part: str,
) -> dict[str, object]:
    """One request of the row, and what came of it."""
    told: dict[str, object] = {"part": part, "key": key.hex()}
    if question is not None:
        told |= {"template": question.template, "vote": question.sample}
        told["messages"] = question.request.messages
    if stored is None:
        return told
    answer, failure = stored_reply(stored, key)
    if failure is not None:
        told["failure"] = f"{failure.reason}: {failure.detail}"
    if answer is not None:
        told |= answer_facts(answer) | {"usd": None if asked is None else asked.usd(answer)}
        told |= _read(answer, question, asked, row)
    return told


def _read(
    answer: Answer, question: Question | None, asked: Asked | None, row: Row | None
) -> dict[str, object]:
    words = answer.words
    if question is None or asked is None or row is None:
        plain = without_thoughts(words)
        thoughts = answer.thoughts or plain.thoughts
        return {"answer": marked(words[plain.start :], (), None), "thoughts": thoughts}
    reading = asked.read(question.template, answer, row.fields)
    stated = asked.stated(question.template, answer, row.fields)
    # What was thought stands apart: it is folded.
    first = without_thoughts(words).start if reading.thoughts else 0
    shifted = [(start - first, end - first) for start, end in stated]
    span = reading.rationale_span
    reasons = (span[0] - first, span[1] - first) if span and span[0] >= first else None
    if reading.label and (values := values_in_json(words[first:])):
        # The object as a whole states the label: what of it is it, and what are the reasons?
        label, shown = named_in(values, reading.label), named_in(values, reading.rationale)
        shifted, reasons = [label] if label else shifted, shown or reasons
    return {
        "answer": marked(words[first:], shifted if reading.label else (), reasons),
        "thoughts": answer.thoughts or reading.thoughts,
        "label": reading.label,
        "rationale": reading.rationale,
        "confidence": reading.confidence,
        "rule": reading.rule,
        "unread": reading.reason,
        "otherwise": _otherwise(answer, question.template, asked, row),
        "gold": row.gold,
    }


def _otherwise(answer: Answer, template: str, asked: Asked, row: Row) -> dict[str, object] | None:
    """What the other kind of reader reads; None where the template can be read in one way."""
    reader = asked.other_readers.get(template)
    if reader is None or unusable(answer):
        return None
    reading = reader.read(answer.words, row.fields)
    name = VERDICT if asked.rules.readers.name == ORIGINAL else ORIGINAL
    return {"reader": name, "label": reading.label, "unread": reading.reason}


def _part(line: Line, key: bytes, own: list[bytes]) -> str:
    keys: Mapping[str, Any] = line.get("keys") or {}
    text = key.hex()
    if key not in own:
        return "vote"
    if keys.get("label") == text:
        return "label and rationale" if keys.get("rationale") == text else "label"
    return "rationale" if keys.get("rationale") == text else "label"


def confidence_of(line: Line) -> float | None:
    """How sure the teacher was, by its log-probabilities or votes; else how sure the reader is."""
    known = sureness_of(line)
    return line.get("confidence") if known is None else known


def sureness_of(line: Line) -> float | None:
    """How sure the teacher was of a record's label; None where that is not known."""
    probs: Mapping[str, float] | None = line.get("label_probs")
    return line.get("label_confidence") if probs is None else probs.get(str(line["label"]), 0.0)


def is_right(line: Line, kind: Kind) -> bool | None:
    """Whether a row's label is its gold one; None where one of both is not known."""
    label, gold = line.get("label"), line.get("gold")
    if label is None or gold is None:
        return None
    return kind.same(label, gold, kind.choices(fields_of(line)))


def _with_agreement(
    replies: list[dict[str, object]], label: str | None, row: Row | None, kind: Kind
) -> list[dict[str, object]]:
    """Each with whether it says what the row's label is; None where one of both is none."""
    choices = kind.choices(row.fields) if row else ()
    for each in replies:
        other = each.get("label")
        each["agrees"] = (
            kind.same(label, other, choices) if label and isinstance(other, str) else None
        )
    return replies


def _remarks(
    line: Line,
    asked: Asked | None,
    known: Mapping[bytes, Question],
    stored: Snapshot | None,
) -> Iterable[str]:
    if stored is None:
        yield _NO_STORE
    if asked is None:
        yield _NO_PROMPTS
    elif "input" not in line:
        yield "The row's texts are not known: its data was not found, or has changed (--data)."
    elif any(key not in known for key in own_keys(line)):
        yield _CHANGED
