"""The vocabulary made from the training texts."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from stepdistill.trainer.data.examples import Example
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.model.tokenizer import (
    encoder_of,
    from_pieces,
    label_over,
    train_pieces,
    unwritable_label,
)

TEXTS = [f"Ada has {n} apples and gives {n // 3} away." for n in range(12, 90)]


def test_same_texts_same_pieces() -> None:
    assert train_pieces(TEXTS) == train_pieces(TEXTS)


def test_digits_stand_alone_so_any_number_can_be_read_and_said() -> None:
    pieces = train_pieces(TEXTS)
    assert not [piece for piece, _ in pieces if sum(map(str.isdigit, piece)) > 1]
    tokenizer = from_pieces(pieces)
    ids = encoder_of(tokenizer)(["Ada has 90817 apples"], 64)[0]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Ada has 90817 apples"


def test_a_few_words_are_enough() -> None:
    assert 3 < len(train_pieces(["yes no"])) < 30


def test_more_characters_than_pieces() -> None:
    many = "".join(chr(0x4E00 + i) for i in range(300))
    assert len(train_pieces([many], pieces=50)) > 300


def test_training_texts_come_back_whole(student: Student, examples: tuple[Example, ...]) -> None:
    for row in examples[:10]:
        ids = encoder_of(student.tokenizer)([row.input], 512)[0]
        assert student.tokenizer.decode(ids, skip_special_tokens=True) == row.input


def test_a_label_that_cannot_be_written_is_found() -> None:
    tokenizer = from_pieces(train_pieces(["yes no maybe"]))
    assert unwritable_label(tokenizer, ["yes", "no"]) is None
    assert unwritable_label(tokenizer, ["yes", "{no}"]) == "{no}"


def test_a_label_that_is_too_long_is_found() -> None:
    tokenizer = from_pieces(train_pieces(["yes no maybe"]))
    [ids] = encoder_of(tokenizer)(["yes no yes"], 64)
    assert label_over(tokenizer, ["yes", "yes no yes"], len(ids)) is None
    assert label_over(tokenizer, ["yes", "yes no yes"], len(ids) - 1) == ("yes no yes", len(ids))


@pytest.mark.usefixtures("many_switches")
def test_threads_cut_their_texts_each_at_its_own_length() -> None:
    encode = encoder_of(from_pieces(train_pieces(TEXTS)))
    lengths = [3 + n % 7 for n in range(2_000)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(encode, [TEXTS[:2]] * len(lengths), lengths))
    assert [{len(ids) for ids in each} for each in found] == [{longest} for longest in lengths]
