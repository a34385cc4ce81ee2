"""What a line of `rejects.jsonl` holds."""

import pytest

from stepdistill.annotator.reading.rejection import Rejection, shortened


def test_a_line_has_what_there_is_and_no_more():
    row = {"id": "a", "split": "train", "index": 3, "stage": "request", "reason": "no_answer"}
    bare = Rejection(id="a", split="train", index=3, stage="request", reason="no_answer")
    whole = Rejection(**row, detail="400: no", key="00", answer="Hm.")  # pyright: ignore[reportArgumentType]

    assert bare.line == {**row, "detail": ""}
    assert whole.line == {**row, "detail": "400: no", "key": "00", "answer": "Hm."}


@pytest.mark.parametrize(
    ("text", "line"),
    [("one\n two", "one two"), ("x" * 10, "x" * 10), ("x" * 11, "x" * 7 + "...")],
)
def test_a_text_is_shortened_to_a_line(text: str, line: str):
    assert shortened(text, 10) == line
