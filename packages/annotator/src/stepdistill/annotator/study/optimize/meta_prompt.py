"""The meta-prompt: what the optimiser is shown and asked.

`prompts/<task>/meta-prompt.txt` where there is one, else the file beside this module, which serves
every task. It must have {tried_templates} and {solved_problems}, and may have {placeholders} and
{label_words}; the task's own placeholders stay as they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.prompt.task import filler, placeholders
from stepdistill.annotator.prompt.template import Template
from stepdistill.common.errors import PromptError
from stepdistill.common.task import TaskSpec

NAME = "meta-prompt.txt"
_DEFAULT = Path(__file__).parent / f"default-{NAME}"
_NEEDED = ("tried_templates", "solved_problems")
_MAY_HAVE = ("placeholders", "label_words")
OPENS, CLOSES = "<template>", "</template>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A template and its score, the share of right rows."""

    template: Template
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaPrompt:
    """The words for one task. problems: rows whose gold labels the optimiser may know."""

    words: str
    task: TaskSpec
    problems: tuple[Row, ...]

    def text(self, tried: Iterable[Tried]) -> str:
        """What the optimiser is sent, with these templates in the order given."""
        fields = {name: f"{{{name}}}" for name in self.task.fields}
        return filler(self.words)(
            {
                **fields,
                "tried_templates": "\n\n".join(map(_shown, tried)),
                "solved_problems": "\n\n".join(map(_solved, self.problems)),
                "placeholders": " and ".join(fields.values()),
                "label_words": _label_words(self.task),
            }
        )


def load_meta_prompt(prompts: Path, task: TaskSpec, problems: tuple[Row, ...]) -> MetaPrompt:
    """The task's own meta-prompt, or the one for every task. Raises PromptError."""
    own = prompts / task.task / NAME
    path = own if own.is_file() else _DEFAULT
    try:
        words = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    named = placeholders(words)
    for name in _NEEDED:
        if name not in named:
            raise PromptError(f"{path}: {{{name}}} is missing: a meta-prompt shows both")
    for name in named:
        if name not in (*_NEEDED, *_MAY_HAVE, *task.fields):
            has = ", ".join(f"{{{each}}}" for each in (*_NEEDED, *_MAY_HAVE, *task.fields))
            raise PromptError(f"{path} has {{{name}}}, but only {has} mean something there")
    return MetaPrompt(words=words.strip(), task=task, problems=problems)


def _shown(tried: Tried) -> str:
    said = "\n\n".join(filter(None, (tried.template.system.strip(), tried.template.user.strip())))
    return f"{OPENS}\n{said}\n{CLOSES}\nscore: {100 * tried.score:.0f}"


def _solved(row: Row) -> str:
    fields = "\n".join(f"{name}: {text}" for name, text in row.fields.items())
    return f"{fields}\nright label: {row.gold}"


def _label_words(task: TaskSpec) -> str:
    if task.label.kind == "classes":
        return f"The label is one of: {', '.join(task.label.classes)}."
    if task.label.kind == "options":
        options = ", ".join(f"{{{name}}}" for name in task.label.options)
        return f"The label is the text of one of the options {options}."
    if task.label.kind == "equation":
        return "The label is an equation of the numbers, or its value."
    return "The label is a short text."
