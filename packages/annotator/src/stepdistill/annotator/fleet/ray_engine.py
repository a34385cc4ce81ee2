"""Workers as actors of a Ray cluster: on this machine, or on all that have joined it.

Ray starts them, carries what is said, and tells who has died; who asks what, and what may be spent,
is not its business. An actor ends with the run that has made it.
"""

import asyncio
import hashlib
import logging
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

from stepdistill.annotator.fleet.messages import (
    Call,
    Found,
    PackedError,
    Reply,
    WorkerLost,
    WorkerSpec,
    Workplace,
)
from stepdistill.annotator.fleet.register import found_in
from stepdistill.annotator.fleet.worker import FleetWorker
from stepdistill.annotator.settings.teacher import FleetSettings
from stepdistill.common.errors import ConfigError, DistillError, StoreError

_MOST = 16  # workers, where nobody says
_START_S, _CALL_S, _END_S = 120.0, 60.0, 30.0
_AT_A_TIME = 16  # calls to one actor


class RayWorker:
    """The actor: a worker, wherever Ray has put it."""

    async def start(self, spec: WorkerSpec, machine: str, code: str) -> Workplace | PackedError:
        """Open the worker. machine: of the run. code: digest of the program there."""
        try:
            if code != code_digest():
                raise ConfigError(
                    f"--engine ray: {socket.gethostname()} has another version of stepdistill "
                    "than this machine: install the same on all"
                )
            here = _ray().get_runtime_context().get_node_id()
            elsewhere = Path(tempfile.gettempdir()) / "stepdistill-workers" / spec.name
            store = spec.local_store if here == machine else elsewhere
            self._worker = FleetWorker(spec, store)
            await self._worker.open()
        except DistillError as error:
            return PackedError.of(error)
        host = socket.gethostname()
        return Workplace(name=spec.name, machine=here, host=host, store=store)

    async def call(self, call: Call) -> Reply:
        """As the worker's."""
        return await self._worker.call(call)

    async def end(self) -> None:
        """Close the worker's store."""
        await self._worker.close()


class RayEngine:
    """A cluster that the run is connected to, from its first worker on."""

    def __init__(self, settings: FleetSettings, say: Callable[[str], None], is_here: bool) -> None:
        """is_here: workers are wanted on this machine alone. Raises ConfigError: no Ray, or no such
        cluster."""
        self._ray, self._is_here = _ray(), is_here
        _connect(self._ray, settings.address)
        self._machine = str(self._ray.get_runtime_context().get_node_id())
        cpus = self._ray.cluster_resources().get("CPU", 1.0)
        self.n_workers = settings.workers or max(1, min(_MOST, int(cpus)))
        # A worker waits for its teacher most of the time: more of them than CPUs find room, too.
        self._cpus = min(1.0, cpus / (2 * self.n_workers))
        nodes = sum(1 for node in self._ray.nodes() if node["Alive"])
        where = "this machine" if nodes == 1 else f"{nodes} machines"
        self._actors: list[Any] = []  # that were not told to end
        page = self._ray.worker.global_worker.node.webui_url
        shown = f"; dashboard: http://{page}" if page else ""
        say(f"{self.n_workers} Ray workers on {where} ask{shown}")

    async def start(self, spec: WorkerSpec) -> "_RayHand":
        """Start a worker. Raises WorkerLost: it cannot be; ConfigError: its machine has another
        version of this program."""
        placed = self._on(self._machine) if self._is_here else "SPREAD"
        actor = (
            self._ray.remote(RayWorker)
            .options(
                num_cpus=self._cpus,
                max_restarts=0,
                max_concurrency=_AT_A_TIME,
                scheduling_strategy=placed,
            )
            .remote()
        )
        started = actor.start.remote(spec, self._machine, code_digest())
        place = await self.result(started, _START_S, "it did not start")
        if isinstance(place, PackedError):
            raise place.unpacked()
        self._actors.append(actor)
        return _RayHand(self, actor, place)

    async def fetch(self, place: Workplace, keys: Collection[bytes] | None) -> AsyncIterator[Found]:
        """What the store of a worker that is gone holds. keys: of these requests alone. Raises
        WorkerLost: nobody gets at it."""
        # Where the store is on this machine, it outlives the cluster.
        if place.host == socket.gethostname() and place.store.is_dir():
            try:
                here = await asyncio.to_thread(lambda: list(found_in(place.store, keys)))
            except StoreError as error:
                raise WorkerLost(str(error)) from None
            for found in here:
                yield found
            return
        task = self._ray.remote(fetched).options(
            num_cpus=0, max_retries=0, scheduling_strategy=self._on(place.machine)
        )
        reference = task.remote(place.store, keys)
        for found in await self.result(reference, _START_S, "its store cannot be reached"):
            yield found

    async def close(self) -> None:
        """End the workers that are left. The cluster stays: who asks in rounds needs it again, and
        Ray lets go of it as the process ends."""
        for actor in self._actors:
            self.kill(actor)

    async def result(self, reference: Any, timeout_s: float, otherwise: str) -> Any:
        """What comes of a call. Raises WorkerLost."""
        errors = self._ray.exceptions
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(reference.future())
        except TimeoutError:
            raise WorkerLost(f"{otherwise} within {timeout_s:.0f} s") from None
        except errors.RayTaskError as error:  # its own error, and no fault of the cluster's
            raise error.cause from None
        except errors.RayError as error:
            raise WorkerLost(f"{otherwise}: {_first_line(error)}") from None

    def kill(self, actor: Any) -> None:
        """End an actor, whatever it does. One that is gone already is as well."""
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(actor)

    def ended(self, actor: Any) -> None:
        """An actor needs no end any more."""
        self._actors.remove(actor)

    def _on(self, machine: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node_id=machine, soft=False)


class _RayHand:
    def __init__(self, engine: RayEngine, actor: Any, place: Workplace) -> None:
        self._engine, self._actor, self.place = engine, actor, place

    async def call(self, call: Call) -> Reply:
        return await self._engine.result(self._actor.call.remote(call), _CALL_S, "it is silent")

    async def end(self) -> None:
        with suppress(WorkerLost):
            await self._engine.result(self._actor.end.remote(), _END_S, "it does not end")
        self._engine.kill(self._actor)
        self._engine.ended(self._actor)


def fetched(store: Path, keys: Collection[bytes] | None) -> list[Found]:
    """A task on the machine where a worker was."""
    return list(found_in(store, keys))


@cache
def code_digest() -> str:
    """Digest of this program's own files: workers are to understand what they are told."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for file in sorted(path for room in ("annotator", "common") for path in _code(root / room)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _code(folder: Path) -> Iterator[Path]:
    return folder.rglob("*.py")


def _ray() -> Any:
    # Clusters of a machine with a token of Ray's want it. Ray looks there by itself for some
    # addresses only, and reads this once, when it is imported.
    if (Path.home() / ".ray" / "auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "--engine ray: the package ray is not there: pip install 'stepdistill-annotator[ray]'"
        ) from None
    return cast(Any, ray)


def _connect(ray: Any, address: str | None) -> None:
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters is said by us
    ours = {"namespace": "stepdistill", "log_to_driver": False, "logging_level": "CRITICAL"}
    address = address or os.environ.get("RAY_ADDRESS")
    if ray.is_initialized():  # by an earlier round of the same command
        return
    try:
        if address is None:
            ray.init(address="local", _node_ip_address="127.0.0.1", include_dashboard=False, **ours)
        else:
            ray.init(address=address, **ours)
    except Exception as error:  # noqa: BLE001  # of Ray's many, whichever it was
        raise ConfigError(
            f"--address {address or '(none)'}: no Ray cluster can be reached or started there "
            f"({_first_line(error)}): `ray start --head` starts one"
        ) from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
