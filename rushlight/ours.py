"""Which modules, classes and functions are rushlight's, under either of their names.

Where rushlight runs a program in PyTorch's place, its public classes and functions say that their
module is PyTorch's (``programs/naming.py``). There is no PyTorch in such a process.
"""

__all__ = ["PACKAGES", "is_our_module", "is_ours"]

PACKAGES = ("rushlight", "torch", "torchvision")


def is_our_module(name):
    """Whether the module called ``name`` is rushlight's.

    >>> is_our_module("torch.nn"), is_our_module("numpy")
    (True, False)
    """
    return isinstance(name, str) and name.partition(".")[0] in PACKAGES


def is_ours(x):
    """Whether a class or a function is rushlight's."""
    return is_our_module(getattr(x, "__module__", None))
