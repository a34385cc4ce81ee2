"""Install the workspace into .venv, with the build of torch that suits this machine.

    python3 scripts/install.py              everything, for development and training
    python3 scripts/install.py annotator    one package with what it needs (annotator: no torch)
    STEPDISTILL_TORCH=cuda python3 scripts/install.py     choose the build yourself: cpu or cuda
    STEPDISTILL_VENV=/tmp/venv python3 scripts/install.py    install elsewhere than into .venv

With an NVIDIA GPU the lock is installed as it stands. Without one, torch and the CUDA
libraries (about four gigabytes) are left out and the CPU build of the locked torch is installed.
Only the standard library is used: this runs before anything is installed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
VENV = Path(os.environ.get("STEPDISTILL_VENV", ROOT / ".venv")).absolute()
PACKAGES = ("all", "common", "annotator", "trainer")
UV_VERSION = "0.13.6"
CUDA_ONLY = re.compile(r"^(torch|triton|nvidia-.+|cuda-.+)$")


def main() -> int:
    package = sys.argv[1] if len(sys.argv) > 1 else "all"
    if package not in PACKAGES:
        sys.exit(f"install: no package {package}: choose from {', '.join(PACKAGES)}")
    build = torch_build() if package in ("all", "trainer") else "none"
    stamp = VENV / ".installed"
    wanted = fingerprint(package, build)
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    uv = find_uv()
    if build == "cpu":
        install_with_cpu_torch(uv, package)
    else:
        sync(uv, package)
    stamp.write_text(wanted)
    return 0


def sync(uv: str, package: str, *more: str) -> None:
    """Install what the lock says; the tools for development come with `all`."""
    chosen = ["--all-packages"] if package == "all" else ["--package", f"stepdistill-{package}"]
    command = (uv, "sync", "--frozen", "--inexact", *chosen, *more)
    if sys.stderr.isatty():
        return run(*command)
    # In a log a line for each of a hundred packages hides what people look for.
    with subprocess.Popen(
        command, cwd=ROOT, env=clean_environment(), stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if not line.startswith((" + ", " - ", " ~ ")):
                print(line, end="", file=sys.stderr, flush=True)
    check(command, running.returncode)


def torch_build() -> str:
    """cpu or cuda: the variable's word first, else whether an NVIDIA GPU answers."""
    chosen = os.environ.get("STEPDISTILL_TORCH", "auto")
    if chosen not in ("auto", "cpu", "cuda"):
        sys.exit(f"STEPDISTILL_TORCH={chosen}: choose auto, cpu or cuda")
    if chosen != "auto":
        return chosen
    smi = shutil.which("nvidia-smi")
    seen = smi and subprocess.run([smi, "-L"], capture_output=True, text=True, check=False).stdout
    return "cuda" if seen and "GPU" in seen else "cpu"


def fingerprint(package: str, build: str) -> str:
    """What an up-to-date environment was made from: the lock and every package's own file."""
    files = [
        ROOT / "uv.lock",
        ROOT / "pyproject.toml",
        *sorted(ROOT.glob("packages/*/pyproject.toml")),
    ]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return f"{package} {build} {digest}\n"


def find_uv() -> str:
    """The uv on PATH, else one of our own in .tools (18 MB, fetched once)."""
    found = shutil.which("uv")
    if found:
        return found
    own = TOOLS / "bin" / "uv"
    if not own.exists():
        print(f"uv is missing: fetching uv {UV_VERSION} into .tools", flush=True)
        run(sys.executable, "-m", "venv", str(TOOLS))
        run(str(TOOLS / "bin" / "pip"), "install", "--quiet", f"uv=={UV_VERSION}")
    return str(own)


def install_with_cpu_torch(uv: str, package: str) -> None:
    locked = locked_requirements(uv)
    left_out = [name for name in locked if CUDA_ONLY.match(name)]
    print(f"No NVIDIA GPU: installing torch {locked['torch']} for the CPU", flush=True)
    skips = [word for name in left_out for word in ("--no-install-package", name)]
    if not (VENV / "bin" / "python").exists():
        run(uv, "venv", "--quiet", str(VENV))
    sync(uv, package, *skips)
    if installed_torch() == f"{locked['torch']}+cpu":
        return
    # pip knows find-links and mirrors that uv ignores; PyTorch's own index is the second try.
    by_pip = [*pip(), "--quiet", "--no-deps", f"torch=={locked['torch']}+cpu"]
    by_index = [
        uv,
        "pip",
        "install",
        "--python",
        str(VENV),
        "--torch-backend=cpu",
        "--no-deps",
        f"torch=={locked['torch']}",
    ]
    for command in (by_pip, by_index):
        if (
            subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0
            and installed_torch()
        ):
            return
    print(
        "No CPU build of torch can be reached: installing the whole lock, CUDA libraries included",
        flush=True,
    )
    sync(uv, package)


def locked_requirements(uv: str) -> dict[str, str]:
    """Every package of the lock with its version."""
    command = [uv, "export", "--quiet", "--frozen", "--all-packages", "--all-groups", "--no-hashes"]
    text = subprocess.run(
        command, check=True, cwd=ROOT, env=clean_environment(), capture_output=True, text=True
    ).stdout
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", text, re.MULTILINE))


def installed_torch() -> str:
    """The version of torch in .venv, empty if there is none."""
    code = "import importlib.metadata as m; print(m.version('torch'))"
    command = [str(VENV / "bin" / "python"), "-c", code]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def pip() -> list[str]:
    """A pip that installs into .venv, which itself has none."""
    own = TOOLS / "bin" / "pip"
    if not own.exists():
        run(sys.executable, "-m", "venv", str(TOOLS))
    return [str(own), "--python", str(VENV / "bin" / "python"), "install"]


def clean_environment() -> dict[str, str]:
    # A local wheel folder would leak into the lock, an active venv be synced instead of ours.
    kept = {key: value for key, value in os.environ.items() if key != "UV_FIND_LINKS"}
    kept.pop("VIRTUAL_ENV", None)
    return {**kept, "UV_PROJECT_ENVIRONMENT": str(VENV)}


def run(*command: str) -> None:
    done = subprocess.run(command, check=False, cwd=ROOT, env=clean_environment())
    check(command, done.returncode)


def check(command: tuple[str, ...], returncode: int) -> None:
    """End where a command failed; its own words stand above."""
    if returncode:
        sys.exit(f"install: `{' '.join(command[:4])} ...` exited with {returncode}, see above")


if __name__ == "__main__":
    sys.exit(main())
