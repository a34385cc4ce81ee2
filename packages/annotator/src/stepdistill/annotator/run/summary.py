"""What a command ends with: the counts, the cost, why rows were rejected, where things lie."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

import orjson
from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.money.bill import reported_remark
from stepdistill.annotator.reading.rejection import shortened
from stepdistill.annotator.run.next_commands import train_command, view_command
from stepdistill.annotator.run.pipeline import RunResult
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import SIMULATED
from stepdistill.annotator.teacher.refusals import gist
from stepdistill.common.files.storage import read_here
from stepdistill.common.manifest import REJECTS_NAME, Manifest

_NAMED_ROWS = 5
_SHOWN_ANSWER = 80  # characters
_MOST_DETAILS = 1_000  # of different gist that are counted: what comes after is rare


def summary_of(config: RunSettings, result: RunResult) -> dict[str, object]:
    """The object of `--json`; counts are summed over the splits."""
    manifests = result.manifests
    by_reason = _by_reason(manifests)
    return {
        "rows": sum(manifest.counts.rows for manifest in manifests.values()),
        "records": sum(manifest.counts.records for manifest in manifests.values()),
        "rationales": sum(_with_reasons(manifest) for manifest in manifests.values()),
        "rejected": sum(by_reason.values()),
        "rejected_by_reason": by_reason,
        "details": {each.reason: each.commonest for each in _rejected(config, manifests)},
        "unanswered": result.unanswered,
        "cached": result.cached,
        "asked": result.asked,
        "cost_usd": result.spent_usd,
        "uncounted": result.uncounted,
        "out": str(config.out),
        "splits": {split: manifest.counts.model_dump() for split, manifest in manifests.items()},
        "already_done": result.already_done,
        "waiting": result.waiting,
        **({"addresses": _address_facts(result)} if result.addresses else {}),
        **({"judged_golds": _judged(manifests)} if config.shards.judgements else {}),
    }


def show_run(config: RunSettings, result: RunResult, output: ConsoleOutput) -> None:
    """The summary for people."""
    if result.waiting:
        output.show(
            f"{result.waiting:,} requests are in batches at the teacher's; no shards are written "
            "yet. The same command collects them; `annotate batch status` shows how far they are."
        )
        if result.asked:
            output.show(f"Cost of the {result.asked:,} answers collected: {_usd(result.spent_usd)}")
        return
    if result.already_done:
        output.show(
            "Already complete: same rows, prompts and teacher; nothing was asked or written."
        )
    output.table(counts_table(result.manifests))
    files = ", ".join(str(config.out / split / REJECTS_NAME) for split in result.manifests)
    for each in _rejected(config, result.manifests):
        output.show(f"  {each.reason}: {each.in_words(files)}")
    for reason, n in _dropped(result.manifests).items():
        output.show(f"  {reason}: {n:,} records without their reasons")
    for line in (*_cut_off(result.manifests), *_by_people(config, result.manifests)):
        output.show(line)
    vain = f", {result.failed:,} of them in vain" if result.failed else ""
    asked = f"{result.asked + result.failed:,} requests asked{vain}"
    output.show(f"{asked}, {result.cached:,} answered by the store")
    if result.addresses:
        output.table(_addresses_table(result))
    output.show(f"Cost of this run: {_usd(result.spent_usd)}{_uncounted(result.uncounted)}")
    output.show(f"Cost of all answers in these shards: {_total(result)}")
    for line in _reported(result.manifests):
        output.show(line)
    if config.teacher == SIMULATED:
        output.show(
            "The teacher was simulated: its labels are gold or made up, with errors on purpose."
        )
    output.show(f"Shards, rejects and manifests: {config.out}/{{{','.join(result.manifests)}}}/")
    output.show(f"Look at the rows: {view_command(config.out, config.store)}")
    _show_next(config, result, output)


def _show_next(config: RunSettings, result: RunResult, output: ConsoleOutput) -> None:
    if config.row_shard is not None:
        all_shards = f"once all {config.row_shard.of} shards are done"
        output.show(f"Next, {all_shards}: annotate gather {config.out} ... --out OUT")
        return
    command = train_command(config.out, result.manifests)
    if command is not None and not result.unanswered:
        output.show(f"Next: {command}")


def counts_table(manifests: dict[str, Manifest]) -> Table:
    """Rows, records, rejects and tokens of each split."""
    columns = ("rows", "records", "reasons", "rejected", "shards")  # in 80 columns, with the rest
    table = plain_table(["split"], [*columns, "prompt tokens", "answer tokens"])
    for split, manifest in manifests.items():
        counts, tokens = manifest.counts, manifest.tokens
        rejected = sum(counts.rejected.values())
        numbers = (counts.rows, counts.records, _with_reasons(manifest), rejected)
        more = (len(manifest.shards), tokens.prompt, tokens.completion)
        table.add_row(split, *(f"{n:,}" for n in (*numbers, *more)))
    return table


def _address_facts(result: RunResult) -> list[dict[str, object]]:
    """How each of several addresses fared."""
    return [
        {
            **asdict(each),
            "answers_per_s": each.per_s,
            "latency_s": each.latency_s,
        }
        for each in result.addresses
    ]


def _addresses_table(result: RunResult) -> Table:
    columns = ("answers", "per s", "mean s", "refused", "failed", "out, s")
    table = plain_table(["address"], columns)
    for each in result.addresses:
        rates = (f"{each.per_s:.1f}", "" if each.latency_s is None else f"{each.latency_s:.2f}")
        counts = (f"{each.refused:,}", f"{each.failed:,}", f"{each.out_s:,.0f}")
        table.add_row(each.address, f"{each.answers:,}", *rates, *counts)
    return table


def _judged(manifests: dict[str, Manifest]) -> int:
    """Records whose gold label is a person's."""
    return sum(each.judgements.golds for each in manifests.values() if each.judgements)


def _by_people(config: RunSettings, manifests: dict[str, Manifest]) -> list[str]:
    path = config.shards.judgements
    return [f"{_judged(manifests):,} gold labels are people's ({path})"] if path else []


def _with_reasons(manifest: Manifest) -> int:
    return manifest.rationales.records if manifest.rationales else 0


def _dropped(manifests: dict[str, Manifest]) -> dict[str, int]:
    """Why records lost their reasons, and how many did."""
    return summed(each.rationales.dropped for each in manifests.values() if each.rationales)


def _cut_off(manifests: dict[str, Manifest]) -> list[str]:
    """What was cut off, how much of it was thinking, and what helps."""
    found = [each.cut_off for each in manifests.values() if each.cut_off]
    if not found:
        return []
    limits = [each.limit for each in found if each.limit is not None]
    at = f" at {min(limits):,} tokens" if limits else ""
    tokens, thinking = (
        sum(each.completion for each in found),
        sum(each.reasoning for each in found),
    )
    of_it = f" ({thinking:,} of their {tokens:,} tokens were reasoning)" if thinking else ""
    return [
        f"{sum(each.answers for each in found):,} answers were cut off{at}{of_it}: raise "
        "--max-tokens, and the same command asks these again, and nothing else"
    ]


def _by_reason(manifests: dict[str, Manifest]) -> dict[str, int]:
    """Why rows were rejected, and how many were."""
    return summed(each.counts.rejected for each in manifests.values())


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by reason, together, in the order of their reasons."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


@dataclass(slots=True, kw_only=True)
class RejectedRows:
    """The rows that were rejected for one reason."""

    reason: str
    n: int = 0
    ids: list[str] = field(default_factory=list[str])  # of the first of them
    words: Counter[str] = field(default_factory=Counter[str])  # how often each detail, by its gist
    details: dict[str, str] = field(default_factory=dict[str, str])  # the first of each gist
    answer: str | None = None  # how the first answer that was rejected begins

    def add(self, line: Mapping[str, str]) -> None:
        """Count a line of `rejects.jsonl`."""
        self.n += 1
        if len(self.ids) < _NAMED_ROWS:
            self.ids.append(line["id"])
        if self.answer is None:
            self.answer = line.get("answer")
        detail = line["detail"]
        alike = gist(detail)
        if alike in self.details or len(self.details) < _MOST_DETAILS:
            self.details.setdefault(alike, detail)
            self.words[alike] += 1

    @property
    def commonest(self) -> str:
        """The detail that most of them have."""
        ((alike, _),) = self.words.most_common(1)
        return self.details[alike]

    def in_words(self, files: str) -> str:
        """How many they are, the first by name, where all stand, and what was wrong with most."""
        more = ", ..." if self.n > len(self.ids) else ""
        ((_, n),) = self.words.most_common(1)
        of_them = f" ({n:,} of them)" if n < self.n else ""
        rows = f"{_rows(self.n)} ({', '.join(self.ids)}{more}; all in {files}): {self.commonest}"
        said = f', such as "{shortened(self.answer, _SHOWN_ANSWER)}"' if self.answer else ""
        return f"{rows}{of_them}{said}"


def _rejected(config: RunSettings, manifests: dict[str, Manifest]) -> list[RejectedRows]:
    """What was rejected, a reason after the other."""
    found = {reason: RejectedRows(reason=reason) for reason in _by_reason(manifests)}
    for split in manifests:
        with read_here(config.out / split / REJECTS_NAME) as path, path.open("rb") as file:
            for text in file:
                line = orjson.loads(text)
                found[line["reason"]].add(line)
    return list(found.values())


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n:,} rows"


def _usd(amount: float | None) -> str:
    return "unknown (no price for this model)" if amount is None else f"{amount:.4f} USD"


def _total(result: RunResult) -> str:
    costs = [manifest.cost for manifest in result.manifests.values()]
    amounts = [cost.usd for cost in costs if cost.usd is not None]
    sources = ", ".join(sorted({cost.price for cost in costs}))
    uncounted = sum(manifest.tokens.uncounted for manifest in result.manifests.values())
    total = sum(amounts) if len(amounts) == len(costs) else None
    return f"{_usd(total)} ({sources}){_uncounted(uncounted)}"


def _reported(manifests: dict[str, Manifest]) -> list[str]:
    """What the provider says that they cost, where that is something else."""
    costs = [manifest.cost for manifest in manifests.values() if manifest.answers]
    ours = sum(cost.usd or 0.0 for cost in costs)
    theirs = [cost.reported_usd for cost in costs if cost.reported_usd is not None]
    remark = reported_remark(ours, sum(theirs)) if len(theirs) == len(costs) else None
    return [remark] if remark else []


def _uncounted(n: int) -> str:
    """What is not in a cost, and what a ceiling takes it for."""
    if not n:
        return ""
    return (
        f", and what {n:,} answer{' costs whose' if n == 1 else 's cost whose'} tokens the teacher "
        "did not name (--max-cost counts the worst)"
    )
