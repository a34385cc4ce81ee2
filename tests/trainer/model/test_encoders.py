"""Classifiers on other people's encoders: every family learns and answers, odd ones are refused."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    FNetConfig,
    FNetForMaskedLM,
    pipeline,
)

from stepdistill.common.errors import ConfigError
from stepdistill.common.task import ClassSpec, LabelSpec
from stepdistill.trainer.data.batches import lone_targets, pad_inputs
from stepdistill.trainer.errors import StudentError
from stepdistill.trainer.inference.predictor import AskedRow, Predictor
from stepdistill.trainer.main import main
from stepdistill.trainer.model.answers import choose, label
from stepdistill.trainer.model.decoding import decode
from stepdistill.trainer.model.encoder import encoder_base, trained
from stepdistill.trainer.model.heads import head_of
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.model.tokenizer import encoder_of
from tests.trainer.made_bases import made_base
from tests.trainer.made_encoders import ENCODERS, PLACES, made_encoder
from tests.trainer.made_rows import CLASSES, INPUT, arguments, word_problems, write_split

NAMES = {name: ClassSpec() for name in CLASSES}
HEADS = {kind: head_of(LabelSpec(kind=kind, classes=NAMES)) for kind in ("classes", "multi")}
SETS = ("addition; division", "none", "multiplication", "; ".join(CLASSES))
RUN = {"student": "encoder", "steps": 24, "batch_size": 16, "eval_every": 12, "lr": 3e-3}
QUICK = ("roberta", "deberta-v3", "modernbert")
SLOW = [name for name in ENCODERS if name not in QUICK]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    rows = [row for split in ("train", "valid", "test") for row in word_problems(split, 60)]
    texts = [text for row in rows for text in row.input.values()]
    home = tmp_path_factory.mktemp("encoders")
    return {name: made_encoder(name, home / name, texts) for name in ENCODERS}


@pytest.fixture
def base(bases: dict[str, Path], tmp_path: Path) -> Path:
    """One to be made odd."""
    shutil.copytree(bases["bert"], tmp_path / "base")
    return tmp_path / "base"


def encoded(student: Student, texts: Sequence[str]) -> list[Any]:
    longest = student.input_limit(500)
    return [torch.tensor(ids).numpy() for ids in encoder_of(student.tokenizer)(texts, longest)]


def texts_of(rows: int) -> list[str]:
    return [INPUT.format(**row.input) for row in word_problems("test", rows)]


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", ENCODERS)
def test_the_loss_is_transformers_own(bases: dict[str, Path], family: str, kind: str) -> None:
    student = encoder_base(str(bases[family]), HEADS[kind], 0.0, seed=0)
    student.model.eval()
    told = CLASSES if kind == "classes" else SETS
    ids, mask = pad_inputs(encoded(student, texts_of(4)))
    answers = [torch.tensor(each).numpy() for each in student.spell(told, 9)]
    targets = lone_targets([[answer] for answer in answers])
    with torch.no_grad():
        outputs = student.family.encode(student.model, ids, mask)
        ours = decode(student.family, student.model, outputs, mask, targets).losses().mean()
        labels = targets.ids[:, 0] if kind == "classes" else targets.ids.float()
        padded = ids.masked_fill(mask == 0, student.tokenizer.pad_token_id)  # pyright: ignore
        theirs = student.model(input_ids=padded, attention_mask=mask, labels=labels).loss
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", ENCODERS)
def test_an_answer_is_the_same_alone_and_beside_longer_ones(
    bases: dict[str, Path], family: str, kind: str
) -> None:
    student = encoder_base(str(bases[family]), HEADS[kind], None, seed=0)
    student.model.eval()
    rows = encoded(student, ["Ada?", *texts_of(6), " ".join(texts_of(9))])
    choices = [CLASSES if kind == "classes" else ()] * len(rows)
    together = label(student, rows, choices, 0, whole=True)
    for row, told in zip(rows, together, strict=True):
        [alone] = label(student, [row], choices[:1], 0, whole=True)
        assert alone.label == told.label
        assert alone.probability == pytest.approx(told.probability, abs=1e-5)


@pytest.mark.parametrize(
    "family", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_a_family_trains_goes_on_answers_and_is_opened_by_transformers_alone(
    bases: dict[str, Path], family: str, data: Path, tmp_path: Path
) -> None:
    line = [*arguments(data, tmp_path, **RUN, save_every=12, model=bases[family]), "--quiet"]
    assert main(line) == 0
    finished = orjson.loads((tmp_path / "results.json").read_bytes())
    weights = (tmp_path / "model/model.safetensors").read_bytes()
    (tmp_path / "results.json").unlink()  # as though it had been killed behind its first half
    shutil.rmtree(tmp_path / "checkpoints/step-24")
    assert main(line) == 0
    again = orjson.loads((tmp_path / "results.json").read_bytes())
    assert again["test"] == finished["test"]
    assert (tmp_path / "model/model.safetensors").read_bytes() == weights

    told = tmp_path / "evaluated.json"
    assert main(["evaluate", f"{tmp_path}/model", f"{data}/test", "--json", str(told)]) == 0
    evaluated = orjson.loads(told.read_bytes())
    assert evaluated["student"]["right"] == finished["test"]["student"]["right"]
    assert evaluated["student_freely"] is None
    texts = texts_of(9)
    rows = [AskedRow(id="", input=text, choices=CLASSES) for text in texts]
    answers = Predictor(tmp_path / "model").label(rows)
    classify: Any = pipeline("text-classification", str(tmp_path / "model"))
    for answer, theirs in zip(answers, classify(texts, truncation=True), strict=True):
        assert answer.label == theirs["label"]
        assert answer.probability == pytest.approx(theirs["score"], abs=1e-5)


def test_sets_of_classes_are_learnt_and_read_by_transformers_alike(tmp_path: Path) -> None:
    for split, n in (("train", 400), ("valid", 12), ("test", 20)):
        rows = word_problems(split, n)
        told = [SETS[number % 4] for number in range(n)]
        rows = [replace(row, label=one, gold=one) for row, one in zip(rows, told, strict=True)]
        for row, one in zip(rows, told, strict=True):
            row.input["story"] = f"{one} {row.input['story']}"
        label_spec = LabelSpec(kind="multi", classes=NAMES)
        write_split(tmp_path / "data" / split, rows, label=label_spec)
    options = {**RUN, "steps": 100, "eval_every": 50, "batch_size": 32}
    line = arguments(tmp_path / "data", tmp_path / "out", **options)
    assert main([*line, "--quiet"]) == 0
    found = orjson.loads((tmp_path / "out/results.json").read_bytes())["test"]["student"]
    assert found["accuracy"] > 0.8 and found["measures"]["micro_f1"] > 0.9
    predictor = Predictor(tmp_path / "out/model")
    rows = [AskedRow(id="", input=f"{told} {text}", choices=()) for told, text in
            zip(SETS, texts_of(4), strict=True)]  # fmt: skip
    classify: Any = pipeline("text-classification", str(tmp_path / "out/model"), top_k=None)
    for answer, theirs in zip(
        predictor.label(rows), classify([r.input for r in rows]), strict=True
    ):
        scores = {each["label"]: each["score"] for each in theirs}
        named = [name for name in CLASSES if scores[name] > 0.5]
        assert answer.label == ("; ".join(named) or "none")
        of_each = [scores[name] if name in named else 1 - scores[name] for name in CLASSES]
        assert answer.probability == pytest.approx(float(torch.tensor(of_each).prod()), abs=1e-5)


def rated(folder: Path, n: int, spread: int) -> Path:
    """Rows that say their rating, of kind `number`, in three splits."""
    spec = LabelSpec(kind="number", minimum=0, tolerance=0.1)
    for split in ("train", "valid", "test"):
        told = [f"{number % spread / 2:g}" for number in range(n)]
        rows = [replace(row, label=one, gold=one) for row, one in
                zip(word_problems(split, n), told, strict=True)]  # fmt: skip
        for row, one in zip(rows, told, strict=True):
            row.input["story"] = " ".join([f"rate{one.replace('.', '-')}"] * 9)
        write_split(folder / split, rows, label=spec)
    return folder


def test_ratings_are_chosen_among_those_that_were_seen(tmp_path: Path) -> None:
    data = rated(tmp_path / "data", 200, spread=5)
    options = {**RUN, "steps": 60, "eval_every": 30}
    assert main([*arguments(data, tmp_path / "out", **options), "--quiet"]) == 0
    found = orjson.loads((tmp_path / "out/results.json").read_bytes())["test"]["student"]
    assert found["accuracy"] > 0.9 and found["measures"]["pearson"] > 0.9
    model: Any = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out/model")
    assert [*model.config.id2label.values()] == ["0", "0.5", "1", "1.5", "2"]
    [answer] = Predictor(tmp_path / "out/model").label(
        [AskedRow(id="", input=" ".join(["rate1-5"] * 9), choices=())]
    )
    assert answer.label == "1.5" and 0.4 < answer.probability <= 1


def test_measurements_are_too_many_to_choose_among(tmp_path: Path, capsys: Any) -> None:
    data = rated(tmp_path / "data", 201, spread=1000)
    assert main(arguments(data, tmp_path / "out", **RUN)) == 2
    assert "201 different numbers as labels, a classifier chooses" in capsys.readouterr().err


def test_a_base_that_keeps_all_activations_says_so(
    bases: dict[str, Path], data: Path, tmp_path: Path, capsys: Any
) -> None:
    line = arguments(data, tmp_path, **RUN, model=bases["albert"])
    assert main([*line, "--activation-checkpointing"]) == 2
    assert "albert keeps all its activations" in capsys.readouterr().err


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v3"])
def test_what_a_base_has_no_place_for_is_cut_and_said(
    bases: dict[str, Path], family: str, data: Path, tmp_path: Path, capsys: Any
) -> None:
    rows = word_problems("train", 20)
    for row in rows[:5]:
        row.input["story"] *= 30
    write_split(tmp_path / "long", rows)
    line = arguments(data, tmp_path / "out", **{**RUN, "steps": 2}, model=bases[family])
    line[0] = f"--train={tmp_path / 'long'}"
    assert main([*line, "--quiet"]) == 0
    places = PLACES - 2 if family == "roberta" else PLACES
    said = "inputs of predict are longer than {} tokens and are cut: another --model allows more"
    assert f"5 of 20 {said.format(places)}" in capsys.readouterr().err
    rows_asked = [AskedRow(id="", input=rows[0].input["story"], choices=CLASSES)]
    [answer] = Predictor(tmp_path / "out/model").label(rows_asked)
    classify: Any = pipeline("text-classification", str(tmp_path / "out/model"), truncation=True)
    [theirs] = classify([rows[0].input["story"]])
    assert answer.label == theirs["label"]
    assert answer.probability == pytest.approx(theirs["score"], abs=1e-5)


def test_labels_are_spelt_as_the_kind_takes_them_for_the_same() -> None:
    spec = LabelSpec(kind="classes", classes={name: ClassSpec() for name in (" UN ", "US", "us")})
    assert head_of(spec).spell(["UN", "un", "us", "US"]) == [[0], [0], [2], [1]]
    spelt = HEADS["multi"].spell(["Division; addition", "None", "none"])
    assert spelt == [[1, 0, 0, 1], [0] * 4, [0] * 4]
    for kind, told in (("classes", "modulo"), ("classes", ""), ("multi", "division; modulo")):
        with pytest.raises(ConfigError, match="is none of the 4 classes"):
            HEADS[kind].spell([told])
    for alone in (LabelSpec(kind="classes", classes={"x": ClassSpec()}), LabelSpec(kind="number")):
        with pytest.raises(ConfigError, match="there is nothing to choose"):
            head_of(alone, ["3", "3"])


def test_the_seed_decides_the_head(bases: dict[str, Path]) -> None:
    one, same, other = (
        encoder_base(str(bases["roberta"]), HEADS["classes"], None, seed).model
        for seed in (1, 1, 2)
    )
    weights = [dict(model.named_parameters()) for model in (one, same, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    moved = {name for name in weights[0] if not torch.equal(weights[0][name], weights[2][name])}
    assert moved and all(name.startswith("classifier.") for name in moved)


def test_a_classifiers_old_head_and_names_are_left_behind(base: Path) -> None:
    names = {0: "bad", 1: "so-so", 2: "good", 3: "best"}
    config = BertConfig.from_pretrained(base, id2label=names, problem_type="regression")
    BertForSequenceClassification.from_pretrained(base, config=config).save_pretrained(base)
    before = load_file(base / "model.safetensors")["classifier.weight"]
    student = encoder_base(str(base), HEADS["multi"], None, seed=0)
    assert student.model.config.id2label == dict(enumerate(CLASSES))
    assert student.model.config.problem_type == "multi_label_classification"
    assert not torch.allclose(student.model.classifier.weight.detach(), before, atol=1e-3)
    assert "its last layer begins anew" in student.remarks[0]


def test_dropout_goes_by_every_name_that_there_is(bases: dict[str, Path]) -> None:
    for path in bases.values():
        model = encoder_base(str(path), HEADS["classes"], 0.25, seed=0).model
        layers = [m for m in model.modules() if isinstance(m, torch.nn.Dropout)]
        assert layers and {layer.p for layer in layers} <= {0.25, 0.0}


def test_an_encoder_without_some_of_its_weights_is_refused(base: Path) -> None:
    weights = load_file(base / "model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if "layer.1" not in k},
        base / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(StudentError, match="its weights lack 16 of the encoder's"):
        encoder_base(str(base), HEADS["classes"], None, seed=0)


def test_a_damaged_student_is_not_given_a_head_at_random(base: Path, tmp_path: Path) -> None:
    student = encoder_base(str(base), HEADS["classes"], None, seed=0)
    student.model.save_pretrained(tmp_path / "saved")
    student.tokenizer.save_pretrained(tmp_path / "saved")
    spec = HEADS["classes"].spec
    again = trained(tmp_path / "saved", spec).head
    assert again is not None and again.names == CLASSES
    others = {name: ClassSpec() for name in CLASSES[::-1]}
    with pytest.raises(StudentError, match="other classes than its task has"):
        trained(tmp_path / "saved", LabelSpec(kind="classes", classes=others))
    weights = load_file(tmp_path / "saved/model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, tmp_path / "saved/model.safetensors", {"format": "pt"})
    with pytest.raises(StudentError, match=r"its weights lack classifier\.weight"):
        trained(tmp_path / "saved", spec)


def test_a_tokenizer_without_a_pad_gets_one_and_gives_the_same_answers(base: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(base)
    student = encoder_base(str(base), HEADS["classes"], None, seed=0)
    assert student.tokenizer.pad_token == "[SEP]"


def test_an_empty_text_without_marks_is_answered_alike_alone_and_beside_others(
    base: Path,
) -> None:
    path = base / "tokenizer.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), "post_processor": None}))
    student = encoder_base(str(base), HEADS["classes"], None, 0)
    student.model.eval()
    ids = encoded(student, ["", *texts_of(2)])
    assert len(ids[0]) == 0
    beside, alone = (choose(student, rows, [CLASSES] * len(rows)) for rows in (ids, ids[:1]))
    assert beside[0].label == alone[0].label
    assert beside[0].probability == pytest.approx(alone[0].probability, abs=1e-5)


def test_what_is_no_encoder_is_a_line(tmp_path: Path, data: Path, base: Path, capsys: Any) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    fnet = FNetConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32)
    FNetForMaskedLM(fnet).save_pretrained(tmp_path / "fnet")
    tokenizer.save_pretrained(tmp_path / "fnet")
    made_base("t5", tmp_path / "t5", ["predict: explain: addition division", *CLASSES])
    for model, student, said in (
        ("fnet", "encoder", "a fnet reads padding as text"),
        ("t5", "encoder", "a t5 has a decoder: leave --student out"),
        ("base", "encoder-decoder", "--student encoder makes a classifier of it"),
    ):
        options = {**RUN, "student": student, "model": tmp_path / model}
        assert main(arguments(data, tmp_path / "out", **options)) == 2
        assert said in (line := capsys.readouterr().err.splitlines()[-1]), line


def test_what_a_classifier_cannot_do_is_a_line(data: Path, tmp_path: Path, capsys: Any) -> None:
    for more, said in (
        ({"mode": "step-by-step"}, "--mode step-by-step: a classifier gives labels and no reasons"),
        ({"mode": "label-rationale"}, "--mode label-rationale: a classifier gives labels"),
        ({"evaluate_by": "free"}, "--evaluate-by free: a classifier says no words"),
        ({"mutual": 0.1}, "--mutual compares predict and explain"),
        ({"select_by": "both"}, "--select-by both: no task explains"),
        ({"pack": 64}, "--pack 64"),
    ):
        line = arguments(data, tmp_path / "out", **{**RUN, **more})
        assert main(line) == 2
        assert said in capsys.readouterr().err
    for split in ("train", "valid", "test"):
        spec = LabelSpec(kind="options", options=["story", "question"])
        write_split(tmp_path / "options" / split, word_problems(split, 9), label=spec)
    assert main(arguments(tmp_path / "options", tmp_path / "out", **RUN)) == 2
    assert "labels of kind options are written" in capsys.readouterr().err


def test_a_label_of_another_task_is_a_line(data: Path, tmp_path: Path, capsys: Any) -> None:
    classes = {**NAMES, "modulo": ClassSpec()}
    rows = [replace(row, label="modulo") for row in word_problems("more", 4)]
    write_split(tmp_path / "more", rows, label=LabelSpec(kind="classes", classes=classes))
    line = arguments(data, tmp_path / "out", **RUN)
    assert main([*line, "--train", str(data / "train"), str(tmp_path / "more")]) == 2
    assert "label 'modulo' is none of the 4 classes" in capsys.readouterr().err


def test_a_student_from_scratch_learns_and_its_card_says_how_it_is_asked(
    data: Path, tmp_path: Path
) -> None:
    line = arguments(data, tmp_path, **{**RUN, "steps": 60, "eval_every": 30})
    assert main([*line, "--quiet"]) == 0
    model: Any = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    assert model.config.id2label == dict(enumerate(CLASSES))
    card = (tmp_path / "model/README.md").read_text("utf-8")
    assert 'pipeline("text-classification", FOLDER, truncation=True)' in card
    assert "pipeline_tag: text-classification" in card and "Seq2Seq" not in card
