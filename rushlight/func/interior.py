"""torch._C._functorch and torch._functorch.vmap: what libraries ask of ``vmap``'s interior."""

from typing import Any

from rushlight.autograd import mode
from rushlight.compiler.ir.abstract import Abstract
from rushlight.func.batch_recorder import BatchRecorder
from rushlight.func.vmap import _broadcast as _broadcast_to_and_flatten  # noqa: F401
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten

__all__ = [
    "Tensor", "are_transforms_active", "is_batchedtensor", "is_functorch_wrapped_tensor",
    "is_legacy_batchedtensor", "tree_flatten", "tree_unflatten",
]  # fmt: skip


def are_transforms_active():
    """True inside a function that ``vmap`` runs."""
    return isinstance(mode.recorder(), BatchRecorder)


def is_batchedtensor(tensor):
    """Whether ``tensor`` stands for one sample of a batch, in a function that ``vmap`` runs.

    >>> import rushlight as torch
    >>> is_batchedtensor(torch.ones(2))
    False
    """
    return are_transforms_active() and isinstance(tensor._array, Abstract)


is_functorch_wrapped_tensor = is_batchedtensor


def is_legacy_batchedtensor(tensor):
    """Return False: there is one kind of ``vmap``.

    >>> is_legacy_batchedtensor(None)
    False
    """
    return False


def _get_name(func):
    return getattr(func, "__name__", repr(func))


def _missing(name) -> Any:
    """A function that only raises: samples of a batch are not tensors that wrap the batch."""

    def call(*args, **kwargs):
        raise NotImplementedError(
            f"torch._C._functorch.{name}: vmap records a function, and wraps no tensors"
        )

    call.__name__ = name
    return call


_add_batch_dim, _remove_batch_dim = _missing("_add_batch_dim"), _missing("_remove_batch_dim")
_create_batched_inputs = _missing("_create_batched_inputs")
_process_batched_inputs = _missing("_process_batched_inputs")
_unwrap_batched = _missing("_unwrap_batched")
_maybe_remove_batch_dim = _missing("_maybe_remove_batch_dim")
get_unwrapped, maybe_get_bdim = _missing("get_unwrapped"), _missing("maybe_get_bdim")
