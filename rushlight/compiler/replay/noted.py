"""``Noted``: an array that notes what NumPy computes with it, and that no Python code looks into.

It is no ``ndarray``. NumPy hands it ufuncs and functions over, and whatever asks for its values
gets an error. So what a forward did with one array of a shape, it does with all of them.
"""

from math import prod
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.backend import numpy as xp
from rushlight.compiler.replay import cores
from rushlight.compiler.replay.tape import Refused

__all__ = ["Noted", "Noting", "bare"]


def bare(x):
    """``x`` with the ndarrays of the Noted arrays in it."""
    if type(x) is Noted:
        return x.array
    return type(x)([bare(item) for item in x]) if type(x) in (tuple, list) else x


class Noting:
    """NumPy as ``xp`` for forwards on Noted arrays: new memory is noted, too."""

    dry = False

    def __init__(self, tape):
        self.tape = tape

    def __getattr__(self, name):
        return getattr(xp, name)

    def asarray(self, x, dtype=None):
        return x.astype(dtype or x.dtype, copy=False) if type(x) is Noted else np.asarray(x, dtype)

    def ascontiguousarray(self, x):
        return x if x.flags.c_contiguous else x.copy()

    def empty(self, *args, **named):
        return self.tape.scratch(np.empty(*args, **named))

    def empty_like(self, x, *args, **named):
        return self.tape.scratch(np.empty_like(bare(x), *args, **named))

    def where(self, condition, x, y):
        return np.where(condition, x, y)

    def zeros(self, *args, **named):
        found = self.empty(*args, **named)
        found[...] = 0
        return found


def _is_dense(x):
    """Whether a vector, or the rows or columns of matrices, have no gaps."""
    return x.flags.c_contiguous or x.mT.flags.c_contiguous if x.ndim > 1 else x.flags.c_contiguous


class Noted(np.lib.mixins.NDArrayOperatorsMixin):
    """An array on a ``Tape``."""

    def __init__(self, array, tape):
        self.array, self.tape = array, tape

    def as_view(self, found):
        """``found``, a view of an array on the tape."""
        if type(found) is not ndarray or self.tape.place(found) is None:
            raise Refused
        return Noted(found, self.tape)

    def noted(self, found):
        """The new array ``found``, whose elements the loops will write, on the tape."""
        return self.tape.scratch(found)

    def is_constant(self):
        """Whether no loop fills the array's memory."""
        return self.tape.span(self.array) in self.tape.constants

    # What NumPy asks -------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        out = None if out is None else out[0]
        if method == "reduce":
            (x,) = inputs
            x = x._truth() if ufunc in (np.logical_and, np.logical_or) else x
            return self.tape.reduce(ufunc, x, **options, out=out)
        if method == "accumulate" and out is None:
            return self.tape.accumulate(ufunc, *inputs, **options)
        if ufunc is np.not_equal and out is None and inputs[0] is self and self.dtype == bool:
            return self if type(inputs[1]) is int and not inputs[1] else self._refuse()
        if method == "at" and ufunc is np.add and inputs[0] is self and not options:
            index = inputs[1] if type(inputs[1]) is tuple else (inputs[1],)
            return self._write_at(index, inputs[2], True)
        options.pop("casting", None)
        wanted, order = options.pop("dtype", None), options.pop("order", "K")
        if method != "__call__" or options:
            raise Refused
        if ufunc.nout > 1:
            return self.tape.several(ufunc, inputs) if out is wanted is None else self._refuse()
        kinds = [type(a) if type(a) in (int, float, complex) else np.asarray(bare(a)).dtype
                 for a in inputs]  # fmt: skip
        last = out.dtype if wanted is None and out is not None else wanted
        dtypes = ufunc.resolve_dtypes((*kinds, None if last is None else np.dtype(last)))
        found = np.asarray(ufunc(*map(bare, inputs), dtype=wanted, order=order))
        if ufunc.signature:
            return cores.product(self.tape, ufunc, dtypes, inputs, found, out)
        return self.tape.note(ufunc, dtypes, inputs, found, out)

    def __array_function__(self, function, types, args, named):
        if function is np.empty_like:
            return self.tape.scratch(function(bare(args[0]), *args[1:], **named))
        if function in _FILLED:
            return self.tape.constant(function(bare(args[0]), *args[1:], **named))
        if function in _OF_SHAPES:
            return function(*map(bare, args), **named)
        if function is np.broadcast_arrays:
            shape = np.broadcast_shapes(*map(np.shape, args))
            return [np.broadcast_to(x, shape) for x in args]
        if function in _VIEWS:
            return self.as_view(function(bare(args[0]), *args[1:], **named))
        if function in _MOVES:
            return self._moved(function, args, named)
        if function in cores.LINALG:
            return cores.LINALG[function](*args, **named)
        if function in _METHODS:
            method: Any = _METHODS[function]
            return method(*args, **named)
        raise Refused

    def __array__(self, *args, **named):
        raise Refused

    def __bool__(self):
        if self.size > 1:
            raise Refused
        return self.tape.guard(self._truth().array.reshape(()))

    def _refuse(self, *args, **named):
        raise Refused

    def __len__(self):
        return self.array.shape[0]

    __iter__ = __int__ = __float__ = __index__ = __complex__ = _refuse
    item = tolist = tobytes = refused = _refuse

    def _where(self, x, y):
        condition = self._truth()
        found = np.where(*map(bare, (condition, x, y)))
        dtypes = (np.dtype(bool), found.dtype, found.dtype, found.dtype)
        return self.tape.note(f"choosing{found.itemsize}", dtypes, (condition, x, y), found)

    def _copied_to(self, value, casting="same_kind", where=True):
        self.tape.assign(self.array, value if where is True else np.where(where, value, self))

    def _moved(self, function, args, named):
        """The result of a function that moves elements, and computes nothing with them."""
        sources = []

        def listed(x):
            """``x`` with places in ``sources`` instead of the Noted arrays."""
            if type(x) is Noted:
                sources.append(x.array)
                return _Place(len(sources) - 1)
            return type(x)(map(listed, x)) if type(x) in (tuple, list) else x

        def put(x, arrays):
            if type(x) is _Place:
                return arrays[x.number]
            return type(x)([put(i, arrays) for i in x]) if type(x) in (tuple, list) else x

        if type(named.get("out")) is Noted or (function is np.concatenate and len(args) > 2):
            args, named = args[:2], {k: v for k, v in named.items() if k != "out"}
        places = listed(args)
        return self.tape.moved(lambda arrays: function(*put(places, arrays), **named), sources)

    # What arrays have ------------------------------------------------------------------------

    shape = property(lambda self: self.array.shape)
    dtype = property(lambda self: self.array.dtype)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    strides = property(lambda self: self.array.strides)
    itemsize = property(lambda self: self.array.itemsize)
    nbytes = property(lambda self: self.array.nbytes)
    flags = property(lambda self: self.array.flags)
    base = property(lambda self: self.array.base)
    T = property(lambda self: self.as_view(self.array.T))
    mT = property(lambda self: self.as_view(self.array.mT))
    real = property(
        lambda self: self.as_view(self.array.real),
        lambda self, value: self.tape.assign(self.array.real, value),
    )
    imag = property(
        lambda self: self.as_view(self.array.imag),
        lambda self, value: self.tape.assign(self.array.imag, value),
    )

    def __getitem__(self, index):
        parts = index if type(index) is tuple else (index,)
        if any(type(i) is Noted for i in parts):
            return self._picked(parts)
        found = self.array[index]
        if type(found) is ndarray and self.tape.place(found) is not None:
            return Noted(found, self.tape)
        if type(found) is not ndarray:  # a number
            return self.as_view(self.array[(*parts, ...)])
        return self.tape.moved(lambda arrays: arrays[0][index], [self.array])

    def _picked(self, index):
        """The elements at arrays of indices, one for each of the first dims."""
        flat = self._places(index)
        return self.reshape(-1, *self.shape[len(index) :]).take(flat, 0)

    def _places(self, index):
        """The flat places that arrays of indices have in the first dims."""
        flat: Any = 0
        for i, n in zip(index, self.shape, strict=False):
            if type(i) not in (Noted, ndarray) or i.dtype != np.int64 or len(index) > self.ndim:
                raise Refused
            places = _from_begin(i, n)
            self.tape.require(((places >= 0) & (places < n)).all())
            flat = flat * n + places
        return flat

    def _write_at(self, index, value, adds):
        """Write, or add, ``value`` at arrays of indices, one for each of the first dims."""
        flat = self._places(index)
        if type(flat) is not Noted or not self.flags.c_contiguous:
            raise Refused
        rest = self.shape[len(index) :]
        if type(value) is not Noted:
            value = self.tape.constant(np.array(value, self.dtype))
        wide = np.broadcast_to(value, (*flat.shape, *rest))
        rows = (wide if wide.flags.c_contiguous else wide.copy()).reshape(flat.size, prod(rest))
        target = Noted(self.array.reshape(-1, prod(rest)), self.tape)
        self.tape.written_at(target, flat.reshape(-1), rows, adds)

    def __setitem__(self, index, value):
        parts = index if type(index) is tuple else (index,)
        if len(parts) == 1 and type(mask := parts[0]) is Noted and mask.dtype == bool:
            return self._write_where(mask, value)
        if any(type(i) is Noted for i in parts):
            return self._write_at(parts, value, False)
        target = self.array[index]
        if type(target) is not ndarray:  # a number
            target = self.array[(*(index if type(index) is tuple else (index,)), ...)]
        return self.tape.assign(self.as_view(target).array, value)

    def _write_where(self, mask, value):
        """Write one number where the ``mask`` of the first dims is True."""
        if np.ndim(bare(value)) or mask.shape != self.shape[: mask.ndim]:
            raise Refused
        wide = mask.reshape(*mask.shape, *[1] * (self.ndim - mask.ndim))
        self.tape.assign(self.array, np.where(wide, value, self))

    def reshape(self, *args, **named):
        return self._viewed_or_copied(lambda a: a.reshape(*args, **named))

    def ravel(self):
        return self._viewed_or_copied(lambda a: a.ravel())

    def _viewed_or_copied(self, change):
        found = change(self.array)
        if self.tape.place(found) is None:
            return self.tape.moved(lambda arrays: change(arrays[0]), [self.array])
        return Noted(found, self.tape)

    def transpose(self, *axes):
        return self.as_view(self.array.transpose(*axes))

    def swapaxes(self, *axes):
        return self.as_view(self.array.swapaxes(*axes))

    def squeeze(self, *axes):
        return self.as_view(self.array.squeeze(*axes))

    def diagonal(self, *args):
        return self.as_view(self.array.diagonal(*args))

    def view(self, dtype):
        return self.as_view(self.array.view(dtype))

    def take(self, index, axis=None):
        if type(index) is Noted:
            x = self.ravel() if axis is None else self
            return self.tape.taken(x, _from_begin(index, x.shape[axis or 0]), axis or 0)
        return self.tape.moved(lambda arrays: arrays[0].take(index, axis), [self.array])

    def repeat(self, count, axis=None):
        return np.repeat(self, count, axis)

    def copy(self, order="C"):
        if any(s < 0 for s in self.strides):
            return self.tape.moved(lambda arrays: arrays[0].copy(order), [self.array])
        if self.dtype.char == "D":
            found = self.tape.scratch(self.array.copy(order))
            found[...] = self
            return found
        return self.tape.note(
            f"copying{self.itemsize}", (self.dtype,) * 2, (self,), self.array.copy(order)
        )

    def astype(self, dtype, order="K", copy=True):
        if np.dtype(dtype) == self.dtype:
            return self.copy(order) if copy else self
        if np.dtype(dtype) == bool:
            return self != 0
        return Noted(self.tape.converted(self.array, np.dtype(dtype)), self.tape)

    def dot(self, y, out=None):
        if self.ndim == 1 and y.ndim == 1 and self.dtype.kind == "f":
            return np.vecdot(self, y)
        if any(not _is_dense(a) for a in (self, y)):
            # BLAS reads rows with gaps. NumPy copies an operand that has one element many times.
            x, y = [a.copy() if 0 in a.strides and not _is_dense(a) else a for a in (self, y)]
            return x.dot(y, out) if _is_dense(x) and _is_dense(y) else self._refuse()
        if self.ndim == 2 and y.ndim == 1 and out is None:
            return np.matmul(self, y[:, None]).reshape(-1)
        return np.matmul(self, y, out)

    def clip(self, low=None, high=None):
        if low is None or high is None:
            raise Refused
        umath: Any = np._core.umath  # type: ignore[attr-defined]
        return umath.clip(self, low, high)

    def sum(self, axis=None, dtype=None, keepdims=False):
        return np.add.reduce(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def prod(self, axis=None, dtype=None, keepdims=False):
        return np.multiply.reduce(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def max(self, axis=None, keepdims=False, initial=None):
        return np.maximum.reduce(self, axis=axis, keepdims=keepdims, initial=initial)

    def min(self, axis=None, keepdims=False):
        return np.minimum.reduce(self, axis=axis, keepdims=keepdims)

    def argsort(self, axis=-1, kind=None):
        if kind != "stable":
            raise Refused
        return self.tape.rank(self, axis)

    def argmax(self, axis=None, keepdims=False):
        return self._found("greatest", np.argmax, axis, keepdims)

    def argmin(self, axis=None, keepdims=False):
        return self._found("lowest", np.argmin, axis, keepdims)

    def _found(self, name, function, axis, keepdims):
        if axis is None and keepdims:
            raise Refused
        x = self.ravel() if axis is None else self
        return self.tape.find(name, function, x, axis or 0, keepdims)

    def _weighted(self, y, axes):
        """``np.tensordot`` of one dim each, of which NumPy makes a product of matrices."""
        x = self
        if axes != 1 or x.ndim != 1 or x.dtype != y.dtype:
            raise Refused
        found = np.matmul(x[None], y.reshape(len(y), -1))
        return found.reshape(y.shape[1:])

    def _taken_along(self, index, axis):
        return self.tape.taken_along(self, index, axis)

    def transformed(self, name, n, factor):
        """The discrete Fourier transform ``name`` along the last dim; see ``cores.py``."""
        return cores.transformed(self, name, n, factor)

    def _placed(self, x, side="left"):
        if type(x) is not Noted:
            x = self.tape.constant(np.array(x, self.dtype))
        return self.tape.placed(self, x, side)

    def conj(self):
        return np.conjugate(self) if self.dtype.kind == "c" else self

    conjugate = conj

    def count_nonzero(self, axis=None, keepdims=False):
        return self._truth().astype(np.int64).sum(axis, keepdims=keepdims)

    def any(self, axis=None, keepdims=False):
        return np.logical_or.reduce(self._truth(), axis=axis, keepdims=keepdims)

    def all(self, axis=None, keepdims=False):
        return np.logical_and.reduce(self._truth(), axis=axis, keepdims=keepdims)

    def _truth(self):
        return self if self.dtype == bool else self != 0


def _from_begin(index, size):
    """``index`` without negative indices, which count from the end. None may be out of range."""
    negative = (bare(index) < 0).any()
    return np.where(index < 0, index + size, index) if negative else index


class _Place:
    """The place of an array among those that a function moves."""

    def __init__(self, number):
        self.number = number


#: Functions of NumPy whose results depend on shapes and dtypes alone.
_OF_SHAPES = (np.result_type, np.shape, np.ndim, np.size, np.iscomplexobj, np.may_share_memory)
_FILLED = (np.zeros_like, np.ones_like, np.full_like)
_VIEWS = (
    np.broadcast_to, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.flip,
    np.real, np.imag, np.diagonal,
)  # fmt: skip
_MOVES = (np.concatenate, np.stack, np.tile, np.repeat, np.roll, np.take, np.tril, np.triu)
_METHODS = {
    np.where: Noted._where, np.clip: Noted.clip, np.reshape: Noted.reshape, np.copy: Noted.copy,
    np.sum: Noted.sum, np.prod: Noted.prod, np.max: Noted.max, np.min: Noted.min,
    np.any: Noted.any, np.all: Noted.all, np.count_nonzero: Noted.count_nonzero,
    np.copyto: Noted._copied_to, np.argsort: Noted.argsort, np.argmax: Noted.argmax,
    np.argmin: Noted.argmin, np.tensordot: Noted._weighted, np.take_along_axis: Noted._taken_along,
    np.searchsorted: Noted._placed,
}  # fmt: skip
