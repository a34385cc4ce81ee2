"""The cases of `what_if_coverage.py`: whole sets of answers, and what of them a case shows.

The answers are recorded ones of ../shared/data, and the simulated teacher's to the demo's rows.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from audit_coverage import gold_labels
from race_templates import REAL, ROOT, json_lines
from stepdistill.annotator.dataset.rows import read_rows
from stepdistill.annotator.importing.original import read_templates
from stepdistill.annotator.money.prices import OwnPrices, Tariff
from stepdistill.annotator.money.tokens import CL100K, count_tokens
from stepdistill.annotator.plan.key import SAMPLE
from stepdistill.annotator.prompt.mix import Mix, single
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.reading.readers import make_readers
from stepdistill.annotator.run.conclusions import make_rules
from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.rehearsal import rehearse, rehearse_templates
from stepdistill.annotator.store.answer import Answer, Usage
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.what_if.answered import (
    MOST_VOTES,
    NOT_KNOWN,
    AnswerCosts,
    Answered,
    AnswersReader,
    Bools,
    LabelsAsked,
    Reads,
)
from stepdistill.annotator.what_if.choices import RunChoice
from stepdistill.common.kinds.registry import kind_of

USD_IN, USD_OUT = 1.5e-6, 2e-6  # gpt-3.5-turbo of autumn 2023
FRAME = 10  # tokens around a prompt, as it counted
FEWEST_ROWS = 40
REAL_TASKS = ("svamp", "cqa", "anli1", "esnli")
DEMO = ("demo", "demo, doubting")
KINDS = ("rows", "mix", "votes")
FIELDS = ("rows", "seen", "right", "kept", "with_reasons", "agrees", "usd", "tokens")
DEMO_PRICES = {
    "models": {
        "simulated": [{"valid_from": "2020-01-01", "source": "made up", "input": 1, "output": 4}]
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One recorded answer. says: its label as a number, as in `more_votes`."""

    label: str | None
    is_right: bool
    usd: float


@cache
def recorded(task: str) -> tuple[dict[str, dict[int, Seen]], int]:
    """template -> number of the row -> its answer; and how many rows there are."""
    spec = load_task(ROOT / "prompts", task)
    originals = read_templates(REAL / "prompt-templates" / f"{task}.yaml")
    templates = {str(number): each.as_template() for number, each in originals.items()}
    readers, kind = make_readers("verdict", spec.label, templates), kind_of(spec.label)
    found, numbers = defaultdict[str, dict[int, Seen]](dict), dict[tuple[str, int], int]()
    for path in sorted((REAL / "query-results" / task).glob("*/*/responses.json.gz")):
        split, template = path.parent.parent.name, path.parent.name
        golds = gold_labels(task, split, spec)
        for answer in json_lines(path):
            gold = golds.get(answer["idx"])
            if gold is None:
                continue
            fields = {name: str(text) for name, text in answer["prompt_values"].items()}
            label = readers.read(template, answer["response"], fields).label
            sent = count_tokens(answer["complete_prompt"], CL100K) + FRAME
            usd = USD_IN * sent + USD_OUT * count_tokens(answer["response"], CL100K)
            is_right = label is not None and kind.same(label, gold, kind.choices(fields))
            number = numbers.setdefault((split, answer["idx"]), len(numbers))
            found[template][number] = Seen(label=label, is_right=is_right, usd=usd)
    return dict(found), len(numbers)


def of_templates(task: str) -> Answered:
    """All recorded answers, of each template once."""
    found, n_rows = recorded(task)
    asked = {
        name: made_of([[each] for each in rows.values()], [*rows]) for name, rows in found.items()
    }
    return answered_of(asked, n_rows, task)


def as_votes(task: str, chance: np.random.Generator) -> Answered:
    """Five templates' answers to a row, in an order of chance, as votes of one."""
    found, _ = recorded(task)
    names, shared = list[str](), set[int]()
    for name in chance.permutation([*found]).tolist():
        common = found[name].keys() & shared if names else found[name].keys()
        if len(common) >= FEWEST_ROWS and len(names) < MOST_VOTES:
            names, shared = [*names, name], {*common}
    if len(names) < MOST_VOTES:  # it began with one that was asked other rows than all others
        return as_votes(task, chance)
    rows = sorted(shared)
    answers = [[found[name][row] for name in chance.permutation(names)] for row in rows]
    return answered_of({"votes": made_of(answers, [*range(len(rows))])}, len(rows), task)


def answered_of(asked: dict[str, LabelsAsked], n_rows: int, task: str) -> Answered:
    spec = load_task(ROOT / "prompts", task)
    return Answered(
        asked=asked,
        explained={},
        has_gold=np.ones(n_rows, dtype=np.bool_),
        uniform=np.random.default_rng(0).random(n_rows),
        splits={"all": n_rows},
        n_labels=len(spec.label.classes) or len(spec.label.options) or None,
    )


def made_of(answers: Sequence[Sequence[Seen]], rows: Sequence[int]) -> LabelsAsked:
    """What one template was asked: the answers of each row."""
    stored = np.array([len(each) for each in answers], dtype=np.int8)
    right, kept, usd = (np.zeros((len(rows), MOST_VOTES)) for _ in range(3))
    seen = np.zeros((len(rows), MOST_VOTES), dtype=np.int8)
    for line, each in enumerate(answers):
        wrong: dict[str, int] = {}
        for place, one in enumerate(each):
            usd[line, place] = one.usd
            if one.label is not None:
                seen[line, place] = (
                    1 if one.is_right else wrong.setdefault(one.label, len(wrong) + 2)
                )
            said = [label for label in seen[line, : place + 1].tolist() if label]
            kept[line, place] = bool(said)
            right[line, place] = bool(said) and max(dict.fromkeys(said), key=said.count) == 1
    return LabelsAsked(
        rows=np.array(rows, dtype=np.int64),
        stored=stored,
        seen=seen,
        right=right,
        kept=kept,
        with_reasons=kept,
        agrees=np.full((len(rows), MOST_VOTES), NOT_KNOWN),
        usd=usd,
        tokens=usd,
        spent=AnswerCosts(answers=len(rows), counted=len(rows), today_usd=float(usd.sum())),
    )


@cache
def simulated(name: str) -> Answered:
    """The demo task's rows, five times by three templates of unlike accuracy, through a store."""
    with tempfile.TemporaryDirectory() as folder:
        config = RunSettings(
            task="demo", teacher="simulated", prompts=ROOT / "prompts", store=Path(folder) / "store"
        )
        plan = make_template_plan(config, ())
        accuracy = {"label-first": 0.85, "reason-first": 0.9, "plain-sentence": 0.75}
        teacher = rehearse_templates(
            [plan], rehearse([plan], 0.85, 7, by_template=accuracy), accuracy
        )
        teacher = replace(teacher, doubts=name != "demo")
        made: list[tuple[bytes, Answer]] = []
        for row in read_rows(plan.task, plan.source, plan.split, None):
            for sample in range(MOST_VOTES):
                for make in plan.request_makers(sample).values():
                    request = make(row)
                    text = teacher.answer({**request.body, SAMPLE: sample})
                    sent = count_tokens(request.system + request.user, CL100K)
                    usage = Usage(sent, count_tokens(text, CL100K))
                    made.append(
                        (
                            request.key,
                            Answer(text, "stop", "simulated", usage, "online", 1_700_000_000),
                        )
                    )
        with ResponseStore.open(config.store, write=True) as store:
            store.put(made, [])
            own = OwnPrices.model_validate(DEMO_PRICES)
            tariff = Tariff(model="simulated", host="localhost", own=own)
            reader = AnswersReader(Reads(rules=make_rules(plan, config.shards), tariff=tariff))
            with store.reading() as stored:
                reader.add(plan, {}, stored, lambda _: None)
    return reader.answered()


def shown(whole: Answered, rows: dict[str, Bools], votes: int = MOST_VOTES) -> Answered:
    """Only these rows of each template, and of each only so many votes."""
    asked: dict[str, LabelsAsked] = {}
    for name, chosen in rows.items():
        each = whole.asked[name]
        kept = chosen[each.rows]
        values = {field: getattr(each, field)[kept] for field in FIELDS}
        stored = np.minimum(each.stored[kept], votes).astype(np.int8)
        asked[name] = replace(each, stored=stored, **values)
    return replace(whole, asked=asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is shown, and which choice is weighed by it, against which."""

    kind: str
    task: str
    whole: Answered
    part: Answered
    choice: RunChoice
    base: RunChoice


def some_rows(n_rows: int, chance: np.random.Generator) -> Bools:
    """A fifth to three fifths of them, at least 12."""
    n = max(12, round(n_rows * chance.uniform(0.2, 0.6)))
    chosen = np.zeros(n_rows, dtype=np.bool_)
    chosen[chance.permutation(n_rows)[:n]] = True
    return chosen


def of_rows(whole: Answered, names: Sequence[str]) -> Answered:
    """Only the rows that all of these templates have answers to, numbered anew."""
    common = set[int](range(whole.n_rows))
    for name in names:
        common &= set(whole.asked[name].rows.tolist())
    rows = np.array(sorted(common), dtype=np.int64)
    places = np.full(whole.n_rows, -1)
    places[rows] = np.arange(len(rows))
    part = shown(whole, {name: places >= 0 for name in names})
    asked: dict[str, LabelsAsked] = {}
    for name, each in part.asked.items():
        order = np.argsort(places[each.rows])
        values = {field: getattr(each, field)[order] for field in (*FIELDS, "stored")}
        asked[name] = replace(each, **{**values, "rows": places[each.rows][order]})
    return replace(
        part,
        asked=asked,
        has_gold=whole.has_gold[rows],
        uniform=whole.uniform[rows],
        splits={"all": len(rows)},
    )


def choice_of(shares: dict[str, float], votes: int = 1) -> RunChoice:
    mix = single(*shares) if len(shares) == 1 else Mix(label=shares, rationale=shares)
    return RunChoice(name="+".join(shares), mix=mix, words=(), votes=votes)


def made_case(task: str, kind: str, seed: int) -> Case:
    chance = np.random.default_rng(seed)
    if kind == "votes":
        whole = simulated(task) if task in DEMO else as_votes(task, chance)
        names = [str(chance.choice([*whole.asked]))]
        whole = of_rows(whole, names)
        stored = int(chance.integers(2, 4))
        votes = int(chance.integers(stored + 1, MOST_VOTES + 1))
        part = shown(whole, {names[0]: some_rows(whole.n_rows, chance)}, stored)
        choice, base = choice_of({names[0]: 1.0}, votes), choice_of({names[0]: 1.0})
        return Case(kind=kind, task=task, whole=whole, part=part, choice=choice, base=base)
    whole = simulated(task) if task in DEMO else of_templates(task)
    known = [name for name, each in whole.asked.items() if len(each.rows) >= FEWEST_ROWS]
    n = 1 if kind == "rows" else int(chance.integers(2, min(3, len(known)) + 1))
    names = [str(name) for name in chance.permutation(known)[: n + 1]]
    while len(names) > n and len(of_rows(whole, names).has_gold) < FEWEST_ROWS:
        names = names[:-1]
    whole = of_rows(whole, names)
    mixed = names[:n]
    weights = chance.dirichlet(np.full(n, 4.0))
    choice = choice_of(dict(zip(mixed, (weights / weights.sum()).tolist(), strict=True)))
    chosen = some_rows(whole.n_rows, chance)
    if kind == "mix" and chance.random() < 0.5:  # each template its own rows, nearly
        rows = {name: some_rows(whole.n_rows, chance) for name in names}
    else:
        rows = dict.fromkeys(names, chosen)
    part = shown(whole, rows)
    return Case(
        kind=kind,
        task=task,
        whole=whole,
        part=part,
        choice=choice,
        base=choice_of({names[-1]: 1.0}),
    )


def cases(n: int, *, real: bool) -> Iterator[tuple[Case, int]]:
    """By task and kind in turns."""
    tasks = [*(REAL_TASKS if real else ()), *DEMO]
    kinds = [(task, kind) for kind in ("rows", "mix", "votes") for task in tasks]
    # svamp has two templates alone, which cannot stand for five votes.
    kinds = [each for each in kinds if each != ("svamp", "votes")]
    for seed in range(n):
        task, kind = kinds[seed % len(kinds)]
        yield made_case(task, kind, seed), seed
