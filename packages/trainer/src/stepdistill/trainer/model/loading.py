"""What every base goes through, whatever its architecture: its config, its weights, its tokenizer.

No code of a base is run (`trust_remote_code=False`), and no pickle is read.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers.configuration_utils import PreTrainedConfig
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)
from transformers.models.auto.tokenization_auto import AutoTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from transformers.utils.hub import cached_file

from stepdistill.trainer.errors import StudentError, is_out_of_memory

_NOT_FOUND = "no such folder here, and the hub did not give it"
_WEIGHTS = ".safetensors"
_OTHERS = {"BF16": torch.bfloat16, "F16": torch.float16}  # precisions, as safetensors has them
_SHOWN = 200  # characters of what a library says


@dataclass(frozen=True, slots=True)
class Base:
    """What was loaded, and whence: for what is said of it."""

    name: str
    model: Any
    tokenizer: PreTrainedTokenizerBase
    lacking: tuple[str, ...] = ()  # weights that it has not, or of another size: they are random

    def refused(self, reason: str) -> StudentError:
        """What is wrong with it, as an error."""
        return StudentError(f"--model {self.name}: {reason}")


def load_config(name: str) -> Any:
    """What a base is, without its weights. Raises StudentError when it cannot be had."""
    try:
        # The hub's code is refused, not asked for: a question may be answered in passing.
        return AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001  # a base is a file of others: any error is its
        raise _unloadable(name, error) from None


def is_encoder(config: Any) -> bool:
    """Whether it can carry a classifier: it reads a whole text at once, and has no decoder."""
    known = (MODEL_FOR_MASKED_LM_MAPPING_NAMES, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)
    has_decoder = getattr(config, "is_encoder_decoder", False)
    return not has_decoder and all(config.model_type in names for names in known)


def load_base(
    name: str, config: Any, classes: Any, *, scratch: Path | None = None, **more: object
) -> Base:
    """Weights in fp32, and the tokenizer. classes: the Auto class. scratch: a folder for weights
    that are stored in another precision, so that they need not all be in memory: those in fp32 are
    read from the base's own files whenever they are wanted. Raises StudentError."""
    dtype = torch.float32 if scratch is None else _stored_dtype(name)
    try:
        model, found = classes.from_pretrained(
            name,
            config=config,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **more,
        )
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001  # likewise
        raise _unloadable(name, error) from None
    other = {key for key, *_ in found["mismatched_keys"]}
    lacking = tuple(sorted({*found["missing_keys"], *other}))
    if scratch is not None and dtype != torch.float32:
        if lacking:  # random ones are drawn in the precision that they are learnt in
            return load_base(name, config, classes, scratch=None, **more)
        _into_fp32(model, scratch)
    return Base(name, model, tokenizer, lacking)


def _stored_dtype(name: str) -> torch.dtype:
    """The precision that all weights of a base are stored in, whatever its config says; fp32 where
    they differ, which loses nothing, or where they are on the hub in several files."""
    try:
        folder = Path(name)
        files = sorted(folder.glob(f"*{_WEIGHTS}")) if folder.is_dir() else []
        files = files or [Path(str(cached_file(name, f"model{_WEIGHTS}")))]
        found = {dtype for path in files for dtype in _dtypes(path)}
    except Exception:  # noqa: BLE001  # what is wrong with it is said where it is loaded
        return torch.float32
    return _OTHERS.get(found.pop(), torch.float32) if len(found) == 1 else torch.float32


def _dtypes(path: Path) -> set[str]:
    with safe_open(path, "pt") as file:
        return {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118


def _into_fp32(model: Any, scratch: Path) -> None:
    """Weights of another precision, each into a file that the system may drop from memory."""
    for number, weight in enumerate(model.parameters()):  # tied ones once
        if weight.dtype != torch.float32:
            path = scratch / str(number)
            weight.data = in_file(weight.data, path, torch.float32)
            path.unlink()  # it is there as long as somebody reads it
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.data = buffer.data.float()
    model.config.dtype = torch.float32


def in_file(weight: torch.Tensor, path: Path, dtype: torch.dtype) -> torch.Tensor:
    """A copy that lies in a file. Raises OSError: the disk is full."""
    size = max(1, weight.numel() * dtype.itemsize)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)  # or a full disk would be a dead process
    copy = torch.from_file(str(path), shared=True, size=weight.numel(), dtype=dtype)
    return copy.view(weight.shape).copy_(weight)


def fit_embedding(base: Base) -> list[str]:
    """Tokens beyond the embedding get a row each, the same on every rank."""
    words = base.model.get_input_embeddings().num_embeddings
    tokens = 1 + max(base.tokenizer.get_vocab().values())
    if tokens <= words:
        return []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        base.model.resize_token_embeddings(tokens, mean_resizing=False)
    _tell_size(base.model.config, words, tokens)
    return [
        f"the tokenizer of {base.name} has {tokens - words:,} tokens more than the model's "
        "embedding: their rows begin at random"
    ]


def _tell_size(config: Any, before: int, now: int) -> None:
    """Encoder and decoder may have configs of their own, of which transformers tells one."""
    if getattr(config, "vocab_size", None) == before:
        config.vocab_size = now
    for part in vars(config).values():
        if isinstance(part, PreTrainedConfig):
            _tell_size(part, before, now)


def _unloadable(name: str, error: Exception) -> StudentError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    first = lines[0] if len(lines[0]) <= _SHOWN else f"{lines[0][:_SHOWN]}..."
    if is_out_of_memory(error):
        return StudentError(f"--model {name}: does not fit into memory ({first})")
    if not Path(name).is_dir():
        return StudentError(f"--model {name}: cannot be loaded, {_NOT_FOUND} ({first})")
    pickled = [path.name for path in sorted(Path(name).glob("*.bin"))]
    if pickled and not any(Path(name).glob("*.safetensors")):
        return StudentError(
            f"--model {name}: its weights are a pickle ({pickled[0]}), which may run code when it "
            "is read: save it as model.safetensors (save_pretrained of transformers does)"
        )
    hint = "the folder lacks a part of a saved model"
    return StudentError(f"--model {name}: cannot be loaded, {hint} ({first})")
