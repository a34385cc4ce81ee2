"""A few-shot prompt of a task, `few-shot.yaml`: solved examples before the row's own question.

It is never asked by a run: it is what zero-shot prompts are compared with, so that the claim that
they cost a fraction can be checked.

    about: where the examples are from
    question: "Q: {question}\\nAnswer Choices: ..."      the row's fields as placeholders
    answer: "A: {rationale} So the answer is {label}."   how an example is solved
    shots:
      - fields: {question: ...}
        rationale: ...
        label: ...
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from stepdistill.annotator.prompt.task import check_placeholders
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.common.errors import PromptError
from stepdistill.common.placeholders import filler, placeholders, unknown_placeholders
from stepdistill.common.task import TaskSpec

FEW_SHOT_NAME = "few-shot.yaml"
_ANSWER = ("rationale", "label")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shot(_Part):
    """One solved example. fields: the task's, by name."""

    fields: dict[str, str]
    rationale: str
    label: str


class FewShot(_Part):
    """The content of a `few-shot.yaml`."""

    about: str = ""
    question: str = Field(min_length=1)
    answer: str = "A: {rationale} So the answer is {label}."
    shots: list[Shot] = Field(min_length=1)

    @property
    def answers(self) -> list[str]:
        """The examples' answers, as a teacher is to write its own."""
        fill = filler(self.answer)
        return [fill({"rationale": shot.rationale, "label": shot.label}) for shot in self.shots]

    @property
    def template(self) -> Template:
        """The prompt: the examples, then the row's question."""
        fill = filler(self.question)
        solved = (
            f"{fill(shot.fields)}\n{answer}"
            for shot, answer in zip(self.shots, self.answers, strict=True)
        )
        return Template(
            id=f"few-shot-{len(self.shots)}", user="\n\n".join((*solved, f"{self.question}\nA:"))
        )


def load_few_shot(path: Path, task: TaskSpec) -> FewShot:
    """The task's few-shot prompt. Raises PromptError: not there, or an example does not fit."""
    if not path.is_file():
        raise PromptError(
            f"{path}: not found: a few-shot prompt has question, answer and shots, as those of "
            f"prompts/cqa/{FEW_SHOT_NAME}"
        )
    found = read_yaml(path, FewShot)
    check_placeholders(f"{path}: question", found.question, task)
    for name in unknown_placeholders(found.answer, _ANSWER):
        raise PromptError(f"{path}: answer has {{{name}}}, but only rationale and label")
    for number, shot in enumerate(found.shots, start=1):
        if missing := unknown_placeholders(found.question, shot.fields):
            raise PromptError(f"{path}: shot {number} lacks the field {missing[0]}")
        said = (*shot.fields.values(), shot.rationale, shot.label)
        if any(placeholders(text) for text in said):
            raise PromptError(f"{path}: shot {number} has a placeholder in its own words")
    return found
