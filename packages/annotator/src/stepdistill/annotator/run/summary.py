"""What a command ends with: the counts, the cost, why rows were rejected, where things lie."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson
from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.run.pipeline import RunResult
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import SIMULATED
from stepdistill.common.manifest import REJECTS_NAME, Manifest

_NAMED_ROWS = 5


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
        "cached": result.cached,
        "asked": result.asked,
        "cost_usd": result.spent_usd,
        "out": str(config.out),
        "splits": {split: manifest.counts.model_dump() for split, manifest in manifests.items()},
        "already_done": result.already_done,
        "waiting": result.waiting,
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
    output.table(_counts_table(result.manifests))
    for reason, rows in sorted(_rejected_rows(config, result.manifests).items()):
        output.show(f"  {reason}: {rows}")
    for reason, n in _dropped(result.manifests).items():
        output.show(f"  {reason}: {n:,} records without their reasons")
    output.show(f"{result.asked:,} requests asked, {result.cached:,} answered by the store")
    output.show(f"Cost of this run: {_usd(result.spent_usd)}")
    output.show(f"Cost of all answers in these shards: {_total(result)}")
    if config.teacher == SIMULATED:
        output.show(
            "The teacher was simulated: its labels come from the dataset, with errors on purpose."
        )
    output.show(f"Shards, rejects and manifests: {config.out}/{{{','.join(result.manifests)}}}/")


def _counts_table(manifests: dict[str, Manifest]) -> Table:
    columns = ("rows", "records", "with reasons", "rejected", "shards")
    table = plain_table(["split"], [*columns, "prompt tokens", "answer tokens"])
    for split, manifest in manifests.items():
        counts, tokens = manifest.counts, manifest.tokens
        rejected = sum(counts.rejected.values())
        numbers = (counts.rows, counts.records, _with_reasons(manifest), rejected)
        more = (len(manifest.shards), tokens.prompt, tokens.completion)
        table.add_row(split, *(f"{n:,}" for n in (*numbers, *more)))
    return table


def _with_reasons(manifest: Manifest) -> int:
    return manifest.rationales.records if manifest.rationales else 0


def _dropped(manifests: dict[str, Manifest]) -> dict[str, int]:
    """Why records lost their reasons, and how many did."""
    return _summed(each.rationales.dropped for each in manifests.values() if each.rationales)


def _by_reason(manifests: dict[str, Manifest]) -> dict[str, int]:
    """Why rows were rejected, and how many were."""
    return _summed(each.counts.rejected for each in manifests.values())


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


def _rejected_rows(config: RunSettings, manifests: dict[str, Manifest]) -> dict[str, str]:
    """reason -> how many rows, the first of them by name, and the file with all."""
    counts = _by_reason(manifests)
    named: dict[str, list[str]] = {reason: [] for reason in counts}
    for split in manifests:
        _name_rows(config.out / split / REJECTS_NAME, named)
    files = ", ".join(str(config.out / split / REJECTS_NAME) for split in manifests)
    lines: dict[str, str] = {}
    for reason, ids in named.items():
        more = ", ..." if counts[reason] > len(ids) else ""
        lines[reason] = f"{counts[reason]:,} rows ({', '.join(ids)}{more}; all in {files})"
    return lines


def _name_rows(path: Path, named: dict[str, list[str]]) -> None:
    with path.open("rb") as file:
        for line in file:
            rejection = orjson.loads(line)
            ids = named[rejection["reason"]]
            if len(ids) < _NAMED_ROWS:
                ids.append(rejection["id"])


def _usd(amount: float | None) -> str:
    return "unknown (no price for this model)" if amount is None else f"{amount:.4f} USD"


def _total(result: RunResult) -> str:
    costs = [manifest.cost for manifest in result.manifests.values()]
    amounts = [cost.usd for cost in costs if cost.usd is not None]
    sources = ", ".join(sorted({cost.price for cost in costs}))
    return f"{_usd(sum(amounts) if len(amounts) == len(costs) else None)} ({sources})"
