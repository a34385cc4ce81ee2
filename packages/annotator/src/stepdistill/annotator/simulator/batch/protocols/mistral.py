"""Mistral's files and batch jobs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, TypeVar, cast

from stepdistill.annotator.simulator.batch.calls import IncomingCall
from stepdistill.annotator.simulator.batch.desk import lines_in
from stepdistill.annotator.simulator.batch.files import StoredFile
from stepdistill.annotator.simulator.batch.jobs import (
    BatchOrder,
    BatchState,
    SimulatedBatch,
    Status,
)
from stepdistill.annotator.simulator.batch.routes import SimulatedBatchApi
from stepdistill.annotator.simulator.batch.rows import ENDPOINT
from stepdistill.annotator.simulator.batch.wire import read_metadata
from stepdistill.annotator.simulator.reply import SimulatedReply, json_reply
from stepdistill.annotator.simulator.wire import invalid, missing, read_object

_STATES: Mapping[Status, str] = {
    "validating": "QUEUED",
    "in_progress": "RUNNING",
    "finalizing": "RUNNING",
    "completed": "SUCCESS",
    "failed": "FAILED",
    "expired": "TIMEOUT_EXCEEDED",
    "cancelling": "CANCELLATION_REQUESTED",
    "cancelled": "CANCELLED",
}
_PER_PAGE = 100
T = TypeVar("T")


class SimulatedMistral(SimulatedBatchApi):
    """Pages by number, the model in the job."""

    _name: ClassVar[str] = "batch/jobs"

    def _file_object(self, file: StoredFile) -> Mapping[str, object]:
        shown = super()._file_object(file)
        about = {"sample_type": "batch_request", "source": "upload", "num_lines": None}
        return {**shown, **about, "size_bytes": shown["bytes"]}

    async def _list_files(self, call: IncomingCall) -> SimulatedReply:
        purpose = call.request.query.get("purpose")
        found = [
            file for file in self._files.all(call.owner)[::-1] if purpose in (None, file.purpose)
        ]
        page = [self._file_object(file) for file in _page(found, call)]
        return json_reply({"object": "list", "data": page, "total": len(found)})

    async def _create(self, call: IncomingCall) -> SimulatedReply:
        fields = read_object(await call.request.read())
        files, model = fields.get("input_files"), fields.get("model")
        if not isinstance(files, list) or len(cast("list[object]", files)) != 1:
            raise missing("input_files")
        if not isinstance(model, str) or fields.get("endpoint") != ENDPOINT:
            raise invalid("Invalid model or endpoint", "model")
        file, found = self._input(str(cast("list[object]", files)[0]), call.owner)
        order = BatchOrder(
            input=self._translated(_with_model(file, model), file),
            metadata=read_metadata(fields.get("metadata")),
            kept_s=self._settings.kept_s,
            found=found,
        )
        batch = await self._order(order, call)
        return self._shown(batch, await self._jobs.state(batch))

    async def _list_batches(self, call: IncomingCall) -> SimulatedReply:
        found = self._jobs.all(call.owner)[::-1]
        page = [self._job(each, await self._jobs.state(each)) for each in _page(found, call)]
        return json_reply({"object": "list", "data": page, "total": len(found)})

    def _shown(self, batch: SimulatedBatch, state: BatchState) -> SimulatedReply:
        return json_reply(self._job(batch, state))

    def _job(self, batch: SimulatedBatch, state: BatchState) -> Mapping[str, object]:
        rows, errors = batch.rows, batch.errors or ()
        done, failed = (rows.completed, rows.failed) if rows else (0, 0)
        return {
            "id": batch.id,
            "object": "batch",
            "input_files": [batch.order.input.id],
            "endpoint": ENDPOINT,
            "model": batch.scan.model if batch.scan else None,
            "metadata": batch.order.metadata,
            "status": _STATES[state.status],
            "created_at": int(self._epoch_s + batch.timeline.created_s),
            "output_file": batch.output.id if batch.output else None,
            "error_file": batch.error_file.id if batch.error_file else None,
            "errors": [{"message": error.message, "count": 1} for error in errors],
            "total_requests": len(batch.scan.starts) if batch.scan else 0,
            "completed_requests": done + failed,
            "succeeded_requests": done,
            "failed_requests": failed,
        }


def _with_model(file: StoredFile, model: str) -> Iterator[Mapping[str, object]]:
    for line in lines_in(file):
        if not isinstance(body := line.get("body"), dict):
            raise invalid("Each line of the file needs a 'body'.", "body")
        yield {**line, "body": {"model": model, **cast("dict[str, object]", body)}}


def _page(items: Sequence[T], call: IncomingCall) -> Sequence[T]:
    query = call.request.query
    try:
        number, size = int(query.get("page", 0)), int(query.get("page_size", _PER_PAGE))
    except ValueError:
        raise invalid("page and page_size are integers", "page") from None
    return items[number * size : (number + 1) * size]
