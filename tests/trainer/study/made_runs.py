"""Runs of a tracking file, made on the spot."""

from dataclasses import replace

from stepdistill.trainer.study.tracking import Run

PLAIN = Run(
    source="own",
    key="0",
    study="study",
    task="demo",
    data="shards@1a2b3c",
    model="t5-v1_1-base",
    mode="standard",
    labels="gold",
    teacher="",
    mix="",
    templates="",
    subsample=1.0,
    alpha=0.5,
    max_input_tokens=512,
    batch_size=32,
    optimizer="AdamW",
    lr=3e-4,
    settings="{}",
    seed=0,
    seconds=100.0,
    ranks=1,
    steps=1000,
    test_accuracy=0.5,
    valid_accuracy=0.5,
    test_rows=200,
    train_rows=1000,
    rationale_rate=0.0,
)


def made(**changes: object) -> Run:
    """A run like PLAIN but for the changes; its key is made of them."""
    return replace(PLAIN, key=repr(sorted(changes.items())), **changes)  # pyright: ignore[reportArgumentType]
