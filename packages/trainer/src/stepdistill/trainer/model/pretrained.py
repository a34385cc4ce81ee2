"""A base from a folder or the hub becomes a student: loaded, checked, and mended where it can be.

What a base brings along from its former work (shortest answers, penalties, forced words) is left
behind: a student says what its weights say. No code of a base is run, and no pickle is read.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from tokenizers import processors
from transformers.generation.configuration_utils import GenerationConfig
from transformers.models.auto.modeling_auto import AutoModelForSeq2SeqLM
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from stepdistill.trainer.errors import StudentError
from stepdistill.trainer.model.families.registry import FAMILIES
from stepdistill.trainer.model.families.t5 import T5Family
from stepdistill.trainer.model.loading import (
    Base,
    fit_embedding,
    is_encoder,
    load_base,
    load_config,
)
from stepdistill.trainer.model.student import Student

_PROBE = "a b"
# What transformers 4 does with a model of that config, beside what it generates by.
_OLDER_HABITS = ("task_specific_params", "prefix", "forced_decoder_ids")


def pretrained(name: str, dropout: float | None, scratch: Path | None = None) -> Student:
    """A student from a folder or the hub, in fp32. scratch: see `load_base`. Raises StudentError
    when it cannot be had."""
    config = config_of(name)
    _set_dropout(config, dropout)
    base = load_base(name, config, AutoModelForSeq2SeqLM, scratch=scratch)
    _check_marks(base)
    remarks = (*_end_answers(base), *fit_embedding(base))
    _leave_habits_behind(base)
    family = FAMILIES[config.model_type]
    return Student(model=base.model, tokenizer=base.tokenizer, family=family, remarks=remarks)


def config_of(name: str) -> Any:
    """What a base is, without its weights. Raises StudentError: it cannot be had, or is of a family
    that cannot be a student."""
    config = load_config(name)
    if config.model_type not in FAMILIES:
        known = ", ".join(FAMILIES)
        hint = "; --student encoder makes a classifier of it" if is_encoder(config) else ""
        raise StudentError(
            f"--model {name}: a {config.model_type}, the student must be one of {known}{hint}"
        )
    return config


def _set_dropout(config: Any, dropout: float | None) -> None:
    """Under whichever names the family has for it."""
    if dropout is None:
        return
    parts = [config, *(getattr(config, part, None) for part in ("encoder", "decoder"))]
    for part in parts:
        for name in ("dropout_rate", "dropout"):
            if hasattr(part, name):
                setattr(part, name, dropout)


def _check_marks(base: Base) -> None:
    """Answers begin and end with marks that model and tokenizer both know."""
    model, tokenizer = base.model, base.tokenizer
    if tokenizer.eos_token_id is None:
        raise base.refused("its tokenizer has no end mark (eos_token), so no answer would end")
    if tokenizer.pad_token_id is None:
        # Only what is masked is padded, so any token serves.
        tokenizer.pad_token = tokenizer.eos_token
    start = next((each for each in _starts(model, tokenizer) if isinstance(each, int)), None)
    if start is None:
        raise base.refused("its config names no decoder_start_token_id, and no pad or bos token")
    model.config.decoder_start_token_id = start


def _starts(model: Any, tokenizer: PreTrainedTokenizerBase) -> tuple[object, ...]:
    """What answers may begin behind, the surest first: T5's own rule is the pad token."""
    config, given = model.config, model.generation_config
    decoder = getattr(config, "decoder", None)
    is_t5 = isinstance(FAMILIES[config.model_type], T5Family)
    return (
        getattr(config, "decoder_start_token_id", None),
        getattr(given, "decoder_start_token_id", None),
        getattr(config, "pad_token_id", None) if is_t5 else None,
        getattr(decoder, "bos_token_id", None),
        getattr(config, "bos_token_id", None),
        tokenizer.bos_token_id,
        tokenizer.pad_token_id,
    )


def _end_answers(base: Base) -> list[str]:
    """A tokenizer that adds no end mark is made to: what is never taught to end never does."""
    tokenizer = base.tokenizer
    if _ends(tokenizer):
        return []
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise base.refused("its tokenizer adds no end mark, and cannot be made to")
    given, bare = (
        cast("list[int]", tokenizer(_PROBE, add_special_tokens=marked)["input_ids"])
        for marked in (True, False)
    )
    mark = str(tokenizer.eos_token)
    before = cast("list[str]", tokenizer.convert_ids_to_tokens(given[: len(given) - len(bare)]))
    marks = [(each, tokenizer.convert_tokens_to_ids(each)) for each in (*before, mark)]
    # What it puts before a text stays there.
    backend.post_processor = processors.TemplateProcessing(
        single=" ".join((*before, "$A", mark)), special_tokens=cast(Any, marks)
    )
    if not _ends(tokenizer):
        raise base.refused("its tokenizer adds no end mark, and cannot be made to")
    return [f"the tokenizer of {base.name} adds no end mark: {mark} is put behind every text"]


def _ends(tokenizer: PreTrainedTokenizerBase) -> bool:
    ids = cast("list[int]", tokenizer(_PROBE)["input_ids"])
    return bool(ids) and ids[-1] == tokenizer.eos_token_id


def _leave_habits_behind(base: Base) -> None:
    """The marks alone decide how an answer goes: no shortest length, no penalty, no beams."""
    model, tokenizer = base.model, base.tokenizer
    kept = {field.name for field in fields(model.config)} | {"decoder_start_token_id", "use_cache"}
    for name in (*GenerationConfig().to_dict(), *_OLDER_HABITS):
        # Older bases keep these in config.json: saving would carry them on, or refuse.
        if name in vars(model.config) and name not in kept:
            delattr(model.config, name)
    model.generation_config = GenerationConfig(
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=model.config.decoder_start_token_id,
    )
