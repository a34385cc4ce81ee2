"""An object store on this machine: moto's S3 behind a door where requests can be made to fail."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

try:
    from moto.moto_api._internal.models import moto_api_backend
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import WSGIRequestHandler, make_server
except ModuleNotFoundError as error:  # one of the packages, alone
    pytest.skip(f"{error}: there is no bucket", allow_module_level=True)

_ACCOUNT = "123456789012"  # moto's
_numbers = itertools.count()
Fault = Callable[["Asked"], str | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came in."""

    method: str
    path: str  # /bucket/key
    query: str
    n: int  # how many of this method and path came before
    headers: dict[str, str]


def _no_fault(asked: Asked) -> str | None:
    return None


@dataclass(slots=True, kw_only=True)
class ObjectStore:
    """A bucket, and what was asked of it.

    fault: what becomes of a request: None as it should, `cut` half of it is read, `slow` a second
    later, `hang up` done and not told, else a status and an S3 code as `503 SlowDown`.
    """

    endpoint: str
    bucket: str
    fault: Fault = _no_fault
    log: list[Asked] = field(default_factory=list[Asked])

    @property
    def url(self) -> str:
        """Of the bucket."""
        return f"s3://{self.bucket}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process needs to know."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "known",
            "AWS_SECRET_ACCESS_KEY": "secret-word",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",  # of botocore, whose waits are long
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def files(self) -> dict[str, bytes]:
        """key -> content, of all that is there now."""
        return {name: key.value for name, key in self._keys.items()}

    def put(self, key: str, content: bytes) -> None:
        """Put an object without asking anybody."""
        self._backend.put_object(self.bucket, key, content)

    def remove(self, key: str) -> None:
        """Likewise remove one."""
        self._backend.delete_object(self.bucket, key)

    def asked(self, method: str, name: str = "") -> list[Asked]:
        """The requests of a method whose path ends so."""
        return [each for each in self.log if each.method == method and each.path.endswith(name)]

    @property
    def _backend(self) -> Any:
        return cast(Any, s3_backends)[_ACCOUNT]["aws"]

    @property
    def _keys(self) -> dict[str, Any]:
        return dict(self._backend.buckets[self.bucket].keys.items())


def _unheard(*_: object) -> None:
    """What starts a reply that nobody is told."""


class _Door:
    """The application before moto's: it keeps the log, and lets faults have their say."""

    def __init__(self) -> None:
        self.moto: Any = DomainDispatcherApplication(create_backend_app)
        self.stores: dict[str, ObjectStore] = {}

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"].encode("latin-1").decode(), environ["REQUEST_METHOD"]
        store = self.stores.get(path.split("/")[1])
        if store is None:
            return self.moto(environ, start)
        before = [each for each in store.log if (each.method, each.path) == (method, path)]
        headers = {name[5:]: value for name, value in environ.items() if name[:5] == "HTTP_"}
        asked = Asked(method, path, environ["QUERY_STRING"], len(before), headers)
        store.log.append(asked)
        fault = store.fault(asked)
        if fault == "cut":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
            return self._hang_up(environ)
        if fault == "slow":
            time.sleep(1)
        if fault == "hang up":
            list(self.moto(environ, _unheard))
            return self._hang_up(environ)
        if fault is None or fault == "slow":
            return self.moto(environ, start)
        return self._refuse(fault, start)

    def _hang_up(self, environ: dict[str, Any]) -> Iterable[bytes]:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    def _refuse(self, fault: str, start: Any) -> Iterable[bytes]:
        status, _, code = fault.partition(" ")
        start(f"{status} {code}", [("Content-Type", "application/xml")])
        text = f"<Error><Code>{code}</Code><Message>a fault: {code}</Message></Error>"
        return [text.encode()]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


class ObjectStores:
    """The server; every bucket of it is a store of its own."""

    def __init__(self, endpoint: str, door: _Door) -> None:
        self._endpoint, self._door = endpoint, door

    def make(self) -> ObjectStore:
        """A new empty bucket."""
        bucket = f"bucket-{next(_numbers)}"
        cast(Any, s3_backends)[_ACCOUNT]["aws"].create_bucket(bucket, "us-east-1")
        store = ObjectStore(endpoint=self._endpoint, bucket=bucket)
        self._door.stores[bucket] = store
        return store


@contextmanager
def object_stores() -> Generator[ObjectStores]:
    """A server on a free port."""
    door = _Door()
    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield ObjectStores(f"http://127.0.0.1:{server.server_port}", door)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        moto_api_backend.reset()
