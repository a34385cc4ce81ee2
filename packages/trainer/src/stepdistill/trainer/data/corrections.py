"""What people said of labels (`judgements.jsonl`), laid over the records of a split.

The label that a person gave is the row's gold label. To learn from corrected labels is to take that
label for the teacher's, without reasons that argued for another one, and to leave out rows whose
label is known to be wrong and nobody said which is right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from stepdistill.common.errors import ConfigError
from stepdistill.common.files.remote import local_path
from stepdistill.common.files.storage import is_there
from stepdistill.common.judgements import (
    JUDGEMENTS_NAME,
    Judgement,
    Judgements,
    answer_digest,
    read_judgements,
    row_digest,
    text_digest,
)
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.record import Record
from stepdistill.common.urls import Place
from stepdistill.trainer.data.shards import (
    Corrections,
    Data,
    DataSplit,
    SplitPart,
    entry_of,
    read_data,
)
from stepdistill.trainer.settings.train import TrainSettings


def find_judgements(path: Path | None, folders: Sequence[Place]) -> Judgements:
    """The judgements of a file; where none is named, of the one beside these folders of shards.
    Raises ConfigError: there is none, or more than one, or it cannot be read."""
    if path is None:
        places = (each / JUDGEMENTS_NAME for folder in folders for each in (folder, folder.parent))
        found = list(dict.fromkeys(_whole(place) for place in places if is_there(place)))
        if len(found) != 1:
            where = ", ".join(map(str, found)) or f"no {JUDGEMENTS_NAME} beside the shards"
            raise ConfigError(
                f"--labels corrected: {where}: name one with --judgements (annotate audit makes it)"
            )
        path = local_path(found[0])
    elif not path.is_file():
        raise ConfigError(f"--judgements {path}: no such file: annotate audit --judge makes one")
    return read_judgements(path)


def _whole(place: Place) -> Place:
    return place.resolve() if isinstance(place, Path) else place


def read_judged_data(settings: TrainSettings) -> Data:
    """The rows of a run, as people judged them where that is asked for.
    Raises ShardError, ConfigError."""
    data, learns = read_data(settings), settings.labels == "corrected"
    if settings.judgements is None and not learns:
        return data
    judgements = find_judgements(settings.judgements, settings.train)
    return replace(
        data,
        train=corrected(data.train, judgements, learns=learns),
        valid=corrected(data.valid, judgements, learns=False),
        test=corrected(data.test, judgements, learns=False),
    )


def corrected(split: DataSplit, judgements: Judgements, *, learns: bool) -> DataSplit:
    """A split with gold labels as judged. learns: with the teacher's labels as judged, too."""
    counts = Corrections(judgements.path, learns)
    parts = tuple(_part(part, judgements, counts, learns=learns) for part in split.parts)
    return replace(split, parts=parts, corrections=counts)


def _part(
    part: SplitPart, judgements: Judgements, counts: Corrections, *, learns: bool
) -> SplitPart:
    kind = kind_of(part.manifest.label)

    def records() -> Iterator[Record]:
        for record in part.records:
            right = judgements.right_label(row_digest(record.id, record.input))
            if right is not None:
                counts.golds += 1
                record = replace(record, gold=right)
            taught = _taught(record, kind, judgements, counts) if learns else record
            if taught is not None:
                yield taught

    found = tuple(records())
    # Listed as a shard, so that other judgements make another run.
    entry = entry_of(judgements.path, len(judgements.each))
    manifest = part.manifest.model_copy(update={"shards": [*part.manifest.shards, entry]})
    return replace(part, manifest=manifest, records=found)


def _taught(
    record: Record, kind: Kind, judgements: Judgements, counts: Corrections
) -> Record | None:
    """The record as it is learnt from; None where it is not."""
    correction = judgements.correction(record)
    if correction is None:
        return record
    if correction.label is None:
        counts.left_out += 1
        return None
    label, choices = record.label, kind.choices(record.input)
    if label is None or not kind.same(label, correction.label, choices):
        counts.changed += 1
        # Its reasons and votes are for the label that was wrong.
        nothing = dict.fromkeys(("label_votes", "label_confidence", "label_probs"))
        return replace(record.without_rationale(), label=correction.label, **nothing)
    counts.confirmed += 1
    if record.rationale is not None and _are_bad(record, judgements):
        counts.reasons_left_out += 1
        # They are the first ones: those of other votes take their place, if there are any.
        first, *others = record.rationales[1:] or (None,)
        return replace(record, rationale=first, other_rationales=others or None)
    return record


def _are_bad(record: Record, judgements: Judgements) -> bool:
    """Whether most judges of these very reasons call them bad."""
    answer = answer_digest(row_digest(record.id, record.input), record.label or "")
    shown = text_digest(record.rationale)

    def of_these(each: Judgement) -> bool:
        return each.reasons is not None and each.rationale == shown

    said = [each.reasons for each in judgements.of(answer) if of_these(each)]
    return said.count("bad") > len(said) / 2
