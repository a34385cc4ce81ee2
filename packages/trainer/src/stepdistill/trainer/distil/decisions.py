"""What each step of a distil found, and what was decided by it: sentences for screen and page."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from stepdistill.common.errors import ConfigError
from stepdistill.common.manifest import REJECTS_NAME
from stepdistill.common.page import percent, usd
from stepdistill.trainer.settings.distil import DistilSettings

Facts = Mapping[str, Any]
"""What a command said with --json."""
FEWEST_TO_RANK = 20  # rows with a label: with fewer, no template is told from another
_TRIAL_ROWS = 100  # that `annotate experiment` takes by itself
_Z_95 = 1.96
_CLEARLY = 0.05  # p below which one template is told from another


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """The rows of a task, as `annotate new` has shared them out."""

    rows: dict[str, int]  # by split; only those that have some
    labelled: dict[str, int]  # how many of them have a label

    @property
    def n_rows(self) -> int:
        """All rows."""
        return sum(self.rows.values())


def splits_of(new: Facts) -> Splits:
    """How many rows of which split, and how many of them have a label."""
    counts: dict[str, dict[str, int]] = new["splits"]
    rows = {split: sum(labels.values()) for split, labels in counts.items()}
    return Splits(
        rows={split: n for split, n in rows.items() if n},
        labelled={split: n - counts[split].get("", 0) for split, n in rows.items()},
    )


def of_new(new: Facts) -> list[str]:
    """What the file was taken for."""
    splits = splits_of(new)
    shared = ", ".join(f"{split} {n:,}" for split, n in splits.rows.items())
    n_labelled = sum(splits.labelled.values())
    label = ", ".join(new["label"]) or "none"
    lines = [
        f"{splits.n_rows:,} rows: {shared}. Rows that say the same share a split, so that the "
        "student is not judged on what it has learnt.",
        f"Label: {label}, of kind {new['kind']} ({new['why']}); {n_labelled:,} rows have one. "
        f"Text: {', '.join(new['text'])} (--text names other columns).",
    ]
    return [*lines, *(f"Note: {remark}" for remark in new["remarks"])]


def of_estimate(estimate: Facts, splits: Splits, settings: DistilSettings) -> list[str]:
    """What it will cost, all told."""
    if settings.is_rehearsal:
        return ["The teacher is simulated: nothing is paid, and its labels are made up."]
    online: dict[str, float] | None = estimate["online_usd"]
    if online is None:
        return [f"Nobody knows a price for {settings.teacher}: put one into prices.yaml."]
    low, likely, high = (usd(online[name]) for name in ("low", "likely", "high"))
    lines = [
        f"{estimate['to_ask']:,} answers: {low} to {high} USD, likely {likely}.",
        f"The experiment before it: at most {usd(trial_usd(estimate, splits, settings))} USD, of "
        "which the best template's answers are not asked again.",
    ]
    if settings.budget is not None:
        return lines
    if settings.max_cost is None:
        return [*lines, "There is no ceiling: --max-cost sets one."]
    if online["likely"] > float(settings.max_cost):
        lines.append(
            f"That is likely more than --max-cost {settings.max_cost}: it will stop there."
        )
    return [*lines, f"No more than {settings.max_cost} USD is spent in any case (--max-cost)."]


def of_no_estimate(settings: DistilSettings) -> list[str]:
    """Why there is none."""
    return [
        f"Left out: which of {settings.teacher} is bought is found out first, by asking each a few "
        "rows, and with it what a row costs."
    ]


def of_tournament(experiment: Facts) -> list[str]:
    """Which teacher is bought, asked how, and how sure that is."""
    buy = experiment["buy"]
    low, high = (percent(buy[f"accuracy_{end}"]) for end in ("low", "high"))
    cost = buy["usd_per_1000_rows"]
    price = "" if cost is None else f", for {usd(cost)} USD a thousand rows"
    sure = "settled" if experiment["settled"] else "NOT settled by so few rows"
    lines = [
        f"`{buy['teacher']}` is bought, with `{buy['template']}`: {percent(buy['accuracy'])} of "
        f"{buy['rows']} rows right ({low} to {high}){price}.",
        f"That is {sure}: another would have been the better purchase with a chance of "
        f"{percent(experiment['chance_of_another_buy'])}.",
    ]
    if experiment["incomplete"]:
        lines.append(f"Not whole: {experiment['incomplete']}.")
    return [*lines, *(f"Note: {remark}" for remark in experiment["remarks"])]


def of_dear_experiment(n_rows: int) -> list[str]:
    """Why there is none, though rows have labels."""
    return [
        f"Left out: what is for choosing is enough for {n_rows} rows of each template, and it "
        f"takes {FEWEST_TO_RANK}. The task's mix `default` asks; --budget may be higher."
    ]


def trial_usd(estimate: Facts, splits: Splits, settings: DistilSettings) -> float:
    """What asking every template the experiment's rows would likely cost."""
    n_rows = n_trial_rows(splits, settings)
    variants: list[Facts] = estimate["variants"].get("template", [])
    costs = [each["online_usd"]["likely"] / each["rows"] for each in variants if each["rows"]]
    return n_rows * sum(costs)


def n_trial_rows(splits: Splits, settings: DistilSettings) -> int:
    """How many rows each template is tried on, were it not for money."""
    return min(settings.test_size or _TRIAL_ROWS, splits.labelled.get("train", 0))


def is_rankable(splits: Splits) -> bool:
    """Whether enough rows of train have a label to judge templates by."""
    return splits.labelled.get("train", 0) >= FEWEST_TO_RANK


def of_no_experiment(splits: Splits) -> list[str]:
    """Why there is none."""
    return [
        f"Left out: {splits.labelled.get('train', 0)} rows of train have a label to judge "
        f"templates by, and it takes {FEWEST_TO_RANK}. The task's mix `default` asks."
    ]


def of_experiment(experiment: Facts, n_labelled: int) -> list[str]:
    """Which template asks, and how sure that is. n_labelled: rows that it could have been asked."""
    leader, *others = experiment["ranking"]
    low, high = (percent(leader[f"accuracy_{end}"]) for end in ("low", "high"))
    right = f"{percent(leader['accuracy'])} of {leader['rows']} rows right"
    lines = [
        f"`{leader['template']}` asks: {right} "
        f"({low} to {high}), the most of {len(others) + 1} templates."
    ]
    stopped: list[str] = list(experiment["race"]["stopped"]) if experiment["race"] else []
    finalists = [each for each in others if each["template"] not in stopped]
    near = [each for each in finalists if each["p_holm"] is None or each["p_holm"] > _CLEARLY]
    if near:
        names = ", ".join(f"`{each['template']}`" for each in near)
        more = (
            "--test-size asks more"
            if leader["rows"] < n_labelled
            else "more rows with a label would tell"
        )
        lines.append(f"{names} cannot be told from it by so few rows; {more}.")
    cost = leader["usd_per_1000_rows"]
    cheaper = [each for each in near if cost and (each["usd_per_1000_rows"] or cost) < cost]
    for each in sorted(cheaper, key=lambda each: each["usd_per_1000_rows"])[:1]:
        less = usd(each["usd_per_1000_rows"])
        lines.append(
            f"`{each['template']}` would cost {less} USD a thousand rows, and it {usd(cost)}."
        )
    if stopped:
        names = ", ".join(f"`{name}`" for name in stopped)
        lines.append(f"Stopped early, as it could hardly win any more: {names}.")
    if experiment["cost_usd"]:
        lines.append(f"It cost {usd(experiment['cost_usd'])} USD.")
    return [*lines, *(f"Note: {remark}" for remark in experiment["remarks"])]


def of_not_bought(lines: list[str]) -> list[str]:
    """What there was beside, if there was anything."""
    return lines or [
        "Nothing: every row has its answers, and that more votes would bring more is not known."
    ]


def of_run(run: Facts) -> list[str]:
    """How many rows have a label now, and why others have none."""
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in run["rejected_by_reason"].items())
    left_out = f"; left out: {reasons}" if reasons else ", none was left out"
    cost = run["cost_usd"]
    return [
        f"{run['records']:,} of {run['rows']:,} rows have a label, {run['rationales']:,} of them "
        f"with reasons{left_out}.",
        f"{run['asked']:,} answers were asked, {run['cached']:,} were there already; this run cost "
        f"{'an unknown sum' if cost is None else f'{usd(cost)} USD'}.",
        *([f"No more was bought: {run['grow']['why']}."] if "grow" in run else []),
    ]


def learnt_splits(run: Facts, shards: Path) -> list[str]:
    """The splits that have labels. Raises ConfigError: one has none, so that nothing could be
    learnt of it, or judged by it."""
    counts: dict[str, dict[str, int]] = run["splits"]
    for split, found in counts.items():
        if not found["records"]:
            reasons = ", ".join(
                f"{reason} {n:,}" for reason, n in run["rejected_by_reason"].items()
            )
            raise ConfigError(
                f"no row of {split} has a label ({reasons}): {shards / split / REJECTS_NAME} has "
                "what the teacher said; what was asked is stored"
            )
    return list(counts)


def of_train(results: Facts, n_rows: int, settings: DistilSettings, wanted: int) -> list[str]:
    """How the student was trained, and which of it was kept. wanted: steps, but for money."""
    steps, best = results["config"]["steps"], results["valid"]
    why = "as --steps says" if settings.steps else f"20 times over {n_rows:,} rows, within bounds"
    if steps < wanted:
        why = f"of {wanted:,} that were wanted: no more are paid for"
    return [
        f"`{settings.student}`, {steps:,} steps ({why}).",
        f"The student of step {best['step']:,} was kept: {percent(best['accuracy'])} right on the "
        "rows of valid, which it has not learnt from.",
    ]


def of_evaluation(found: Facts) -> list[str]:
    """How good the student is: against its teacher, and against saying the commonest label."""
    student, teacher = found["student"], found["teacher"]
    gap = found["student_less_teacher"]
    low, high = (100 * end for end in gap["interval"])
    lines = [
        f"The student is right on {_share(student)}, its teacher on {_share(teacher)}; the "
        f"difference is {100 * gap['difference']:+.1f} points ({low:+.1f} to {high:+.1f})."
    ]
    majority = found.get("majority")
    if majority:
        better = found["student_less_majority"]["interval"][0] > 0
        verdict = "better than" if better else "NO BETTER THAN"
        lines.append(
            f"It is {verdict} always saying `{found['majority_label']}`, which is right on "
            f"{_share(majority)}."
        )
    return [*lines, *(f"NOTE: {note}." for note in found.get("notes", []))]


def of_baseline(found: Facts, classifier: Facts, settings: DistilSettings) -> list[str]:
    """Whether the student is worth its reasons to whoever needs labels. found: as of_evaluation;
    classifier: its score on the same rows."""
    student = found["student"]
    ahead = student["accuracy"] - classifier["accuracy"]
    noise = sqrt(sum(s["accuracy"] * (1 - s["accuracy"]) / s["n"] for s in (student, classifier)))
    lines = [f"A classifier on `{settings.baseline}`, of labels alone: {_share(classifier)}."]
    if ahead > _Z_95 * noise:
        return [*lines, f"The student is better than it: {100 * ahead:+.1f} points."]
    how = "NO BETTER THAN" if ahead <= 0 else "NOT CLEARLY BETTER THAN"
    return [
        *lines,
        f"The student is {how} the classifier: {100 * ahead:+.1f} points. Whoever needs labels and "
        "no reasons may as well take that one.",
    ]


def _share(score: Facts) -> str:
    low, high = score["interval"]
    return (
        f"{percent(score['accuracy'])} of {score['n']:,} rows ({percent(low)} to {percent(high)})"
    )
