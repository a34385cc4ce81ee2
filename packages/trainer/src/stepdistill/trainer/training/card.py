"""The model card: what the student is, what it learnt from, how good it is."""

from stepdistill.common.manifest import Manifest
from stepdistill.trainer.settings.train import TrainSettings

_CARD = """---
library_name: transformers
base_model: {base}
tags: [stepdistill, distillation, {task}]
---

# {task}: a student of {teacher}

Distilled step by step with stepdistill: a T5 that learnt from the labels and rationales of
`{teacher}` ({labels} labels, {mode}).

| on {n:,} test rows | accuracy | 95 % interval |
|---|---|---|
{scores}

- **Asked like this**: the row as `{template}`, after the prefix that `stepdistill.json` names.
  `stepdistill predict FOLDER rows.jsonl` does it.
- **Learnt from** {rows:,} records of split {split}; the manifest's fingerprint is
  `{fingerprint}`.
- **Selected** by validation accuracy, at step {step} of {steps}; seed {seed}.
- It knows the labels of this task alone, and says one whatever it is given. Its rationales are
  written beside the label; they are not the grounds it was chosen on.
"""


def card(
    config: TrainSettings,
    origin: Manifest,
    scores: dict[str, tuple[float, float, float]],
    n: int,
    step: int,
) -> str:
    """scores: name -> (accuracy, low, high) on n test rows. step: of the best exam."""
    lines = [
        f"| {who} | {a:.3f} | {low:.3f} - {high:.3f} |" for who, (a, low, high) in scores.items()
    ]
    return _CARD.format(
        base=config.model,
        task=origin.task,
        teacher=origin.teacher.model,
        labels=config.labels,
        mode=config.mode,
        n=n,
        scores="\n".join(lines),
        template=origin.student.input.replace("\n", "\\n"),
        rows=origin.counts.records,
        split=origin.split,
        fingerprint=origin.fingerprint,
        step=step,
        steps=config.steps,
        seed=config.seed,
    )
