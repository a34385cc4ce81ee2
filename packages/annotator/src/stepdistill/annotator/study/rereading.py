"""The store's answers about a task's rows, to be read again: every template, every teacher."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from stepdistill.annotator.dataset.rows import read_rows
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.reading.readers import ORIGINAL, make_readers
from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.check import contents_of
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.reading_diff import Place
from stepdistill.common.errors import ConfigError, DatasetError

Tell = Callable[[int], None]
_TELL_EVERY = 1_000
_DATE = re.compile(r"-(?:\d{4}|\d{4}-\d{2}-\d{2})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An answer and the row and template that it was asked with. index: the row's number.

    An answer to words that two templates share is there for each of them.
    """

    template: str
    split: str
    index: int
    fields: Mapping[str, str]
    answer: Answer

    @property
    def place(self) -> Place:
        """What tells it from all others."""
        return self.template, self.split, self.index


def teachers_of(store: ResponseStore, tell: Tell) -> list[str]:
    """Every model that the store has answers of, as it may have been asked for.

    A server may answer with the name of a dated version of what was asked for.
    """
    named = contents_of(store, tell).by_model
    return sorted({*named, *(_DATE.sub("", name) for name in named)})


def stored_answers(
    plans: Sequence[Plan], store: ResponseStore, tell: Tell
) -> Iterator[StoredAnswer]:
    """Plan by plan and row by row, whatever of a plan's templates the store has an answer to."""
    n_rows = 0
    with store.reading() as stored:
        for plan in plans:
            asked = plan.asking()
            for row in read_rows(plan.task, plan.source, plan.split, plan.samples):
                for template, request_of in asked.items():
                    answer = stored.answer(request_of(row).key)
                    if answer is not None:
                        yield StoredAnswer(
                            template=template,
                            split=row.split,
                            index=row.index,
                            fields=row.fields,
                            answer=answer,
                        )
                n_rows += 1
                if n_rows % _TELL_EVERY == 0:
                    tell(n_rows)


class Rereading:
    """The stored answers about one split, by any of these teachers, and who can read them.

    templates: empty for all; those without regexes are then left out where `original` reads.
    Raises PromptError, DatasetError and ConfigError.
    """

    def __init__(
        self,
        config: RunSettings,
        teachers: Sequence[str],
        templates: Sequence[str],
        names: set[str],
    ) -> None:
        plans = [
            make_template_plan(replace(config, teacher=teacher), tuple(templates))
            for teacher in teachers
        ]
        self.left_out = 0
        if ORIGINAL in names and not templates:
            plans, self.left_out = _with_regexes(plans)
        self._plans, self._store = plans, config.store
        self.readers = {
            name: make_readers(name, plan.task.label, plan.templates)
            for name in names
            for plan in plans[:1]
        }

    def answers(self, store: ResponseStore, tell: Tell) -> Iterator[StoredAnswer]:
        """All of them. Raises DatasetError where there is none."""
        found = None
        for found in stored_answers(self._plans, store, tell):
            yield found
        if found is None:
            teachers = ", ".join(plan.model for plan in self._plans) or "anybody"
            raise DatasetError(
                f"--store {self._store} has no answer to these rows by {teachers}: other rows "
                "(--data, --split), other --prompts, a --teacher or its --base-url?"
            )


def _with_regexes(plans: list[Plan]) -> tuple[list[Plan], int]:
    """The plans without the templates that the original reader cannot read, and how many."""
    kept: list[Plan] = []
    for plan in plans:
        templates = {name: each for name, each in plan.templates.items() if each.original}
        if not templates:
            raise ConfigError(
                f"--reader original: task {plan.task.task} has no imported templates: "
                "annotate import-original FOLDER --prompts, and the same --prompts here"
            )
        kept.append(replace(plan, templates=templates))
    return kept, len(plans[0].templates) - len(kept[0].templates) if plans else 0
