"""Which rank a process is, by what launchers and schedulers set."""

import os

import pytest

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.ranks.place import OF_A_RANK, first_host, place, stand_alone

_SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
    "SLURM_JOB_ID": "41234",
}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that no launcher and no scheduler has been at; it is put back after."""
    for name in [*OF_A_RANK, *os.environ]:
        if name in OF_A_RANK or name.startswith(("SLURM_", "OMPI_", "LOCAL_")):
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
    return monkeypatch


def test_a_process_that_nobody_launched_is_alone(given: pytest.MonkeyPatch) -> None:
    stand_alone()
    assert (place().rank, place().size, place().several_hosts, place().speaks) == (
        0,
        1,
        False,
        True,
    )


def test_a_task_of_srun_is_a_rank(given: pytest.MonkeyPatch) -> None:
    for name, value in _SLURM.items():
        given.setenv(name, value)
    stand_alone()
    here = place()
    assert (here.rank, here.size, here.local_rank) == (5, 8, 1)
    assert (here.address, here.port) == ("gpu03", 20000 + 41234 % 20000)
    assert here.several_hosts and not here.speaks


def test_the_script_of_a_slurm_job_is_no_rank(given: pytest.MonkeyPatch) -> None:
    """There SLURM_PROCID is 0 and SLURM_NTASKS 8, and seven ranks would be waited for in vain."""
    for name, value in {**_SLURM, "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}.items():
        if "STEP" not in name:
            given.setenv(name, value)
    stand_alone()
    assert place().size == 1


def test_a_launchers_word_goes_before_slurms(given: pytest.MonkeyPatch) -> None:
    of_launcher = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_SIZE": "2"}
    where = {"MASTER_ADDR": "[::1]", "MASTER_PORT": "29500"}
    for name, value in {**_SLURM, **of_launcher, **where}.items():
        given.setenv(name, value)
    stand_alone()
    here = place()
    assert (here.rank, here.size, here.address) == (1, 2, "::1")
    assert not here.several_hosts and not here.speaks


def test_mpirun_must_say_where_ranks_meet(given: pytest.MonkeyPatch) -> None:
    names = ("SIZE", "RANK", "LOCAL_RANK", "LOCAL_SIZE")
    for name, value in zip(names, ("4", "2", "0", "2"), strict=True):
        given.setenv(f"OMPI_COMM_WORLD_{name}", value)
    with pytest.raises(ConfigError, match="mpirun -x MASTER_ADDR"):
        stand_alone()
    given.setenv("MASTER_ADDR", "node1")
    given.setenv("MASTER_PORT", "29500")
    stand_alone()
    here = place()
    assert (here.rank, here.size, here.local_rank, here.several_hosts) == (2, 4, 0, True)
    assert here.speaks  # the first of its host


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("gpu[03-07,11]-ib,cpu1", "gpu03-ib"),
        ("rack2-n[1,3]", "rack2-n1"),
        ("", ""),
    ],
)
def test_the_first_of_slurms_hosts(hosts: str, first: str) -> None:
    assert first_host(hosts) == first
