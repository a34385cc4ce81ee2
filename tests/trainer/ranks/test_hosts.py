"""Two hosts: every way to launch trains the same, and what is wrong between hosts is one line.

Hosts are network namespaces (`tests/trainer/hosts.py`), so all of it is skipped where they cannot
be made. Slow: each test is a launch or two.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from stepdistill.trainer.ranks.wire import SILENT_S
from tests.trainer.conftest import RUN
from tests.trainer.hosts import PORT, Host, two_hosts
from tests.trainer.launching import TRAIN, launch
from tests.trainer.made_rows import arguments

BOUND_S = 200
LONG = RUN | {"steps": 5000, "save_every": 3, "log_every": 1000, "eval_every": 1000}
_BARE = 'PATH="$PATH" HOME="$HOME"'
# Options, which do not matter here, then the host.
_SSH_WORDS = """#!/bin/bash
while :; do case $1 in -o|-p|-l) shift 2;; -*) shift;; *) break;; esac; done
host=$1
shift
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    with two_hosts(tmp_path_factory.mktemp("hosts")) as pair:
        yield pair


@pytest.fixture(scope="module")
def one_host(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two ranks of one host made."""
    output = tmp_path_factory.mktemp("one-host")
    _finish(launch(*arguments(data, output, **RUN), "--quiet"))
    return output


def _finish(*runs: subprocess.Popen[str]) -> list[str]:
    """What each said on stderr. They must have ended well."""
    ended = [run.communicate(timeout=BOUND_S) for run in runs]
    assert [run.returncode for run in runs] == [0] * len(runs), ended
    return [err for _, err in ended]


def _ended(*runs: subprocess.Popen[str]) -> list[tuple[int, str]]:
    return [(run.returncode, err) for run in runs for _, err in [run.communicate(timeout=BOUND_S)]]


def _weights(output: Path) -> bytes:
    assert orjson.loads((output / "results.json").read_bytes())["cost"]["ranks"] == 2
    return (output / "model" / "model.safetensors").read_bytes()


def _training(output: Path) -> None:
    """Wait until there is a checkpoint."""
    end = time.monotonic() + BOUND_S
    while not any((output / "checkpoints").glob("step-*")):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_launcher_on_each_host(
    hosts: tuple[Host, Host], data: Path, one_host: Path, tmp_path: Path
) -> None:
    hostfile = tmp_path / "hostfile"
    hostfile.write_text("".join(f"{host.address} slots=1\n" for host in hosts))
    line = [*arguments(data, tmp_path / "out", **RUN), "--quiet"]
    where = ["--hostfile", hostfile, "--no_ssh", "--master_addr", hosts[0].address]
    _finish(
        *(
            host.start("deepspeed", *where, "--node_rank", rank, TRAIN, *line)
            for rank, host in zip("01", hosts, strict=True)
        )
    )
    assert _weights(tmp_path / "out") == _weights(one_host)


@pytest.mark.parametrize("meeting", ["c10d", "static"])
def test_torchrun_on_each_host(
    hosts: tuple[Host, Host], data: Path, one_host: Path, tmp_path: Path, meeting: str
) -> None:
    line, first = [*arguments(data, tmp_path, **RUN), "--quiet"], hosts[0].address
    # By the name that the first host has for itself: by that torchrun knows who is to hold it.
    c10d = ["--rdzv_backend", "c10d", "--rdzv_endpoint", f"host-a:{PORT}", "--local-addr"]
    static = ["--master_addr", first, "--master_port", PORT, "--node_rank"]
    own = zip([host.address for host in hosts] if meeting == "c10d" else "01", hosts, strict=True)
    _finish(
        *(
            host.start(
                *["torchrun", "--nnodes", "2", "--nproc_per_node", "1"],
                *[*(c10d if meeting == "c10d" else static), mine, TRAIN, *line],
            )
            for mine, host in own
        )
    )
    assert _weights(tmp_path) == _weights(one_host)


def _over_ssh(hosts: tuple[Host, Host], folder: Path, line: list[str]) -> subprocess.Popen[str]:
    """One launcher for both hosts. ssh is a script that enters the other namespace, with none of
    its caller's environment."""
    if not shutil.which("pdsh"):
        pytest.skip("`deepspeed --hostfile` calls pdsh, which is not installed")
    ssh = folder / "bin" / "ssh"
    ssh.parent.mkdir()
    entering = "\n".join(
        f'{host.address}) exec {shlex.join(host.entered())} env -i {_BARE} sh -c "$*" ;;'
        for host in hosts
    )
    ssh.write_text(f"{_SSH_WORDS}case $host in\n{entering}\nesac\n")
    ssh.chmod(0o755)
    (folder / "hostfile").write_text("".join(f"{host.address} slots=1\n" for host in hosts))
    path = os.pathsep.join([str(ssh.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    names = {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1", "PATH": path}
    names["XDG_CACHE_HOME"] = os.environ["XDG_CACHE_HOME"]
    lines = (f"{name}={value}\n" for name, value in names.items())
    (folder / ".deepspeed_env").write_text("".join(lines))
    where = ["--hostfile", folder / "hostfile", "--master_addr", hosts[0].address]
    own = {"PATH": path, "HOME": str(folder), "PDSH_SSH_ARGS": "%h"}
    return hosts[0].start("deepspeed", *where, TRAIN, *line, **own)


def test_one_launcher_over_ssh(
    hosts: tuple[Host, Host], data: Path, one_host: Path, tmp_path: Path
) -> None:
    _finish(_over_ssh(hosts, tmp_path, [*arguments(data, tmp_path / "out", **RUN), "--quiet"]))
    assert _weights(tmp_path / "out") == _weights(one_host)


def test_a_killed_launcher_over_ssh_ends_all_within_a_minute(
    hosts: tuple[Host, Host], data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    run = _over_ssh(hosts, tmp_path, [*arguments(data, output, **LONG), "--quiet"])
    _training(output)
    (launcher,) = (each for each in _processes(output) if "hostfile" in each[1])
    os.kill(launcher[0], signal.SIGKILL)
    end = time.monotonic() + 60
    try:
        while left := _processes(output):
            assert time.monotonic() < end, left
            time.sleep(0.2)
    finally:
        for process, _ in _processes(output):
            os.kill(process, signal.SIGKILL)
        run.communicate(timeout=BOUND_S)


def _processes(output: Path) -> list[tuple[int, str]]:
    """(number, command) of those that train into this folder, launchers among them."""
    found: list[tuple[int, str]] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_text(errors="replace").split("\0")
            if words[0].endswith(("python", "python3")) and f"--output={output}" in words:
                found.append((int(path.parent.name), " ".join(words)))
    return found


def test_srun_needs_no_launcher(
    hosts: tuple[Host, Host], data: Path, one_host: Path, tmp_path: Path
) -> None:
    line = [*arguments(data, tmp_path, **RUN), "--quiet"]
    # On host-a that name is 127.0.1.1, as Debian has it.
    job = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "2", "SLURM_LOCALID": "0"}
    job |= {"SLURM_STEP_NODELIST": "host-[a,b]", "SLURM_JOB_ID": "7"}
    _finish(
        *(
            host.start("python", TRAIN, *line, SLURM_PROCID=rank, **job)
            for rank, host in zip("01", hosts, strict=True)
        )
    )
    assert _weights(tmp_path) == _weights(one_host)


def test_a_killed_rank_ends_the_others_at_once(
    hosts: tuple[Host, Host], data: Path, tmp_path: Path
) -> None:
    line = [*arguments(data, tmp_path, **LONG), "--quiet"]
    runs = [host.rank(n, line, hosts[0].address) for n, host in enumerate(hosts)]
    _training(tmp_path)
    runs[1].kill()
    began = time.monotonic()
    (code, said), _ = _ended(*runs)
    assert time.monotonic() - began < SILENT_S
    assert code == 3
    assert said.count("error: ") == 1 and "Traceback" not in said
    assert f"rank 1 on host-b ({hosts[1].address}) has died" in said
    assert "the same command goes on from the last checkpoint" in said


def test_a_host_that_is_lost_in_silence_ends_all_within_a_minute_and_the_other_goes_on(
    hosts: tuple[Host, Host], data: Path, tmp_path: Path
) -> None:
    line = arguments(data, tmp_path, **LONG | {"steps": 400})
    runs = [host.rank(n, line, hosts[0].address) for n, host in enumerate(hosts)]
    _training(tmp_path)
    hosts[1].unplug()
    began = time.monotonic()
    try:
        ended = _ended(*runs)
    finally:
        hosts[1].plug()
    assert time.monotonic() - began < 60
    for (code, said), other in zip(ended, ("rank 1 on host-b", "rank 0"), strict=True):
        assert code == 3
        assert f"error: {other} (" in said and "cannot be reached any more" in said
        assert "Traceback" not in said
    # The same command on the host that is left.
    [(code, said)] = _ended(hosts[0].rank(0, line, hosts[0].address, ranks=1))
    assert code == 0, said
    assert "written by 2 ranks, gone on from by 1" in said and "step 400/400" in said, said
    assert orjson.loads((tmp_path / "results.json").read_bytes())["cost"]["ranks"] == 1


@pytest.mark.parametrize("failing", [0, 1])
def test_what_one_host_lacks_is_said_on_both(
    hosts: tuple[Host, Host], data: Path, tmp_path: Path, failing: int
) -> None:
    runs = [
        host.rank(
            rank,
            [*arguments(data, tmp_path), *(["--valid", "lacking"] if rank == failing else [])],
            hosts[0].address,
        )
        for rank, host in enumerate(hosts)
    ]
    for (code, said), rank in zip(_ended(*runs), (0, 1), strict=True):
        assert (code, said.count("error: "), "Traceback" in said) == (2, 1, False)
        assert "lacking/manifest.json: no manifest" in said
        assert (f"rank {failing} " in said) is (rank != failing)


def test_an_interface_that_is_not_there(
    hosts: tuple[Host, Host], data: Path, tmp_path: Path
) -> None:
    world = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    world |= {"MASTER_ADDR": hosts[0].address, "MASTER_PORT": PORT, "GLOO_SOCKET_IFNAME": "eth7"}
    runs = [
        host.start("python", TRAIN, *arguments(data, tmp_path), RANK=str(rank), **world)
        for rank, host in enumerate(hosts)
    ]
    for code, said in _ended(*runs):
        assert code == 2
        assert "has no eth7: it has lo, " in said
