"""What the optimiser is shown and asked, and which of its answers are worth paying for.

The meta-prompt is `prompts/<task>/meta-prompt.txt` where there is one, else the file beside this
module, which serves every task. It must have {tried_templates} and {solved_problems}, and may have
{placeholders} and {label_words}; the task's own placeholders stay as they are.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.plan.key import Request, RequestForm
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.check import ALIKE, Words, likeness, words_of
from stepdistill.annotator.prompt.render import gold_placeholders
from stepdistill.annotator.prompt.template import Template
from stepdistill.common.errors import PromptError
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.placeholders import filler, placeholders, unknown_placeholders
from stepdistill.common.task import TaskSpec

FOUND = "found-"  # what a search finds is called so; the next one leaves it out unless named
META_PROMPT_NAME = "meta-prompt.txt"
_DEFAULT = Path(__file__).parent / f"default-{META_PROMPT_NAME}"
_REQUIRED = ("tried_templates", "solved_problems")
_OPTIONAL = ("placeholders", "label_words")
_OPENS, _CLOSES = "<template>", "</template>"
_MARKED = re.compile(f"{_OPENS}(.*?){_CLOSES}", re.DOTALL)  # <template>Is {premise} ...</template>
_FENCED = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)  # ```text, the template, ``` on lines
_MAX_CHARACTERS = 4_000  # of a template: every word is paid for with every row
_MIN_QUOTE = 40  # characters; a shorter text of a problem may stand in a template by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaPrompt:
    """The meta-prompt of one task."""

    text: str  # with its placeholders
    task: TaskSpec
    problems: tuple[Row, ...]  # rows whose gold labels the optimiser may know

    def filled(self, scored: Iterable[tuple[Template, float]]) -> str:
        """What the optimiser is sent, with these templates and their shares of right rows."""
        # The task's own placeholders are filled with themselves.
        fields = {name: f"{{{name}}}" for name in self.task.fields}
        return filler(self.text)(
            {
                **fields,
                "tried_templates": "\n\n".join(_shown(*pair) for pair in scored),
                "solved_problems": "\n\n".join(map(_solved, self.problems)),
                "placeholders": " and ".join(fields.values()),
                "label_words": kind_of(self.task.label).sentence(),
            }
        )


def load_meta_prompt(prompts: Path, task: TaskSpec, problems: tuple[Row, ...]) -> MetaPrompt:
    """The task's own meta-prompt, or the one for every task. Raises PromptError."""
    own = prompts / task.task / META_PROMPT_NAME
    path = own if own.is_file() else _DEFAULT
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    named = placeholders(text)
    for name in _REQUIRED:
        if name not in named:
            raise PromptError(f"{path}: {{{name}}} is missing: a meta-prompt shows both")
    known = (*_REQUIRED, *_OPTIONAL, *task.fields)
    for name in unknown_placeholders(text, known):
        has = ", ".join(f"{{{each}}}" for each in known)
        raise PromptError(f"{path} has {{{name}}}, but only {has} mean something there")
    return MetaPrompt(text=text.strip(), task=task, problems=problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRequests:
    """The requests of one iteration: the same meta-prompt, once for each candidate."""

    plan: Plan  # whom they go to
    meta_prompt: str
    # Number of the first in the whole search. It is part of the request's key, so the same
    # meta-prompt has other answers in another iteration, and the same ones when it is replayed.
    first: int
    n: int
    temperature: float

    def requests(self) -> Iterator[Request]:
        """One for each candidate."""
        plan, own = self.plan, {"temperature": self.temperature}
        for number in range(self.first, self.first + self.n):
            form = RequestForm(plan.endpoint, plan.model, plan.options.apply({**own}), number)
            yield form.request("", self.meta_prompt)

    def count(self) -> int:
        """How many there are."""
        return self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedProposal:
    """A proposal that no teacher is asked with."""

    reason: str  # in one word, for programs: duplicate, too_long, ...
    detail: str
    text: str = ""  # of the template, as far as there was one


class ProposalFilter:
    """The filter of the optimiser's answers: lets in templates that can be asked and are new."""

    def __init__(self, meta_prompt: MetaPrompt, known: Iterable[Template]) -> None:
        self._task = meta_prompt.task
        self._gold = gold_placeholders(self._task)
        self._quotable = [
            text
            for row in meta_prompt.problems
            for text in row.fields.values()
            if len(text) >= _MIN_QUOTE
        ]
        self._known: dict[Words, str] = {words_of(each): each.id for each in known}

    def check(self, answer: str, like: Template) -> Template | RefusedProposal:
        """The template in an answer; like: the one whose options it takes over."""
        marked = _MARKED.findall(answer)
        text = _unwrapped(marked[-1]) if marked else ""  # the last one, where a model thinks aloud
        refusal = self._unusable(text)
        if refusal is None:
            template = Template(
                id=f"{FOUND}{hashlib.sha256(text.encode()).hexdigest()[:8]}",
                user=text,
                options=like.options,
                structured=like.structured,
            )
            words = words_of(template)
            refusal = self._repeated(words)
            if refusal is None:
                self._known[words] = template.id
                return template
        reason, detail = refusal
        return RefusedProposal(reason=reason, detail=detail, text=text)

    def _unusable(self, text: str) -> tuple[str, str] | None:
        if not text:
            return "no_template", f"nothing between {_OPENS} and {_CLOSES}"
        if len(text) > _MAX_CHARACTERS:
            return "too_long", f"{len(text):,} characters"
        times = placeholders(text)
        for name in times:
            if name in self._gold:
                return "prints_gold", f"{{{name}}} prints the {self._gold[name]}"
            if name not in self._task.fields:
                return "unknown_placeholder", f"{{{name}}} is not a field"
        for name in self._task.fields:
            if times[name] != 1:
                reason = "repeated_placeholder" if times[name] else "missing_placeholder"
                return reason, f"{{{name}}} stands there {times[name]} times"
        # A template with a solved problem in it gives that row's answer away.
        if any(each in text for each in self._quotable):
            return "quotes_a_problem", "a problem's text"
        return None

    def _repeated(self, words: Words) -> tuple[str, str] | None:
        if words in self._known:
            return "duplicate", f"says the same as {self._known[words]}"
        for other, name in self._known.items():
            alike = likeness(words, other)
            if alike >= ALIKE:
                return "near_duplicate", f"is {alike:.0%} like {name}"
        return None


def _unwrapped(text: str) -> str:
    """Without what models wrap texts in: spaces around, a code fence, quotation marks."""
    text = text.strip()
    fenced = _FENCED.fullmatch(text)
    text = fenced.group(1).strip() if fenced else text
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' else text


def _shown(template: Template, score: float) -> str:
    text = "\n\n".join(filter(None, (template.system.strip(), template.user.strip())))
    return f"{_OPENS}\n{text}\n{_CLOSES}\nscore: {100 * score:.0f}"


def _solved(row: Row) -> str:
    fields = "\n".join(f"{name}: {text}" for name, text in row.fields.items())
    return f"{fields}\nright label: {row.gold}"
