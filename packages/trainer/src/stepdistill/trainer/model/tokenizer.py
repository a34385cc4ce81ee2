"""The student's tokenizer: a pretrained one, or a small one made from the training texts."""

import hashlib
import io
import json
import re
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import orjson
import sentencepiece
from transformers.models.t5.tokenization_t5 import T5Tokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from stepdistill.common.labels import plain
from stepdistill.trainer.data.tokens import Encode

_PIECES = 2000
_OF_LOADING = ("backend", "is_local", "local_files_only")  # how it was opened: nobody's business
_SPECIAL = 3
_UNBOUNDED = 1 << 20
_CHARACTERS_PER_TOKEN = 64  # of no text in any language

Piece = tuple[str, float]


def train_pieces(texts: Iterable[str], pieces: int = _PIECES) -> list[Piece]:
    """A unigram vocabulary of about `pieces` (fewer where the texts do not hold as many).

    The same texts give the same pieces. Digits stand alone, so that a number unseen in training is
    spelt from known pieces.
    """
    lines = [" ".join(text.split()) for text in texts]
    characters = len(set().union(*lines))
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=trained,
        vocab_size=max(pieces, 2 * characters + _SPECIAL),
        hard_vocab_limit=False,
        model_type="unigram",
        character_coverage=1.0,
        split_digits=True,
        # T5Tokenizer normalises nothing where it gets no table, so neither does the training.
        normalization_rule_name="identity",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    made = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    return [(made.id_to_piece(i), made.get_score(i)) for i in range(made.get_piece_size())]


def from_pieces(pieces: list[Piece]) -> PreTrainedTokenizerBase:
    """The tokenizer of a vocabulary from `train_pieces`."""
    return T5Tokenizer(vocab=pieces, extra_ids=0)


# A tokenizer keeps the length that it cuts at as its state, and is asked by several threads, in
# serve and in people's programs: one would cut at the length of another.
_ONE_AT_A_TIME = threading.Lock()


def encoder_of(tokenizer: PreTrainedTokenizerBase) -> Encode:
    """The tokenizer as the one verb that the data stage asks for. Its own marks (`</s>`) in a text
    are text: read as marks they would end it."""
    marks = marks_of(tokenizer)

    def encode(texts: Sequence[str], longest: int) -> list[list[int]]:
        if not texts:
            return []
        # Far more than is read: to spell megabytes of which 512 tokens count takes seconds.
        most = longest * _CHARACTERS_PER_TOKEN
        plain_texts = [marks.sub(_opened, text[:most]) for text in texts]
        with _ONE_AT_A_TIME:
            cut = tokenizer(plain_texts, truncation=True, max_length=longest)
        return cast(list[list[int]], cut["input_ids"])

    return encode


def marks_of(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """What a tokenizer reads as its own marks, wherever it stands."""
    marks = sorted(map(str, tokenizer.all_special_tokens), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, marks)) or r"(?!)")


def _opened(mark: re.Match[str]) -> str:
    """`< /s>` for `</s>`."""
    return f"{mark[0][0]} {mark[0][1:]}"


def unknown_characters(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> set[str]:
    """Those that are the same to the student, whichever they are: its vocabulary lacks them."""
    characters = sorted({c for c in set().union(*texts) if not c.isspace()})
    if not characters or tokenizer.unk_token_id is None:
        return set()
    ids = cast(list[list[int]], tokenizer(characters, add_special_tokens=False)["input_ids"])
    return {c for c, each in zip(characters, ids, strict=True) if tokenizer.unk_token_id in each}


def unwritable_label(tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> str | None:
    """The first label that does not come back from its token ids; None: all do."""
    written = tokenizer.batch_decode(
        encoder_of(tokenizer)(labels, _UNBOUNDED), skip_special_tokens=True
    )
    pairs = zip(labels, written, strict=True)
    return next((label for label, text in pairs if plain(text) != plain(label)), None)


def writes(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    """Whether a text comes back, letter by letter, between two others."""
    ids = encoder_of(tokenizer)([f"1{text}1"], _UNBOUNDED)
    return text.strip() in tokenizer.batch_decode(ids, skip_special_tokens=True)[0]


def label_over(
    tokenizer: PreTrainedTokenizerBase, labels: Sequence[str], longest: int
) -> tuple[str, int] | None:
    """The first label of more than `longest` tokens, and its tokens; None: there is none."""
    lengths = map(len, encoder_of(tokenizer)(labels, _UNBOUNDED))
    return next((pair for pair in zip(labels, lengths, strict=True) if pair[1] > longest), None)


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a tokenizer so that transformers 4 opens it, too, which most people still have: version
    5 calls two things otherwise, and reads the older names."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_bytes())  # its longest length is an integer of 100 bits
    if isinstance(config.get("extra_special_tokens"), list):
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        config["model_input_names"] = [*tokenizer.model_input_names]  # its own has one more
    for name in _OF_LOADING:
        config.pop(name, None)
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def fingerprint_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """sha256 of all its pieces and of how it spells a probe: other tokens, other fingerprint."""
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda piece: piece[1])
    probe = cast(list[int], tokenizer(" Probe 12.5%\n(a) naïve ")["input_ids"])
    return hashlib.sha256(orjson.dumps([pieces, probe])).hexdigest()
