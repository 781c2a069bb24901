"""``vmap``: a function of single samples becomes one of batches.

The function runs once, on tensors that have the shape of a sample and no elements. The operations
that it calls are recorded, and then run on whole batches (``batching.py``).
"""

import itertools
import sys
from functools import wraps
from typing import Any

from rushlight.autograd import mode
from rushlight.ops.shape.join import cat
from rushlight.random import get_rng_state, set_rng_state
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

__all__ = ["vmap"]


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """Return a function that maps ``func`` over a dim of its arguments.

    Operations with a rule for batches run once. The others run once for each sample, with a
    warning.
    ``func`` may not ask for the values of its tensors, for example in an ``if``.

    Args:
        func: A function of tensors that returns tensors.
        in_dims: The dim to map over of each positional argument: an int, None (the argument is the
            same for all samples), or a tree of these in the structure of the arguments. Default: 0.
        out_dims: The dim of the batch in each result: an int, None, or a tree. Default: 0.
        randomness: ``"error"`` refuses random operations, ``"different"`` draws for each sample,
            ``"same"`` draws once for all samples. Default: ``"error"``.
        chunk_size: The largest number of samples that are computed at a time. Default: all.

    Returns:
        Function with the arguments of ``func``. Its positional arguments have one more dim each;
        ``func`` gets the keyword arguments as they are, the same for all samples. Its result is
        that of ``func`` with the batch as a new dim.

    Raises:
        ValueError: Sizes of the mapped dims differ, or ``in_dims`` does not fit the arguments.
        RuntimeError: ``func`` depends on values of tensors, or draws random numbers although
            ``randomness`` is ``"error"``.

    >>> import rushlight as torch
    >>> torch.vmap(torch.dot)(torch.ones(3, 2), torch.arange(6.0).reshape(3, 2))
    tensor([1., 5., 9.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @wraps(func)
    def mapped(*args, **kwargs):
        interior = sys.modules.get("rushlight.func.interior")
        if interior is not None and interior.is_replaced(chunk_size, args):
            return interior.mapped_by_replaced(func, in_dims, out_dims, randomness, args, kwargs)
        leaves, structure, dims = _flat(args, in_dims, getattr(func, "__name__", repr(func)))
        moved = [t.movedim(d, 0) if d else t for t, d in zip(leaves, dims, strict=True)]
        size = _size(moved, dims)

        def call(*samples):
            return func(*structure._build(iter(samples)), **kwargs)

        batched = [d is not None for d in dims]
        results, varies, found = _in_chunks(
            func, call, moved, batched, size, chunk_size, randomness
        )
        return tree_unflatten(_placed(results, varies, found, out_dims, moved), found)

    return mapped


def _flat(args, in_dims, name):
    """(the leaves of the arguments, their structure, the mapped dim of each leaf or None)."""
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are "
            "trying to vmap over a function with no inputs. The latter is unsupported."
        )
    leaves, structure = tree_flatten(args)
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): expected `in_dims` to be int or a "
            f"(potentially nested) tuple matching the structure of inputs, got: {type(in_dims)}."
        )
    dims = [in_dims] * len(leaves) if type(in_dims) is int else _broadcast(in_dims, structure)
    if dims is None:
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): in_dims is not compatible with the "
            f"structure of inputs. in_dims has structure {tree_flatten(in_dims)[1]} but inputs has "
            f"structure {structure}."
        )
    for i, (t, d) in enumerate(zip(leaves, dims, strict=True)):
        if d is None:
            continue
        if not isinstance(d, int):
            raise ValueError(
                f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={d} for an input but "
                "in_dim must be either an integer dimension or None."
            )
        if not isinstance(t, Tensor):
            raise ValueError(
                f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={d} for an input but "
                f"the input is of type {type(t)}. We cannot vmap over non-Tensor arguments, please "
                "use None as the respective in_dim"
            )
        n = t.ndim
        if not -n <= d < n:
            raise ValueError(
                f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={d} for some input, "
                f"but that input is a Tensor of dimensionality {t.ndim} so expected in_dim to "
                f"satisfy -{t.ndim} <= in_dim < {t.ndim}."
            )
        dims[i] = d % n
    return leaves, structure, dims


def _broadcast(tree, structure):
    """The leaves of ``tree`` for each leaf of ``structure``; None if the two don't fit."""
    if type(tree) is int:
        return [tree] * structure.num_leaves
    leaves, own = tree_flatten(tree)
    try:
        parts = own.flatten_up_to(tree_unflatten([0] * structure.num_leaves, structure))
    except ValueError:
        return None
    each = [[leaf] * len(tree_leaves(p)) for leaf, p in zip(leaves, parts, strict=True)]
    return [*itertools.chain(*each)]


def _size(moved, dims):
    sizes = {t.shape[0] for t, d in zip(moved, dims, strict=True) if d is not None}
    if not sizes:
        raise ValueError(
            "vmap: at least one Tensor must be mapped over, but in_dims are None for all of them"
        )
    if len(sizes) > 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sorted(sizes)} for the mapped dimension"
        )
    return sizes.pop()


_run: Any = None  # ``batching.run``, which is imported at first use


def _batching():
    global _run
    from rushlight.func.batching import run

    _run = run
    return run


def _in_chunks(func, call, given, batched, size, chunk_size, randomness):
    """What ``batching.run`` returns, for the whole batch.

    With the ``randomness`` "same" all chunks draw the same numbers. A recording could not rewind
    the generator between them, so it takes the whole batch as one chunk, with the same results.
    """
    run = _run or _batching()
    if chunk_size is None or chunk_size >= size:
        return run(func, call, given, batched, size, randomness)
    same = randomness == "same"
    step = size if same and mode.recorder() is not None else chunk_size
    state = get_rng_state() if same and step < size else None
    parts = []
    for start in range(0, size, step):
        part = [
            t[start : start + step] if b and step < size else t
            for t, b in zip(given, batched, strict=True)
        ]
        if state is not None:
            set_rng_state(state)
        found, varies, structure = run(
            func, call, part, batched, min(step, size - start), randomness
        )
        parts.append(found)
    if len(parts) == 1:
        return parts[0], varies, structure
    results = [cat(p) if isinstance(p[0], Tensor) else p[0] for p in zip(*parts, strict=True)]
    return results, varies, structure


def _placed(results, varies, structure, out_dims, given):
    """The results with the batch's dim, their dim 0, where ``out_dims`` wants it.

    Each is a tensor of its own: neither an argument, nor the same tensor as another result.
    """
    if structure.type is None and isinstance(out_dims, tuple) and len(out_dims) == 1:
        out_dims = out_dims[0]
    dims = [out_dims] * len(results) if type(out_dims) is int else _broadcast(out_dims, structure)
    if dims is None:
        raise ValueError(
            f"vmap: out_dims={out_dims} is not compatible with the structure of the outputs"
        )
    for r, d, v in zip(results, dims, varies, strict=True):
        if d is not None and not isinstance(r, Tensor):
            raise ValueError(
                f"vmap: the function must only return Tensors, got type {type(r)}. Did you mean to "
                "set out_dims= to None for output?"
            )
        if d is not None and not isinstance(d, int):
            raise ValueError(f"vmap: `out_dims` must be ints, None or a tree of these, got {d!r}")
        if d is None and v:
            raise ValueError(
                "vmap: the function can not return a BatchedTensor when out_dim is None"
            )
    taken = {id(t) for t in given}
    placed = []
    for r, d in zip(results, dims, strict=True):
        if d is None:
            r = r[0] if issubclass(type(r), Tensor) else r
        elif d or id(r) in taken:
            r = r.movedim(0, d)
        taken.add(id(r))
        placed.append(r)
    return placed
