"""Shapes of results of large operands, found from small ones.

An operation without a shape rule is run on small arrays, three times, with other sizes each time.
The sizes that are large, in the operands and among the parameters, are replaced by small ones:
equal sizes by equal ones, and larger ones by larger ones. A dim of a result is then a number that
does not change, or a product of sizes, times a number, plus a number, or the sum of the sizes that
are joined. One expression, and no other, must explain all three runs. If none does, nothing is
inferred here.
"""

import itertools
from math import prod

import numpy as np

from rushlight.ops.tensor.memory_format import memory_format
from rushlight.shaped import Shaped
from rushlight.strides import dense_strides, is_dense, visit_order

__all__ = ["infer_small"]

#: Sizes from here on are replaced.
_LARGE = 16
#: Small operands have at most so many elements.
_MOST = 1 << 22
_PRIMES = [n for n in range(5, 1000) if all(n % d for d in range(2, int(n**0.5) + 1))]


def infer_small(op, ins, params, kind, run):
    """The results of ``op``, as objects of ``kind``; None if they cannot be told this way.

    ``run(ins, params)`` gives the results of small operands as NumPy arrays.
    """
    operands = [x for x in (*_flat(ins), *_flat(params.values())) if isinstance(x, Shaped)]
    if not all(is_dense(_once(x), x.strides, x.itemsize) for x in operands):
        return None
    given = {n for x in operands for n in x.shape}
    numbers = [v for v in _flat(params.values()) if not isinstance(v, (Shaped, float))]
    if not all(isinstance(v, (int, str, type(None), np.dtype, memory_format)) for v in numbers):
        return None
    small = _small_sizes(given, [v for v in numbers if isinstance(v, int)])
    if not small:
        return None
    runs = []
    for to in small:
        if any(prod(to.get(n, n) for n in x.shape) > _MOST for x in operands):
            return None
        try:
            runs.append(run(_replaced(ins, to), {k: _replaced(v, to) for k, v in params.items()}))
        except (ValueError, IndexError, RuntimeError, TypeError):
            return None  # as where a parameter fits the large sizes only
    # Where tensors are joined, a size may be the sum of theirs.
    shapes = [x.shape for x in ins[0]] if op.variadic else []
    sums = [*zip(*shapes, strict=True)] if len({*map(len, shapes)}) == 1 else []
    return _told(runs, small, sums, kind)


def _small_sizes(given, numbers):
    """For each run a dict from large sizes to small ones; () if there are no sizes to replace.

    ``given`` are the sizes of the operands. The small sizes are larger than all ``numbers`` among
    the parameters that are not sizes of operands, so that these keep their meaning.
    """
    fixed = [abs(v) for v in numbers if v not in given]
    least = max(fixed, default=0)
    large = sorted(n for n in given if n >= _LARGE and n > least)
    least = max([least, 4, *[n for n in given if n not in large]])
    found = [n for n in _PRIMES if n > least]
    count = len(large)
    if not large or len(found) < 3 * count + 2:
        return ()
    # The gaps between neighbours differ from run to run. Otherwise one size could pass for another
    # one plus a number.
    chosen = [
        found[first : first + step * count : step] for first, step in ((0, 1), (1, 2), (2, 3))
    ]
    return [dict(zip(large, sizes, strict=True)) for sizes in chosen]


def _flat(values):
    for v in values:
        if isinstance(v, (tuple, list)):
            yield from _flat(v)
        else:
            yield v


def _once(x):
    """The shape of ``x`` with one element along each dim in which it is expanded."""
    return tuple([n if step or not n else 1 for n, step in zip(x.shape, x.strides, strict=True)])


def _replaced(value, to):
    """``value`` with small sizes, and an array of zeros for an array without elements."""
    if isinstance(value, Shaped):
        shape, stored = [[to.get(n, n) for n in own] for own in (value.shape, _once(value))]
        order = visit_order(value.shape, value.strides)
        out = np.zeros([stored[d] for d in order], value.dtype)
        out = out.transpose(np.argsort(order)) if order else out
        return out if shape == stored else np.broadcast_to(out, shape)
    if type(value) in (tuple, list):
        return type(value)([_replaced(v, to) for v in value])
    return to.get(value, value) if type(value) is int else value


def _told(runs, small, sums, kind):
    """The large results that the small ``runs`` tell; None if a dim is not explained."""
    found = []
    for arrays in zip(*runs, strict=True):
        a = arrays[0]
        if len({a.ndim for a in arrays}) != 1 or not is_dense(a.shape, a.strides, a.itemsize):
            return None
        shape = [_size(ns, small, sums) for ns in zip(*[a.shape for a in arrays], strict=True)]
        if None in shape:
            return None
        strides = None
        if not a.flags.c_contiguous:
            strides = dense_strides(shape, visit_order(a.shape, a.strides), a.itemsize)
        found.append(kind(shape, a.dtype, strides))
    return found


def _size(seen, small, sums):
    """The large size for the sizes ``seen`` in the small runs; None if it is not certain."""
    if len(set(seen)) == 1:
        return seen[0]
    found = {
        sum(ns) for ns in sums if seen == tuple([sum(to.get(n, n) for n in ns) for to in small])
    }
    for count in (1, 2, 3):
        for chosen in itertools.combinations_with_replacement(small[0], count):
            xs = [prod(to[n] for n in chosen) for to in small]
            scale, rest = divmod(seen[1] - seen[0], xs[1] - xs[0])
            base = seen[0] - scale * xs[0]
            explained = all(n == scale * x + base for n, x in zip(seen, xs, strict=True))
            if explained and not rest and scale > 0:
                found.add(scale * prod(chosen) + base)
    return found.pop() if len(found) == 1 else None
