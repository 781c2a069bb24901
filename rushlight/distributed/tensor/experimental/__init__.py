"""Functions of tensors of several processes that PyTorch may change."""

import contextlib

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "tensor.experimental",
    "context_parallel local_map register_sharding",
)
globals().update(_absent)

__all__ = ["implicit_replication", *_absent]


@contextlib.contextmanager
def implicit_replication():
    """A context in which plain tensors may be operands beside DTensors; it is not there yet."""
    raise NotImplementedError("torch.distributed.tensor.experimental.implicit_replication")
    yield
