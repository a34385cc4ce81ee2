"""Together's files and batches: OpenAI's in other words, and a new batch in a wrapper."""

from collections.abc import Mapping
from typing import ClassVar

import orjson
from aiohttp import web

from stepdistill.annotator.simulator.batch.calls import IncomingCall
from stepdistill.annotator.simulator.batch.desk import lines_in
from stepdistill.annotator.simulator.batch.files import StoredFile
from stepdistill.annotator.simulator.batch.jobs import BatchOrder, BatchState, SimulatedBatch
from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.batch.routes import SimulatedBatchApi
from stepdistill.annotator.simulator.batch.rows import ENDPOINT
from stepdistill.annotator.simulator.log import RequestOutcome
from stepdistill.annotator.simulator.reply import SimulatedReply, json_reply
from stepdistill.annotator.simulator.wire import invalid, read_object

_STATES = {"finalizing": "IN_PROGRESS", "cancelling": "CANCELING"}


class SimulatedTogether(SimulatedBatchApi):
    """No metadata, no pages."""

    _purpose: ClassVar[str] = "batch-api"

    def routes(self, prefix: str) -> list[web.RouteDef]:
        upload = self._calls.wrap(CallKind.UPLOAD, self._upload)
        return [web.post(f"{prefix}/files/upload", upload), *super().routes(prefix)]

    def _file_object(self, file: StoredFile) -> Mapping[str, object]:
        purpose = self._purpose if file.purpose == "batch" else file.purpose
        return {**super()._file_object(file), "purpose": purpose}

    async def _list_files(self, call: IncomingCall) -> SimulatedReply:
        found = [self._file_object(file) for file in self._files.all(call.owner)]
        return json_reply({"data": found})

    async def _create(self, call: IncomingCall) -> SimulatedReply:
        fields = read_object(await call.request.read())
        if fields.get("endpoint") != ENDPOINT:
            raise invalid(f"Invalid value for 'endpoint': {fields.get('endpoint')}", "endpoint")
        file, found = self._input(str(fields.get("input_file_id")), call.owner)
        order = BatchOrder(
            input=self._translated(lines_in(file), file),
            metadata=None,
            kept_s=self._settings.kept_s,
            found=found,
        )
        batch = await self._order(order, call)
        state = await self._jobs.state(batch)
        return json_reply({"job": self._job(batch, state), "warning": ""})

    async def _list_batches(self, call: IncomingCall) -> SimulatedReply:
        jobs = [
            self._job(batch, await self._jobs.state(batch)) for batch in self._jobs.all(call.owner)
        ]
        return SimulatedReply(outcome=RequestOutcome(status=200), body=orjson.dumps(jobs))

    def _shown(self, batch: SimulatedBatch, state: BatchState) -> SimulatedReply:
        return json_reply(self._job(batch, state))

    def _job(self, batch: SimulatedBatch, state: BatchState) -> Mapping[str, object]:
        errors = [error.message for error in batch.errors or ()]
        return {
            "id": batch.id,
            "user_id": "simulated",
            "input_file_id": batch.order.input.id,
            "file_size_bytes": batch.order.input.size,
            "status": _STATES.get(state.status, state.status.upper()),
            "job_deadline": self._time(batch.timeline.expires_s),
            "created_at": self._time(batch.timeline.created_s),
            "endpoint": ENDPOINT,
            "progress": round(100 * state.share, 1),
            "model_id": batch.scan.model if batch.scan else None,
            "output_file_id": batch.output.id if batch.output else None,
            "error_file_id": batch.error_file.id if batch.error_file else None,
            "error": errors[0] if state.status == "failed" and errors else None,
        }
