"""Functions that run on the CPU and on a device, and what they are given."""

import rushlight as torch

__all__ = ["Cases", "normal"]


class Cases(dict):
    """Functions of a device, by name; ``add`` is a decorator that adds one."""

    def add(self, f):
        self[f.__name__] = f
        return f


def normal(d, *shape):
    """Normal numbers on the device ``d``, the same on each device."""
    return torch.randn(*shape).to(d)
