#!/usr/bin/env python3
"""How often a tournament buys the right offer, and what part of the whole cost it takes.

Served worlds are raced for real: simulators on loopback with known accuracies and prices, asked,
stored, read and scored by the code that `annotate experiment --teachers` runs. Drawn worlds put
right and wrong answers of known chances straight into the same race (`Elimination.run`): many more
seeds, and worlds that are hard. Right is what a person buys who knows every accuracy and price:
the cheapest within 2 points of the most accurate. Good is what is as good but for one point more.
Asking everybody everything is judged by the same rule, beside it.

Example:

    python benchmarks/tournament.py --check --json benchmarks/results/tournament.json
"""

import asyncio
import random
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from statistics import fmean

import numpy as np
import orjson

from measuring import Figure, Results, parser, report
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.dataset.demo import demo_rows
from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.study import ExperimentSettings
from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.rehearsal import rehearse_templates
from stepdistill.annotator.simulator.server import Simulator
from stepdistill.annotator.study.tournament.draws import BuyRule, RowResults
from stepdistill.annotator.study.tournament.elimination import Elimination, TournamentRules
from stepdistill.annotator.study.tournament.offers import make_field
from stepdistill.annotator.study.tournament.run import Tournament, run_tournament, usd_of

TEMPLATES = ("plain-sentence", "label-first", "reason-first")
WORSE_BY = (0.0, 0.05, 0.1)  # the templates of every teacher, in that order
# Teacher -> accuracy, USD for a million tokens in (four times as much out).
Teachers = Mapping[str, tuple[float, float]]
WORLDS: dict[str, Teachers] = {
    "the best is dear": {"a": (0.62, 0.1), "b": (0.74, 0.4), "c": (0.84, 2), "d": (0.93, 6)},
    "the middle is enough": {"a": (0.6, 0.1), "b": (0.75, 0.4), "c": (0.92, 2), "d": (0.92, 6)},
    "the cheap is enough": {"a": (0.6, 0.1), "b": (0.92, 0.4), "c": (0.92, 2), "d": (0.92, 6)},
    "the best is near": {"a": (0.72, 0.1), "b": (0.83, 0.4), "c": (0.9, 2), "d": (0.93, 6)},
}
RANDOM = "random"
SERVED = {"the best is dear": 1000, "the middle is enough": 2000}  # and on how many rows
DRAWN_ROWS = (300, 1000, 3000)
RIGHT_AT_LEAST, COST_AT_MOST = 95.0, 40.0
RULE = BuyRule()
Offers = Mapping[str, tuple[float, float]]  # "teacher / template" -> accuracy, USD of a row


def offers_of(teachers: Teachers) -> Offers:
    """All that can be bought, with what is true of it."""
    return {
        f"{teacher} / {template}": (accuracy - worse, usd / 1e3)
        for teacher, (accuracy, usd) in teachers.items()
        for template, worse in zip(TEMPLATES, WORSE_BY, strict=True)
    }


def random_teachers(seed: int) -> Teachers:
    """Four of any accuracy, each two to six times as dear as the one before."""
    draw, usd, made = random.Random(seed), 0.1, dict[str, tuple[float, float]]()
    for name in "abcd":
        made[name] = (draw.uniform(0.6, 0.95), usd)
        usd *= draw.choice((2, 4, 6))
    return made


def verdicts(
    race: Elimination, offers: Offers, whole: Mapping[str, RowResults]
) -> dict[str, float]:
    """What came of a race, in percent, beside what asking everybody everything comes to."""
    names = list(race.results)
    accuracy, usd = (np.array([offers[name][place] for name in names]) for place in (0, 1))
    right = names[RULE.choice(accuracy, usd)]
    good = dict(zip(names, RULE.good(accuracy[None], usd)[0], strict=True))
    found = {
        "right": 100.0 * (race.buy == right),
        "good": 100.0 * bool(good[race.buy]),
        "settled": 100.0 * race.is_settled,
        "stated": round(100 * race.doubt, 2),
        "cost": round(100 * race.share, 2),
    }
    if whole:
        seen = np.array([fmean(whole[name].correct) for name in names])
        bought = names[RULE.choice(seen, usd)]
        found |= {"whole right": 100.0 * (bought == right), "whole good": 100.0 * good[bought]}
    return found


def drawn(teachers: Teachers, seed: int, n_rows: int) -> dict[str, float]:
    """A race over made up answers: rows are easier or harder by five points, for all alike."""
    offers, draw = offers_of(teachers), random.Random(seed)
    ease = [draw.choice((-0.05, 0.0, 0.05)) for _ in range(n_rows)]
    whole = {
        name: RowResults(
            correct=[draw.random() < accuracy + each for each in ease],
            usd=[usd * draw.uniform(0.8, 1.2) for _ in ease],
        )
        for name, (accuracy, usd) in offers.items()
    }

    def ask(names: Sequence[str], rows: int) -> dict[str, RowResults]:
        return {
            name: RowResults(correct=whole[name].correct[:rows], usd=(whole[name].usd or [])[:rows])
            for name in names
        }

    rules = TournamentRules(buy=RULE, seed=seed)
    race = Elimination(n_rows=n_rows, rules=rules, running=list(offers))
    race.run(ask)
    return verdicts(race, offers, whole)


def served(teachers: Teachers, seed: int, n_rows: int) -> dict[str, float]:
    """A race for real: servers, a store, prices, prompts and answers that are read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "train.jsonl").open("wb") as file:
            for row in demo_rows("train", n_rows):
                file.write(orjson.dumps(row) + b"\n")
        entry = [{"valid_from": "2026-01-01", "source": "made up"}]
        prices = {
            each: [{**entry[0], "input": usd, "output": 4 * usd}]
            for each, (_, usd) in teachers.items()
        }
        (folder / "prices.yaml").write_bytes(orjson.dumps({"models": prices}))
        with simulators(folder, teachers, seed) as addresses:
            settings = ExperimentSettings(
                task="demo",
                data=str(folder / "train.jsonl"),
                prompts=shipped_tasks(),
                teachers=tuple(f"{each}@{addresses[each]}" for each in teachers),
                templates=TEMPLATES,
                test_size=n_rows,
                seed=seed,
                store=folder / "store",
                prices=folder / "prices.yaml",
                metadata=folder / "metadata.yaml",
            )
            rules = TournamentRules(buy=RULE, seed=seed)
            entered = make_field(settings)
            done = run_tournament(settings, entered, ConsoleOutput(quiet=True), rules)
        return verdicts(done.race, _as_paid(done, teachers), {})


def _as_paid(done: Tournament, teachers: Teachers) -> Offers:
    """What is true of each offer: the planted accuracy, and what its answers cost."""
    accuracies = offers_of(teachers)
    paid = dict[str, tuple[float, float]]()
    for name, contender in done.contenders.items():
        usd = usd_of(done.usages[name], contender.rival.ways[0].price) or [0.0]
        paid[name] = (accuracies[name][0], fmean(usd))
    return paid


@contextmanager
def simulators(folder: Path, teachers: Teachers, seed: int) -> Generator[dict[str, str]]:
    """The address of each teacher, served by another thread while the body runs."""
    asking = RunSettings(
        task="demo", data=str(folder / "train.jsonl"), prompts=shipped_tasks(), teacher="t",
        splits=("train",), store=folder / "store", out=folder,
    )  # fmt: skip
    plans = [make_template_plan(asking, ())]
    known = {
        name: rehearse_templates(
            plans,
            SimulatedTeacher(seed=4 * seed + number),
            {each: accuracy - worse for each, worse in zip(TEMPLATES, WORSE_BY, strict=True)},
        )
        for number, (name, (accuracy, _)) in enumerate(teachers.items())
    }
    addresses, ready, done = dict[str, str](), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            for name, teacher in known.items():
                server = await stack.enter_async_context(Simulator(teacher))
                addresses[name] = server.base_url
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield addresses
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


def measure(results: Results, name: str, races: list[dict[str, float]], *, is_held: bool) -> None:
    """The figures of one world's races; is_held: to the bar."""
    every = {key: [each[key] for each in races] for key in races[0]}
    results.raw.append({"world": name, "races": len(races), **every})
    for key, samples in every.items():
        figure = Figure(
            name=f"{name}: {key}",
            samples=[fmean(samples)],
            unit="% of the whole cost" if key == "cost" else "% of races",
            at_least=RIGHT_AT_LEAST if is_held and key == "right" else None,
            at_most=COST_AT_MOST if key == "cost" else None,
        )
        results.figures.append(figure)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=100, help="races of each world")
    given = options.parse_args()
    seeds = range(3 if given.smoke else given.seeds)
    results = Results(benchmark="tournament", settings={"seeds": len(seeds)})
    for name, n_rows in SERVED.items():
        races = [served(WORLDS[name], seed, n_rows) for seed in seeds]
        measure(results, f"served, {name}, {n_rows} rows", races, is_held=True)
    for n_rows in DRAWN_ROWS:
        for name, teachers in WORLDS.items():
            races = [drawn(teachers, seed, n_rows) for seed in seeds]
            measure(results, f"{name}, {n_rows} rows", races, is_held=False)
        races = [drawn(random_teachers(seed), seed, n_rows) for seed in seeds]
        measure(results, f"{RANDOM}, {n_rows} rows", races, is_held=False)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
