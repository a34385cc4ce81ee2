"""The task that the benchmarks annotate: made-up rows with three classes, in a folder of its own.

Row i is the same on every machine, so that `annotate` and the floor do the same rows.
"""

from dataclasses import dataclass
from pathlib import Path

import orjson

MODEL = "bench"
MAX_TOKENS = 128
LABELS = ("entailment", "neutral", "contradiction")
_WORDS = (
    *("harbour", "ferry", "teacher", "orchard", "winter", "signal", "museum", "bridge", "painter"),
    *("valley", "engine", "letter", "garden", "doctor", "island", "market", "singer", "window"),
    *("carried", "opened", "painted", "followed", "measured", "repaired", "founded", "crossed"),
    *("early", "narrow", "famous", "quiet", "wooden"),
)
_N_WORDS = 70
_USER = """\
Read the text and judge the claim by the text alone. Answer in two lines: first 'Label: ' and one of
entailment, neutral or contradiction, then 'Rationale: ' and one or two short sentences of reasons.
Text: {premise}
Claim: {hypothesis}"""
_TASK = """\
task: bench
title: made-up rows of a benchmark
id: id
fields: {premise: premise, hypothesis: hypothesis}
label:
  kind: classes
  classes: {entailment: {}, neutral: {}, contradiction: {}}
student: {input: "{premise} </s> {hypothesis}"}
"""
_MIX = "seed: 1\nlabel: {plain: 1.0}\nrationale: {plain: 1.0}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeTask:
    """Where the task's files lie. prompts: the folder of tasks; rows: a JSON-lines file."""

    folder: Path
    prompts: Path
    rows: Path
    n: int


def row(i: int) -> dict[str, str]:
    """Row i: about a hundred tokens, unlike every other row."""
    words = " ".join([_WORDS[(i * 37 + k * k * 5 + k) % len(_WORDS)] for k in range(_N_WORDS)])
    return {
        "id": f"made-{i}",
        "premise": f"Number {i}: {words}.",
        "hypothesis": f"The {_WORDS[i % 18]} came {i % 991} days before the {_WORDS[i % 17]}.",
    }


def prompt(fields: dict[str, str]) -> str:
    """The prompt of a row, filled in the quickest way."""
    return _USER.format_map(fields)


def body(text: str) -> bytes:
    """The request for a prompt, as `annotate` would send it."""
    messages = [{"role": "user", "content": text}]
    return orjson.dumps({"model": MODEL, "messages": messages, "temperature": 0,
                         "max_tokens": MAX_TOKENS})  # fmt: skip


def make_task(folder: Path, n: int) -> MadeTask:
    """Write task, template, mix and n rows into a folder."""
    task = folder / "prompts" / "bench"
    (task / "mixes").mkdir(parents=True)
    template = {"id": "plain", "user": _USER, "options": {"temperature": 0}}
    templates = orjson.dumps({"templates": [template]})  # JSON is YAML
    (task / "task.yaml").write_text(_TASK, encoding="utf-8")
    (task / "templates.yaml").write_bytes(templates)
    (task / "mixes" / "default.yaml").write_text(_MIX, encoding="utf-8")
    rows = folder / "bench_train.jsonl"
    with rows.open("wb", buffering=1 << 20) as file:
        for i in range(n):
            file.write(orjson.dumps(row(i), option=orjson.OPT_APPEND_NEWLINE))
    return MadeTask(folder=folder, prompts=folder / "prompts", rows=rows, n=n)
