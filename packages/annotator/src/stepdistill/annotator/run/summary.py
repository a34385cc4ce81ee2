"""What a command ends with: the counts, the cost, why rows were rejected, where things lie."""

from collections import Counter
from pathlib import Path

import orjson
from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
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


def show_run(config: RunSettings, result: RunResult, screen: ConsoleOutput) -> None:
    """The summary for people."""
    if result.waiting:
        screen.show(
            f"{result.waiting:,} requests are in batches at the teacher's; no shards are written "
            "yet. The same command collects them; `annotate batch status` shows how far they are."
        )
        if result.asked:
            screen.show(f"Cost of the {result.asked:,} answers collected: {_usd(result.spent_usd)}")
        return
    if result.already_done:
        screen.show(
            "Already complete: same rows, prompts and teacher; nothing was asked or written."
        )
    screen.table(_counts_table(result.manifests))
    for reason, rows in sorted(_rejected_rows(config, result.manifests).items()):
        screen.show(f"  {reason}: {rows}")
    for reason, n in _dropped(result.manifests).items():
        screen.show(f"  {reason}: {n:,} records without their reasons")
    screen.show(f"{result.asked:,} requests asked, {result.cached:,} answered by the store")
    screen.show(f"Cost of this run: {_usd(result.spent_usd)}")
    screen.show(f"Cost of all answers in these shards: {_total(result)}")
    if config.teacher == SIMULATED:
        screen.show(
            "The teacher was simulated: its labels come from the dataset, with errors on purpose."
        )
    screen.show(f"Shards, rejects and manifests: {config.out}/{{{','.join(result.manifests)}}}/")


def _counts_table(manifests: dict[str, Manifest]) -> Table:
    table = Table("split", box=None, pad_edge=False)
    for name in (
        *("rows", "records", "with reasons", "rejected", "shards"),
        *("prompt tokens", "answer tokens"),
    ):
        table.add_column(name, justify="right")
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
    total: Counter[str] = Counter()
    for manifest in manifests.values():
        total.update(manifest.rationales.dropped if manifest.rationales else {})
    return dict(sorted(total.items()))


def _by_reason(manifests: dict[str, Manifest]) -> dict[str, int]:
    total: dict[str, int] = {}
    for manifest in manifests.values():
        for reason, n in manifest.counts.rejected.items():
            total[reason] = total.get(reason, 0) + n
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
