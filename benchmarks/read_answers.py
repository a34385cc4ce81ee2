#!/usr/bin/env python3
"""How many answers a second one core reads: label and rationale of answers in many styles.

Answers are put into words by the simulator, for three kinds of label and in every style that it
knows; no two of a task are equal. Where the original's recorded answers lie beside the checkout
(../shared/data), they are read too, by rules of language and by their templates' regexes.

Example:

    python benchmarks/read_answers.py --check --json benchmarks/results/read_answers.json
"""

import gzip
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import orjson

from measuring import Figure, Results, parser, report
from stepdistill.annotator.importing.original import read_templates
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.reading.readers import ORIGINAL, Reader, Readers, make_readers
from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.annotator.simulator.phrasing import PLAIN_STYLES, Phrased, phrase

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "query-results"
REAL_TASKS = ("anli1", "esnli", "cqa", "svamp")
BAR_PER_S, ORIGINAL_BAR_PER_S = 10_000.0, 30_000.0
# `Label: X` and `Rationale: ...` on a line each: five microseconds.
PLAIN_BAR_PER_S = 200_000.0
PLAIN_TASKS = ("anli1", "cqa")
_CLASSES = ("entailment", "neutral", "contradiction")
_CHOICES = ("watering can", "spade", "wheelbarrow", "greenhouse", "lawn mower")
_WORDS = ("ferry", "museum", "orchard", "bridge", "harbour", "engine", "garden", "market")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An answer and the texts of the row that it is about."""

    text: str
    fields: dict[str, str]
    template: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Answers that are timed together. readers: by template."""

    name: str
    readers: dict[str, Reader]
    answers: list[Given]
    bar_per_s: float | None


def _claim(i: int) -> tuple[Phrased, dict[str, str]]:
    word, other = _WORDS[i % 8], _WORDS[i // 8 % 8]
    fields = {
        "premise": f"In {1800 + i % 200} the {word} near the {other} was sold and then rebuilt.",
        "hypothesis": f"The {word} was older than {i} days when it was sold.",
    }
    reason = f"The text says that the {word} was sold {i} days before the {other} was opened."
    return Phrased(label=_CLASSES[i % 3], rationale=reason), fields


def _choice(i: int) -> tuple[Phrased, dict[str, str]]:
    fields = {"question": f"What would gardener number {i} reach for when the soil is dry?"}
    fields |= {f"choice_{'abcde'[k]}": text for k, text in enumerate(_CHOICES)}
    reason = f"Dry soil needs water, and gardener number {i} can carry it to the plants that way."
    return Phrased(label=_CHOICES[i % 5], rationale=reason, options=_CHOICES), fields


def _problem(i: int) -> tuple[Phrased, dict[str, str]]:
    has, gives = i % 90 + 20, i % 17 + 2
    fields = {"question": f"Person {i} has {has} beads and gives {gives} away. How many are left?"}
    reason = f"There were {has} beads and {gives} were given away, so {has} - {gives} is left."
    return Phrased(label=str(has - gives), rationale=reason), fields


MADE: dict[str, Callable[[int], tuple[Phrased, dict[str, str]]]] = {
    "anli1": _claim,
    "cqa": _choice,
    "svamp": _problem,
}


def made_up(task: str, n: int) -> Iterator[tuple[str, list[Given]]]:
    """n answers of each style, by the style's name."""
    for style in PLAIN_STYLES:
        answers: list[Given] = []
        for i in range(n):
            said, fields = MADE[task](i)
            answers.append(Given(text=phrase(style, said, i % 97 / 97), fields=fields))
        yield style, answers


def recorded(task: str) -> Iterator[Given]:
    """The real answers of a task; none where the data is not at hand."""
    for path in sorted((REAL / task).glob("*/*/*.gz")):
        with gzip.open(path, "rb") as lines:
            for line in lines:
                found = orjson.loads(line)
                yield Given(
                    text=found["response"],
                    fields={name: str(value) for name, value in found["prompt_values"].items()},
                    template=str(found["prompt_template_id"]),
                )


def by_the_original(task: str) -> tuple[Readers, list[Given]] | None:
    """The real answers of a task again, with the original's regexes by template."""
    path = REAL.parent / "prompt-templates" / f"{task}.yaml"
    if not path.is_file():
        return None
    templates = {str(key): each.as_template() for key, each in read_templates(path).items()}
    readers = make_readers(ORIGINAL, load_task(ROOT / "prompts", task).label, templates)
    return readers, list(recorded(task))


def seconds(readers: dict[str, Reader], answers: list[Given]) -> float:
    """CPU seconds to read them all."""
    start = time.process_time()
    for answer in answers:
        readers[answer.template].read(answer.text, answer.fields)
    return time.process_time() - start


def measure(results: Results, groups: list[Group], rounds: int) -> None:
    """Read every group of answers once a round, turn by turn: a figure for each."""
    rates: dict[str, list[float]] = {group.name: [] for group in groups}
    for _ in range(rounds):
        spent = {group.name: seconds(group.readers, group.answers) for group in groups}
        for group in groups:
            rates[group.name].append(len(group.answers) / spent[group.name])
        counts = {group.name: len(group.answers) for group in groups}
        results.raw.append({"cpu_s": spent, "answers": counts})
    for group in groups:
        rate, bar = rates[group.name], group.bar_per_s
        figure = Figure(name=group.name, samples=rate, unit="answers/s", at_least=bar)
        results.figures.append(figure)


def groups_of(n: int, most: int | None) -> Iterator[Group]:
    """Everything that is read; most: of each task's real answers, None for all."""
    for task in MADE:
        verdict = one_reader(task)
        for style, answers in made_up(task, n):
            bar = PLAIN_BAR_PER_S if style == "label-first" and task in PLAIN_TASKS else None
            yield Group(name=f"{task} {style}", readers=verdict, answers=answers, bar_per_s=bar)
    for task in REAL_TASKS:
        real = list(islice(recorded(task), most))
        if real:
            name = f"{task} real"
            yield Group(name=name, readers=one_reader(task), answers=real, bar_per_s=BAR_PER_S)
    for task in REAL_TASKS:
        if found := by_the_original(task):
            readers, answers = found
            yield Group(
                name=f"{task} real, original",
                readers=dict(readers.by_template),
                answers=answers[:most],
                bar_per_s=ORIGINAL_BAR_PER_S,
            )


def one_reader(task: str) -> dict[str, Reader]:
    """The verdict reader, whatever the template."""
    reader = VerdictReader(load_task(ROOT / "prompts", task).label)
    return defaultdict(lambda: reader)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--answers", type=int, default=3_000, help="of each task and style")
    given = options.parse_args()
    n, rounds = (200, 1) if given.smoke else (given.answers, given.rounds)
    results = Results(benchmark="read_answers", settings={"answers": n, "rounds": rounds})
    if not REAL.is_dir():
        print(f"no real answers: {REAL} is not there")
    measure(results, list(groups_of(n, n if given.smoke else None)), rounds)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
