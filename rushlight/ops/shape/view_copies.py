"""``select_copy``, ``transpose_copy``, …: operations on views whose results are copies."""

import inspect
from functools import wraps

from rushlight.autograd import mode
from rushlight.autograd.tape import renamed
from rushlight.dtype import dtype as dtype_type
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import plain
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.overlap import refuse_overlap
from rushlight.ops.core.rules import underivable
from rushlight.ops.elementwise.complex import as_pairs, view_as_complex
from rushlight.ops.index.slice import ALIAS, look
from rushlight.ops.index.view_scatter import slice_of
from rushlight.ops.shape.permute import permute, t, transpose
from rushlight.ops.shape.split import cuts, narrow, rows, select, split, split_with_sizes, unbind
from rushlight.ops.shape.strided import as_strided, diagonal, expand, unfold
from rushlight.ops.shape.view import squeeze, unsqueeze
from rushlight.ops.tensor.memory_format import contiguous_format
from rushlight.strides import copied as copy_of
from rushlight.tensor import from_array

_OUT = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None)


def _copies(name, view, method=False, places=None, copied_already=False, node=None,
            **kinds):  # fmt: skip
    """Publish the function ``name``, which returns contiguous copies of what ``view`` returns.

    ``places`` gives the indices of the parts if ``view`` returns several: without gradients these
    are copied one by one, because Python's garbage collector is slow with many views at once.
    ``node`` is the name of the copy's node. Default: that of the view's node and ``_copy``.
    ``copied_already``: the results of ``view`` have memory of their own.
    ``kinds`` are those of ``argument_kinds.takes``.
    """

    @wraps(view)
    def copied(*args, out=None, **named):
        if places is not None and out is None and not mode.intercept:
            indices = places(*args, **named)
            x = args[0] if args else named["input"]
            array = plain(x)
            if x.node is None or not mode.records():
                return tuple([from_array(copy_of(array[index])) for index in indices])
        found = view(*args, **named)
        if not isinstance(found, tuple):
            if not copied_already:
                found = _copy_of(found, node)
            return found if out is None else store(out, found, name)
        if out is None:
            return tuple([_copy_of(part, node) for part in found])
        if name.startswith("split"):  # PyTorch copies each part by ``copy_``
            for part, o in zip(found, out, strict=False):
                refuse_overlap(o, (part,), name)
        store(tuple(out), found, name)
        return None

    own = inspect.signature(view)
    vars(copied)["__signature__"] = own.replace(parameters=[*own.parameters.values(), _OUT])
    copied.__name__ = copied.__qualname__ = name
    copied.__doc__ = f"Copying version of ``{name[:-5]}``: the result has memory of its own."
    function(name=name, method=method, kinds=kinds)(copied)


def _copy_of(view, name):
    """A copy of ``view``. Its node is named as the view's node, with ``_copy``, or ``name``."""
    found = view.clone(memory_format=contiguous_format)
    return found if found.node is None else renamed(found, name or f"{view.grad_fn.name()}_copy")


@takes("input, size: shape, *, out?=", "input, dtype, *, out?=")
def _viewed(input, size=None, dtype=None):
    """View a copy, for which every size is possible; a dtype gives a view of another dtype."""
    dtype = size if isinstance(size, dtype_type) else dtype
    return input.reshape(size) if dtype is None else input.view(dtype)


@kernel(public=False, method=False, name="detach_copy")
def _detached(xp, x):
    """A copy through which no gradient goes: as in PyTorch, going backward raises."""
    return x.copy()


_detached.lower(lambda x: x.clone())
_detached.grad(x=underivable("detach_copy"))

_copies("alias_copy", lambda input: look(input, ALIAS, (...,)))
_copies("as_strided_copy", lambda input, size, stride, storage_offset=None: (
    as_strided(input, size, stride, storage_offset)
))  # fmt: skip
_copies("detach_copy", lambda input: _detached(input), copied_already=True)
_copies(
    "diagonal_copy", lambda input, offset=0, dim1=0, dim2=1: diagonal(input, offset, dim1, dim2)
)
_copies("expand_copy", lambda input, size, *, implicit=False: expand(input, size), size="shape")
_copies("narrow_copy", lambda input, dim, start, length: narrow(input, dim, start, length),
        method=True, node="NarrowCopyBackward0", start="int")  # fmt: skip
_copies("permute_copy", lambda input, dims: permute(input, dims), dims="shape")
_copies("select_copy", lambda input, dim, index: select(input, dim, index), index="int")
_copies("slice_copy", lambda input, dim=0, start=None, end=None, step=1: (
    slice_of(input, dim, start, end, step)[0]
), start="int", end="int")  # fmt: skip
_copies("split_copy", lambda input, split_size, dim=0: split(input, split_size, dim),
        places=lambda input, split_size, dim=0: cuts(input, split_size, dim)[2],
        split_size="int")  # fmt: skip
_copies("split_with_sizes_copy", lambda input, split_sizes, dim=0: (
    split_with_sizes(input, split_sizes, dim)
), places=lambda input, split_sizes, dim=0: cuts(input, list(split_sizes), dim)[2],
        split_sizes="ints")  # fmt: skip
_copies("squeeze_copy", lambda input, dim=None: squeeze(input) if dim is None else
        squeeze(input, dim), dim="ints")  # fmt: skip
_copies("t_copy", lambda input: t(input))
_copies("transpose_copy", lambda input, dim0, dim1: transpose(input, dim0, dim1))
_copies("unbind_copy", lambda input, dim=0: unbind(input, dim),
        places=lambda input, dim=0: rows(input, dim)[2])  # fmt: skip
_copies("unfold_copy", lambda input, dimension, size, step: unfold(input, dimension, size, step),
        size="int")  # fmt: skip
_copies("unsqueeze_copy", lambda input, dim: unsqueeze(input, dim))
_copies("view_as_complex_copy", lambda input: view_as_complex(input))
_copies("view_as_real_copy", lambda input: as_pairs(input))
_copies("view_copy", _viewed, node="ViewBackward0_copy")
