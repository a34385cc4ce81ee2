"""A budget in dollars: what each is for, how many rows and steps it is enough for, what was spent.

training   a quarter, where an hour of it has a price; what it does not take is not spent
choosing   of the rest, a fifth at most: which template, which teacher
rows       what is left then: labels and reasons, for as many rows as that pays
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from stepdistill.common.errors import ConfigError
from stepdistill.common.named_teacher import NamedTeacher, named_teachers
from stepdistill.common.page import percent, usd
from stepdistill.trainer.study.sweep_runner import time_in_words

Facts = Mapping[str, Any]
"""What a command said with --json."""
TRAINING_SHARE, CHOOSING_SHARE = 0.25, 0.2
# Answers are reckoned dearer than they were so far, and steps slower: the rest may be.
_DEARER, _SLOWER, _MORE_LOOKS = 1.25, 1.2, 1.5
_FEWEST_STEPS, _FEWEST_ROWS = 50, 20
_HOUR_S = 3600.0
_MOST_OFFERS = 5  # that are named as not bought


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPlan:
    """What each dollar of a budget is for. USD, each at least 0."""

    budget_usd: float
    hour_usd: float | None  # of training, on one GPU; None: not counted

    @property
    def training_usd(self) -> float:
        """Kept for training."""
        return self.budget_usd * TRAINING_SHARE if self.hour_usd else 0.0

    @property
    def teacher_usd(self) -> float:
        """For all that teachers are asked."""
        return self.budget_usd - self.training_usd

    @property
    def choosing_usd(self) -> float:
        """Of that, for finding out whom to ask, and how."""
        return self.teacher_usd * CHOOSING_SHARE

    @property
    def lines(self) -> list[str]:
        """The plan, a line for each purpose."""
        rows_usd = self.teacher_usd - self.choosing_usd
        purposes = [
            (self.choosing_usd, "at most, to find out whom to ask and how; the rest goes to rows"),
            (rows_usd, "at least, for labels and reasons, of as many rows as that pays"),
        ]
        if self.hour_usd:
            took = time_in_words(self.training_usd / self.hour_usd * _HOUR_S)
            kept = f"at most, for training: {took} of a GPU at {usd(self.hour_usd)} an hour"
            purposes.append((self.training_usd, kept))
        lines = [f"{usd(amount):>8} USD  {purpose}" for amount, purpose in purposes]
        if not self.hour_usd:
            lines.append("Training is not counted: --gpu-hour says what an hour of it costs.")
        return [f"{usd(self.budget_usd)} USD in all, and never more:", *lines]


def trial_rows(plan: BudgetPlan, estimate: Facts, wanted: int) -> int:
    """How many rows each template can be tried on, at most as many as wanted. estimate: as
    `annotate estimate` has it, by template; where no price is known, all of them."""
    a_row_usd = _usd_by_all_templates(estimate)
    return min(wanted, math.floor(plan.choosing_usd / a_row_usd)) if a_row_usd else wanted


def check_race(plan: BudgetPlan, estimates: Sequence[Facts], fewest_rows: int) -> None:
    """Raises ConfigError: not even so few rows can be asked of each of several teachers. estimates:
    of each; what has no known price costs nothing here."""
    needed_usd = sum(map(_usd_by_all_templates, estimates)) * fewest_rows
    if needed_usd > plan.choosing_usd:
        budget_usd = plan.budget_usd * needed_usd / plan.choosing_usd
        raise ConfigError(
            f"to ask {len(estimates)} teachers {fewest_rows} rows each by every template costs "
            f"some {usd(needed_usd)} USD, and {usd(plan.choosing_usd)} are for that: name fewer "
            f"with --teacher, or raise --budget to {usd(budget_usd)}; nothing was asked"
        )


def _usd_by_all_templates(estimate: Facts) -> float:
    variants: list[Facts] = estimate.get("variants", {}).get("template", [])
    known = [each for each in variants if each["rows"] and each["online_usd"]]
    return sum(each["online_usd"]["likely"] / each["rows"] for each in known) * _DEARER


def pays_for_all(
    left_usd: float, usd_a_row: float | None, rows: Mapping[str, int], bought_usd: float = 0.0
) -> bool:
    """Whether all rows can be asked. usd_a_row: as it was so far, None where nobody knows;
    bought_usd: that rows have cost already, by a smaller budget. Raises ConfigError: valid and test
    alone, which are asked whole, and few rows to learn from are more than can be paid."""
    if usd_a_row is None:
        return True
    each_usd = usd_a_row * _DEARER
    fewest = sum(n for split, n in rows.items() if split != "train") + _FEWEST_ROWS
    if fewest * each_usd > left_usd + bought_usd:
        raise ConfigError(
            f"{usd(left_usd)} USD are left for rows, and {fewest:,}, the fewest that make sense "
            f"(valid and test whole), cost some {usd(fewest * each_usd)}: raise --budget"
        )
    return sum(rows.values()) * each_usd <= left_usd


def steps_within(plan: BudgetPlan, spent_s: float, trial: Facts, wanted: int) -> int:
    """How many steps of training the money is enough for, at most as many as wanted. spent_s: of
    training so far; trial: a few steps and what they took. Raises ConfigError: too few."""
    if not plan.hour_usd:
        return wanted
    a_second_usd = plan.hour_usd / _HOUR_S * trial["ranks"]
    left_s = plan.training_usd / a_second_usd - spent_s
    step_s = trial["seconds"] / trial["steps"] * _SLOWER
    # Starting, and looks at valid and test, of which a whole training has some more.
    around_s = (trial["wall_s"] - trial["seconds"]) * _MORE_LOOKS
    steps = max(0, math.floor((left_s - around_s) / step_s))
    if steps < min(_FEWEST_STEPS, wanted):
        raise ConfigError(
            f"{usd(plan.training_usd)} USD are for training, enough for {steps:,} steps at "
            f"{step_s:.2g} s each: raise --budget, or take a smaller --student; what was asked is "
            "stored"
        )
    return min(steps, wanted)


def training_usd(seconds: float, ranks: int, plan: BudgetPlan) -> float:
    """What so long a training costs, on so many GPUs."""
    return seconds * ranks * (plan.hour_usd or 0.0) / _HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Something that the money could have been spent on, or more money could be."""

    what: str
    usd: float | None  # None: not known
    gain: str  # in words; empty where nobody knows

    @property
    def line(self) -> str:
        """In one sentence."""
        price = "at a price that nobody knows" if self.usd is None else f"for {usd(self.usd)} USD"
        return f"{self.what}, {price}{f': {self.gain}' if self.gain else ''}."


def not_bought(
    left: Facts | None, experiment: Facts | None, what_if: Facts | None
) -> list[Alternative]:
    """What there was beside. left: the rows that were not asked, as `run --grow` says."""
    found: list[Alternative] = []
    if left and left["rows"]:
        gain = ""
        if left["accuracy"] is not None:
            shares = [percent(left[f"accuracy{end}"]) for end in ("", "_low", "_high")]
            gain = (
                "the small model that chooses rows, which is not the student, would be right on "
                f"{shares[0]} ({shares[1]} to {shares[2]})"
            )
        what = f"The other {left['rows']:,} rows"
        found.append(Alternative(what=what, usd=left["usd"], gain=gain))
    found += _dearer(experiment or {})
    found += _more_votes(what_if or {})
    return found


def _dearer(experiment: Facts) -> list[Alternative]:
    """Offers of a tournament that were more accurate than the one that was bought."""
    buy = experiment.get("buy")
    if buy is None:
        return []
    better = [each for each in experiment["offers"] if each["accuracy"] > buy["accuracy"]]
    return [
        Alternative(
            what=f"1,000 labels of {each['teacher']} / {each['template']}",
            usd=each["usd_per_1000_rows"],
            gain=(
                f"right on {percent(each['accuracy'])} of {each['rows']} rows, where the one that "
                f"was bought is right on {percent(buy['accuracy'])}"
            ),
        )
        for each in better[:_MOST_OFFERS]
    ]


def _more_votes(what_if: Facts) -> list[Alternative]:
    """More votes for each label, that are likely to be more accurate."""
    found: list[Alternative] = []
    for each in what_if.get("choices", []):
        against, pay = each["against_base"], each["to_pay_usd"]
        if against is None or against["value"] <= 0 or each["votes"] < 2:
            continue
        low, value, high = (100 * against[name] for name in ("low", "value", "high"))
        found.append(
            Alternative(
                what=f"{each['votes']} votes for each label",
                usd=None if pay is None else pay["value"],
                gain=f"labels {value:+.1f} points better ({low:+.1f} to {high:+.1f})",
            )
        )
    return found


def bought_teacher(command: str) -> tuple[NamedTeacher, str | None]:
    """(the teacher, the template) of the command that an experiment of several teachers ends
    with."""
    words = shlex.split(command)
    said = {word: value for word, value in pairwise([*words, ""]) if word.startswith("--")}
    addresses = [value for word, value in pairwise(words) if word == "--base-url"]
    parts = [said["--teacher"], *addresses]
    parts += [f"effort={said['--effort']}"] if "--effort" in said else []
    parts += [said["--tier"]] if "--tier" in said else []
    parts += ["batch"] if "--batch-api" in said else []
    (teacher,) = named_teachers(["@".join(parts)])
    return teacher, said.get("--template")


def verdict(student: Facts, target: float) -> tuple[bool, str]:
    """Whether the student alone reaches the target by its interval, and what is to be said."""
    low, high = student["interval"]
    share = f"right on {percent(student['accuracy'])} ({percent(low)} to {percent(high)})"
    if low >= target:
        return True, f"The student alone reaches the target of {percent(target)}: {share}."
    return False, (
        f"The student alone does not surely reach {percent(target)}: {share}. So with its teacher "
        "behind it:"
    )


def of_cascade(rule: Facts) -> list[str]:
    """What the rule promises, and costs."""
    cost = rule["cost"]["usd_per_1000"]
    money = "at a price that nobody knows" if cost is None else f"{usd(cost)} USD for 1,000 rows"
    return [
        f"{percent(rule['deferred'])} of rows like these go to {rule['teacher']} ({money}); then "
        f"at least {percent(rule['guarantee']['target'])} of all answers are right, but for a "
        f"chance of {percent(rule['guarantee']['risk'])}."
    ]


def of_money(plan: BudgetPlan, spent: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """(purpose, planned USD, spent USD), a line each, all told at the end."""
    planned = {
        "choosing": plan.choosing_usd,
        "rows": plan.teacher_usd - plan.choosing_usd,
        "training": plan.training_usd,
    }
    lines = [(name, planned[name], spent.get(name, 0.0)) for name in planned]
    return [*lines, ("all", plan.budget_usd, sum(spent.values()))]


def usd_a_row(experiment: Facts | None, estimate: Facts, template: str | None) -> float | None:
    """What a row costs: as measured by the experiment, else as estimated; None: nobody knows."""
    ranking: Sequence[Facts] = (experiment or {}).get("offers") or (experiment or {}).get(
        "ranking", []
    )
    buy = (experiment or {}).get("buy")
    for each in [buy] if buy is not None else ranking:
        if each["template"] == template and each["usd_per_1000_rows"] is not None:
            return each["usd_per_1000_rows"] / 1000
    online = estimate.get("online_usd")
    return online["likely"] / estimate["to_ask"] if online and estimate["to_ask"] else None
