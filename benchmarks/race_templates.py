#!/usr/bin/env python3
"""How often a race finds a template as good as the best, and what part of the answers it asks.

Races are run again over the original's recorded experiments, where those lie beside the checkout
(../shared/data): every template that was asked the same rows, read by each reader, judged by the
gold labels. A race succeeds when its first template is within 2 points of the best of the whole
experiment. Each seed draws the rows in another order. Made-up experiments are raced, too: templates
of known quality over rows of known difficulty.

Example:

    python benchmarks/race_templates.py --check --json benchmarks/results/race_templates.json
"""

import gzip
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import orjson

from measuring import Figure, Results, parser, report
from stepdistill.annotator.importing.original import read_templates
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.reading.readers import VERSIONS, make_readers
from stepdistill.annotator.study.race import SLACK, Correct, RaceRules, run_race
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import TaskSpec
from stepdistill.common.uniform import uniform_of

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data"
TASKS = ("cqa", "anli1", "esnli")
# Asked other rows than all the others were.
LEFT_OUT = {("anli1", "100")}
FOUND_AT_LEAST, MADE_FOUND_AT_LEAST, ASKED_AT_MOST = 95.0, 90.0, 40.0
MADE = "made up"
MADE_TEMPLATES, MADE_ROWS = 60, 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An experiment of which everything is known. right: template -> row -> label right?"""

    name: str
    right: dict[str, dict[str, bool]]

    @property
    def rows(self) -> list[str]:
        """The rows that every template was asked."""
        asked = list(self.right.values())
        return sorted(row for row in asked[0] if all(row in each for each in asked))


def recorded(task: str, reader: str) -> Whole:
    """A recorded experiment, as this reader reads its answers."""
    spec = load_task(ROOT / "prompts", task)
    originals = read_templates(REAL / "prompt-templates" / f"{task}.yaml")
    templates = {str(number): each.as_template() for number, each in originals.items()}
    readers = make_readers(reader, spec.label, templates)
    golds, kind = gold_labels(task, spec), kind_of(spec.label)
    right: dict[str, dict[str, bool]] = {}
    for path in sorted((REAL / "query-results" / task / "train").glob("*/responses.json.gz")):
        template = path.parent.name
        if (task, template) in LEFT_OUT:
            continue
        outcomes = right.setdefault(template, {})
        for answer in json_lines(path):
            gold = golds.get(answer["idx"])
            if gold is not None:
                fields = {name: str(text) for name, text in answer["prompt_values"].items()}
                label = readers.read(template, answer["response"], fields).label
                is_right = label is not None and kind.same(label, gold)
                outcomes[str(answer["idx"])] = is_right
    return Whole(name=f"{task}, {reader}", right=right)


def gold_labels(task: str, spec: TaskSpec) -> dict[int, str]:
    """Gold labels of the rows that were asked, by number."""
    queried = REAL / "ground-truth" / f"{task}_train_queried.jsonl"
    if queried.is_file():
        return {row["idx"]: row["label"] for row in json_lines(queried) if row["label"]}
    rows = json_lines(REAL / "datasets" / task / f"{task}_train.json")
    return {number: row[spec.gold or "label"] for number, row in enumerate(rows)}


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as lines:
        yield from map(orjson.loads, lines)


def made_up(seed: int) -> Whole:
    """Templates whose quality varies by some five points, over rows that are easy or hard."""
    chance = random.Random(seed)
    qualities = {f"t{n}": chance.gauss(0.0, 0.05) for n in range(MADE_TEMPLATES)}
    difficulty = {f"r{n}": chance.betavariate(1.3, 0.7) for n in range(MADE_ROWS)}
    right = {
        name: {row: chance.random() < ease + quality for row, ease in difficulty.items()}
        for name, quality in qualities.items()
    }
    return Whole(name=MADE, right=right)


def race(whole: Whole, seed: int) -> dict[str, float]:
    """One race: whether it found a good one, and its figures in percent."""
    rows = sorted(whole.rows, key=lambda row: uniform_of(seed, row.encode()))
    outcomes = {name: [each[row] for row in rows] for name, each in whole.right.items()}

    def ask(names: Sequence[str], n_rows: int) -> dict[str, Correct]:
        return {name: outcomes[name][:n_rows] for name in names}

    done = run_race(list(outcomes), len(rows), RaceRules(), ask)
    scores = {name: fmean(each) for name, each in outcomes.items()}
    behind = max(scores.values()) - scores[done.finalists[0]]
    return {
        "found": 100.0 * (behind <= SLACK + 1e-9),
        "behind": round(100 * behind, 2),
        "asked": round(100 * done.share, 2),
        "error": round(100 * done.error, 2),
    }


def measure(results: Results, name: str, races: list[dict[str, float]]) -> None:
    """The figures of one experiment's races. A made-up one has a lower bar: its templates share no
    luck, and differ less than their luck."""
    every = {key: [each[key] for each in races] for key in races[0]}
    results.raw.append({"experiment": name, "races": len(races), **every})
    results.figures += [
        Figure(
            name=f"{name}: found one within 2 points",
            samples=[fmean(every["found"])],
            unit="% of races",
            at_least=MADE_FOUND_AT_LEAST if name == MADE else FOUND_AT_LEAST,
        ),
        Figure(name=f"{name}: stated chance of a miss", samples=[fmean(every["error"])], unit="%"),
        Figure(
            name=f"{name}: asked, on average", samples=[fmean(every["asked"])], unit="% of answers"
        ),
        Figure(
            name=f"{name}: asked, at most",
            samples=[max(every["asked"])],
            unit="% of answers",
            at_most=ASKED_AT_MOST,
        ),
    ]


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=200, help="races of each experiment")
    given = options.parse_args()
    seeds = 5 if given.smoke else given.seeds
    results = Results(benchmark="race_templates", settings={"seeds": seeds})
    if REAL.is_dir():
        for task in TASKS:
            for reader in VERSIONS:
                whole = recorded(task, reader)
                measure(results, whole.name, [race(whole, seed) for seed in range(seeds)])
    else:
        print(f"no recorded experiments: {REAL} is not there")
    measure(results, MADE, [race(made_up(seed), seed) for seed in range(seeds)])
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
