"""What is wrong with a task's templates and mixes, or looks so, before anybody is asked."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Literal, NamedTuple

from stepdistill.annotator.prompt.mix import asked, check_templates, load_mix, mix_files
from stepdistill.annotator.prompt.render import gold_placeholders, leak_warning
from stepdistill.annotator.prompt.task import check_placeholders
from stepdistill.annotator.prompt.template import Template, load_templates
from stepdistill.common.errors import PromptError
from stepdistill.common.placeholders import filler, placeholders, unknown_placeholders
from stepdistill.common.task import TaskSpec

# Two templates of which so many words agree, in order, are likely to be one and a half ideas.
ALIKE = 0.95
_WORD = re.compile(r"[\w{}]+")  # `answer`, `{question}`
Words = tuple[str, ...]


class PromptProblem(NamedTuple):
    """What is wrong with a template or a mix."""

    level: Literal["error", "warning"]  # what has an error cannot be run
    where: str  # `template NAME` or `mix NAME`
    what: str


_error, _warning = partial(PromptProblem, "error"), partial(PromptProblem, "warning")


def fit_templates(prompts: Path, task: TaskSpec, names: Collection[str]) -> dict[str, Template]:
    """The task's templates of these names, or all of them, fit to be asked with.

    Raises PromptError: one is not there, or has a placeholder that no row fills."""
    known = load_templates(prompts, task.task)
    check_templates(set(names), set(known), task.task)
    templates = {name: known[name] for name in dict.fromkeys(names or known)}
    if not templates:
        raise PromptError(f"{prompts / task.task}: no templates*.yaml with a template")
    check_words(prompts, task, templates)
    return templates


def check_words(prompts: Path, task: TaskSpec, templates: Mapping[str, Template]) -> None:
    """Raise PromptError where a template has a placeholder that no row fills."""
    for name, template in templates.items():
        where = f"{prompts / task.task}: template {name}"
        check_placeholders(where, template.system + template.user, task, gold_placeholders(task))


def check_prompts(
    prompts: Path, task: TaskSpec, templates: Mapping[str, Template]
) -> list[PromptProblem]:
    """Everything that is found: by template, then look-alikes, then by mix."""
    found = [each for template in templates.values() for each in _template(task, template)]
    found += _look_alikes(templates)
    for name in mix_files(prompts, task.task):
        found += _mix(prompts, task.task, name, templates)
    return found


def _template(task: TaskSpec, template: Template) -> Iterator[PromptProblem]:
    where = f"template {template.id}"
    text = template.system + template.user
    for name in unknown_placeholders(text, {*task.fields, *gold_placeholders(task)}):
        has = ", ".join(f"{{{field}}}" for field in task.fields)
        yield _error(where, f"{{{name}}} is not a field of the task, which has {has}")
    named = placeholders(text)
    if missing := [f"{{{field}}}" for field in task.fields if field not in named]:
        yield _warning(where, f"does not mention {', '.join(missing)}")
    if warning := leak_warning(task, template):
        yield _warning(where, warning.removeprefix(f"{where} "))
    yield from _original_patterns(task, template, where)


def _original_patterns(task: TaskSpec, template: Template, where: str) -> Iterator[PromptProblem]:
    """The regexes that the original reader will use, with the row's texts in them."""
    if template.original is None:
        return
    original, fields = template.original, dict.fromkeys(task.fields, "x")
    for name, pattern in (
        ("label_parse", original.label_parse),
        ("explanation_parse", original.explanation_parse),
    ):
        if unknown := unknown_placeholders(pattern, fields):
            yield _error(where, f"original.{name} has {{{unknown[0]}}}, which is not a field")
            continue
        try:
            re.compile(filler(pattern)(fields))
        except re.error as error:
            yield _error(where, f"original.{name} is not a regular expression ({error})")


def _look_alikes(templates: Mapping[str, Template]) -> Iterator[PromptProblem]:
    words = {name: words_of(template) for name, template in templates.items()}
    for one, other in combinations(words, 2):
        if words[one] == words[other]:
            if templates[one].options == templates[other].options:
                yield _warning(f"template {other}", f"says the same as template {one}")
        elif (alike := likeness(words[one], words[other])) >= ALIKE:
            yield _warning(f"template {other}", f"is {alike:.0%} like template {one}")


def words_of(template: Template) -> Words:
    """What a template says, without case, punctuation and spacing."""
    return tuple(_WORD.findall(f"{template.system}\n{template.user}".casefold()))


def likeness(one: Words, other: Words) -> float:
    """How alike two prompts are: 2 x words in common, in order / all words, 0..1."""
    # A cheap upper bound first, which settles most pairs: the words in common in any order.
    common = (Counter(one) & Counter(other)).total()
    if 2 * common < ALIKE * (len(one) + len(other)):
        return 0.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _mix(
    prompts: Path, task: str, name: str, templates: Mapping[str, Template]
) -> Iterator[PromptProblem]:
    where = f"mix {name}"
    try:
        mix = load_mix(prompts, task, name)
    except PromptError as error:
        yield _error(where, str(error))
        return
    for missing in sorted(mix.templates - templates.keys()):
        yield _error(where, f"template {missing} is missing")
    if mix.rationale and asked(mix.label).isdisjoint(asked(mix.rationale)):
        yield _warning(where, "no template serves both parts: every row is asked twice")
