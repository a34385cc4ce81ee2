#!/usr/bin/env python3
"""What reading an answer costs: label and rationale of answers in many styles, on one core.

Answers are put into words by the simulator, for three kinds of label and in every style that it
knows; no two of a task are equal. Where the original's recorded answers lie beside the checkout
(../shared/data), they are read too, by rules of language and by their templates' regexes. The floor
is a search for the names of the labels (of options their letters, or a number) in the same answers
by RE2, which says where a name stands and nothing of what the answer commits to.

Example:

    python benchmarks/read_answers.py --check --json benchmarks/results/read_answers.json
"""

import gzip
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import orjson
import re2

from measuring import Figure, Results, parser, report
from stepdistill.annotator.importing.original import read_templates
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.reading.readers import ORIGINAL, Reader, Readers, make_readers
from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.annotator.simulator.phrasing import PLAIN_STYLES, Phrased, phrase

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "query-results"
REAL_TASKS = ("anli1", "esnli", "cqa", "svamp")
# Times the floor: of whole sentences, by the original's regexes, and of `X` or `Label: X` and
# `Rationale: ...` on a line each.
BAR, ORIGINAL_BAR, PLAIN_BAR = 45.0, 9.0, 3.0
PLAIN_TASKS, PLAIN_STYLE_NAMES = ("anli1", "cqa"), ("label-first", "bare")
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
    """Answers that are timed together. readers: by template. floor: finds a name in a text. bar:
    times the floor."""

    name: str
    readers: dict[str, Reader]
    answers: list[Given]
    floor: Callable[[str], object]
    bar: float | None


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


def floor_seconds(search: Callable[[str], object], answers: list[Given]) -> float:
    """CPU seconds to look for a name in them all."""
    start = time.process_time()
    for answer in answers:
        search(answer.text)
    return time.process_time() - start


def search_of(task: str, names: Sequence[str] = ()) -> Callable[[str], object]:
    """RE2's search for a task's names, or for these; where a row brings its own, for their letters
    or a number."""
    classes = load_task(ROOT / "prompts", task).label.classes
    named = [n for name, spec in classes.items() for n in (name, *spec.aliases)] or names
    pattern = "|".join(map(re.escape, named)) if named else r"\b[A-E]\b|\d+"
    return cast(Any, re2).compile(f"(?i)(?:{pattern})").search


def measure(results: Results, groups: list[Group], rounds: int) -> None:
    """Read every group of answers once a round, turn by turn: two figures for each."""
    rates, ratios = (
        defaultdict[str, list[float]](list),
        defaultdict[str, list[float]](list),
    )
    for _ in range(rounds):
        spent, floors = dict[str, float](), dict[str, float]()
        for group in groups:
            spent[group.name] = seconds(group.readers, group.answers)
            floors[group.name] = floor_seconds(group.floor, group.answers)
            rates[group.name].append(len(group.answers) / spent[group.name])
            ratios[group.name].append(spent[group.name] / floors[group.name])
        counts = {group.name: len(group.answers) for group in groups}
        results.raw.append({"cpu_s": spent, "floor_cpu_s": floors, "answers": counts})
    for group in groups:
        name, bar = group.name, group.bar
        results.figures += [
            Figure(name=f"{name} / floor", samples=ratios[name], unit="x", at_most=bar),
            Figure(name=name, samples=rates[name], unit="answers/s"),
        ]


def groups_of(n: int, most: int | None) -> Iterator[Group]:
    """Everything that is read; most: of each task's real answers, None for all."""
    for task in MADE:
        names = _CHOICES if task == "cqa" else ()
        verdict, floor = one_reader(task), search_of(task, names)
        for style, answers in made_up(task, n):
            bar = PLAIN_BAR if style in PLAIN_STYLE_NAMES and task in PLAIN_TASKS else None
            name = f"{task} {style}"
            yield Group(name=name, readers=verdict, answers=answers, floor=floor, bar=bar)
    for task in REAL_TASKS:
        real, floor = list(islice(recorded(task), most)), search_of(task)
        if real:
            name, reader = f"{task} real", one_reader(task)
            yield Group(name=name, readers=reader, answers=real, floor=floor, bar=BAR)
        if found := by_the_original(task):
            readers, answers = found
            yield Group(
                name=f"{task} real, original",
                readers=dict(readers.by_template),
                answers=answers[:most],
                floor=floor,
                bar=ORIGINAL_BAR,
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
