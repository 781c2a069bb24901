"""torch._C._functorch and torch._functorch.vmap: what libraries ask of ``vmap``'s interior."""

import threading
from typing import Any

from rushlight.autograd import mode
from rushlight.compiler.ir.abstract import Abstract
from rushlight.func.batch_recorder import BatchRecorder
from rushlight.func.batching import compute, record
from rushlight.func.vmap import _broadcast as _broadcast_to_and_flatten  # noqa: F401
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten

__all__ = [
    "Tensor", "are_transforms_active", "is_batchedtensor", "is_functorch_wrapped_tensor",
    "is_legacy_batchedtensor", "tree_flatten", "tree_unflatten",
]  # fmt: skip


def are_transforms_active():
    """True inside a function that ``vmap`` runs."""
    recorder = mode.recorder()
    return recorder is not None and recorder.batches


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


get_unwrapped, maybe_get_bdim = _missing("get_unwrapped"), _missing("maybe_get_bdim")

# Steps of vmap that a library replaces ------------------------------------------------------
#
# tensordict assigns functions of its own to the three names below, so that vmap maps its
# collections. These functions call ``_add_batch_dim`` for each tensor of an argument, and
# ``_remove_batch_dim`` for each tensor of a result.

_STEPS = ("_process_batched_inputs", "_create_batched_inputs", "_unwrap_batched")
_process_batched_inputs, _create_batched_inputs, _unwrap_batched = map(_missing, _STEPS)
_default_steps = {name: globals()[name] for name in _STEPS}


class _Level:
    """One call of a vmap whose steps are replaced.

    Attributes:
        given: The tensors that are mapped, with the batch as dim 0.
        samples: The sample of each, without elements.
        batch: The values of the recorded function; None while it is recorded.
    """

    def __init__(self, size, randomness):
        self.size, self.outer = size, mode.snapshot()
        self.recorder = BatchRecorder(randomness)
        self.given: list = []
        self.samples: list = []
        self.batch: Any = None

    def sample(self, tensor, dim):
        inner = mode.snapshot()
        mode.give_back(self.outer)  # moving a dim of the batch is no part of the recording
        try:
            self.given.append(tensor.movedim(dim, 0))
        finally:
            mode.give_back(inner)
        self.samples.append(self.recorder.sample(self.given[-1]))
        return self.samples[-1]

    def compute(self):
        batched = [True] * len(self.given)
        self.batch = compute(self.recorder, self.given, self.samples, batched, self.size)

    def whole(self, tensor):
        """The values of a result for the whole batch."""
        return self.batch.whole(self._value(tensor))

    def of_all(self, tensor):
        """(a result that all samples have in common, False), or (that of the batch, True)."""
        return self.batch.get(self._value(tensor))

    def _value(self, tensor):
        value = self.recorder.value(tensor)
        if value.id not in self.batch.known:  # a tensor from outside that was never read
            self.batch.known[value.id] = tensor, False
        return value


class _Levels(threading.local):
    def __init__(self):
        self.open: list = []


_levels = _Levels()


def is_replaced(chunk_size, args):
    """Whether a library's functions stand for the steps of vmap.

    With a ``chunk_size``, they serve only where an argument holds what is no tensor.
    """
    if any(globals()[name] is default for name, default in _default_steps.items()):
        return False
    return chunk_size is None or not all(isinstance(a, Tensor) for a in args)


def mapped_by_replaced(func, in_dims, out_dims, randomness, args, kwargs):
    """Call ``func`` on samples by the library's steps."""
    size, dims, leaves, structure = _process_batched_inputs(in_dims, args, func)
    level = _Level(size, randomness)
    _levels.open.append(level)
    number = len(_levels.open)
    try:

        def call():
            return func(*_create_batched_inputs(dims, leaves, number, structure), **kwargs)

        found = record(level.recorder, call)
        level.compute()
        return _unwrap_batched(found, out_dims, number, size, func)
    finally:
        _levels.open.pop()


def _level(name, number) -> _Level:
    """The open level of ``number``, of which a library asks ``name``."""
    if not 1 <= number <= len(_levels.open):
        raise NotImplementedError(
            f"torch._C._functorch.{name}: level {number} is none of vmap with a library's own steps"
        )
    return _levels.open[number - 1]


def _add_batch_dim(tensor, in_dim, level):
    """Return one sample of ``tensor``, whose dim ``in_dim`` is that of the batch."""
    return _level("_add_batch_dim", level).sample(tensor, in_dim)


def _remove_batch_dim(tensor, level, batch_size, out_dim):
    """Return the results for the batch, where ``tensor`` is that of one sample."""
    return _level("_remove_batch_dim", level).whole(tensor).movedim(0, out_dim)


def _maybe_remove_batch_dim(name, batched_output, vmap_level, batch_size, out_dim):
    if out_dim is None:
        if not isinstance(batched_output, Tensor):
            return batched_output
        found, batched = _level("_maybe_remove_batch_dim", vmap_level).of_all(batched_output)
        if batched:
            raise ValueError(
                f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None"
            )
        return found
    if not isinstance(batched_output, Tensor):
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type "
            f"{type(batched_output)}. Did you mean to set out_dims= to None for output?"
        )
    return _remove_batch_dim(batched_output, vmap_level, batch_size, out_dim)
