"""`--rationale-rate auto`: finds the rate, and is then the very run that this rate would have made.

At each rate that is tried the run is carried out into a folder beside the store: the rows of a low
rate are among those of a higher one, so nothing is asked twice. Small students learn from that, by
`stepdistill rationales compare` as a process of its own; what they had right is kept, and so is the
rate that was found: the same command again, after a kill too, makes the same choice.
"""

import hashlib
import shutil
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.money.prices import day_of
from stepdistill.annotator.plan.plan import Plan, name_of
from stepdistill.annotator.run.known_addresses import with_known_addresses
from stepdistill.annotator.run.pipeline import RunResult, RunTotals, run
from stepdistill.annotator.run.planning import make_plans, make_tariff
from stepdistill.annotator.run.rate_choice import (
    FREE_RATES,
    RATES,
    TriedRate,
    buy_while_it_pays,
    keep_what_helps,
)
from stepdistill.annotator.run.write import fingerprint
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.common.errors import ConfigError
from stepdistill.common.own_command import is_installed, run_command
from stepdistill.common.whole_file import write_whole

_TRAINER = "stepdistill"
_LOOKED_AT = 1_000  # rows, for one with a gold label


class FoundRate(BaseModel):
    """The rate that was found, and how."""

    model_config = ConfigDict(frozen=True)

    mark: str  # sha256 of all that it hangs on, the answers excepted
    rate: float
    why: str  # a sentence without its end
    tried: tuple[TriedRate, ...]

    def facts(self) -> dict[str, object]:
        """For programs."""
        return {"rate": self.rate, "why": self.why, "tried": [each.facts() for each in self.tried]}

    def lines(self) -> list[str]:
        """For people: what was tried, and what came of it."""
        tried = [f"  {each.in_words()}" for each in self.tried]
        return ["Reasons tried on small students:", *tried, f"Rate {self.rate:g}: {self.why}."]


def run_at_found_rate(
    config: RunSettings, output: ConsoleOutput
) -> tuple[RunSettings, RunResult, FoundRate | None]:
    """Find the rate, and run at it: its settings, what was done in all, and how it was found; None
    where the teacher left rows unanswered, so that there are no reasons yet.

    Raises DistillError; whatever was answered until then is stored.
    """
    finder = _Finder(with_known_addresses(config), output)
    found, done = finder.find(), finder.done
    if found is None:
        output.warn("--rationale-rate auto: rows were not answered, so no rate could be found yet")
    settings = config.at_rate(0.0 if found is None else found.rate)
    result = run(settings, output)
    return settings, done.with_last(result), found


class _Finder:
    """Finds the rate of one run. Raises DistillError: it cannot."""

    def __init__(self, config: RunSettings, output: ConsoleOutput) -> None:
        if not is_installed(_TRAINER):
            raise ConfigError(
                "--rationale-rate auto trains small students: pip install stepdistill-trainer, or "
                "give a rate"
            )
        self._config, self._output, self.done = config, output, RunTotals()
        plans = make_plans(config)
        if not plans[0].mix.rationale:
            raise ConfigError("--rationale-rate auto: this mix asks for no reasons: leave it out")
        if "valid" not in config.splits:
            _refuse_unlabelled(next(plan for plan in plans if plan.split == "train"))
        self._apart = any(plan.explains_apart for plan in plans)
        if self._apart and config.point_worth_usd is not None:
            make_tariff(config).known_price(day_of(time.time()))  # refuses where none is known
        self._work = config.store / "rationale-rate" / name_of(plans)
        self._mark = _mark(config, plans)

    def find(self) -> FoundRate | None:
        """The rate as it was found before, or anew. None: rows were not answered."""
        path = self._work / "found.json"
        try:
            before = FoundRate.model_validate_json(path.read_bytes())
        except (OSError, ValueError):
            before = None
        if before is not None and before.mark == self._mark:
            return before
        usd = self._config.point_worth_usd
        worth = None if usd is None else float(usd)
        choose = buy_while_it_pays(self._try, worth) if self._apart else keep_what_helps(self._try)
        if choose is None:
            return None
        found = FoundRate(
            mark=self._mark, rate=choose.rate, why=choose.in_words, tried=choose.tried
        )
        write_whole(path, found.model_dump_json(indent=1).encode())
        shutil.rmtree(self._work / "shards", ignore_errors=True)
        return found

    def _try(self, rate: float) -> TriedRate | None:
        out = self._work / "shards"
        result = run(replace(self._config.at_rate(rate), out=out), self._output)
        self.done.add(result)
        if result.error is not None:
            return None
        costs = [manifest.cost.usd for manifest in result.manifests.values()]
        rationales, said = result.manifests["train"].rationales, self._students(rate, out)
        right = tuple(map(str, said["rates"][0]["right"]))
        accuracy = sum(each.count("1") for each in right) / sum(map(len, right))
        self._output.say(f"reasons of {rate:.0%}: small students have {accuracy:.1%} right")
        return TriedRate(
            rate=rate,
            reasons=rationales.records if rationales else 0,
            usd=None if None in costs else sum(filter(None, costs)),
            right=right,
            accuracy=accuracy,
            majority=said["majority"],
        )

    def _students(self, rate: float, shards: Path) -> dict[str, Any]:
        """What is said of small students that learn from these shards. Raises CommandFailed."""
        config = self._config
        words = [_TRAINER, "rationales", "compare", str(shards / "train"), "--rates", "1"]
        if "valid" in config.splits:
            words += ["--valid", str(shards / "valid")]
        words += ["--model", config.rationale_student, "--steps", str(config.rationale_steps)]
        words += ["--seeds", str(config.rationale_seeds), "--json"]
        words += ["--keep", str(self._work / "students.jsonl")]
        self._output.say(
            f"reasons of {rate:.0%}: training {config.rationale_seeds} small students "
            f"({config.rationale_student}, {config.rationale_steps:,} steps)"
        )
        finished = run_command(words, self._tell)
        return orjson.loads(finished.checked())

    def _tell(self, line: str) -> None:
        if not line.startswith("error: "):  # which is what this command ends with, then
            self._output.say(line)


def _refuse_unlabelled(train: Plan) -> None:
    """Before labels are paid for: the trainer puts only rows aside that have a gold label."""
    first = islice(train.rows(), _LOOKED_AT)
    if all(planned.row.gold is None for planned in first):
        raise ConfigError(
            "--rationale-rate auto: rows of split train have no gold labels, so none of them can "
            "be put aside to judge students by: add --split valid"
        )


def _mark(config: RunSettings, plans: list[Plan]) -> str:
    content = [
        [fingerprint(plan, replace(config.shards, rationale_rate=1.0)) for plan in plans],
        [config.rationale_student, config.rationale_seeds, config.rationale_steps],
        [str(config.point_worth_usd), str(config.max_cost_usd), RATES, FREE_RATES],
    ]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()
