"""`annotate prompts render`: the very request that a row would be asked with."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import orjson

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import Plan, PlannedRow
from stepdistill.annotator.reading.rejection import ANSWER, shortened
from stepdistill.annotator.run.known_addresses import with_known_addresses
from stepdistill.annotator.run.limit_name import recall_limit_name
from stepdistill.annotator.run.planning import make_plans, warnings
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.run.teacher import teacher_spec
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.prompts import RenderSettings
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One request of a row."""

    part: str  # what it is asked for
    template: str  # by id
    request: Request
    body: bytes  # that go out
    stored: str  # what the store has of it, in words
    answer: str | None  # how the stored answer begins


def render_command(settings: RenderSettings, console: JsonSettings = JSON) -> None:
    """Render what `annotate run` with the same options would send for one row. Asks nobody.

    Examples:

        annotate prompts render demo --row 3 --template reason-first

        annotate prompts render demo --row 3 --body | jq .messages
    """
    config = with_known_addresses(settings.asking())
    spec = teacher_spec(config)
    (plan,) = make_plans(config, spec)
    output = ConsoleOutput(quiet=console.is_quiet or settings.body)
    for line in warnings([plan]):
        output.warn(line)
    if (config.store / "data.mdb").exists():
        with ResponseStore.open(config.store, write=False) as store:
            recall_formats(store, [plan])
            spec = recall_limit_name(store, spec)
    planned = _planned(plan, settings.row)
    rendered = [_rendered(spec, config.store, planned, request) for request in planned.requests]
    if settings.body:
        for each in rendered:
            output.data(each.body + b"\n")
    elif console.as_json:
        output.json({"row": planned.row.id, "requests": [_facts(each) for each in rendered]})
    else:
        _show(config, planned, rendered, output)


def _planned(plan: Plan, number: int) -> PlannedRow:
    found = next(islice(plan.rows(), number, None), None)
    if found is None:
        n = sum(1 for _ in plan.rows())
        raise ConfigError(f"--row {number}: {plan.source.name} has rows 0 to {n - 1}")
    return found


def _rendered(spec: TeacherSpec, store: Path, planned: PlannedRow, request: Request) -> Rendered:
    is_label, assigned = planned.label is request, planned.assignment
    both = is_label and planned.rationale is request
    state, answer = _state(store, request.key)
    return Rendered(
        part="label and rationale" if both else "label" if is_label else "rationale",
        template=assigned.label if is_label else assigned.rationale or "",
        request=request,
        body=spec.body(request),
        stored=state,
        answer=answer,
    )


def _state(store: Path, key: bytes) -> tuple[str, str | None]:
    """What the store says of a request, and how its answer begins."""
    if not (store / "data.mdb").exists():
        return f"not asked yet: there is no store in {store}", None
    with ResponseStore.open(store, write=False) as opened, opened.reading() as stored:
        answer, failure = stored.answer(key), stored.failure(key)
    if answer is not None:
        told = f"answered: {store} has it, and it will not be asked again"
        return told, answer.text[:ANSWER]
    return f"failed: {failure.reason} ({failure.detail})" if failure else "not asked yet", None


def _facts(rendered: Rendered) -> dict[str, object]:
    return {
        "part": rendered.part,
        "template": rendered.template,
        "key": rendered.request.key.hex(),
        "stored": rendered.stored,
        "answer": rendered.answer,
        "body": orjson.loads(rendered.body),
    }


def _show(
    config: RunSettings, planned: PlannedRow, rendered: list[Rendered], output: ConsoleOutput
) -> None:
    row = planned.row
    output.show(f"row       {row.id} (number {row.index} of {row.split}), gold label: {row.gold}")
    for each in rendered:
        output.show(f"asks for  {each.part}, with template {each.template}")
        output.show(f"teacher   {config.teacher}")
        output.show(f"key       {each.request.key.hex()}")
        output.show(f"store     {each.stored}")
        if each.answer is not None:
            output.show(f"answer    {shortened(each.answer, ANSWER)}")
        for message in each.request.messages:
            output.show(f"--- {message['role']}\n{message['content'].rstrip()}")
        output.show(f"--- body, {len(each.body):,} bytes\n{each.body.decode()}")
