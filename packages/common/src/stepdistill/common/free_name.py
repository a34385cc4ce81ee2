"""A name that nothing else has: of a column beside others, of a placeholder, of a label."""

from collections.abc import Container


def free_name(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it where it is taken: `label_2`, `label_3`."""
    number, free = 2, name
    while free in taken:
        free = f"{name}_{number}"
        number += 1
    return free
