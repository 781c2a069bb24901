"""Sparse tensors that store no element, and sparse tensors of another size."""

from math import prod

import numpy as np

import rushlight
from rushlight.dtype import int64
from rushlight.errors import ShapeError
from rushlight.ops.core.outputs import refuse_gradients
from rushlight.ops.tensor.memory_format import sparse_coo, sparse_csc, sparse_csr
from rushlight.shapes import sizes
from rushlight.sparse.container import (
    BLOCKED,
    BY_ROW,
    RULES,
    compressed,
    coo,
    in_words,
    refuse,
    rule,
)
from rushlight.sparse.conversion import blocksize_of, count, require_coo
from rushlight.tensor import from_array


def empty(x, size=None, sparse=None):
    """Return a tensor of zeros of ``x``'s dtype and layout, which stores no element."""
    given = size is not None
    size = tuple(sizes((tuple(size),), "empty")) if given else x.sizes
    none = x.stored.detach().reshape(-1)[:0]
    if x.form is sparse_coo:
        d = (len(size) if given else count(x)) if sparse is None else sparse
        return without_elements(sparse_coo, size, none, dense=len(size) - d)
    block = blocksize_of(x) if x.form in BLOCKED else ()
    dense = 0 if given else RULES["dense_dim"](x)
    return without_elements(x.form, size, none, dense, block, x.pattern[0].dtype)


def without_elements(layout, size, none, dense=0, block=(), index=int64):
    """Return a tensor of ``layout`` that stores no element; ``none`` is a tensor of no element.

    Args:
        dense: The number of dense dims, which come last.
        block: The size of the blocks of a layout of blocks.
        index: The dtype of the indices of a compressed layout.
    """
    d = len(size) - dense
    if layout is sparse_coo:
        at = from_array(np.zeros((d, 0), np.int64))
        return coo(at, none.new_zeros((0, *size[d:])), size, True)
    batch = tuple(size[: d - 2])
    if d < 2 or (batch and block):
        raise RuntimeError(
            "torch.empty: Only batched sparse compressed (non-block) tensors are supported, but "
            f"got size {list(size)}"
        )
    if layout in BLOCKED and not block:
        raise RuntimeError(f"torch.empty: a tensor of layout {layout} needs the size of its blocks")
    n = size[d - 2 if layout in BY_ROW else d - 1]
    n //= block[0 if layout in BY_ROW else 1] if block else 1
    starts = rushlight.zeros((*batch, n + 1), dtype=index)
    inner = rushlight.zeros((*batch, 0), dtype=index)
    return compressed(layout, (starts, inner), none.new_zeros((*batch, 0, *block, *size[d:])), size)


@rule
def zero_(self):
    return self.become(empty(self))


@rule
def sparse_resize_(self, size, sparse_dim, dense_dim):
    require_coo("sparse_resize_", self)
    d, size = count(self), tuple(size)
    if len(size) != sparse_dim + dense_dim:
        raise ShapeError(
            f"number of dimensions must be sparse_dim ({sparse_dim}) + dense_dim ({dense_dim}), "
            f"but got {len(size)}"
        )
    if not self.pattern[0].shape[1]:
        return self.become(empty(self, size, sparse_dim))
    smaller = any(n < m for n, m in zip(size, self.sizes, strict=False))
    if d != sparse_dim or len(size) != len(self.sizes) or smaller:
        raise RuntimeError(
            "sparse_resize_: a tensor that stores elements can only grow; use "
            "sparse_resize_and_clear_"
        )
    if size[d:] != self.sizes[d:]:  # the values keep their order in memory, as in resize_
        refuse_gradients("sparse_resize_", (self.stored,))
        flat = self.stored.reshape(-1)
        shape = (self.stored.shape[0], *size[d:])
        self.stored = rushlight.cat([flat, flat.new_zeros(prod(shape) - len(flat))]).reshape(shape)
    self.sizes = size
    return self


@rule
def resize_(self, *size, memory_format=None):
    if self.form is sparse_coo:
        refuse("resize_", self)
    size = tuple(sizes(size, "resize_"))
    if self.form not in (sparse_csr, sparse_csc) or len(size) != len(self.sizes):
        refuse(f"resize_ to {list(size)}", self)
    k = len(size) - RULES["dense_dim"](self)
    if size[: k - 2] + size[k:] != self.sizes[: k - 2] + self.sizes[k:]:
        refuse(f"resize_ to {list(size)}, which has another batch or other dense dims", self)
    outer, across = (k - 2, k - 1) if self.form in BY_ROW else (k - 1, k - 2)
    if size[across] < self.sizes[across]:
        raise RuntimeError(
            "torch.resize_: Resizing columns of sparse CSR tensors to a smaller value is not "
            f"supported. The original number of columns is {self.sizes[across]} while the "
            f"requested new number of columns is {size[across]}."
        )
    starts, n = self.pattern[0], size[outer] - self.sizes[outer]
    if n < 0 and self.stored.shape[k - 2]:
        refuse(f"resize_ to {list(size)}, which drops rows of the compressed dim", self)
    more = starts[..., -1:].expand((*starts.shape[:-1], max(n, 0)))
    starts = rushlight.cat([starts[..., : size[outer] + 1], more], -1)
    self.pattern, self.sizes = (starts, self.pattern[1]), size
    return self


@rule
def resize_as_sparse_(self, other):
    if other.layout is not self.form:
        raise RuntimeError(
            "resize_as_sparse_: self and src must have the same layout, but got: self "
            f"({in_words(self.form)}) and source ({in_words(other.layout)})"
        )
    if self.form is not sparse_coo:
        refuse("resize_as_sparse_", self)
    return sparse_resize_(self, other.sizes, count(other), len(other.sizes) - count(other))


@rule
def resize_as_(self, other, memory_format=None):
    if self.form is not sparse_coo and other.layout is self.form:
        return resize_(self, other.sizes)
    require_coo("resize_as_", self)
    require_coo("resize_as_", other)
    return resize_as_sparse_(self, other)


@rule
def sparse_resize_and_clear_(self, size, sparse_dim, dense_dim):
    require_coo("sparse_resize_and_clear_", self)
    return self.become(empty(self, size, sparse_dim))
