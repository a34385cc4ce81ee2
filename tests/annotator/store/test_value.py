"""A value says what was put into it, or that it is damaged; never anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.store.answer import TOKENS_BOUND, Answer, Failure, Usage
from stepdistill.annotator.store.value import (
    DamagedValueError,
    Packer,
    Unpacker,
    payload_of,
    sealed,
    train,
)
from tests.annotator.made import FAILURE, a_key, an_answer, answers

KEY = a_key(1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
COUNT = st.integers(0, 2**53)
TOKENS = st.integers(0, TOKENS_BOUND - 1)


def no_dictionary(_: int) -> None:
    """A store without one."""


PLAIN = Unpacker(no_dictionary)


def trained() -> bytes:
    dictionary = train([payload_of(answer) for _, answer in answers(0, 1000)])
    assert dictionary is not None
    return dictionary


@given(
    st.builds(
        Answer,
        text=TEXT,
        finish=TEXT,
        model=TEXT,
        usage=st.builds(Usage, *([TOKENS] * 5), st.booleans()),
        mode=st.sampled_from(["online", "batch", "import"]),
        asked_at=COUNT,
        limit=st.none() | COUNT,
        request_id=st.none() | TEXT,
        thoughts=st.none() | TEXT,
        tier=st.none() | TEXT,
        cost_usd=st.none() | st.floats(0, allow_infinity=False),
        logprobs=st.none() | st.lists(st.lists(st.integers(-1, 9_999) | TEXT)),
    )
)
def test_any_answer_comes_back_as_it_was(answer: Answer):
    assert PLAIN.answer(KEY, Packer().answer(KEY, answer)) == answer


def test_a_usage_that_is_whole_is_stored_as_before_that_was_kept():
    assert b"[10,5,0,0,0]" in payload_of(an_answer())
    part = Usage(prompt=10, is_whole=False)
    assert b"[10,0,0,0,0,false]" in payload_of(an_answer(usage=part))


def test_counts_that_cannot_be_are_not_believed_when_they_are_read():
    for counts in ([-5, 7, 0, 0], [10, 1 << 62, 0, 0, 0], [3, 2, -1, 0, 0]):
        usage = Usage.of(counts)
        assert not usage.is_whole
        assert 0 <= min(usage) <= max(usage) < TOKENS_BOUND


def test_an_answer_without_thoughts_is_stored_as_before_they_were_kept():
    assert payload_of(an_answer()).endswith(b",null,null]")
    assert payload_of(an_answer(thoughts="Hm.")).endswith(b',null,null,"Hm."]')


@given(st.builds(Failure, reason=TEXT, detail=TEXT))
def test_any_failure_comes_back_as_it_was(failure: Failure):
    assert PLAIN.failure(KEY, Packer().failure(KEY, failure)) == failure


def test_every_flipped_bit_is_seen():
    value = Packer().answer(KEY, an_answer("The answer is yes."))
    for place in range(8 * len(value)):
        flipped = bytearray(value)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(DamagedValueError):
            PLAIN.answer(KEY, bytes(flipped))


@pytest.mark.parametrize("length", [0, 3, 4, 5, 20])
def test_a_value_cut_short_is_seen(length: int):
    with pytest.raises(DamagedValueError):
        PLAIN.answer(KEY, Packer().answer(KEY, an_answer())[:length])


def test_a_value_under_another_key_is_seen():
    with pytest.raises(DamagedValueError, match="checksum"):
        PLAIN.answer(a_key(2), Packer().answer(KEY, an_answer()))


def test_a_failure_is_no_answer_and_an_answer_no_failure():
    with pytest.raises(DamagedValueError, match="fields of an answer"):
        PLAIN.answer(KEY, Packer().failure(KEY, FAILURE))
    with pytest.raises(DamagedValueError, match="fields of a failure"):
        PLAIN.failure(KEY, Packer().answer(KEY, an_answer()))


def test_what_is_sealed_but_not_compressed_is_said_so():
    with pytest.raises(DamagedValueError, match="decompressed"):
        PLAIN.answer(KEY, sealed(b"\0no zstd", KEY))


def test_a_dictionary_makes_answers_small_and_both_kinds_are_read():
    dictionary = trained()
    packer, reader = Packer((1, dictionary)), Unpacker({1: dictionary}.get)
    without = with_it = 0
    for key, answer in answers(1000, 1200):
        plain, small = Packer().answer(key, answer), packer.answer(key, answer)
        assert reader.answer(key, plain) == reader.answer(key, small) == answer
        without, with_it = without + len(plain), with_it + len(small)
    assert with_it < 0.7 * without


def test_a_missing_dictionary_is_said_so():
    value = Packer((7, trained())).answer(KEY, an_answer())
    with pytest.raises(DamagedValueError, match="no dictionary 7"):
        PLAIN.answer(KEY, value)


def test_too_little_to_learn_from_gives_no_dictionary():
    assert train([]) is None
    assert train([b"yes"]) is None
