"""The commands of `stepdistill`; each loads what it needs when it is called, so that help is quick.

torch and its kin take ten seconds to import: a wrong option or path must not cost that.
"""

import os
import sys
from contextlib import suppress

import orjson

from stepdistill.common.command_line import ConfigFileSettings, add_command, make_app
from stepdistill.common.errors import ConfigError, StorageRefused
from stepdistill.common.files.folders import put_folder
from stepdistill.common.files.storage import delete, put, put_bytes
from stepdistill.common.urls import Url
from stepdistill.trainer.data.corrections import read_judged_data
from stepdistill.trainer.data.examples import eval_set, train_set
from stepdistill.trainer.data.shards import data_fingerprint
from stepdistill.trainer.locks import claim
from stepdistill.trainer.ranks.launcher import watch_launcher
from stepdistill.trainer.ranks.meeting import meet
from stepdistill.trainer.ranks.place import place
from stepdistill.trainer.settings.cascade import (
    CascadeSettings,
    DeferringPredictSettings,
    DeferringServeSettings,
)
from stepdistill.trainer.settings.distil import DistilSettings
from stepdistill.trainer.settings.inference import CompareSettings, StudentExportSettings
from stepdistill.trainer.settings.rationales import (
    ChooseRationalesSettings,
    CompareRationalesSettings,
)
from stepdistill.trainer.settings.train import (
    MODEL_NAME,
    NO_FILE,
    RESULTS_NAME,
    SETTINGS_NAME,
    TrainSettings,
    fingerprint,
)
from stepdistill.trainer.study.commands import (
    plots_command,
    sweep_command,
    tables_command,
    track_app,
)
from stepdistill.trainer.training.output import check_model, clear

_TRIED = ".stepdistill"  # a file that is put and removed again


def train_command(settings: TrainSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Train a small student (T5 and its kin) on the teacher's labels and rationales, or a
    classifier (BERT and its kin) on the labels alone.

    The same command again goes on from the last checkpoint.

    Examples:

        deepspeed packages/trainer/train.py --train runs/demo/train --valid \\
            runs/demo/valid --test runs/demo/test --model tiny --output runs/student

        deepspeed --num_gpus 8 packages/trainer/train.py --zero 2 --batch-size 64 \\
            --train runs/anli1/train --valid runs/anli1/valid --test runs/anli1/test \\
            --model google/t5-v1_1-base --steps 10000 --output runs/anli1/student

        deepspeed packages/trainer/train.py --student encoder --model tiny \\
            --train runs/demo/train --valid runs/demo/valid --test runs/demo/test \\
            --output runs/classifier

    `stepdistill --help` names the other commands.
    """
    here = place()
    watch_launcher(speaks=here.speaks)
    if here.rank > 0:
        meet(here, settings.output)
        _train(settings)
        return
    with claim(settings.output) as lock:
        if lock is None:
            raise ConfigError(
                f"--output {settings.output}: another training is at work there: wait for it, or "
                "take another folder"
            )
        meet(here, settings.output)
        _refuse_upload(settings)
        _train(settings)
        _upload(settings)


def _refuse_upload(settings: TrainSettings) -> None:
    """Before a day of training: what cannot be written there is refused."""
    if settings.upload is not None:
        if not isinstance(settings.upload, Url):
            raise ConfigError(f"--upload {settings.upload}: no URL: --output is the folder here")
        put_bytes(b"", settings.upload / _TRIED)
        with suppress(StorageRefused):
            delete(settings.upload / _TRIED)


def _upload(settings: TrainSettings) -> None:
    """Of a run that has ended; one that was stopped ends otherwise."""
    if isinstance(settings.upload, Url):
        put_folder(settings.output / MODEL_NAME, settings.upload / MODEL_NAME)
        put(settings.output / RESULTS_NAME, settings.upload / RESULTS_NAME)
        sys.stderr.write(f"put in {settings.upload}\n")


def _train(settings: TrainSettings) -> None:
    data = read_judged_data(settings)
    mark = fingerprint(settings, data_fingerprint(data))
    learnt = train_set(data.train, settings)
    valid, test = eval_set(data.valid), eval_set(data.test)
    if _is_done(settings, mark):
        if os.environ["RANK"] == "0":
            what = f"{settings.output} holds this very run; --force trains again"
            sys.stderr.write(f"nothing to do: {what}\n")
        return
    from stepdistill.trainer.run import run
    from stepdistill.trainer.training.prepare import RunInputs
    from stepdistill.trainer.training.report import data_counts

    inputs = RunInputs(
        config=settings,
        fingerprint=mark,
        train=learnt,
        valid=valid,
        test=test,
        kind=data.kind,
        origin=data.train.parts[0].manifest,
        counts=data_counts(data, learnt, valid, test),
    )
    run(inputs)


def predict_command(settings: DeferringPredictSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Label rows with a trained student; each label has its probability.

    A row has the fields of the task as columns: by their own names, by those of the
    rows that the teacher was asked about, or as --column says. JSON lines may have
    them in an object, {"id": "7", "input": {"premise": "...", "hypothesis": "..."}},
    or the text itself as input.

    Without --to the answers are JSON lines on the screen. The same command goes on
    where a stopped one was.

    Examples:

        stepdistill predict runs/student/model my.csv --to labelled.csv

        stepdistill predict runs/student/model rows.jsonl --explain --abstain-below 0.8

        cat my.csv | stepdistill predict runs/student/model - --to labelled.parquet

        stepdistill predict runs/student/model my.csv --to answers.csv --defer
    """
    from stepdistill.trainer.inference.predict import predict

    predict(settings)


def evaluate_command(settings: CompareSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Compare a trained student with its teacher, row by row, against gold labels.

    The teacher's label of a row is the one in its record; a row that it did not
    label is wrong.

    Examples:

        stepdistill evaluate runs/student/model runs/anli1/test

        stepdistill evaluate runs/student/model runs/anli1/test --json out.json

        stepdistill evaluate runs/student/model runs/anli1/test --html student.html
    """
    from stepdistill.trainer.inference.evaluate import evaluate

    evaluate(settings)


def serve_command(settings: DeferringServeSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Serve a trained student: POST /predict, rows in, labels out.

    A call may say "explain": true, for the student's reasons, and "abstain_below":
    0.8, for no label that is less likely. GET / tells the task, its labels and the
    fields of a row.

    Examples:

        stepdistill serve runs/student/model --port 8080

        curl localhost:8080/predict --json '{"rows": [{"input": {"text": "..."}}]}'

        stepdistill serve runs/student/model --defer --max-cost 5
    """
    from stepdistill.trainer.inference.serve import serve

    serve(settings)


def cascade_command(settings: CascadeSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Find out when the student is to ask its teacher, so that a promise is kept.

    The promise: of all answers to rows like the validation rows, at least
    --target are right, but for a chance of --risk. The student answers what it
    is sure enough of, the teacher the rest. What counts is the gold label;
    without any, what the teacher says. Where no threshold will do, it says what
    would be within reach.

    `predict --defer` and `serve --defer` then ask by it.

    Examples:

        stepdistill cascade runs/student/model --teacher gpt-6-luna --target 0.95

        stepdistill cascade runs/student/model --teacher gpt-6-luna --target 0.98 \
            --risk 0.01 --promise student --valid runs/more/valid --json
    """
    from stepdistill.trainer.inference.cascade import cascade

    cascade(settings)


def export_command(settings: StudentExportSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Export a trained student to what computes it without torch, and check it.

    The rows are labelled by both, on one core: the export is kept where their labels
    agree, and says how fast each was.

    Examples:

        stepdistill export runs/student/model --to onnx --output runs/student/onnx

        stepdistill export runs/student/model --to ctranslate2 --precision int8 \\
            --output runs/student/ct2 --rows runs/anli1/test

        stepdistill predict runs/student/ct2 my.csv --to labelled.csv
    """
    from stepdistill.trainer.inference.export import export

    export(settings)


rationales_app = make_app(
    "rationales",
    "What the teacher's reasons do for a small student, and which are worth learning from.",
)


def compare_rationales_command(
    settings: CompareRationalesSettings, _: ConfigFileSettings = NO_FILE
) -> None:
    """Do the reasons help? Train small students with and without them, over several seeds.

    Each rate is a share of the reasons that the shards have. No teacher is asked. What
    helps a small student need not help a large one: --model takes any that `train` does.

    Examples:

        stepdistill rationales compare runs/demo/train --valid runs/demo/valid

        stepdistill rationales compare runs/esnli/train --valid runs/esnli/valid \\
            --rates 0,0.2,0.5,1 --model google/t5-v1_1-small --steps 2000 --seeds 3
    """
    from stepdistill.trainer.rationales.compare import compare

    compare(settings)


def choose_rationales_command(
    settings: ChooseRationalesSettings, _: ConfigFileSettings = NO_FILE
) -> None:
    """Keep, of several reasons of each row, those that help a small student most.

    The reasons of a row come from several runs, or from several votes of one
    (`annotate run --votes 3 --keep-rationales 3`). What counts is how much likelier they
    make the label to a student that has not seen the row, where the label's own words
    are left out of them; near-duplicates are not kept. No teacher is asked.

    Examples:

        stepdistill rationales choose runs/a/train runs/b/train --out runs/chosen/train

        stepdistill rationales choose runs/esnli/train --keep 2 --helping --out runs/best/train
    """
    from stepdistill.trainer.rationales.choose import choose

    choose(settings)


add_command(rationales_app, compare_rationales_command, "compare")
add_command(rationales_app, choose_rationales_command, "choose")


def distil_command(settings: DistilSettings, _: ConfigFileSettings = NO_FILE) -> None:
    """Go the whole way: from a file of rows to a trained student, and a page that explains it.

    Makes a task of the file, says what it will cost and asks, tries the templates, has every row
    labelled with reasons, trains, and compares student and teacher. Each step is a command that is
    shown, and can be repeated by hand. The same command again goes on where it stopped.

    Examples:

        stepdistill distil reviews.csv --label stars --teacher gpt-6-luna --max-cost 5 \\
            --student google/t5-v1_1-small --out runs/reviews

        stepdistill distil tickets.csv --label team --teacher simulated --student tiny \\
            --out runs/rehearsal
    """
    from stepdistill.trainer.distil.distil import distil

    distil(settings)


COMMANDS = {
    "distil": distil_command,
    "train": train_command,
    "predict": predict_command,
    "evaluate": evaluate_command,
    "cascade": cascade_command,
    "serve": serve_command,
    "export": export_command,
    "rationales": rationales_app,
    "sweep": sweep_command,
    "track": track_app,
    "tables": tables_command,
    "plots": plots_command,
}
"""What a first word may be."""


def _is_done(config: TrainSettings, mark: str) -> bool:
    """Whether the output holds this run. Raises ConfigError when it holds another one."""
    path = config.output / RESULTS_NAME
    try:
        config.output.mkdir(parents=True, exist_ok=True)
        check_model(config.output)
        if config.force:
            # One rank does it, before any can look.
            if os.environ["RANK"] == "0":
                clear(config.output)
            return False
        if not path.exists():
            return False
        found = orjson.loads(path.read_bytes()).get("fingerprint")
        lacks_model = not (config.output / MODEL_NAME / SETTINGS_NAME).is_file()
    except (OSError, orjson.JSONDecodeError, AttributeError) as error:
        raise ConfigError(f"--output {config.output}: cannot be used ({error})") from None
    if found != mark:
        raise ConfigError(
            f"{path}: from other settings or data; take another --output, or --force to replace it"
        )
    if lacks_model:
        raise ConfigError(
            f"{config.output / MODEL_NAME}: is gone, though {RESULTS_NAME} says that the run is "
            "done: put it back, or --force trains again"
        )
    return True
