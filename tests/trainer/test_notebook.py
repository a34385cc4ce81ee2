"""A trained student labels the rows of a frame."""

from pathlib import Path

import pandas as pd
import pytest

from stepdistill.common.errors import ConfigError, DatasetError, DistillError
from stepdistill.trainer.notebook import Student
from stepdistill.trainer.settings.train import TrainSettings
from tests.trainer.made_rows import CLASSES, word_problems


@pytest.fixture(scope="module")
def student(finished: TrainSettings) -> Student:
    return Student.load(finished.output)


def frame() -> pd.DataFrame:
    rows = [{**row.input, "label": row.gold, "n": n} for n, row in enumerate(word_problems("x", 9))]
    return pd.DataFrame(rows, index=range(20, 29))


def test_labels_join_the_frame_row_for_row(student: Student, finished: TrainSettings) -> None:
    given = frame()
    found = student.predict(given, explain=True, batch_size=4)
    pd.testing.assert_frame_equal(found[given.columns], given)
    assert set(found.label_2) <= set(CLASSES)
    assert found.probability.between(0.25, 1).all()
    assert found.rationale.map(type).eq(str).all()
    again = Student.load(str(finished.output / "model")).predict(given)
    assert again.label_2.tolist() == found.label_2.tolist()
    assert "rationale" not in again.columns


def test_a_doubtful_row_gets_no_label(student: Student) -> None:
    assert student.predict(frame(), abstain_below=1.0).label_2.isna().all()
    for below in (1.1, -0.1, float("nan")):
        with pytest.raises(ConfigError, match="a probability is from 0 to 1"):
            student.predict(frame(), abstain_below=below)


def test_any_frame_will_do_and_what_it_lacks_is_named(student: Student) -> None:
    rows = frame().to_dict("records")
    assert student.predict(rows).label_2.tolist() == student.predict(frame()).label_2.tolist()
    with pytest.raises(DatasetError, match=f"row 0: the field.*{student.fields[0]}.*has: a"):
        student.predict([{"a": 1}])


def test_a_folder_without_a_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DistillError):
        Student.load(tmp_path)
