"""From what the store holds, every row becomes one record or one rejection, with its reason."""

from typing import Any

import pytest

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.plan.plan import PlannedRow
from stepdistill.annotator.prompt.mix import Assignment
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.reading.filters import make_filters
from stepdistill.annotator.reading.readers import make_readers
from stepdistill.annotator.reading.record import RowResult, Rules, conclude
from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.record import PartRef, Record
from stepdistill.common.task import ClassSpec, LabelSpec
from tests.annotator.dataset.made import a_task
from tests.annotator.made import FAILURE, a_request, an_answer

LABEL = LabelSpec(kind="classes", classes={"addition": ClassSpec(), "division": ClassSpec()})
TASK = a_task(
    label=LABEL.model_dump(), fields={"problem": "problem"}, student={"input": "{problem}"}
)
TEMPLATES = {name: Template(id=name, user="{problem}") for name in ("plain", "long")}


def rules(**settings: Any) -> Rules:
    readers = make_readers("verdict", LABEL, TEMPLATES)
    filters = make_filters(ShardSettings(**settings), TASK, readers)
    made = ShardSettings(**settings)
    return Rules(
        kind=kind_of(LABEL),
        readers=readers,
        filters=filters,
        rationale_from=made.rationale_from,
        min_confidence=made.min_confidence,
        rationales=made.keep_rationales,
    )


ROW = Row(
    id="train-7",
    split="train",
    index=7,
    fields={"problem": "Two and three apples lie on a table."},
    gold="addition",
    gold_rationale="They are counted.",
)
ONE, OTHER = a_request("for the label"), a_request("for the rationale")
SAID = "Label: addition\nRationale: Both heaps of apples are counted together."
REASONS = "Label: division\nRationale: Every child gets the same part of them."


def together() -> PlannedRow:
    assignment = Assignment(label="plain", rationale="plain")
    return PlannedRow(row=ROW, assignment=assignment, label=ONE, rationale=ONE)


def apart() -> PlannedRow:
    assignment = Assignment(label="plain", rationale="long")
    return PlannedRow(row=ROW, assignment=assignment, label=ONE, rationale=OTHER)


def label_only() -> PlannedRow:
    assignment = Assignment(label="plain", rationale=None)
    return PlannedRow(row=ROW, assignment=assignment, label=ONE, rationale=None)


def thrice() -> PlannedRow:
    votes = tuple(a_request("for the label", sample=sample) for sample in (1, 2))
    return together()._replace(votes=votes)


def concluded(
    store: ResponseStore, planned: PlannedRow, *said: Answer, **settings: Any
) -> RowResult:
    """said: the answers to the row's requests in order, as far as there are any."""
    store.put([(r.key, a) for r, a in zip(planned.requests, said, strict=False)], [])
    with store.reading() as stored:
        return conclude(planned, stored, rules(**settings))


def record_of(outcome: RowResult) -> Record:
    assert isinstance(outcome.result, Record)
    return outcome.result


def rejection_of(outcome: RowResult) -> Rejection:
    assert isinstance(outcome.result, Rejection)
    result = outcome.result
    assert (result.id, result.split, result.index) == ("train-7", "train", 7)
    return result


def test_one_answer_gives_label_and_rationale(store: ResponseStore):
    outcome = concluded(store, together(), an_answer(SAID))

    key = ONE.key.hex()
    assert record_of(outcome) == Record(
        id="train-7",
        split="train",
        index=7,
        input=ROW.fields,
        label="addition",
        rationale="Both heaps of apples are counted together.",
        gold="addition",
        gold_rationale="They are counted.",
        templates=PartRef(label="plain", rationale="plain"),
        keys=PartRef(label=key, rationale=key),
        confidence=0.99,
    )
    assert outcome.answers == [an_answer(SAID)]


def test_two_answers_give_one_part_each_and_are_both_billed(store: ResponseStore):
    outcome = concluded(store, apart(), an_answer(SAID), an_answer(REASONS))

    record = record_of(outcome)
    assert record.label == "addition"
    assert record.rationale == "Every child gets the same part of them."
    assert record.templates == PartRef(label="plain", rationale="long")
    assert record.keys == PartRef(label=ONE.key.hex(), rationale=OTHER.key.hex())
    assert outcome.answers == [an_answer(SAID), an_answer(REASONS)]


def test_where_no_rationale_was_asked_for_there_is_none(store: ResponseStore):
    record = record_of(concluded(store, label_only(), an_answer(SAID)))

    assert (record.label, record.rationale) == ("addition", None)
    assert (record.templates.rationale, record.keys.rationale) == (None, None)


def test_a_label_without_reasons_is_a_record_without_rationale(store: ResponseStore):
    record = record_of(concluded(store, together(), an_answer("Addition.")))

    assert (record.label, record.rationale) == ("addition", None)


def test_a_rationale_is_kept_where_its_own_answer_names_no_label(store: ResponseStore):
    reasons = an_answer("Both heaps of apples on the table are counted together.")
    record = record_of(concluded(store, apart(), an_answer(SAID), reasons))

    assert record.label == "addition"
    assert record.rationale == reasons.text


def test_a_row_that_was_never_answered_says_so(store: ResponseStore):
    outcome = concluded(store, together())

    rejection = rejection_of(outcome)
    assert (rejection.stage, rejection.reason) == ("request", "no_answer")
    assert outcome.answers == []


def test_one_answer_of_two_is_not_enough_and_is_billed(store: ResponseStore):
    outcome = concluded(store, apart(), an_answer(SAID))

    assert rejection_of(outcome).reason == "no_answer"
    assert outcome.answers == [an_answer(SAID)]


def test_a_failure_rejects_with_its_own_reason(store: ResponseStore):
    store.put([], [(ONE.key, FAILURE)])

    rejection = rejection_of(concluded(store, together()))
    assert (rejection.stage, rejection.reason) == ("request", FAILURE.reason)
    assert rejection.detail == FAILURE.detail


def test_the_failure_of_the_rationale_rejects_too(store: ResponseStore):
    store.put([], [(OTHER.key, FAILURE)])

    assert rejection_of(concluded(store, apart(), an_answer(SAID))).reason == FAILURE.reason


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("length", "truncated"), ("content_filter", "content_filtered"), ("refusal", "refused")],
)
def test_an_answer_that_did_not_end_well_is_no_label_and_is_billed(
    store: ResponseStore, finish: str, reason: str
):
    outcome = concluded(store, together(), an_answer(SAID, finish=finish))

    rejection = rejection_of(outcome)
    assert (rejection.stage, rejection.reason) == ("response", reason)
    assert finish in rejection.detail
    assert outcome.answers == [an_answer(SAID, finish=finish)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("I'm sorry, but I cannot help with that.", "refusal"),
        ("Apples are fruit.", "no_verdict"),
    ],
)
def test_an_answer_without_a_label_is_rejected_and_billed(
    store: ResponseStore, text: str, reason: str
):
    outcome = concluded(store, together(), an_answer(text))

    rejection = rejection_of(outcome)
    assert (rejection.stage, rejection.reason) == ("response", reason)
    assert outcome.answers == [an_answer(text)]


def test_most_votes_win_with_the_reasons_of_one_who_voted_so(store: ResponseStore):
    said = [an_answer(text) for text in (REASONS, SAID, SAID)]
    planned = thrice()
    outcome = concluded(store, planned, *said)

    record = record_of(outcome)
    assert (record.label, record.label_votes) == ("addition", {"division": 1, "addition": 2})
    assert record.label_confidence == pytest.approx(2 / 3, abs=1e-4)
    assert record.rationale == "Both heaps of apples are counted together."
    key = planned.votes[0].key.hex()
    assert record.keys == PartRef(label=key, rationale=key)
    assert outcome.answers == said


def test_reasons_of_several_votes_for_the_label_are_kept(store: ResponseStore):
    others = ("Label: addition\nRationale: The heaps are put together.", "Label: addition")
    said = [an_answer(text) for text in (SAID, *others)]
    first = record_of(concluded(store, thrice(), *said))
    both = record_of(concluded(store, thrice(), *said, keep_rationales=2))
    assert first.other_rationales is None
    assert both.rationales == (first.rationale, "The heaps are put together.")
    assert both.content.keys() - first.content.keys() == {"other_rationales"}
    alike = record_of(concluded(store, thrice(), *said[:1] * 3, keep_rationales=3))
    assert alike.other_rationales is None
    said[1] = an_answer("Label: addition\nRationale: They are shared. So the answer is division.")
    minded = {"filters": frozenset({"contradiction"})}
    kept = record_of(concluded(store, thrice(), *said, keep_rationales=3, **minded))
    assert kept.rationales == (first.rationale,)


def test_an_answer_without_a_label_is_no_vote_and_lowers_the_confidence(store: ResponseStore):
    said = [an_answer(SAID, finish="length"), an_answer("Apples are fruit."), an_answer(SAID)]
    record = record_of(concluded(store, thrice(), *said))

    assert (record.label, record.label_votes) == ("addition", {"addition": 1})
    assert record.label_confidence == pytest.approx(1 / 3, abs=1e-4)


def test_where_no_answer_of_several_names_a_label_the_first_says_why(store: ResponseStore):
    said = [an_answer(SAID, finish="length"), an_answer(""), an_answer("Apples are fruit.")]

    assert rejection_of(concluded(store, thrice(), *said)).reason == "truncated"


def test_one_vote_that_is_missing_leaves_the_row_unanswered(store: ResponseStore):
    outcome = concluded(store, thrice(), an_answer(SAID), an_answer(SAID))

    assert rejection_of(outcome).reason == "no_answer"
    assert len(outcome.answers) == 2


def test_a_row_asked_once_has_no_votes(store: ResponseStore):
    record = record_of(concluded(store, together(), an_answer(SAID)))

    assert (record.label_votes, record.label_confidence) == (None, None)


def test_reasons_for_another_label_reject_the_row_where_that_is_asked_for(store: ResponseStore):
    said = an_answer("Label: addition\nRationale: They are shared. So the answer is division.")

    assert record_of(concluded(store, together(), said)).label == "addition"
    outcome = concluded(store, together(), said, filters=frozenset({"contradiction"}))
    rejection = rejection_of(outcome)
    assert (rejection.stage, rejection.reason) == ("response", "contradiction")
    assert "division" in rejection.detail
    assert outcome.answers == [said]


@pytest.mark.parametrize(
    "said",
    [
        "I would need more context before I could say anything useful about this.",
        "I am not sure what to make of this text without knowing more about it.",
        "There is not enough here for me to come to a view on the matter.",
        "Unfortunately, I do not have enough information to explain that.",
    ],
)
def test_who_says_that_he_has_no_reasons_gives_none(store: ResponseStore, said: str):
    outcome = concluded(store, apart(), an_answer(SAID), an_answer(said))

    assert record_of(outcome).rationale is None
    assert outcome.dropped == "rationale_declined"


@pytest.mark.parametrize(
    "said",
    [
        "There is not enough information in the premise to say who is right.",
        "The customer asks whether we could please send the invoice.",
        "Anyone would need more data on prices, which the table gives.",
    ],
)
def test_a_reason_may_speak_of_what_is_missing(store: ResponseStore, said: str):
    outcome = concluded(store, apart(), an_answer(SAID), an_answer(said))

    assert (record_of(outcome).rationale, outcome.dropped) == (said, None)


def test_reasons_that_repeat_the_row_are_dropped_where_that_is_asked_for(store: ResponseStore):
    said = an_answer(f"Label: addition\nRationale: {ROW.fields['problem']}")

    outcome = concluded(store, together(), said, filters=frozenset({"repetition"}))
    assert record_of(outcome).rationale is None
    assert record_of(outcome).label == "addition"
    assert outcome.dropped == "rationale_repeats_row"


@pytest.mark.parametrize(
    ("most", "reason", "dropped"),
    [(5, "too_long", None), (12, None, "rationale_too_long"), (99, None, None)],
)
def test_what_is_too_long_for_the_student_goes(
    store: ResponseStore, most: int, reason: str | None, dropped: str | None
):
    said = an_answer("Label: addition\nRationale: " + "word " * 30)
    outcome = concluded(store, together(), said, max_student_tokens=most)

    assert outcome.dropped == dropped
    if reason is None:
        assert (record_of(outcome).rationale is None) == (dropped is not None)
    else:
        assert rejection_of(outcome).reason == reason


def test_reasons_can_be_what_was_thought(store: ResponseStore) -> None:
    said = an_answer(text=f"<think>Both heaps are on one table.</think>{SAID}")
    for source, reasons in (
        ("answer", "Both heaps of apples are counted together."),
        ("thinking", "Both heaps are on one table."),
    ):
        record = concluded(store, together(), said, rationale_from=source).result
        assert isinstance(record, Record)
        assert (record.label, record.rationale) == ("addition", reasons)
    apart = an_answer(text=SAID, thoughts="Both heaps lie there.")
    record = concluded(store, together(), apart, rationale_from="thinking").result
    assert isinstance(record, Record) and record.rationale == "Both heaps lie there."
    without = concluded(store, together(), an_answer(text=SAID), rationale_from="thinking").result
    assert isinstance(without, Record)


HINT = "The word addition comes up in this text about apples somehow."


def test_a_word_that_is_only_mentioned_is_no_label(store: ResponseStore) -> None:
    rejection = rejection_of(concluded(store, together(), an_answer(HINT)))

    assert (rejection.stage, rejection.reason) == ("response", "low_confidence")
    assert rejection.detail == "rule hint, confidence 0.6"


@pytest.mark.parametrize(("least", "label"), [(0.6, "addition"), (0.0, "addition"), (0.61, None)])
def test_how_sure_a_label_must_be_can_be_said(
    store: ResponseStore, least: float, label: str | None
) -> None:
    result = concluded(store, together(), an_answer(HINT), min_confidence=least).result

    assert (result.label if isinstance(result, Record) else None) == label


def test_an_answer_below_the_least_confidence_has_no_vote(store: ResponseStore) -> None:
    said = (an_answer(HINT), an_answer("Label: division"), an_answer(HINT))

    assert record_of(concluded(store, thrice(), *said)).label_votes == {"division": 1}
