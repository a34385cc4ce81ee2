"""Tiny encoders as others save theirs: a masked language model, its config and its tokenizer."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForPreTraining,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

WIDTH, HEADS, LAYERS, PLACES = 32, 2, 2, 200
_BERT = {
    "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS, "max_position_embeddings": PLACES,
}  # fmt: skip


class Marks(NamedTuple):
    """A tokenizer's marks, in the order of their ids."""

    names: list[str]
    begin: str
    end: str
    pad: str
    unknown: str
    mask: str


_OF_BERT = Marks(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"
)
_OF_ROBERTA = Marks(
    ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<s>", "</s>", "<pad>", "<unk>", "<mask>"
)


def made_encoder(family: str, folder: Path, texts: Iterable[str]) -> Path:
    """A base of a family, whose tokenizer was made of the texts."""
    torch.manual_seed(0)
    model, config, tokenizer, more = ENCODERS[family]
    made = tokenizer([*texts])
    if family != "roberta":  # many tokenizers know of no limit
        made.model_max_length = more.get("max_position_embeddings", PLACES)
    marks = {"vocab_size": len(made) + 8, "pad_token_id": made.pad_token_id}
    model(config(**marks, **more)).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def _tokenizer(made: Tokenizer, trainer: Any, texts: list[str], marks: Marks) -> Any:
    made.train_from_iterator(texts, trainer)
    ids = [(mark, made.token_to_id(mark)) for mark in (marks.begin, marks.end)]
    made.post_processor = processors.TemplateProcessing(
        single=f"{marks.begin} $A {marks.end}", special_tokens=cast(Any, ids)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, cls_token=marks.begin, sep_token=marks.end, pad_token=marks.pad,
        unk_token=marks.unknown, mask_token=marks.mask,
    )  # fmt: skip


def _word_pieces(texts: list[str]) -> Any:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=500, special_tokens=_OF_BERT.names, show_progress=False
    )
    return _tokenizer(made, trainer, texts, _OF_BERT)


def _bytes_pairs(marks: Marks) -> Callable[[list[str]], Any]:
    def make(texts: list[str]) -> Any:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=marks.names,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        return _tokenizer(made, trainer, texts, marks)

    return make


def _unigrams(marks: Marks) -> Callable[[list[str]], Any]:
    def make(texts: list[str]) -> Any:
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=500, special_tokens=marks.names, unk_token=marks.unknown, show_progress=False
        )
        return _tokenizer(made, trainer, texts, marks)

    return make


class _Made(NamedTuple):
    model: Any
    config: Any
    tokenizer: Callable[[list[str]], Any]
    more: dict[str, Any]


_DISTILLED = {
    "dim": WIDTH, "hidden_dim": 2 * WIDTH, "n_heads": HEADS, "n_layers": LAYERS,
    "max_position_embeddings": PLACES,
}  # fmt: skip
_DEBERTA = {
    "relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False,
    "type_vocab_size": 0,
}  # fmt: skip
_MODERN = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}

ENCODERS: dict[str, _Made] = {
    "bert": _Made(BertForMaskedLM, BertConfig, _word_pieces, _BERT),
    "roberta": _Made(RobertaForMaskedLM, RobertaConfig, _bytes_pairs(_OF_ROBERTA), _BERT),
    "xlm-roberta": _Made(XLMRobertaForMaskedLM, XLMRobertaConfig, _unigrams(_OF_ROBERTA), _BERT),
    "distilbert": _Made(DistilBertForMaskedLM, DistilBertConfig, _word_pieces, _DISTILLED),
    "electra": _Made(
        ElectraForPreTraining, ElectraConfig, _word_pieces, {**_BERT, "embedding_size": WIDTH}
    ),
    "deberta-v3": _Made(
        DebertaV2ForMaskedLM, DebertaV2Config, _unigrams(_OF_BERT), {**_BERT, **_DEBERTA}
    ),
    "albert": _Made(
        AlbertForMaskedLM, AlbertConfig, _unigrams(_OF_BERT), {**_BERT, "embedding_size": 16}
    ),
    "modernbert": _Made(
        ModernBertForMaskedLM,
        ModernBertConfig,
        _bytes_pairs(_OF_BERT),
        {**_BERT, **_MODERN, "max_position_embeddings": 8192},
    ),
}
