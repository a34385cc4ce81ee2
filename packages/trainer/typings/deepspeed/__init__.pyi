"""What training/engine.py uses of DeepSpeed, which types little of it and takes seconds to read."""

from typing import Any

comm: Any
ops: Any
zero: Any

def init_distributed(*, verbose: bool) -> None: ...
def initialize(**settings: Any) -> tuple[Any, Any, Any, Any]: ...
