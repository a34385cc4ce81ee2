"""The two sides of train_step.py, on rows of words that are numbers, of lengths as NLI has them."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.models.byt5.tokenization_byt5 import ByT5Tokenizer
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5ForConditionalGeneration

from stepdistill.trainer.data.batches import Layout
from stepdistill.trainer.data.examples import Example, TaskText
from stepdistill.trainer.data.plan import StepPlan, StepSettings
from stepdistill.trainer.data.tokens import LengthLimits, tokenise
from stepdistill.trainer.model.families.t5 import T5Family
from stepdistill.trainer.model.student import Student, compile_student, flops, known_peak
from stepdistill.trainer.ranks.place import stand_alone
from stepdistill.trainer.settings.tasks import table_of
from stepdistill.trainer.training.engine import Engine, EngineSettings, start, stop
from two_passes import TwoPasses

ALPHA = 0.5
# Log-normal: (mean of the log, its deviation) of an input's tokens, as these datasets have them
# (words counted in 6,000 rows, svamp's in 800, 1.4 tokens a word); rationales as long as anli's.
INPUTS = {"anli": (4.49, 0.15), "esnli": (3.28, 0.33), "svamp": (3.76, 0.25)}
RATIONALE = (3.25, 0.64)
SHAPES: dict[str, dict[str, Any]] = {
    "toy": {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_heads": 4, "num_layers": 2},
    "small": {"d_model": 256, "d_kv": 64, "d_ff": 1024, "num_heads": 4, "num_layers": 4},
    "base": {"d_model": 768, "d_kv": 64, "d_ff": 2048, "num_heads": 12, "num_layers": 12},
}
VOCABULARY = 32128


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What learns, and how much of it. peak: the device's TFLOP/s, None: look it up."""

    shape: str
    batch_size: int
    steps: int
    compile: bool = False
    pack: int | None = None
    peak: float | None = None

    @property
    def device(self) -> torch.device:
        """A GPU where there is one."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def bf16(self) -> bool:
        """As the trainer has it: on a GPU."""
        return self.device.type == "cuda"

    def model(self) -> T5ForConditionalGeneration:
        """The student, from the same random weights each time."""
        torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
        settings: dict[str, Any] = {"vocab_size": VOCABULARY, "decoder_start_token_id": 0}
        if self.shape == "base":
            settings |= {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
        config = T5Config(**settings, **SHAPES[self.shape])
        model: Any = T5ForConditionalGeneration(config)
        return model.to(self.device)


@dataclass(slots=True, kw_only=True)
class Measured:
    """One side's seconds for all rows, and what it did in them."""

    seconds: float
    rows: int
    flops: float = 0.0

    @property
    def rows_per_s(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def made_rows(kind: str, rows: int, explained: float) -> list[Example]:
    """Rows of random words, of lengths as `kind` has them; a share of them explained."""
    rng = random.Random(f"{kind}/{rows}")

    def words(spread: tuple[float, float]) -> str:
        count = max(3, round(rng.lognormvariate(*spread)))
        return " ".join(str(rng.randrange(100, VOCABULARY)) for _ in range(count))

    return [
        Example(
            id=str(number),
            input=words(INPUTS[kind]),
            labels=(TaskText(text=str(rng.randrange(10, 13))),),
            rationales=(TaskText(text=words(RATIONALE)),) if number % 3 < 3 * explained else (),
        )
        for number in range(rows)
    ]


def encode(texts: Sequence[str], longest: int) -> list[list[int]]:
    """A token for each word: the number that it is, or 5 for another one."""
    return [
        [*[int(word) if word.isdigit() else 5 for word in text.split()][: longest - 1], 1]
        for text in texts
    ]


def ours(rows: list[Example], setting: Setting) -> Measured:
    """The trainer's own steps over the rows."""
    student = Student(model=setting.model(), tokenizer=ByT5Tokenizer(), family=T5Family())
    if setting.compile:
        compile_student(student)
    engine = Engine(student, EngineSettings(bf16=setting.bf16), start())
    table = table_of("step-by-step", ALPHA)
    tokens = tokenise(rows, table, encode, LengthLimits(input=512, target=256))
    rounded = 32 if setting.compile else 8 if setting.bf16 else 1
    layout = Layout(round_to=rounded, pack=setting.pack)
    steps = StepSettings(batch_size=setting.batch_size, seed=0, layout=layout)
    learnt = [0, 0]

    def step(plan: StepPlan, number: int) -> None:
        batches = plan.step(number)
        engine.step(batches, 1e-4, (ALPHA, 1 - ALPHA))
        learnt[0] += sum(batch.input_tokens for batch in batches)
        learnt[1] += sum(batch.target_tokens for batch in batches)

    warm = StepPlan(tokens, steps)
    for number in range(setting.steps if setting.compile else 1):
        step(warm, number)
    learnt[:] = [0, 0]

    def learn() -> None:
        plan = StepPlan(tokens, steps)
        for number in range(setting.steps):
            step(plan, number)

    seconds = spent(setting.device, learn)
    return Measured(seconds=seconds, rows=len(rows), flops=flops(student, learnt[0], learnt[1]))


def original(rows: list[Example], setting: Setting) -> Measured:
    """The original's steps over the rows."""
    trainer = TwoPasses(setting.model(), encode, ALPHA, bf16=setting.bf16)
    batches = [
        rows[start : start + setting.batch_size]
        for start in range(0, len(rows), setting.batch_size)
    ]
    trainer.step(batches[0])

    def learn() -> None:
        for batch in batches:
            trainer.step(batch)

    return Measured(seconds=spent(setting.device, learn), rows=len(rows))


def spent(device: torch.device, work: Callable[[], None]) -> float:
    """CPU seconds of the work, or seconds by the clock where a GPU does it."""
    if device.type == "cpu":
        began = time.process_time()
        work()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def device_name() -> str:
    """What learns here; on a CPU with one thread from now on."""
    torch.set_num_threads(1)
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def measure(kind: str, explained: float, setting: Setting) -> dict[str, float]:
    """Both sides, one after the other, on the same rows: figure -> value."""
    stand_alone()
    rows = made_rows(kind, setting.batch_size * setting.steps, explained)
    theirs, mine = original(rows, setting), ours(rows, setting)
    stop()
    tflops = mine.flops / mine.seconds / 1e12
    values = {
        "ours / original": mine.rows_per_s / theirs.rows_per_s,
        "ours": mine.rows_per_s,
        "original": theirs.rows_per_s,
        "useful TFLOP/s": tflops,
    }
    peak = setting.peak or known_peak(device_name())
    return values | ({"share of peak": tflops / peak} if peak else {})
