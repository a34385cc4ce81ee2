"""On real answers the reader must find the right label more often than the original's regexes."""

import pytest

from common.labels import same_label
from tests.annotator.response.real_answers import DATA, answers, as_the_original_read_it
from tests.annotator.response.tasks import reader, task

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the project")


@pytest.mark.parametrize(
    ("name", "at_least", "unread"),
    [("svamp", 0.79, 0.01), ("cqa", 0.67, 0.1), ("anli1", 0.575, 0.005), ("esnli", 0.505, 0.005)],
)
def test_more_labels_right_than_by_the_original(name: str, at_least: float, unread: float) -> None:
    kind, reading = task(name).label.kind, reader(name)
    ours = originals = none = total = 0
    for answer in answers(name):
        total += 1
        label = reading.read(answer.text, answer.fields).label
        none += label is None
        ours += label is not None and same_label(kind, label, answer.gold)
        words = as_the_original_read_it(answer)
        # What the original took is put into the task's words by our reader: a regex's "true" or
        # "a)" is a plain label, so this favours the original if anything.
        theirs = reading.read(words, answer.fields).label if words else None
        originals += theirs is not None and same_label(kind, theirs, answer.gold)
    assert ours > originals
    assert ours / total >= at_least
    assert none / total <= unread
