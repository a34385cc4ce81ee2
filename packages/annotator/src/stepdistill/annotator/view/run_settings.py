"""The settings that rows were asked with: as a run's note has them, else as its manifest and the
command line say; and the requests that follow from them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from stepdistill.annotator.dataset.sources import Source, open_source
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.check import fit_templates
from stepdistill.annotator.prompt.mix import single
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.provider.profiles import serving
from stepdistill.annotator.run.planning import make_tariff
from stepdistill.annotator.run.run_notes import RunNote, choose_run, find_runs, notes_in
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.run.teacher import teacher_spec
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.settings.teacher import SIMULATED
from stepdistill.annotator.settings.view import ViewSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.rereading import teachers_of
from stepdistill.annotator.view.asked import Asked, make_asked
from stepdistill.common.command_line import taken_from
from stepdistill.common.errors import ConfigError, DatasetError, DistillError
from stepdistill.common.manifest import Manifest
from stepdistill.common.urls import is_url, place_of

_ENDPOINT_PATH = "/v1"
_LOOKED_AT = 5_000  # rows of a split, to see whose answers the store has of them


def config_of_run(settings: ViewSettings, manifest: Manifest, note: RunNote | None) -> RunSettings:
    """The run's settings: as its store remembers them, else by what its manifest says."""
    if note is not None:
        return _over(note.config(settings.store, settings.prices), settings)
    host = manifest.teacher.endpoint
    embedded = host == "localhost" and manifest.teacher.model == SIMULATED
    scheme = "http" if host == "localhost" else "https"
    own = serving(manifest.teacher.model, f"{scheme}://{host}").provider.base_url
    config = RunSettings(
        task=manifest.task,
        teacher=settings.teacher or manifest.teacher.model,
        prompts=prompts_of(settings, manifest.task, None),
        base_url=None if embedded else own or f"{scheme}://{host}{_ENDPOINT_PATH}",
        store=settings.store,
        offline=True,
        prices=settings.prices,
        shards=ShardSettings(reader=manifest.reader.name),
    )
    return _over(config, settings)


def _over(config: RunSettings, settings: ViewSettings) -> RunSettings:
    """What the command line says goes before what is remembered."""
    return replace(
        config,
        prompts=prompts_of(settings, config.task, config.prompts),
        data=settings.data or config.data,
        base_url=settings.base_url or config.base_url,
        teacher=settings.teacher or config.teacher,
        models=settings.models or config.models,
        # A template that is named now decides nothing about a run that is written.
        template=settings.template or config.template,
        mix=None if settings.template else settings.mix or config.mix,
    )


def prompts_of(settings: ViewSettings, task: str, remembered: Path | None) -> Path:
    """The folder of tasks that has this one: named now, remembered, or shipped."""
    known = [settings.prompts, *([remembered] if remembered else []), shipped_tasks()]
    return next((each for each in known if (each / task).is_dir()), settings.prompts)


def asked_with(
    config: RunSettings, store: ResponseStore | None, *, has_rows: bool = False
) -> Asked:
    """Requests of one split, with every template of the task. Raises DistillError: the prompts are
    not there. has_rows: its plan has the split's rows, none where they are not to be had."""
    task, teacher = load_task(config.prompts, config.task), teacher_spec(config)
    split = config.splits[0]
    templates = fit_templates(config.prompts, task, ())
    source = Source(name=split, rows=lambda: iter(()), count=lambda: 0, digest="")
    if has_rows:  # all of a file is read for its sha256: a second for each gigabyte
        with suppress(DatasetError):
            source = open_source(task, config.data, split)
    plan = Plan(
        task=task,
        split=split,
        source=source,
        samples=None,
        mix=single(next(iter(templates))),
        templates=templates,
        model=teacher.model,
        options=teacher.options,
        endpoint=teacher.endpoint,
        votes=config.votes,
    )
    if store is not None:
        recall_formats(store, [plan])
    return make_asked(plan, config, make_tariff(config, teacher))


def config_of_task(settings: ViewSettings, target: str, store: ResponseStore) -> RunSettings | None:
    """Of the run that wrote into this folder, or asked about this task, last; else whoever the
    store has answers of. None: the target is neither."""
    notes: list[RunNote] = []
    if is_url(target) or Path(target).is_dir():
        with suppress(DistillError):
            notes = find_runs(place_of(target), store)
    task = target if not notes else notes[-1].task
    if not (prompts_of(settings, task, None) / task).is_dir():
        return None
    notes = notes or [note for note in notes_in(store) if note.task == task]
    if settings.teacher is not None:
        notes = [note for note in notes if note.teacher == settings.teacher]
    if notes:
        config = _over(choose_run(notes, None).config(settings.store, settings.prices), settings)
    else:
        config = _config_of_answers(settings, task, store)
    return replace(config, splits=settings.splits or config.splits)


def _config_of_answers(settings: ViewSettings, task: str, store: ResponseStore) -> RunSettings:
    """Of the first teacher that has answered one of the first rows. Raises ConfigError: none."""
    prompts = prompts_of(settings, task, None)
    spec = load_task(prompts, task)
    splits = settings.splits or tuple(spec.data.splits) or ("train",)
    teachers = [settings.teacher] if settings.teacher else teachers_of(store, lambda n: None)
    for teacher in teachers:
        config = taken_from(
            settings,
            RunSettings,
            task=task,
            teacher=teacher,
            splits=splits,
            prompts=prompts,
            offline=True,
        )
        if any(_has_answers(replace(config, splits=(split,)), store) for split in splits):
            return config
    looked = f"the first {_LOOKED_AT:,} rows of {', '.join(splits)}"
    raise ConfigError(
        f"{task}: --store {store.path} has no answer to {looked}: `annotate run {task}` asks; "
        "--data, --split, --prompts, --teacher or --base-url name what was asked"
    )


def _has_answers(config: RunSettings, store: ResponseStore) -> bool:
    try:
        asked = asked_with(config, store, has_rows=True)
        rows = _first_rows(asked)
        with store.reading() as stored:
            return any(stored.answer(key) is not None for key in rows)
    except DatasetError:
        return False


def _first_rows(asked: Asked) -> Iterator[bytes]:
    for number, planned in enumerate(asked.plan.rows()):
        if number == _LOOKED_AT:
            return
        yield from asked.requests(planned.row)
