#!/usr/bin/env python3
"""Does the original's recipe collapse to one label, and does warm-up cure it? A small stand-in.

The original fine-tuned T5 at a rate that starts at its peak; on anli1 with labels alone, 35 of its
60 runs ended at chance. No pretrained T5 is needed here: a T5 of 6 + 6 layers first learns the demo
task from scratch, with warm-up (the stand-in for pretraining), and is then fine-tuned on the same
problems under other label names, by the preset `original` at several rates, with warm-up and
without, several seeds each. A run has collapsed when 95 % of its answers on the test rows are one
label. Everything runs through the trainer's own command.

Examples:

    python benchmarks/collapse.py --json benchmarks/results/collapse.json   # half an hour of a core
    python benchmarks/collapse.py --smoke
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import Figure, Results, parser, report, run_measured

RENAMED = {
    "addition": "plus",
    "subtraction": "minus",
    "multiplication": "times",
    "division": "share",
}
COLLAPSED = 0.95
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is trained. layers: of the stand-in, in encoder and decoder each."""

    layers: int
    pretraining: int
    steps: int
    warmup: int
    rates: tuple[float, ...]
    modes: tuple[str, ...]
    seeds: int


def options() -> argparse.Namespace:
    given = parser(__doc__, rounds=5)
    given.add_argument("--rates", type=float, nargs="+", default=[3e-3, 6e-3, 1e-2])
    given.add_argument("--modes", nargs="+", default=["standard"], help="also step-by-step")
    return given.parse_args()


def main() -> int:
    given = options()
    plan = Plan(
        layers=2 if given.smoke else 6,
        pretraining=4 if given.smoke else 500,
        steps=4 if given.smoke else 120,
        warmup=2 if given.smoke else 60,
        rates=tuple(given.rates[:1] if given.smoke else given.rates),
        modes=tuple(given.modes),
        seeds=1 if given.smoke else given.rounds,
    )
    settings = {name: getattr(plan, name) for name in Plan.__dataclass_fields__}
    results = Results(benchmark="collapse", settings=settings)
    with tempfile.TemporaryDirectory() as home:
        measure(Path(home), plan, results)
    return report(results, given)


def measure(home: Path, plan: Plan, results: Results) -> None:
    os.environ["DS_ACCELERATOR"] = "cpu"
    os.environ["XDG_CACHE_HOME"] = str(home)
    known, renamed = shards(home)
    base, accuracy = pretrained(home, known, plan)
    results.figures.append(Figure(name="stand-in, its own task", samples=[accuracy], unit=""))
    for mode in plan.modes:
        for rate in plan.rates:
            for warmup in (0, plan.warmup):
                name = f"{mode}, lr {rate:g}, {warmup or 'no'} warm-up steps"
                line = ["--preset=original", f"--lr={rate}", f"--warmup={warmup}"]
                line += [f"--mode={mode}", f"--steps={plan.steps}", f"--model={base}"]
                runs = [
                    train(home / "run", renamed, *line, f"--seed={seed}")
                    for seed in range(plan.seeds)
                ]
                results.raw.extend(
                    {"run": name, "seed": seed, "accuracy": right, "most named": most}
                    for seed, (right, most) in enumerate(runs)
                )
                collapsed = sum(most >= COLLAPSED for _, most in runs)
                accuracies = [right for right, _ in runs]
                results.figures += [
                    Figure(name=f"{name}: accuracy", samples=accuracies, unit=""),
                    Figure(name=f"{name}: collapsed", samples=[collapsed], unit="runs"),
                ]
                print(f"{name}: {collapsed} of {len(runs)}, {accuracies}", file=sys.stderr)


def shards(home: Path) -> tuple[Path, Path]:
    """The demo task, and the same rows under other names of the labels."""
    command = [Path(sys.executable).with_name("annotate"), "run", "demo", "--teacher", "simulated"]
    command += [word for split in SPLITS for word in ("--split", split)]
    root = Path(__file__).resolve().parents[1]
    known = home / "demo"
    run_measured([*command, "--out", known, "--store", home / "store"], cwd=root)
    for split in SPLITS:
        rename(known / split, home / "renamed" / split)
    return known, home / "renamed"


def rename(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    manifest = json.loads((source / "manifest.json").read_bytes())
    classes = manifest["label"]["classes"]
    manifest["label"]["classes"] = {RENAMED[name]: classes[name] for name in classes}
    for shard in manifest["shards"]:
        rows = [json.loads(line) for line in (source / shard["file"]).read_bytes().splitlines()]
        for row in rows:
            row["label"], row["gold"] = RENAMED[row["label"]], RENAMED[row["gold"]]
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (folder / shard["file"]).write_bytes(content)
        shard.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def pretrained(home: Path, data: Path, plan: Plan) -> tuple[Path, float]:
    """The stand-in for a pretrained student: its folder, and its accuracy on its own task."""
    import torch
    from transformers.models.auto.tokenization_auto import AutoTokenizer
    from transformers.models.t5.configuration_t5 import T5Config
    from transformers.models.t5.modeling_t5 import T5ForConditionalGeneration

    torch.set_num_threads(1)
    train(home / "tokens", data, "--model=tiny", "--steps=1", "--mode=standard")
    tokenizers: Any = AutoTokenizer
    tokenizer = tokenizers.from_pretrained(home / "tokens" / "model")
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    shape = {"d_model": 64, "d_kv": 16, "d_ff": 256, "num_heads": 4, "num_layers": plan.layers}
    ends = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    settings: dict[str, Any] = {"vocab_size": len(tokenizer), **shape, **ends}
    model: Any = T5ForConditionalGeneration(T5Config(**settings))
    for part in (model, tokenizer):
        part.save_pretrained(home / "random")
    line = [f"--model={home / 'random'}", f"--steps={plan.pretraining}", "--lr=1e-3"]
    right, _ = train(home / "base", data, *line, "--warmup=100", "--mode=standard")
    return home / "base" / "model", right


def train(output: Path, data: Path, *line: str) -> tuple[float, float]:
    """One run of the trainer on gold labels: accuracy on test, share of the label named most."""
    from stepdistill.trainer.main import main as trainer

    given = [f"--{split}={data / split}" for split in SPLITS]
    given += [f"--output={output}", "--labels=gold", "--batch-size=16", "--eval-every=60"]
    with contextlib.redirect_stdout(io.StringIO()):
        code = trainer([*given, *line, "--quiet", "--force"])
    if code:
        raise RuntimeError(f"{line}: exit {code}")
    student = json.loads((output / "results.json").read_bytes())["test"]["student"]
    most = max(one["named"] for one in student["classes"].values()) / student["n"]
    return student["accuracy"], most


if __name__ == "__main__":
    sys.exit(main())
