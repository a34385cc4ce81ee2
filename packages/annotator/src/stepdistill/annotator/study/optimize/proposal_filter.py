"""From the optimiser's answer to a template that is worth paying for, or the reason why not."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from stepdistill.annotator.prompt.leak import gold_placeholders
from stepdistill.annotator.prompt.likeness import ALIKE, Words, likeness, words_of
from stepdistill.annotator.prompt.task import placeholders
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.study.optimize.meta_prompt import CLOSES, OPENS, MetaPrompt

# What a search finds is called so, and takes no part in the next one unless it is named.
FOUND = "found-"
_LONGEST = 4_000
_MARKED = re.compile(f"{OPENS}(.*?){CLOSES}", re.DOTALL)
_QUOTED_CHARACTERS = 40

Reason = Literal[
    "no_answer",
    "no_template",
    "too_long",
    "prints_gold",
    "unknown_placeholder",
    "missing_placeholder",
    "repeated_placeholder",
    "quotes_a_problem",
    "duplicate",
    "near_duplicate",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedProposal:
    """A proposal that nobody is asked with. text: of the template, as far as there was one."""

    reason: Reason
    detail: str
    text: str = ""


class ProposalFilter:
    """Lets templates in that can be asked and that are new. like: whose options they take over."""

    def __init__(self, meta_prompt: MetaPrompt, known: Iterable[Template]) -> None:
        self._task = meta_prompt.task
        self._gold = gold_placeholders(self._task)
        self._quotable = [
            text
            for row in meta_prompt.problems
            for text in row.fields.values()
            if len(text) >= _QUOTED_CHARACTERS
        ]
        self._said: dict[Words, str] = {words_of(each): each.id for each in known}

    def judge(self, answer: str, like: Template) -> Template | RefusedProposal:
        """The template in an answer; like: the one whose options it takes over."""
        marked = _MARKED.findall(answer)
        text = _bare(marked[-1]) if marked else ""
        if not text:
            return RefusedProposal(
                reason="no_template", detail=f"nothing between {OPENS} and {CLOSES}"
            )
        refused = self._unfit(text)
        if refused is not None:
            return refused
        template = Template(
            id=f"{FOUND}{hashlib.sha256(text.encode()).hexdigest()[:8]}",
            user=text,
            options=like.options,
            structured=like.structured,
        )
        return self._known(template) or self._let_in(template)

    def _unfit(self, text: str) -> RefusedProposal | None:
        if len(text) > _LONGEST:
            return RefusedProposal(reason="too_long", detail=f"{len(text):,} characters", text=text)
        times = placeholders(text)
        for name in times:
            if name in self._gold:
                detail = f"{{{name}}} prints the {self._gold[name]}"
                return RefusedProposal(reason="prints_gold", detail=detail, text=text)
            if name not in self._task.fields:
                detail = f"{{{name}}} is not a field"
                return RefusedProposal(reason="unknown_placeholder", detail=detail, text=text)
        for name in self._task.fields:
            if times[name] != 1:
                reason: Reason = "repeated_placeholder" if times[name] else "missing_placeholder"
                detail = f"{{{name}}} stands there {times[name]} times"
                return RefusedProposal(reason=reason, detail=detail, text=text)
        if any(each in text for each in self._quotable):
            return RefusedProposal(reason="quotes_a_problem", detail="a problem's text", text=text)
        return None

    def _known(self, template: Template) -> RefusedProposal | None:
        words = words_of(template)
        if words in self._said:
            detail = f"says the same as {self._said[words]}"
            return RefusedProposal(reason="duplicate", detail=detail, text=template.user)
        for other, name in self._said.items():
            alike = likeness(words, other)
            if alike >= ALIKE:
                detail = f"is {alike:.0%} like {name}"
                return RefusedProposal(reason="near_duplicate", detail=detail, text=template.user)
        return None

    def _let_in(self, template: Template) -> Template:
        self._said[words_of(template)] = template.id
        return template


def _bare(text: str) -> str:
    """Without what models wrap texts in: spaces around, a code fence, quotation marks."""
    text = text.strip()
    fenced = re.fullmatch(r"```\w*\n(.*?)\n?```", text, re.DOTALL)
    text = fenced.group(1).strip() if fenced else text
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' else text
