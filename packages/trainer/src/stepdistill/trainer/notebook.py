"""What a notebook imports: a trained student that labels the rows of a frame.

from stepdistill import Student
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from stepdistill.common.errors import ConfigError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.frames import Frame, read_frame
from stepdistill.common.paths import paths_in
from stepdistill.trainer.inference.predictor import (
    Predictor,
    abstained,
    answer_lines,
    by_length,
    check_explains,
)
from stepdistill.trainer.inference.rows import AskedRow, RowReader
from stepdistill.trainer.settings.train import MODEL_NAME, SETTINGS_NAME


class Student:  # budget: as people call it; within, it is the model with its tokenizer
    """A trained student, loaded once; `predict` labels any number of frames."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The student in the folder `model` of a finished run, or in the run's. Raises
        DistillError."""
        path = Path(folder)
        is_run = not (path / SETTINGS_NAME).exists() and (path / MODEL_NAME).is_dir()
        return cls(Predictor(path / MODEL_NAME if is_run else path))

    @property
    def fields(self) -> list[str]:
        """What it reads of a row: a frame's columns, by these names or as `annotate new` makes
        names of a column's."""
        return list(RowReader(self._predictor.settings).needed)

    def predict(
        self,
        frame: object,
        *,
        explain: bool = False,
        abstain_below: float = 0.0,
        batch_size: int = 64,
    ) -> Any:
        """The frame, row for row, with label and probability as new columns; with explain, the
        student's reasons as rationale, too. Raises DistillError.

        abstain_below: no label that is less likely. batch_size: rows at once.
        """
        if explain:
            check_explains(self._predictor, "explain=True")
        read = read_frame(frame)
        rows = self._rows(read)
        if not 0 <= abstain_below <= 1:
            raise ConfigError(f"abstain_below={abstain_below}: a probability is from 0 to 1")

        def answer(batch: Sequence[AskedRow]) -> list[RawRow]:
            lines = answer_lines(self._predictor, batch, explain=explain)
            return [abstained(line, abstain_below) for line in lines]

        answers = dict(by_length(rows, batch_size, answer))
        columns = ("label", "probability", *(("rationale",) if explain else ()))
        return read.joined(columns, [answers[place] for place in range(len(rows))])

    def _rows(self, frame: Frame) -> list[AskedRow]:
        known = {path for row in frame.rows for path in paths_in(row)}
        reader = RowReader(self._predictor.settings, known=known)
        rows = [reader.asked(row, f"row {n}", str(n)) for n, row in enumerate(frame.rows)]
        for n, row in enumerate(rows):
            self._predictor.check_options(row, f"row {n}")
        return rows

    def __repr__(self) -> str:
        settings = self._predictor.settings
        return f"Student({settings.task}: reads {', '.join(self.fields)})"
