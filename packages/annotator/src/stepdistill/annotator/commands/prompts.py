"""`annotate prompts`: a task's templates and mixes, looked at before anybody is asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Self

from rich.table import Table

from stepdistill.annotator.commands.render import render_command
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.prompt.check import PromptProblem, check_prompts
from stepdistill.annotator.prompt.mix import DEFAULT_MIX, Mix, assign, load_mix, mix_files
from stepdistill.annotator.prompt.render import leaks
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.prompt.template import Template, load_templates
from stepdistill.annotator.reading.read_back import lost_names
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.prompts import ShowSettings
from stepdistill.annotator.settings.rows import TaskSettings
from stepdistill.annotator.settings.study import MetadataSettings
from stepdistill.annotator.study.metadata import (
    Setting,
    TemplateResult,
    TemplateScore,
    known_results,
)
from stepdistill.common.command_line import add_command, make_app
from stepdistill.common.errors import PromptError
from stepdistill.common.placeholders import placeholders
from stepdistill.common.task import TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Every score of each template, the one on most rows last."""

    scores: Mapping[str, list[tuple[Setting, TemplateScore]]]

    @classmethod
    def of(cls, results: Iterable[TemplateResult]) -> Self:
        """Sorted by template."""
        found: dict[str, list[tuple[Setting, TemplateScore]]] = {}
        for result in results:
            for name, score in result.templates.items():
                found.setdefault(name, []).append((result.setting, score))
        for scores in found.values():
            scores.sort(key=lambda pair: pair[1].rows)
        return cls(scores=found)

    def outdated(self, template: Template) -> bool:
        """Whether the template has been edited since it was measured."""
        scores = self.scores.get(template.id)
        return scores is not None and scores[-1][1].prompt != template.digest

    def shown(self, template: Template, mark: str) -> tuple[str, str]:
        """Accuracy and rows as a table shows them; mark: what stands behind an outdated one."""
        scores = self.scores.get(template.id)
        if not scores:
            return "-", "-"
        _, score = scores[-1]
        behind = mark if self.outdated(template) else ""
        accuracy = "none read" if score.is_unread else f"{100 * score.accuracy:.1f} %"
        return f"{accuracy}{behind}", f"{score.rows:,}"

    def facts(self, template: str) -> list[dict[str, object]]:
        """All scores, for programs."""
        return [
            {"setting": setting.model_dump(), **score.model_dump()}
            for setting, score in self.scores.get(template, [])
        ]


_LEAST_ROOM = 20
# What the columns between the name and the words of a template take.
_OTHER_COLUMNS = 42
_OUTDATED = "*"
_ROWS_DRAWN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a list says of templates besides their words. width: of the screen, in characters."""

    mixes: dict[str, Mix]
    known: Known
    width: int


def list_command(settings: MetadataSettings, console: JsonSettings = JSON) -> None:
    """List the templates and mixes of a task, and what is known about the templates.

    Examples:

        annotate prompts list cqa

        annotate prompts list demo --json
    """
    output, prompts, task = ConsoleOutput(quiet=console.is_quiet), settings.prompts, settings.task
    spec, templates = load_task(prompts, task), load_templates(prompts, task)
    mixes = {name: load_mix(prompts, task, name) for name in mix_files(prompts, task)}
    known = Known.of(known_results(prompts, settings.metadata, task))
    if console.as_json:
        output.json(
            {
                "task": task,
                "templates": [
                    {**_template_facts(spec, each, mixes), "scores": known.facts(each.id)}
                    for each in templates.values()
                ],
                "mixes": [_mix_facts(name, mix) for name, mix in mixes.items()],
            }
        )
        return
    listed = Listed(mixes=mixes, known=known, width=output.width)
    output.table(_templates_table(spec, list(templates.values()), listed))
    if any(known.outdated(each) for each in templates.values()):
        output.show(f"{_OUTDATED} measured before the template was edited")
    output.show("")
    output.table(_mixes_table(mixes))


def show_command(settings: ShowSettings, console: JsonSettings = JSON) -> None:
    """Show templates whole: one by name, or those of a mix.

    Examples:

        annotate prompts show cqa --template label-first

        annotate prompts show demo --mix two-voices
    """
    output, prompts, task = ConsoleOutput(quiet=console.is_quiet), settings.prompts, settings.task
    spec, templates = load_task(prompts, task), load_templates(prompts, task)
    names = _names(load_mix(prompts, task, settings.mix or DEFAULT_MIX))
    chosen = [settings.template] if settings.template else names
    for name in chosen:
        if name not in templates:
            raise PromptError(f"task {task} has no template {name} (has: {', '.join(templates)})")
    if console.as_json:
        output.json({"templates": [templates[name].model_dump() for name in chosen]})
        return
    for name in chosen:
        _show_template(spec, templates[name], output)


def check_command(settings: TaskSettings, console: JsonSettings = JSON) -> None:
    """Check templates and mixes: placeholders, leaks of the gold label, look-alikes, shares.

    Exits with 2 when something cannot be run; warnings alone exit with 0.

    Examples:

        annotate prompts check cqa
    """
    output, prompts, task = ConsoleOutput(quiet=console.is_quiet), settings.prompts, settings.task
    templates = load_templates(prompts, task)
    spec = load_task(prompts, task)
    found = check_prompts(prompts, spec, templates) + _lost_names(spec, templates)
    errors = sum(each.level == "error" for each in found)
    if console.as_json:
        output.json({"errors": errors, "findings": [_finding_facts(each) for each in found]})
    else:
        for each in found:
            output.show(f"{each.level.upper():8} {each.where}: {each.what}")
        output.show(
            f"{len(templates)} templates and {len(mix_files(prompts, task))} mixes: "
            f"{errors} errors, {len(found) - errors} warnings"
        )
    if errors:
        raise PromptError(f"{prompts / task}: {errors} errors in templates and mixes, see above")


def _lost_names(spec: TaskSpec, templates: Mapping[str, Template]) -> list[PromptProblem]:
    """Classes that are not read back: nobody should pay for such answers."""
    return [
        PromptProblem("error", f"template {each.id}", line)
        for each in templates.values()
        if each.original is None  # those are read by their own regexes
        for line in lost_names(spec.label, each)
    ]


def _names(mix: Mix) -> list[str]:
    return list(dict.fromkeys([*mix.label, *mix.rationale]))


def _template_facts(task: TaskSpec, template: Template, mixes: dict[str, Mix]) -> dict[str, object]:
    return {
        "id": template.id,
        "about": template.about,
        "characters": len(template.system) + len(template.user),
        "placeholders": list(placeholders(template.system + template.user)),
        "prints": leaks(task, template),
        "mixes": [name for name, mix in mixes.items() if template.id in mix.templates],
    }


def _mix_facts(name: str, mix: Mix) -> dict[str, object]:
    return {"name": name, **mix.model_dump(), "rows_with_one_answer": _one_answer(mix)}


def _one_answer(mix: Mix) -> float:
    """The share of rows whose label and rationale come from one answer; 1 without rationales."""
    drawn = list(islice(assign(mix, _ROWS_DRAWN), _ROWS_DRAWN))
    return sum(each.rationale in (None, each.label) for each in drawn) / len(drawn)


def _finding_facts(finding: PromptProblem) -> dict[str, object]:
    return {"level": finding.level, "where": finding.where, "what": finding.what}


def _templates_table(task: TaskSpec, templates: list[Template], listed: Listed) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("template", no_wrap=True)
    for name in ("characters", "mixes", "accuracy", "rows"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("about, or how it begins", no_wrap=True)
    longest = max((len(each.id) for each in templates), default=0)
    room = max(_LEAST_ROOM, listed.width - longest - _OTHER_COLUMNS)
    for template in templates:
        about = " ".join((template.about or template.system or template.user).split())
        warning = "PRINTS THE ANSWER: " if leaks(task, template) else ""
        numbers = (
            f"{len(template.system) + len(template.user):,}",
            f"{sum(template.id in mix.templates for mix in listed.mixes.values())}",
            *listed.known.shown(template, _OUTDATED),
        )
        table.add_row(template.id, *numbers, (warning + about)[:room])
    return table


def _mixes_table(mixes: dict[str, Mix]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("mix", no_wrap=True)
    table.add_column("assignment", no_wrap=True)
    for name in ("seed", "one answer"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("label")
    table.add_column("rationale")
    for name, mix in mixes.items():
        parts = (_shares(mix.label), _shares(mix.rationale))
        table.add_row(name, mix.assignment, str(mix.seed), f"{_one_answer(mix):.0%}", *parts)
    return table


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.4g}" for name, share in shares.items()) or "none"


def _show_template(task: TaskSpec, template: Template, screen: ConsoleOutput) -> None:
    screen.show(f"template {template.id}   {template.about}".rstrip())
    text = template.system + template.user
    screen.show(f"placeholders  {', '.join(placeholders(text)) or 'none'}")
    for name, what in leaks(task, template).items():
        screen.warn(f"{{{name}}} prints the {what}")
    if template.structured:
        screen.show("answer        a JSON object of rationale and label")
    if template.options:
        screen.show(f"options       {template.options}")
    if template.original:
        screen.show(f"label_parse        {template.original.label_parse}")
        screen.show(f"explanation_parse  {template.original.explanation_parse}")
    for role, words in (("system", template.system), ("user", template.user)):
        if words:
            screen.show(f"--- {role}\n{words.rstrip()}")
    screen.show("")


prompts_app = make_app(
    "prompts", "List, show and check a task's templates and mixes; render the request of a row."
)
add_command(prompts_app, list_command, "list")
add_command(prompts_app, show_command, "show")
add_command(prompts_app, check_command, "check")
add_command(prompts_app, render_command, "render")
