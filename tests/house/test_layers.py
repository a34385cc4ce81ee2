"""The annotator lives without torch, and fast enough to be asked for help."""

import subprocess
import sys

FORBIDDEN = ("torch", "transformers", "deepspeed", "datasets", "pyarrow")


def test_no_command_of_the_annotator_loads_torch_or_other_heavy_parts() -> None:
    code = f"import sys, annotator.cli; print([m for m in {FORBIDDEN} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
