"""An encoder from a folder or the hub becomes a student: a classifier of the task's own labels.

The layer of its labels begins anew, whatever the base was trained for before, and so do its names
of classes; the encoder's weights must all be there. What it cannot read (more tokens than it has
places for) is known from its layers, not from what its config says.
"""

import inspect
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers.models.auto.modeling_auto import AutoModelForSequenceClassification
from transformers.models.modernbert.configuration_modernbert import ModernBertConfig
from transformers.models.modernbert.modeling_modernbert import ModernBertForSequenceClassification

from stepdistill.common.task import LabelSpec
from stepdistill.trainer.errors import StudentError
from stepdistill.trainer.model.families.headed import HeadedFamily
from stepdistill.trainer.model.families.registry import FAMILIES
from stepdistill.trainer.model.heads import Head, head_of
from stepdistill.trainer.model.loading import (
    Base,
    fit_embedding,
    is_encoder,
    load_base,
    load_config,
)
from stepdistill.trainer.model.pretrained import pretrained
from stepdistill.trainer.model.student import HEAD_WIDTH, Student
from stepdistill.trainer.model.tokenizer import Piece, from_pieces
from stepdistill.trainer.settings.train import Size

_UNBOUNDED = 1 << 20  # tokens; tokenizers that know no limit say more


def encoder_base(name: str, head: Head, dropout: float | None, seed: int) -> Student:
    """A classifier on a base of that name, in fp32; the seed decides its head's weights.

    Raises StudentError when it cannot be had, or is no encoder.
    """
    config = _config(name, head)
    for option in _dropouts(config) if dropout is not None else ():
        setattr(config, option, dropout)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        base = load_base(
            name, config, AutoModelForSequenceClassification, ignore_mismatched_sizes=True
        )
        _check(base)
        remarks = _begin_head(base, head)
    return _student(base, head, (*remarks, *fit_embedding(base)))


def trained(folder: Path, spec: LabelSpec | None) -> Student:
    """A student of our own. spec: the labels of a classifier; None: it is none. Raises
    StudentError."""
    if spec is None:
        return pretrained(str(folder), None)
    config = load_config(str(folder))
    names = names_of(config)
    head = head_of(spec, names)
    base = load_base(str(folder), config, AutoModelForSequenceClassification)
    if head.names != names:
        raise base.refused("its config.json names other classes than its task has")
    if base.lacking:
        raise base.refused(f"its weights lack {base.lacking[0]}: the folder is damaged")
    return _student(base, head, ())


def names_of(config: Any) -> tuple[str, ...]:
    """The names of a saved classifier's outputs, in their order."""
    return tuple(name for _, name in sorted(config.id2label.items()))


def scratch_encoder(
    size: Size, pieces: list[Piece], head: Head, seed: int, dropout: float | None
) -> Student:
    """A ModernBERT with random weights over a vocabulary of pieces; the seed decides them."""
    tokenizer = from_pieces(pieces)
    torch.manual_seed(seed)
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=2 * size.width,  # gated: as many weights as 3 times the width
        num_hidden_layers=size.layers,
        num_attention_heads=size.width // HEAD_WIDTH,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        cls_token_id=None,
        sep_token_id=None,
        classifier_pooling="mean",  # the pieces have no mark that stands for a whole text
    )
    for option in _dropouts(config):
        setattr(config, option, dropout or 0.0)
    _name_classes(config, head)
    base = Base("", ModernBertForSequenceClassification(config), tokenizer)
    return _student(base, head, ())


def check_encoder(name: str) -> None:
    """Raises StudentError: there is no such base, or no classifier can be made of it."""
    _refuse_others(name, load_config(name))


def _config(name: str, head: Head) -> Any:
    config = load_config(name)
    _refuse_others(name, config)
    _name_classes(config, head)
    return config


def _refuse_others(name: str, config: Any) -> None:
    kind = config.model_type
    if kind in FAMILIES or getattr(config, "is_encoder_decoder", False):
        raise StudentError(
            f"--model {name}: a {kind} has a decoder: leave --student out, or take an encoder"
        )
    if not is_encoder(config):
        raise StudentError(
            f"--model {name}: a {kind}, --student encoder takes BERT, RoBERTa, DeBERTa, ModernBERT "
            "and their kin"
        )


def _name_classes(config: Any, head: Head) -> None:
    """The task's names in place of whatever the base was trained for."""
    config.id2label = dict(enumerate(head.names))
    config.label2id = {name: number for number, name in enumerate(head.names)}
    config.problem_type = head.problem


def _dropouts(config: Any) -> list[str]:
    """Under whichever names the architecture has for it; None is `as another one says`."""
    found = vars(config).items()
    return [name for name, value in found if "dropout" in name and isinstance(value, int | float)]


def _check(base: Base) -> None:
    """Nothing of the encoder may begin at random: it would be trained from next to nothing."""
    model = base.model
    within = f"{model.base_model_prefix}."
    gone = [name for name in base.lacking if name.startswith(within) and "pooler" not in name]
    if gone:
        raise base.refused(f"its weights lack {len(gone)} of the encoder's, such as {gone[0]}")
    asked = inspect.signature(model.forward).parameters
    if not {"input_ids", "attention_mask"} <= asked.keys():
        raise base.refused(
            f"a {model.config.model_type} reads padding as text, so a row's answer would depend on "
            "its neighbours: take another"
        )


def _begin_head(base: Base, head: Head) -> list[str]:
    """The last layer at random, also where the base has one for as many classes."""
    within, classes = f"{base.model.base_model_prefix}.", len(head.names)
    layers = [
        (name, layer)
        for name, layer in base.model.named_modules()
        if isinstance(layer, nn.Linear)
        and not name.startswith(within)
        and layer.out_features == classes
    ]
    if not layers:
        raise base.refused(f"a {base.model.config.model_type} has no layer for the task's labels")
    name, layer = layers[-1]
    if f"{name}.weight" in base.lacking:
        return []
    for weight in layer.parameters():
        nn.init.normal_(weight, std=getattr(base.model.config, "initializer_range", 0.02))
    return [f"{base.name} is a classifier of {classes} classes: its last layer begins anew"]


def _student(base: Base, head: Head, remarks: tuple[str, ...]) -> Student:
    model, tokenizer = base.model, base.tokenizer
    _check_pad(base)
    longest = _longest(model)
    if tokenizer.model_max_length < _UNBOUNDED:
        longest = min(longest or _UNBOUNDED, tokenizer.model_max_length)
    if longest is not None:
        tokenizer.model_max_length = longest  # so that others cut there, too
    pad = model.config.pad_token_id
    if pad is None:
        pad = tokenizer.pad_token_id
    return Student(
        model=model,
        tokenizer=tokenizer,
        family=HeadedFamily(head, cast("int", pad)),
        head=head,
        longest_input=longest,
        remarks=remarks,
    )


def _check_pad(base: Base) -> None:
    """Only what is masked is padded, so any token serves."""
    tokenizer = base.tokenizer
    marks = (tokenizer.sep_token, tokenizer.eos_token, tokenizer.cls_token, tokenizer.unk_token)
    if tokenizer.pad_token_id is None:
        mark = next((each for each in marks if each is not None), None)
        if mark is None:
            raise base.refused("its tokenizer has no token to pad with (pad_token)")
        tokenizer.pad_token = mark


def _longest(model: nn.Module) -> int | None:
    """Tokens that it has places for; None: as many as one likes. RoBERTa and its kin count places
    from behind the padding's."""
    for name, layer in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(layer, nn.Embedding):
            used = 0 if layer.padding_idx is None else layer.padding_idx + 1
            return layer.num_embeddings - used
    return None
