"""Which of a training's ranks this process is: by `deepspeed`, `torchrun`, Ray, Slurm or MPI.

The environment is what all of them set and what DeepSpeed reads, so that is where it is kept.
"""

import os
import re
import socket
from dataclasses import dataclass

from stepdistill.common.errors import ConfigError

OF_A_RANK = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_OF_LAUNCHERS = ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# How many ranks a host has, by whoever started them.
_LOCAL_SIZES = ("LOCAL_WORLD_SIZE", "LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE")
_FIRST_PORT, _PORTS = 20000, 20000  # of which a Slurm job has one, by its number
# gpu[03-07,11]-ib,cpu1: gpu03-ib
_FIRST_HOST = re.compile(r"([^\[,]+)(?:\[([^\],-]+)[^\]]*\])?([^,\[]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RankPlace:
    """One process among the ranks of a training."""

    rank: int
    size: int  # of them all
    local_rank: int
    address: str  # of rank 0's host, by which the others reach it
    port: int
    several_hosts: bool

    @property
    def speaks(self) -> bool:
        """Whether it says what all of them have to say: one of them, or one of each host, since
        hosts have logs of their own."""
        return self.rank == 0 or (self.several_hosts and self.local_rank == 0)


def stand_alone(*, alone: bool = False) -> None:
    """Without a launcher this process is the only rank: say so where DeepSpeed looks. alone: with
    one, too. Raises ConfigError: what a launcher has set is not enough, or wrong."""
    if not alone and "RANK" not in os.environ:
        os.environ |= _of_slurm() or _of_mpi()
    if alone or "RANK" not in os.environ:
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
        return
    if missing := [name for name in _OF_LAUNCHERS if name not in os.environ]:
        raise ConfigError(
            f"RANK is set and {', '.join(missing)} not: start by `deepspeed` or `torchrun`, or "
            "unset RANK"
        )
    if "LOCAL_RANK" not in os.environ:
        os.environ["LOCAL_RANK"] = _local_rank()
    os.environ["MASTER_ADDR"] = os.environ["MASTER_ADDR"].strip().strip("[]")
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT"):
        value, most = os.environ[name], 65535 if name == "MASTER_PORT" else 1 << 20
        if not value.isdecimal() or int(value) > most:
            raise ConfigError(f"{name}={value}: not a number from 0 to {most}")


def place() -> RankPlace:
    """Which rank this process is; `stand_alone` has been called."""
    given = os.environ
    size = int(given["WORLD_SIZE"])
    return RankPlace(
        rank=int(given["RANK"]),
        size=size,
        local_rank=int(given["LOCAL_RANK"]),
        address=given["MASTER_ADDR"],
        port=int(given["MASTER_PORT"]),
        several_hosts=size > 1 and _are_several_hosts(size),
    )


def is_this_machine(address: str) -> bool:
    """Whether an address or name leads back to whoever uses it."""
    return address in ("localhost", "::1") or address.startswith("127.")


def free_port() -> str:
    """A port that nobody listens on: DeepSpeed's own default is often taken."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return str(probe.getsockname()[1])


def first_host(hosts: str) -> str:
    """The first of Slurm's list of hosts: of `gpu[03-07]-ib,cpu1` it is gpu03-ib."""
    found = _FIRST_HOST.match(hosts)
    return "" if found is None else "".join(part or "" for part in found.groups())


def _are_several_hosts(size: int) -> bool:
    given = os.environ
    for name in _LOCAL_SIZES:
        if given.get(name, "").isdecimal():
            return int(given[name]) < size
    if "SLURM_STEP_NUM_NODES" in given:
        return given["SLURM_STEP_NUM_NODES"] != "1"
    return not is_this_machine(given["MASTER_ADDR"])


def _of_slurm() -> dict[str, str]:
    """A task of `srun` is a rank. In the script of a job, and in a shell of `salloc`, there is no
    step, and so no rank."""
    given = os.environ
    size = given.get("SLURM_STEP_NUM_TASKS", "1")
    if size == "1" or "SLURM_PROCID" not in given:
        return {}
    host = first_host(given.get("SLURM_STEP_NODELIST") or given.get("SLURM_JOB_NODELIST", ""))
    job = given.get("SLURM_JOB_ID", "0")
    port = _FIRST_PORT + (int(job) if job.isdecimal() else 0) % _PORTS
    return {
        "RANK": given["SLURM_PROCID"],
        "WORLD_SIZE": size,
        "LOCAL_RANK": given.get("SLURM_LOCALID", "0"),
        "MASTER_ADDR": given.get("MASTER_ADDR") or host or "127.0.0.1",
        "MASTER_PORT": given.get("MASTER_PORT") or str(port),
    }


def _of_mpi() -> dict[str, str]:
    """A process of Open MPI's `mpirun` is a rank; it says nothing of where they meet."""
    given = os.environ
    if given.get("OMPI_COMM_WORLD_SIZE", "1") == "1":
        return {}
    if "MASTER_ADDR" not in given or "MASTER_PORT" not in given:
        raise ConfigError(
            "mpirun has started several ranks, and where they meet is not said: "
            "mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500, HOST being the first of them"
        )
    return {
        "RANK": given["OMPI_COMM_WORLD_RANK"],
        "WORLD_SIZE": given["OMPI_COMM_WORLD_SIZE"],
        "LOCAL_RANK": given["OMPI_COMM_WORLD_LOCAL_RANK"],
    }


def _local_rank() -> str:
    """This process's place on its host, by whoever started it."""
    for name in ("SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"):
        if name in os.environ:
            return os.environ[name]
    if os.environ["WORLD_SIZE"] == "1":
        return "0"
    raise ConfigError(
        "RANK is set and LOCAL_RANK not, so nobody knows which of its host's devices is whose: "
        "start by `deepspeed` or `torchrun`, or set LOCAL_RANK (0 where each host has one rank)"
    )
