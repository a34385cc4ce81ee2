"""On real answers the reader must find the right label more often than the original's regexes."""

import pytest

from stepdistill.common.kinds.registry import kind_of
from tests.annotator.reading.real_answers import DATA, answers, original_readers
from tests.annotator.reading.tasks import reader, task

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the project")


@pytest.mark.parametrize(
    ("name", "at_least", "unread"),
    [("svamp", 0.79, 0.01), ("cqa", 0.67, 0.1), ("anli1", 0.575, 0.005), ("esnli", 0.505, 0.005)],
)
def test_more_labels_right_than_by_the_original(name: str, at_least: float, unread: float) -> None:
    kind, reading, originals = kind_of(task(name).label), reader(name), original_readers(name)
    ours = right = none = total = 0
    for answer in answers(name):
        total += 1
        label = reading.read(answer.text, answer.fields).label
        none += label is None
        ours += label is not None and kind.same(label, answer.gold)
        theirs = originals.read(answer.template, answer.text, answer.fields).label
        right += theirs is not None and kind.same(theirs, answer.gold)
    assert ours > right
    assert ours / total >= at_least
    assert none / total <= unread
