"""Other people's bases: every family learns and answers; odd ones are mended, or refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from stepdistill.trainer.data.batches import lone_targets, pad_inputs
from stepdistill.trainer.errors import StudentError
from stepdistill.trainer.inference.predictor import AskedRow, Predictor
from stepdistill.trainer.main import main
from stepdistill.trainer.model.answers import generate, log_probabilities
from stepdistill.trainer.model.decoding import decode
from stepdistill.trainer.model.families import registry
from stepdistill.trainer.model.pretrained import pretrained
from stepdistill.trainer.model.student import Student, flops
from stepdistill.trainer.model.tokenizer import encoder_of
from tests.trainer.made_bases import FAMILIES, made_base
from tests.trainer.made_rows import CLASSES, arguments, word_problems, write_split

INPUTS = ["predict: Ada has 12 apples.", "predict: Ben gives 3 of his 40 coins to Kira and leaves."]
TEXTS = ["predict: explain: Reasons: reasons:", *INPUTS, *CLASSES]
QUICK, SLOW = ("umt5", "bart"), [name for name in FAMILIES if name not in ("umt5", "bart")]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    rows = [row for split in ("train", "valid", "test") for row in word_problems(split, 60)]
    texts = [t or "" for row in rows for t in (*row.input.values(), row.label, row.rationale)]
    home = tmp_path_factory.mktemp("bases")
    return {name: made_base(name, home / name, [*TEXTS, *texts]) for name in FAMILIES}


def encoded(student: Student, texts: Sequence[str]) -> list[Any]:
    return [torch.tensor(ids).numpy() for ids in encoder_of(student.tokenizer)(texts, 500)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_transformers_own(bases: dict[str, Path], family: str) -> None:
    student = pretrained(str(bases[family]), None)
    student.model.eval()
    answers = encoded(student, ["multiplication", "It is addition, so 15."])
    ids, mask = pad_inputs(encoded(student, INPUTS))
    targets = lone_targets([[answer] for answer in answers])
    with torch.no_grad():
        hidden = student.family.encode(student.model, ids, mask)
        ours = decode(student.family, student.model, hidden, mask, targets).losses().mean()
        theirs = student.model(input_ids=ids, attention_mask=mask, labels=targets.ids).loss
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)


def test_every_family_that_is_taken_is_tried(bases: dict[str, Path]) -> None:
    tried = {
        orjson.loads((each / "config.json").read_bytes())["model_type"] for each in bases.values()
    }
    assert tried == set(registry.FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_operations_are_those_that_are_counted(bases: dict[str, Path], family: str) -> None:
    student = pretrained(str(bases[family]), None)
    student.model.eval()
    ids, mask = pad_inputs(encoded(student, INPUTS[:1]))
    answers = encoded(student, ["multiplication"])
    targets = lone_targets([answers])
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        hidden = student.family.encode(student.model, ids, mask)
        student.family.logits(student.model, hidden, mask, targets)
    # Those of attention, of two texts, are left out; backwards takes twice as much as forwards.
    names = {"aten.mm", "aten.addmm"}
    found = counted.get_flop_counts()["Global"].items()
    ours = flops(student, len(ids[0]), len(answers[0])) / 3
    assert ours == pytest.approx(sum(n for name, n in found if str(name) in names), rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_scores_the_same_alone_and_beside_others(
    bases: dict[str, Path], family: str
) -> None:
    student = pretrained(str(bases[family]), None)
    student.model.eval()
    rows = encoded(student, INPUTS)
    together = log_probabilities(student, rows, [CLASSES, CLASSES[:3]])
    for row, names, logs in zip(rows, (CLASSES, CLASSES[:3]), together, strict=True):
        alone = [log_probabilities(student, [row], [[name]])[0][0] for name in names]
        assert logs == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize(
    "family", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_a_family_trains_goes_on_answers_and_is_opened_by_transformers_alone(
    bases: dict[str, Path], family: str, data: Path, tmp_path: Path
) -> None:
    options = {"steps": 4, "batch_size": 16, "eval_every": 2, "max_input_tokens": 300}
    base = str(bases[family])
    line = [*arguments(data, tmp_path, **options, save_every=2, model=base), "--quiet"]
    assert main(line) == 0
    finished = orjson.loads((tmp_path / "results.json").read_bytes())
    (tmp_path / "results.json").unlink()  # as though it had been killed at its end
    assert main(line) == 0
    assert orjson.loads((tmp_path / "results.json").read_bytes())["test"] == finished["test"]

    predictor = Predictor(tmp_path / "model")
    rows = [AskedRow(id=str(i), input=text, choices=CLASSES) for i, text in enumerate(INPUTS)]
    assert {answer.label for answer in predictor.label(rows)} <= {*CLASSES}
    student = pretrained(str(tmp_path / "model"), None)
    model: Any = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model")
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "model")
    said = model.generate(**tokenizer(INPUTS[:1], return_tensors="pt"))
    theirs = tokenizer.batch_decode(said, skip_special_tokens=True)
    assert theirs == generate(student, encoded(student, INPUTS[:1]), longest=256)


def test_a_bias_on_words_is_kept(bases: dict[str, Path], data: Path, tmp_path: Path) -> None:
    student = pretrained(str(bases["bart"]), None)
    bias = student.model.final_logits_bias
    bias[0, 5] = 3.0
    student.model.save_pretrained(tmp_path / "base")
    student.tokenizer.save_pretrained(tmp_path / "base")
    options = {"steps": 2, "batch_size": 16, "eval_every": 1, "model": str(tmp_path / "base")}
    assert main([*arguments(data, tmp_path / "out", **options), "--quiet"]) == 0
    trained = pretrained(str(tmp_path / "out" / "model"), None)
    assert torch.equal(trained.model.final_logits_bias, bias)


@pytest.fixture
def base(bases: dict[str, Path], tmp_path: Path) -> Path:
    """One to be made odd."""
    shutil.copytree(bases["t5"], tmp_path / "base")
    return tmp_path / "base"


def change(path: Path, **fields: object) -> None:
    found = orjson.loads(path.read_bytes()) if path.exists() else {}
    path.write_bytes(orjson.dumps({**found, **fields}))


HABITS = {
    "min_length": 12, "min_new_tokens": 9, "no_repeat_ngram_size": 2, "num_beams": 4,
    "repetition_penalty": 1.5, "suppress_tokens": [3, 4, 5], "bad_words_ids": [[7], [8]],
    "forced_bos_token_id": 9, "num_return_sequences": 3, "length_penalty": 2.0,
    "exponential_decay_length_penalty": [2, 1.5], "encoder_no_repeat_ngram_size": 2,
    "task_specific_params": {"summarization": {"min_length": 30, "prefix": "summarize: "}},
    "prefix": "summarize: ", "forced_decoder_ids": [[1, 5]],
}  # fmt: skip


@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_habits_of_a_base_are_left_behind(base: Path, file: str, tmp_path: Path) -> None:
    plain = pretrained(str(base), None)
    rows = encoded(plain, INPUTS)
    change(base / file, **HABITS)
    odd = pretrained(str(base), None)
    assert generate(odd, rows, longest=8) == generate(plain, rows, longest=8)
    odd.model.save_pretrained(tmp_path / "saved")
    for name in ("generation_config.json", "config.json"):
        kept = orjson.loads((tmp_path / "saved" / name).read_bytes())
        assert not {each for each in HABITS if kept.get(each) is not None}


def test_a_tokenizer_that_adds_no_end_mark_is_made_to(base: Path, tmp_path: Path) -> None:
    change(base / "tokenizer.json", post_processor=None)
    PreTrainedTokenizerFast(
        tokenizer_file=str(base / "tokenizer.json"),
        eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
    ).save_pretrained(base)  # fmt: skip
    student = pretrained(str(base), None)
    assert encoded(student, ["addition"])[0][-1] == student.tokenizer.eos_token_id
    assert "adds no end mark" in student.remarks[0]
    student.tokenizer.save_pretrained(base)
    again = pretrained(str(base), None)
    assert [*encoded(again, ["addition"])[0]] == [*encoded(student, ["addition"])[0]]


def test_a_mark_in_a_text_is_text_and_ends_nothing(bases: dict[str, Path]) -> None:
    for family in ("t5", "byt5", "bart", "t5gemma"):
        student = pretrained(str(bases[family]), None)
        end, mark = student.tokenizer.eos_token_id, student.tokenizer.eos_token
        [ids] = encoded(student, [f"addition {mark} division"])
        assert [*ids].count(end) == 1 and ids[-1] == end
        assert [*encoded(student, ["addition"])[0]].count(end) == 1


def test_what_the_student_cannot_read_is_said_and_kept(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = word_problems("train", 10)
    for number, row in enumerate(rows):
        row.input["question"] += " \u2603 {" if number % 2 else " and more"
    write_split(tmp_path / "odd", rows)
    options = {"steps": 1, "batch_size": 8, "eval_every": 1, "model": str(base)}
    line = arguments(data, tmp_path / "out", **options)
    line[0] = f"--train={tmp_path / 'odd'}"
    assert main([*line, "--quiet"]) == 0
    said = capsys.readouterr().err
    assert f"train: {len(rows) // 2} of {len(rows)} inputs hold characters" in said
    found = orjson.loads((tmp_path / "out/results.json").read_bytes())["unread"]
    assert [each["characters"] for each in found if each["split"] == "train"] == ["{ \u2603"]


def test_tokens_beyond_the_embedding_get_rows_of_their_own(base: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens([f"<url{i}>" for i in range(40)])  # 28 rows are free
    tokenizer.save_pretrained(base)
    student = pretrained(str(base), None)
    assert student.model.get_input_embeddings().num_embeddings == len(tokenizer)
    assert "12 tokens more" in student.remarks[0]
    again = pretrained(str(base), None)
    one, other = (each.model.get_input_embeddings().weight for each in (student, again))
    assert torch.equal(one, other)  # on every rank
    [ids] = encoded(student, ["see <url39>"])
    assert tokenizer.convert_tokens_to_ids("<url39>") in [*ids]
    assert generate(student, [ids], longest=3) == generate(again, [ids], longest=3)


@pytest.mark.parametrize("family", ["bart", "t5gemma", "t5gemma2"])
def test_a_student_with_more_tokens_than_its_base_is_opened_again(
    bases: dict[str, Path], family: str, tmp_path: Path
) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(bases[family])
    tokenizer.add_tokens([f"<url{i}>" for i in range(40)])
    shutil.copytree(bases[family], tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    student = pretrained(str(tmp_path / "base"), None)
    student.model.save_pretrained(tmp_path / "saved")
    student.tokenizer.save_pretrained(tmp_path / "saved")
    again = pretrained(str(tmp_path / "saved"), None)
    rows = encoded(student, ["see <url39>", *INPUTS])
    assert generate(again, rows, longest=5) == generate(student, rows, longest=5)
    told = (log_probabilities(each, rows, [CLASSES] * 3) for each in (student, again))
    assert next(told) == next(told)


def test_answers_begin_behind_the_pad_where_no_config_says(base: Path) -> None:
    content = orjson.loads((base / "config.json").read_bytes())
    (base / "generation_config.json").unlink()
    (base / "config.json").write_bytes(
        orjson.dumps({k: v for k, v in content.items() if k != "decoder_start_token_id"})
    )
    student = pretrained(str(base), None)
    assert student.model.config.decoder_start_token_id == student.tokenizer.pad_token_id


def test_a_bases_code_is_not_run(base: Path, tmp_path: Path) -> None:
    (base / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    change(base / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.Config"})
    with pytest.raises(StudentError) as error:
        pretrained(str(base), None)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_a_pickle_is_not_read(base: Path) -> None:
    (base / "model.safetensors").unlink()
    torch.save({}, base / "pytorch_model.bin")
    with pytest.raises(StudentError, match="its weights are a pickle"):
        pretrained(str(base), None)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_base_is_a_line(base: Path, file: str) -> None:
    content = (base / file).read_bytes()
    (base / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(StudentError) as error:
        pretrained(str(base), None)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_the_card_is_one_that_the_hub_takes(base: Path, data: Path, tmp_path: Path) -> None:
    options = {"steps": 2, "batch_size": 16, "eval_every": 2, "model": str(base)}
    line = arguments(data, tmp_path / "out", **options)
    assert main([*line, "--quiet"]) == 0
    card = (tmp_path / "out" / "model" / "README.md").read_text("utf-8")
    assert "base_model" not in card.split("---")[1]
    lengths = json.loads((tmp_path / "out/model/generation_config.json").read_text())
    assert lengths["max_new_tokens"] == 256


_HELD = """
import sys
from pathlib import Path

from stepdistill.trainer.model.pretrained import pretrained


def held_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


pretrained(sys.argv[2], None)  # whatever is loaded once
before = held_bytes()
student = pretrained(sys.argv[1], None, Path(sys.argv[3]) if sys.argv[3:] else None)
print(held_bytes() - before, 4 * sum(weight.numel() for weight in student.model.parameters()))
"""


def held(*words: Path) -> tuple[int, int]:
    """Bytes that a base keeps in memory, and that its weights have in fp32."""
    run = subprocess.run([sys.executable, "-c", _HELD, *words], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    kept, weights = map(int, run.stdout.split())
    return kept, weights


def test_a_base_of_another_precision_need_not_be_in_memory(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    """As ZeRO-3 wants it: no rank may have room for all weights."""
    torch.manual_seed(0)
    small, large, scratch = bases["umt5"], tmp_path / "large", tmp_path / "scratch"
    scratch.mkdir()
    config = AutoConfig.from_pretrained(small)
    config.d_ff = 16_384
    made = AutoModelForSeq2SeqLM.from_config(config).bfloat16()
    made.save_pretrained(large)
    pretrained(str(small), None).tokenizer.save_pretrained(large)
    kept, weights = held(large, small)
    assert kept > 0.9 * weights > 10 << 20
    assert held(large, small, scratch)[0] < 0.3 * weights
    plain, lying = pretrained(str(large), None), pretrained(str(large), None, scratch)
    assert not [*scratch.iterdir()]
    theirs = dict(lying.model.named_parameters())
    assert theirs.keys() == dict(plain.model.named_parameters()).keys()
    for name, weight in plain.model.named_parameters():
        assert weight.dtype == theirs[name].dtype == torch.float32
        assert torch.equal(weight, theirs[name]), name
    assert lying.model.get_input_embeddings().weight is lying.model.encoder.embed_tokens.weight


@pytest.mark.parametrize("told", ["bfloat16", "float16"])
def test_weights_are_of_the_precision_that_they_are_stored_in_and_not_of_what_is_told(
    bases: dict[str, Path], tmp_path: Path, told: str
) -> None:
    base, scratch = tmp_path / "base", tmp_path / "scratch"
    shutil.copytree(bases["umt5"], base)
    scratch.mkdir()
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "dtype": told}))
    plain, lying = pretrained(str(base), None), pretrained(str(base), None, scratch)
    theirs = dict(lying.model.named_parameters())
    for name, weight in plain.model.named_parameters():
        assert torch.equal(weight, theirs[name]), name
