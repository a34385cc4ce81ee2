"""Small students, trained to find out what something does for them, and on which rows each is
right: as `train` trains them, one after another in this process, and nothing of them is kept."""

import io
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.manifest import Manifest
from stepdistill.common.uniform import uniform_of_text
from stepdistill.trainer.data.examples import EvalSet, Example, TrainSet, eval_set, train_set
from stepdistill.trainer.data.shards import Data, data_fingerprint
from stepdistill.trainer.errors import refused
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.run import train_unkept
from stepdistill.trainer.scores import correct, majority
from stepdistill.trainer.settings.train import TrainSettings, fingerprint
from stepdistill.trainer.training.prepare import RunInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedStudent:
    """One student that was trained."""

    mark: str  # sha256 of settings and data: the same student again
    rate: float  # share of the reasons that it learnt from
    seed: int
    reasons: int  # rows with reasons
    right: str  # of each validation row, 1 where it was right, else 0


class Tries:
    """Trains students on some data, and remembers what each had right."""

    def __init__(self, config: TrainSettings, data: Data, kept: Path | None) -> None:
        """kept: a file of students of earlier calls, to which new ones are added."""
        rows = sum(1 for _ in data.train.records())
        # More rows than the steps can read would only be made tokens of.
        share = min(1.0, config.steps * config.batch_size / max(1, rows))
        self._config, self._data = replace(config, subsample=share), data
        self._mark, self._kept = data_fingerprint(data), kept
        self._train = train_set(data.train, self._config)
        self._valid = eval_set(data.valid)
        self._known = {each.mark: each for each in _read(kept)}

    @property
    def by_majority(self) -> float:
        """The share of the validation rows that the commonest label is right for, 0..1."""
        kind, rows = self._data.kind, self._valid.examples
        often = majority((row.label for row in self._train.examples), kind)
        return sum(correct([often] * len(rows), rows, kind)) / len(rows)

    def students(self, rates: Sequence[float], seeds: int) -> Iterator[TriedStudent]:
        """One of each seed for each rate. Raises DistillError."""
        return (self._student(rate, seed) for rate in rates for seed in range(seeds))

    def _student(self, rate: float, seed: int) -> TriedStudent:
        config = replace(self._config, seed=seed)
        mark = fingerprint(config, f"{self._mark} {rate!r}")
        found = self._known.get(mark)
        if found is None:
            learnt = _at_rate(self._train, rate)
            found = TriedStudent(
                mark=mark,
                rate=rate,
                seed=seed,
                reasons=len(learnt.examples) - learnt.without_rationale,
                right=self._right(config, learnt),
            )
            self._keep(found)
        return found

    def _right(self, config: TrainSettings, learnt: TrainSet) -> str:
        return trained(config, learnt, self._valid, self._data.train.parts[0].manifest)[1]

    def _keep(self, student: TriedStudent) -> None:
        self._known[student.mark] = student
        if self._kept is not None:
            with refused(f"--keep {self._kept}", "write"):
                self._kept.parent.mkdir(parents=True, exist_ok=True)
                with self._kept.open("ab") as file:
                    file.write(orjson.dumps(student) + b"\n")


def trained(
    config: TrainSettings, learnt: TrainSet, valid: EvalSet, origin: Manifest
) -> tuple[Student, str]:
    """A student, and which of the validation rows it has right. Raises DistillError."""
    # What is odd about the texts is the same for all of them, and said when one is trained.
    with TemporaryDirectory() as output, redirect_stderr(io.StringIO()):
        return train_unkept(
            RunInputs(
                config=replace(config, output=Path(output)),
                fingerprint="",
                train=learnt,
                valid=valid,
                test=replace(valid, examples=valid.examples[:1]),  # which nobody looks at
                kind=kind_of(origin.label),
                origin=origin,
                counts={},
            )
        )


def _read(kept: Path | None) -> Iterator[TriedStudent]:
    """Those of a file; a line that a kill has cut off counts as none."""
    if kept is None or not kept.exists():
        return
    with refused(f"--keep {kept}", "read"):
        lines = kept.read_bytes().splitlines()
    for line in lines:
        try:
            yield TriedStudent(**orjson.loads(line))
        except (orjson.JSONDecodeError, TypeError):
            continue


def _at_rate(learnt: TrainSet, rate: float) -> TrainSet:
    """The same rows, of which this share of the reasons is left: those of the lowest numbers."""
    if rate >= 1:
        return learnt
    explained = [row for row in learnt.examples if row.rationales]
    explained.sort(key=lambda row: uniform_of_text(f"reasons/{row.id}"))
    kept = {row.id for row in explained[: round(rate * len(explained))]}
    examples = tuple(_without_reasons(row, kept) for row in learnt.examples)
    without = sum(not row.rationales for row in examples)
    return replace(learnt, examples=examples, without_rationale=without)


def _without_reasons(row: Example, kept: set[str]) -> Example:
    return row if row.id in kept else replace(row, rationales=())
