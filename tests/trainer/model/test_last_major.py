"""Saved students in the transformers that most people still have: the last major version, alone."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import orjson
import pytest

from stepdistill.trainer.main import main
from stepdistill.trainer.model.answers import generate
from stepdistill.trainer.model.pretrained import pretrained
from tests.trainer.made_bases import FAMILIES, made_base
from tests.trainer.made_rows import arguments, word_problems, write_split
from tests.trainer.model.test_bases import INPUTS, encoded

OLD_ENOUGH = [name for name in FAMILIES if name != "t5gemma2"]
NEEDED = ("requests", "urllib3", "certifi", "idna", "charset-normalizer")  # by huggingface-hub
OPENED = """
import json, sys, transformers
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, pipeline
assert transformers.__version__.startswith("4."), transformers.__version__
folder, text = sys.argv[1:]
ITS = {"num_beams": 1, "max_new_tokens": 40}  # else that pipeline takes its own: 4 and 256
model = AutoModelForSeq2SeqLM.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
ids = model.generate(**tokenizer([text], return_tensors="pt"))
piped = pipeline("text2text-generation", folder)(text, **ITS)[0]["generated_text"]
said = tokenizer.batch_decode(ids, skip_special_tokens=True)[0]
print(json.dumps([said, piped, model.generation_config.max_new_tokens]))
"""


@pytest.fixture(scope="module")
def last_major(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the last transformers of major version 4, for the front of the path."""
    made = tmp_path_factory.mktemp("last")
    venv.create(made / "pip", with_pip=True)
    wanted = ("transformers<5", "tokenizers>=0.22,<0.23.1", "huggingface-hub<1")
    pip = (made / "pip/bin/pip", "install", "--quiet", "--no-deps", "--target", made / "packages")
    subprocess.run((*pip, *wanted, *NEEDED), check=True)
    return made / "packages"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("family", OLD_ENOUGH)
def test_the_last_major_transformers_opens_a_student_and_says_what_ours_says(
    family: str, last_major: Path, tmp_path: Path
) -> None:
    rows = word_problems("train", 20)
    texts = [text for row in rows for text in (*row.input.values(), row.rationale or "")]
    base = made_base(family, tmp_path / "base", [*texts, *INPUTS])
    for split in ("train", "valid", "test"):
        write_split(tmp_path / "data" / split, word_problems(split, 20))
    options = {"steps": 3, "batch_size": 8, "eval_every": 3, "max_target_tokens": 40, "model": base}
    assert main([*arguments(tmp_path / "data", tmp_path / "out", **options), "--quiet"]) == 0
    folder = tmp_path / "out" / "model"

    student = pretrained(str(folder), None)
    ours = generate(student, encoded(student, INPUTS[:1]), longest=40)
    env = {**os.environ, "PYTHONPATH": str(last_major)}
    command = (sys.executable, "-c", OPENED, folder, INPUTS[0])
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, piped, longest = orjson.loads(done.stdout.splitlines()[-1])
    assert ([said], longest) == (ours, 40)
    assert piped.strip() == said.strip()
