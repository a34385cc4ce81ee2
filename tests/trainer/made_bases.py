"""Tiny bases as others save theirs: a folder of weights, a config and a tokenizer, by family."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    ByT5Tokenizer,
    MT5Config,
    MT5ForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    T5Gemma2Config,
    T5Gemma2ForConditionalGeneration,
    T5GemmaConfig,
    T5GemmaForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
)

from stepdistill.trainer.model.tokenizer import from_pieces, train_pieces

WIDTH, HEADS, LAYERS = 32, 2, 1
_T5 = {
    "d_model": WIDTH, "d_kv": WIDTH // HEADS, "d_ff": 2 * WIDTH, "num_heads": HEADS,
    "num_layers": LAYERS, "num_decoder_layers": LAYERS, "pad_token_id": 0, "eos_token_id": 1,
    "decoder_start_token_id": 0, "dropout_rate": 0.0,
}  # fmt: skip
_GEMMA = {
    "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "head_dim": WIDTH // HEADS,
    "query_pre_attn_scalar": WIDTH // HEADS, "sliding_window": 64,
    "layer_types": ["full_attention"] * LAYERS,
}  # fmt: skip

_V1_1 = {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"}
_GEMMA_MARKS = ["<pad>", "<eos>", "<bos>", "<unk>"]


def made_base(family: str, folder: Path, texts: Iterable[str]) -> Path:
    """A base of a family that can spell the texts."""
    torch.manual_seed(0)
    return FAMILIES[family](folder, [*texts])


def _saved(folder: Path, model: Any, tokenizer: Any) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _t5(config: type[Any], model: type[Any], **more: object) -> Callable[[Path, list[str]], Path]:
    def make(folder: Path, texts: list[str]) -> Path:
        tokenizer = from_pieces(train_pieces(texts))
        # As T5's own: some rows are never used.
        made = model(config(vocab_size=len(tokenizer) + 28, **_T5, **more))
        return _saved(folder, made, tokenizer)

    return make


def _byt5(folder: Path, texts: list[str]) -> Path:
    made = T5ForConditionalGeneration(cast(Any, T5Config)(vocab_size=384, **_T5))
    return _saved(folder, made, ByT5Tokenizer())


def _bytes_pairs(
    texts: list[str], marks: list[str], begin: str, end: str, *, behind: bool
) -> PreTrainedTokenizerFast:
    """marks: in the order of their ids. behind: the end mark is added to each text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=marks,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    ids = [(mark, made.token_to_id(mark)) for mark in (begin, end)]
    made.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}" if behind else f"{begin} $A", special_tokens=ids
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=begin, eos_token=end, pad_token="<pad>", unk_token="<unk>"
    )


def _bart(folder: Path, texts: list[str]) -> Path:
    tokenizer = _bytes_pairs(texts, ["<s>", "<pad>", "</s>", "<unk>"], "<s>", "</s>", behind=True)
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
        encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=2 * WIDTH,
        decoder_ffn_dim=2 * WIDTH, max_position_embeddings=600, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2, dropout=0.0,
    )  # fmt: skip
    return _saved(folder, BartForConditionalGeneration(config), tokenizer)


def _t5gemma(folder: Path, texts: list[str]) -> Path:
    tokenizer = _bytes_pairs(texts, _GEMMA_MARKS, "<bos>", "<eos>", behind=False)
    part = {**_GEMMA, "vocab_size": len(tokenizer)}
    config = T5GemmaConfig(encoder=part, decoder=part, vocab_size=len(tokenizer))
    return _saved(folder, T5GemmaForConditionalGeneration(config), tokenizer)


def _t5gemma2(folder: Path, texts: list[str]) -> Path:
    tokenizer = _bytes_pairs(texts, _GEMMA_MARKS, "<bos>", "<eos>", behind=False)
    part = {**_GEMMA, "vocab_size": len(tokenizer) + 4}
    eyes = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 1, "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    first = len(tokenizer)
    encoder = {
        "text_config": part, "vision_config": eyes, "mm_tokens_per_image": 4,
        "boi_token_index": first, "eoi_token_index": first + 1,
    }  # fmt: skip
    config = cast(Any, T5Gemma2Config)(encoder=encoder, decoder=part, image_token_index=first + 2)
    return _saved(folder, T5Gemma2ForConditionalGeneration(config), tokenizer)


FAMILIES: dict[str, Callable[[Path, list[str]], Path]] = {
    "t5": _t5(T5Config, T5ForConditionalGeneration),
    "t5 v1.1": _t5(T5Config, T5ForConditionalGeneration, **_V1_1),
    "mt5": _t5(MT5Config, MT5ForConditionalGeneration),
    "umt5": _t5(UMT5Config, UMT5ForConditionalGeneration),
    "byt5": _byt5,
    "bart": _bart,
    "t5gemma": _t5gemma,
    "t5gemma2": _t5gemma2,
}
