#!/usr/bin/env python3
"""Rows that a student learns in a second, against the original's way to do it (two_passes.py).

Both learn the very same rows, of lengths as NLI has them, with the same model from the same random
weights, in turns: the ratio is what counts. Ours is the trainer's own step, DeepSpeed, arranging of
rows and making of batches included. On a CPU one thread works, and CPU seconds are counted; on a
GPU the seconds are those of the clock, and the useful work is set against the device's peak.

Examples:

    python benchmarks/train_step.py --check --json benchmarks/results/train_step.json
    python benchmarks/train_step.py --shape base --batch-size 256 --peak 989   # on a GPU
    python benchmarks/train_step.py --shape base --curve 16 32 64 128 256      # on a GPU
    python benchmarks/train_step.py --kinds svamp --shares none --pack 128
"""

import argparse
import sys

from measuring import Figure, Results, parser, report

SHAPES, KINDS = ("toy", "small", "base"), ("anli", "esnli", "svamp")
SHARES = {"none": 0.0, "a third": 1 / 3, "all": 1.0}
RATIO_BARS = {"a third": 2.5, "all": 1.8}
# Of smaller batches less is padding, on either side.
FEW_ROWS, FEW_BARS = 32, {"all": 1.6}
GPU_ROWS_BAR, GPU_PEAK_BAR, GPU_THIRD_BAR = 400.0, 0.3, 1.5
UNITS = {
    "ours / original": "x",
    "ours": "rows/s",
    "original": "rows/s",
    "useful TFLOP/s": "TFLOP/s",
    "share of peak": "",
}


def bar(what: str, share: str, batch_size: int, *, on_gpu: bool) -> float | None:
    """The bar of a figure; None where it has none."""
    if what == "ours / original":
        return (RATIO_BARS if batch_size >= FEW_ROWS else FEW_BARS).get(share)
    if not on_gpu or share != "all":
        return None
    return {"ours": GPU_ROWS_BAR, "share of peak": GPU_PEAK_BAR}.get(what)


def skipped(name: str, ours: dict[str, list[float]], *, on_gpu: bool) -> list[Figure]:
    """What rows without a rationale save, if both shares were measured. ours: share -> rows/s."""
    if not {"a third", "all"} <= ours.keys():
        return []
    samples = [few / every for few, every in zip(ours["a third"], ours["all"], strict=True)]
    floor = GPU_THIRD_BAR if on_gpu else None
    return [Figure(name=f"{name}: a third / all", samples=samples, unit="x", at_least=floor)]


def options() -> argparse.Namespace:
    given = parser(__doc__, rounds=3)
    given.add_argument("--shape", choices=SHAPES, default="small", help="of the student (small)")
    given.add_argument("--kinds", choices=KINDS, nargs="+", default=KINDS[:2], help="of rows (NLI)")
    given.add_argument("--shares", choices=SHARES, nargs="+", default=["a third", "all"],
                       help="of rows with a rationale (a third, all)")  # fmt: skip
    given.add_argument("--batch-size", type=int, default=32, help="rows a step (32)")
    given.add_argument("--steps", type=int, default=8, help="steps a measurement (8)")
    given.add_argument("--compile", action="store_true", help="with torch.compile")
    given.add_argument("--pack", type=int, help="inputs share lines of so many tokens")
    given.add_argument("--peak", type=float, help="the device's TFLOP/s, where it is not known")
    given.add_argument("--curve", type=int, nargs="+", help="these batch sizes, one after another")
    return given.parse_args()


def main() -> int:
    given = options()
    if given.smoke:
        given.shape, given.batch_size, given.steps, given.rounds = "toy", 8, 2, 1
        given.kinds = KINDS[1:2]
    from learning import Setting, device_name, measure  # late: torch takes ten seconds

    kept = {name: getattr(given, name) for name in ("shape", "steps", "rounds", "compile", "pack")}
    results = Results(benchmark="train_step", settings={**kept, "device": device_name()})
    on_gpu = device_name() != "cpu"
    for batch_size in given.curve or [given.batch_size]:
        setting = Setting(
            shape=given.shape,
            batch_size=batch_size,
            steps=given.steps,
            compile=given.compile,
            pack=given.pack,
            peak=given.peak,
        )
        for kind in given.kinds:
            ours: dict[str, list[float]] = {}
            for share in given.shares:
                rounds = [measure(kind, SHARES[share], setting) for _ in range(given.rounds)]
                ours[share] = [values["ours"] for values in rounds]
                name = f"{kind}, {share} explained, {batch_size} rows a step"
                results.raw.extend({"rows of": name, **values} for values in rounds)
                results.figures += [
                    Figure(
                        name=f"{name}: {what}",
                        samples=[values[what] for values in rounds],
                        unit=UNITS[what],
                        at_least=bar(what, share, batch_size, on_gpu=on_gpu),
                    )
                    for what in rounds[0]
                ]
            results.figures += skipped(f"{kind}, {batch_size} rows a step", ours, on_gpu=on_gpu)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
