#!/usr/bin/env python3
"""How many answers a second one core reads: label and rationale of answers in many styles.

Answers are put into words by the simulator, for three kinds of label and in every style that it
knows; no two of a task are equal. Where the original's recorded answers lie beside the checkout
(../shared/data), they are read too.

Example:

    python benchmarks/read_answers.py --check --json benchmarks/results/read_answers.json
"""

import gzip
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import orjson

from annotator.prompt.task import load_task
from annotator.response.read_verdict import VerdictReader
from annotator.simulator.phrasing import PLAIN_STYLES, Said, phrase
from measuring import Figure, Results, parser, report

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "query-results"
REAL_TASKS = ("anli1", "esnli", "cqa", "svamp")
BAR_PER_S = 10_000.0
_CLASSES = ("entailment", "neutral", "contradiction")
_CHOICES = ("watering can", "spade", "wheelbarrow", "greenhouse", "lawn mower")
_WORDS = ("ferry", "museum", "orchard", "bridge", "harbour", "engine", "garden", "market")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An answer and the texts of the row that it is about."""

    text: str
    fields: dict[str, str]


def _claim(i: int) -> tuple[Said, dict[str, str]]:
    word, other = _WORDS[i % 8], _WORDS[i // 8 % 8]
    fields = {
        "premise": f"In {1800 + i % 200} the {word} near the {other} was sold and then rebuilt.",
        "hypothesis": f"The {word} was older than {i} days when it was sold.",
    }
    reason = f"The text says that the {word} was sold {i} days before the {other} was opened."
    return Said(label=_CLASSES[i % 3], rationale=reason), fields


def _choice(i: int) -> tuple[Said, dict[str, str]]:
    fields = {"question": f"What would gardener number {i} reach for when the soil is dry?"}
    fields |= {f"choice_{'abcde'[k]}": text for k, text in enumerate(_CHOICES)}
    reason = f"Dry soil needs water, and gardener number {i} can carry it to the plants that way."
    return Said(label=_CHOICES[i % 5], rationale=reason, options=_CHOICES), fields


def _problem(i: int) -> tuple[Said, dict[str, str]]:
    has, gives = i % 90 + 20, i % 17 + 2
    fields = {"question": f"Person {i} has {has} beads and gives {gives} away. How many are left?"}
    reason = f"There were {has} beads and {gives} were given away, so {has} - {gives} is left."
    return Said(label=str(has - gives), rationale=reason), fields


MADE: dict[str, Callable[[int], tuple[Said, dict[str, str]]]] = {
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
                yield Given(text=found["response"], fields=found["prompt_values"])


def seconds(reader: VerdictReader, answers: list[Given]) -> float:
    """CPU seconds to read them all."""
    start = time.process_time()
    for answer in answers:
        reader.read(answer.text, answer.fields)
    return time.process_time() - start


def measure(results: Results, groups: dict[str, dict[str, list[Given]]], rounds: int) -> None:
    """Read every group of answers once a round, turn by turn; a figure for each and for all."""
    readers = {task: VerdictReader(load_task(ROOT / "prompts", task).label) for task in groups}
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        spent: dict[str, float] = {}
        for task, styles in groups.items():
            for style, answers in styles.items():
                spent[f"{task} {style}"] = seconds(readers[task], answers)
        counts = {
            f"{task} {style}": len(answers)
            for task, styles in groups.items()
            for style, answers in styles.items()
        }
        for name, taken in spent.items():
            rates.setdefault(name, []).append(counts[name] / taken)
        rates.setdefault("all", []).append(sum(counts.values()) / sum(spent.values()))
        results.raw.append({"cpu_s": spent, "answers": counts})
    kind = "real" if "real" in next(iter(groups.values())) else "made up"
    for name, samples in rates.items():
        bar = BAR_PER_S if name == "all" else None
        title = f"{kind}, all" if name == "all" else name
        results.figures.append(Figure(name=title, samples=samples, unit="answers/s", at_least=bar))


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--answers", type=int, default=3_000, help="of each task and style")
    given = options.parse_args()
    n, rounds = (200, 1) if given.smoke else (given.answers, given.rounds)
    results = Results(benchmark="read_answers", settings={"answers": n, "rounds": rounds})
    measure(results, {task: dict(made_up(task, n)) for task in MADE}, rounds)
    if REAL.is_dir():
        most = n if given.smoke else None
        real = {task: {"real": list(islice(recorded(task), most))} for task in REAL_TASKS}
        measure(results, real, rounds)
    else:
        print(f"no real answers: {REAL} is not there")
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
