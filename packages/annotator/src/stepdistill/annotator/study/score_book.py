"""The notebook of a trial: templates are scored as soon as their answers are in, and written down.

What it writes is the task's metadata, whole after every template, so a kill loses nothing that
cannot be had again from the store in a moment.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import (
    Metadata,
    TemplateResult,
    load_metadata,
    save_metadata,
)
from stepdistill.annotator.study.race import Right
from stepdistill.annotator.study.score_template import Scored, score_template
from stepdistill.annotator.study.trial import Trial


class ScoreBook:
    """Scores by template, in memory and in the metadata file. Raises PromptError at the start where
    that file cannot be read."""

    def __init__(self, trial: Trial, store: ResponseStore, path: Path) -> None:
        self._trial, self._store, self._path = trial, store, path
        self._task = next(iter(trial.plans.values())).task.task
        self._metadata: Metadata = load_metadata(path, self._task)
        self._pending = list(trial.plans)
        self._keys: dict[str, list[bytes]] = {}
        self.scored: dict[str, Scored] = {}

    def note_answered(self) -> None:
        """Score the templates whose last answer has come in since the last call."""
        answered: list[str] = []
        for name in self._pending:
            stored = self._store.has(self._keys_of(name))
            if all(stored):
                answered.append(name)
            elif not any(stored):
                break  # they are asked in this order: nor will those behind it be complete
        for name in answered:
            self._note(name)

    def note_rest(self, tell: Callable[[int], None]) -> None:
        """Score what is left with the answers there are; some may have failed.

        tell: called with how many templates are scored so far.
        """
        for name in list(self._pending):
            self._note(name)
            tell(len(self.scored))

    def note_rows(self, names: Sequence[str], rows: int) -> dict[str, Right]:
        """Score templates on their first rows; which of these were right, in order."""
        right: dict[str, Right] = {}
        for name in names:
            plan = replace(self._trial.plans[name], samples=rows)
            scored = self._score(plan)
            right[name] = [scored.right.get(planned.row.id, False) for planned in plan.rows()]
        return right

    def _keys_of(self, name: str) -> list[bytes]:
        if name not in self._keys:
            rows = self._trial.plans[name].rows()
            self._keys[name] = [planned.label.key for planned in rows]
        return self._keys[name]

    def _note(self, name: str) -> None:
        self._pending.remove(name)
        self._score(self._trial.plans[name])

    def _score(self, plan: Plan) -> Scored:
        (name,) = plan.templates
        reader = self._trial.readers.by_template[name]
        with self._store.reading() as stored:
            scored = self.scored[name] = score_template(plan, stored, reader, self._trial.tariff)
        if scored.right:
            self._write_down(plan, scored)
        return scored

    def _write_down(self, plan: Plan, scored: Scored) -> None:
        result = TemplateResult(
            setting=self._trial.setting,
            reader_version=self._trial.readers.version,
            data=plan.source.digest,
            templates={scored.template: scored.score},
        )
        self._metadata = self._metadata.with_scores(result)
        save_metadata(self._path, self._metadata)
