"""Filters are chosen by name, say what they mind, and leave good reasons alone."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.reading.filters import (
    FILTERS,
    FilterHit,
    Filters,
    filters_content,
    make_filters,
)
from stepdistill.annotator.reading.readers import make_readers
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.common.errors import ConfigError
from stepdistill.common.record import PartRef, Record
from stepdistill.common.task import LabelSpec
from tests.annotator.dataset.made import a_task

NLI = LabelSpec.model_validate(
    {"kind": "classes", "classes": {"entailment": {}, "neutral": {}, "contradiction": {}}}
)
TASK = a_task(label=NLI.model_dump())
PREMISE = "A tall man in a red coat is carrying a ladder across the wet street."


def filters(**settings: Any) -> Filters:
    return make_filters(ShardSettings(**settings), TASK, make_readers("verdict", NLI, {}))


def a_record(rationale: str | None, text: str = PREMISE) -> Record:
    return Record(
        id="a",
        split="train",
        index=0,
        input={"text": text},
        label="neutral",
        rationale=rationale,
        gold=None,
        templates=PartRef(label="plain", rationale=None),
        keys=PartRef(label="00", rationale=None),
        confidence=0.9,
    )


def finding(rationale: str | None, *names: str) -> FilterHit | None:
    return filters(filters=frozenset(names)).first(a_record(rationale))


@pytest.mark.parametrize(
    ("known", "is_rejected"),
    [
        ({"label_probs": {"neutral": 0.79}}, True),
        ({"label_probs": {"neutral": 0.81}, "label_confidence": 0.2}, False),
        ({"label_probs": {"entailment": 0.9}}, True),
        ({"label_confidence": 0.6}, True),
        ({}, False),
    ],
)
def test_labels_that_the_teacher_is_not_sure_of_are_rejected(
    known: dict[str, Any], is_rejected: bool
):
    found = filters(min_sureness=0.8).first(replace(a_record(None), **known))
    assert (found is not None) == is_rejected
    assert found is None or (found.whole and found.reason == "unsure")
    assert filters().first(replace(a_record(None), **known)) is None


@pytest.mark.parametrize(
    ("rationale", "repeats"),
    [
        (PREMISE, True),
        (PREMISE.upper().replace(".", "!"), True),
        ("The text says: a tall man in a red coat is carrying a ladder across the street.", False),
        ("A man who carries a ladder need not be going home; the text names no place.", False),
        ("A tall man", True),
        ("", False),
        (None, False),
    ],
)
def test_only_what_stands_in_the_row_word_for_word_repeats_it(rationale: str | None, repeats: bool):
    assert (finding(rationale, "repetition") is not None) == repeats


def test_an_unknown_filter_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match="--filter nonsense: choose from contradiction, repetit"):
        filters(filters=frozenset({"nonsense"}))


def test_without_names_nothing_is_minded():
    assert filters().each == ()


@given(rationale=st.text() | st.none(), text=st.text())
def test_no_text_brings_a_filter_down(rationale: str | None, text: str):
    nobody = Path("judgements-that-are-not-there.jsonl")
    found = filters(filters=frozenset(FILTERS), max_student_tokens=9, judgements=nobody)

    found.first(a_record(rationale, text))


def test_a_tokenizer_that_cannot_be_read_is_said_so(tmp_path: Path):
    missing = tmp_path / "tokenizer.json"
    settings = ShardSettings(max_student_tokens=9, student_tokenizer=missing)

    with pytest.raises(ConfigError, match=f"--student-tokenizer {re.escape(str(missing))}"):
        filters_content(settings)


def test_the_student_s_own_tokenizer_counts_where_it_is_given(tmp_path: Path):
    tokenizers = pytest.importorskip("tokenizers")
    letters = tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(letters)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))

    counted = filters(max_student_tokens=50, student_tokenizer=path).first(a_record(None))
    assert counted is not None
    assert (counted.reason, counted.whole) == ("too_long", True)
    assert f"has {len(PREMISE)} tokens" in counted.detail
    assert filters(max_student_tokens=50).first(a_record(None)) is None
