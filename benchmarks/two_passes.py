"""The original's way to train a step, written down plainly: what train_step.py is set against.

Rows come in random order. Each batch is padded twice by Hugging Face's collator, once for each
task, and passes twice through the whole model; a row without a rationale is explained by a blank;
the vocabulary's logits are computed at every padded place; AdamW is torch's as it comes.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from transformers.data.data_collator import DataCollatorForSeq2Seq
from transformers.models.byt5.tokenization_byt5 import ByT5Tokenizer
from transformers.models.t5.modeling_t5 import T5ForConditionalGeneration

from stepdistill.trainer.data.examples import Example
from stepdistill.trainer.data.tokens import Encode

LONGEST = 1024


class TwoPasses:
    """Steps of this kind. encode: a text's token ids. Precision: the model's own, or bf16."""

    def __init__(
        self, model: T5ForConditionalGeneration, encode: Encode, alpha: float, *, bf16: bool
    ) -> None:
        self._model, self._encode, self._alpha, self._bf16 = model, encode, alpha, bf16
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        # It only pads here, and any tokenizer with T5's pad does that.
        self._collate = DataCollatorForSeq2Seq(ByT5Tokenizer(), model=model)

    def step(self, rows: Sequence[Example]) -> float:
        """Learn the rows; the loss."""
        self._model.train()
        labels = [row.label for row in rows]
        rationales = [row.rationales[0].text if row.rationales else "" for row in rows]
        with torch.autocast(self._model.device.type, torch.bfloat16, enabled=self._bf16):
            label = self._pass("predict: ", rows, labels)
            rationale = self._pass("explain: ", rows, rationales)
        loss = self._alpha * label + (1 - self._alpha) * rationale
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()  # pyright: ignore[reportUnknownMemberType]
        self._optimizer.zero_grad()
        return float(loss.detach())

    def _pass(self, prefix: str, rows: Sequence[Example], said: Sequence[str]) -> torch.Tensor:
        inputs = self._encode([prefix + row.input for row in rows], LONGEST)
        targets = self._encode(said, LONGEST)
        features = [
            {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": target}
            for ids, target in zip(inputs, targets, strict=True)
        ]
        batch = cast(dict[str, Any], self._collate(features))
        moved = {name: values.to(self._model.device) for name, values in batch.items()}
        return self._model(**moved).loss
