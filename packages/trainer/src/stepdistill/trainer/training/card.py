"""The card of a student: what it is, how good, and how it is asked without these commands."""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import yaml

from stepdistill.common.manifest import Manifest
from stepdistill.trainer.scores import Score
from stepdistill.trainer.settings.tasks import judged
from stepdistill.trainer.settings.train import SIZES, TrainSettings

_HUB_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}")
_CARD = """---
{head}---

# {task}: a student of {teacher}

{made}

| on {n:,} test rows | accuracy | 95 % interval |
|---|---|---|
{scores}
{notes}
- **Asked like this**: the row as `{template}`{after}.
  `stepdistill predict FOLDER rows.jsonl` does it. By transformers alone (here {version}):

{code}
- **Learnt from** {rows:,} records of split {split}; the manifest's fingerprint is
  `{fingerprint}`.
- **Selected** by validation accuracy{also}, at step {step} of {steps}; seed {seed}.
- {limits}
"""
_PREFIXED = ", after the prefix that `stepdistill.json` names"
_WRITES = """\
      from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

      model = AutoModelForSeq2SeqLM.from_pretrained(FOLDER)
      tokenizer = AutoTokenizer.from_pretrained(FOLDER)
      said = model.generate(**tokenizer([{prefix} + row], return_tensors="pt"))
      print(tokenizer.batch_decode(said, skip_special_tokens=True))
"""
_CLASSIFIES = """\
      from transformers import pipeline

      classify = pipeline("text-classification", FOLDER, truncation=True{every})
      print(classify([{before}row]))
"""


def is_hub_id(name: str) -> bool:
    """Whether a base is a model of the hub: `google/t5-v1_1-small`, and no folder here."""
    return _HUB_ID.fullmatch(name) is not None and name not in SIZES and not Path(name).exists()


def card(
    config: TrainSettings,
    origin: Manifest,
    scores: Mapping[str, Score],
    notes: Sequence[str],
    step: int,
) -> str:
    """The card as the hub takes it. scores: on the test rows. step: at which it was kept."""
    told = {who: scores[who].in_words() for who in ("student", "teacher")}
    kind = _of_classifier(config, origin) if config.is_classifier else _of_writer(config, origin)
    return _CARD.format(
        **kind,
        notes="".join(f"\nNote: {note}.\n" for note in notes),
        head=yaml.safe_dump(_head(config, origin), allow_unicode=True, sort_keys=False),
        version=version("transformers"),
        task=origin.task,
        teacher=origin.teacher.model,
        n=scores["student"].n,
        scores="\n".join(f"| {who} | {share} | {ends} |" for who, (share, ends, _) in told.items()),
        template=origin.student.input.replace("\n", "\\n"),
        rows=origin.counts.records,
        split=origin.split,
        fingerprint=origin.fingerprint,
        also="" if config.selected_by == "label" else " and how it explains",
        step=step,
        steps=config.steps,
        seed=config.seed,
    )


def _head(config: TrainSettings, origin: Manifest) -> dict[str, object]:
    head: dict[str, object] = {"library_name": "transformers"}
    if is_hub_id(config.model):
        head["base_model"] = config.model  # a folder or a size would be taken for somebody's model
    if config.is_classifier:
        head["pipeline_tag"] = "text-classification"
    return {**head, "tags": ["stepdistill", "distillation", origin.task]}


def _of_writer(config: TrainSettings, origin: Manifest) -> dict[str, str]:
    """What is said of a student whose answers are words."""
    base = f"a {config.model} T5 from scratch" if config.model in SIZES else f"`{config.model}`"
    return {
        "made": f"Distilled step by step with stepdistill: {base} learnt from the labels and "
        f"rationales of\n`{origin.teacher.model}` ({config.labels} labels, {config.mode}).",
        "after": _PREFIXED,
        "code": _WRITES.format(prefix=repr(judged(config.table()).prefix)),
        "limits": "It knows the labels of this task alone, and says one whatever it is given. Its "
        "rationales are\n  written beside the label; they are not the grounds it was chosen on.",
    }


def _of_classifier(config: TrainSettings, origin: Manifest) -> dict[str, str]:
    """What is said of an encoder with a head."""
    scratch = config.model in SIZES
    base = f"a {config.model} ModernBERT from scratch" if scratch else f"`{config.model}`"
    teachers = f"the labels of `{origin.teacher.model}`"
    given = "the gold labels" if config.labels == "gold" else teachers
    given += ", as people corrected them" if config.labels == "corrected" else ""
    each, prefix = origin.label.kind == "multi", judged(config.table()).prefix
    return {
        "made": f"A classifier made with stepdistill: {base} learnt from\n"
        f"{given}, without reasons.",
        "after": _PREFIXED if prefix else "",
        "code": _CLASSIFIES.format(
            every=", top_k=None" if each else "", before=f"{prefix!r} + " if prefix else ""
        ),
        "limits": "It knows the labels of this task alone, and says one whatever it is given"
        + (": each class that\n  is likelier than 0.5." if each else "."),
    }
