"""Complex values of a program become pairs of real ones, because kernels have no complex numbers.

A complex number lies in memory as two real numbers. So a complex input or result of a program is a
real one with one more dim, in the same memory. In between, each complex value is two real values.
An equation with complex values is rewritten by the first of these ways that serves:

* its operation states a rule on pairs (``Op.lower_on_pairs``);
* an elementwise forward runs on pairs (``ops/core/complex_pairs.py``);
* what moves or adds numbers does so with each part: views, copies, sums, gathers, and the like;
* a product of matrices is four real products;
* a lowering runs on complex values, and its equations are rewritten in turn.

Other equations stay, for the host; their operands are put together, and their results taken apart.
"""

import numpy as np

from rushlight import late
from rushlight.compiler.capture.lowering import deliver, recording, run_rule
from rushlight.compiler.capture.recorder import Recorder
from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.equation import Equation
from rushlight.compiler.ir.roles import joins
from rushlight.dtype import OF
from rushlight.errors import DtypeError
from rushlight.ops.core.complex_pairs import PAIRS, NoParts, Pair, lifted
from rushlight.ops.core.definition import OPS
from rushlight.tensor import Tensor, from_array

__all__ = ["Split", "split"]

_REAL: dict = {
    np.dtype(np.complex64): np.dtype(np.float32),
    np.dtype(np.complex128): np.dtype(np.float64),
}


def _is_complex(v):
    return isinstance(v, Abstract) and v.dtype in _REAL


def _concerns(e):
    return any(map(_is_complex, (*operands(e), *e.outs)))


class Split:
    """A program whose complex values are real ones.

    Attributes:
        equations, inputs, outputs, writes: See ``run.program.make_program``.
    """

    def __init__(self, equations, inputs, outputs, writes):
        self.equations: list = []
        self._pairs: dict = {}  # id of a complex value → its parts, as abstract values
        self._whole: dict = {}  # id of a complex value → the equation's value, if the host has it
        self._pairwise: dict = {}  # id of a complex value → the real value with one more dim
        self._inside = 0  # the lowerings that are being run
        self.inputs = [self._entered(v) for v in inputs]
        for e in equations:
            self._rewrite(e)
        self.outputs = [self._left(v) for v in outputs]
        self.writes = [(i, self._left(v)) for i, v in writes]

    # Borders ------------------------------------------------------------------------------

    def _entered(self, v):
        if not _is_complex(v):
            return v
        found = self._pairwise[v.id] = _with_parts(v)
        return found

    def _left(self, v):
        if not _is_complex(v):
            return v
        found = self._pairwise.get(v.id)
        if found is None:
            recorder = Recorder()
            found = _with_parts(v)
            with recording(recorder):
                stacked = late.stack([from_array(p) for p in self._parts(v)], -1)
            deliver(Equation(None, (), {}, [found]), (stacked,), recorder)
            self.equations += recorder.equations
            self._pairwise[v.id] = found
        return found

    def _parts(self, v):
        """The two real values of a complex one."""
        found = self._pairs.get(v.id)
        if found is None:
            recorder = Recorder()
            with recording(recorder):
                if v.id in self._pairwise:
                    both = from_array(self._pairwise[v.id])
                else:  # the host made it
                    (both,) = map(from_array, recorder.emit(OPS["view_as_real"], (v,), {}))
                found = tuple([recorder.value(both.select(-1, i)) for i in (0, 1)])
            self.equations += recorder.equations
            self._pairs[v.id] = found
        return found

    def _pair(self, v):
        re, im = self._parts(v)
        return Pair(from_array(re), from_array(im))

    def _kept(self, e):
        """Leave ``e`` to the host: its complex operands are put together."""
        if self._inside:  # the host runs the forward of the whole operation
            raise NoParts(e.op.name)
        for v in operands(e):
            if not _is_complex(v) or v.id in self._whole:
                continue
            recorder, both = Recorder(), self._left_for_host(v)
            with recording(recorder):
                (whole,) = recorder.emit(OPS["view_as_complex"], (both,), {})
            deliver(Equation(None, (), {}, [v]), (from_array(whole),), recorder)
            self.equations += recorder.equations
            self._whole[v.id] = v
        self.equations.append(e)
        self._whole.update({v.id: v for v in e.outs})

    def _left_for_host(self, v):
        if v.id in self._pairwise:
            return self._pairwise[v.id]
        recorder = Recorder()
        with recording(recorder):
            both = recorder.value(late.stack([from_array(p) for p in self._parts(v)], -1))
        self.equations += recorder.equations
        return both

    # Equations ----------------------------------------------------------------------------

    def _rewrite(self, e):
        if not _concerns(e):
            self.equations.append(e)
            return
        if e.outs and not any(v.size or not _is_complex(v) for v in e.outs):
            self._made_empty(e)
            return
        values = e.outs if e.op.variadic else (*operands(e), *e.outs)
        if not e.op.draws and all(v.size for v in values):
            for way in (self._by_rule, self._by_forward, self._by_parts, self._by_lowering):
                try:
                    if way(e):
                        return
                except NoParts:
                    pass
        self._kept(e)

    def _made_empty(self, e):
        """Complex results without elements, such as pieces that a lowering joins with others."""
        recorder = Recorder()
        with recording(recorder):
            for v in e.outs:
                params = {"shape": v.shape, "dtype": _REAL[v.dtype]}
                (part,) = recorder.emit(OPS["unset"], (), params)
                self._pairs[v.id] = part, part
        self.equations += recorder.equations

    def _by_rule(self, e):
        """The operation's own rule."""
        if e.op.pair_lowering is None:
            return False
        rule, names = e.op.pair_lowering
        given = dict(zip(e.op.inputs, e.ins, strict=False)) | e.params
        recorder = Recorder()
        pairs = {n: self._operand(given.get(n)) for n in names}
        with recording(recorder):
            found = rule(*pairs.values())
            return found is not NotImplemented and self._made(e, found, recorder)

    def _by_forward(self, e):
        """The forward of an elementwise operation on pairs."""
        op = e.op
        if op.kind != "elementwise":
            return False
        try:
            common = op.dtype([_stand_in(x) for x in e.ins]).numpy
        except DtypeError:
            return False
        if common not in _REAL:
            return False
        recorder = Recorder()
        values = [self._operand(x) for x in e.ins]
        params = {k: self._operand(v) for k, v in e.params.items()}
        with recording(recorder):
            values = [v if i in op.conditions else _cast(v, common) for i, v in enumerate(values)]
            found = op.forward(PAIRS, *values, **params)
            return self._made(e, found, recorder)

    def _by_parts(self, e):
        """Operations that treat both parts alike."""
        role = e.op.role
        if role in ("product", "convolution"):
            return self._product(e)
        if role == "reduction" and e.op.form in ("or", "and"):
            return self._truths(e)
        if not (
            role in ("view", "copy", "padding", "gather", "constant", "patch")
            or (role in ("reduction", "scan") and e.op.form == "add")
            or (role == "scatter" and joins(e) in ("", "add"))
        ):
            return False
        if role == "patch" and any(op.role == "memory" for op, *_ in e.params["path"]):
            return False
        recorder = Recorder()
        given = [self._of_list(x) for x in e.ins]
        with recording(recorder):
            if role == "copy" and not _is_complex(e.outs[0]):
                return self._as_real(e, recorder)
            made = [self._part_of(e, given, i, recorder) for i in (0, 1)]
        return self._made(e, Pair(*made), recorder)

    def _part_of(self, e, given, i, recorder):
        """What ``e`` makes of the real (``i`` is 0) or of the imaginary parts."""
        first = e.ins[0] if e.ins else None
        if i and isinstance(first, Abstract) and not _is_complex(first):
            return 0.0  # sums and copies of real numbers, in a complex dtype
        ins = [x[i] if _is_parts(x) else x for x in given]
        if e.op.role == "patch":
            value = e.ins[1]
            if isinstance(value, Abstract):
                ins[1] = ins[1] if _is_complex(value) else 0.0 if i else ins[1]
            else:
                ins[1] = _number_part(value, i)
        params = {k: _real_param(k, v, i) for k, v in e.params.items()}
        if e.op.form == "unset" or e.op.role != "constant" or "value" in params:
            return from_array(recorder.emit(e.op, tuple(ins), params)[0])
        raise NoParts(e.op.name)

    def _truths(self, e):
        """Whether any, or all, of the numbers differ from 0."""
        recorder = Recorder()
        x = self._pair(e.ins[0])
        with recording(recorder):
            ins = recorder.value((x.real != 0) | (x.imag != 0)), *e.ins[1:]
            found = from_array(recorder.emit(e.op, ins, e.params)[0])
        return self._made(e, found, recorder)

    def _as_real(self, e, recorder):
        """A complex value converted to a real dtype, or to bool."""
        x = self._pair(e.ins[0])
        if e.outs[0].dtype == bool:
            return self._made(e, x != 0, recorder)
        return self._made(e, x.real.to(OF[e.outs[0].dtype]), recorder)

    def _product(self, e):
        """A product of two values, such as matrices, as four real ones."""
        x, y, *rest = [self._operand(v) for v in e.ins]
        if not isinstance(x, Pair) or not isinstance(y, Pair):
            return False
        bias = rest[0] if rest else None
        if bias is not None and not isinstance(bias, Pair):
            return False
        recorder = Recorder()

        def product(a, b):
            ins = recorder.value(a), recorder.value(b), *[None] * len(rest)
            return from_array(recorder.emit(e.op, ins, e.params)[0])

        with recording(recorder):
            found = Pair(
                product(x.real, y.real) - product(x.imag, y.imag),
                product(x.real, y.imag) + product(x.imag, y.real),
            )
            if bias is not None:
                shape = (-1, *[1] * (e.outs[0].ndim - 2))
                found = found + Pair(bias.real.reshape(shape), bias.imag.reshape(shape))
        return self._made(e, found, recorder)

    def _by_lowering(self, e):
        for rule in filter(None, (e.op.far_lowering, e.op.lowering)):
            recorder = Recorder()
            try:
                found = run_rule(rule, e, recorder, widen=False)
            except DtypeError:  # the rule is one for real numbers only
                continue
            if found is NotImplemented:
                continue
            deliver(e, found if isinstance(found, (tuple, list)) else (found,), recorder)
            if self._all(recorder.equations):
                return True
        return False

    def _all(self, equations):
        """Rewrite all of the ``equations``, or none; returns whether that could be done."""
        before = len(self.equations), {**self._pairs}, {**self._pairwise}
        self._inside += 1
        try:
            for e in equations:
                self._rewrite(e)
        except NoParts:
            del self.equations[before[0] :]
            _, self._pairs, self._pairwise = before
            return False
        finally:
            self._inside -= 1
        return True

    # Values -------------------------------------------------------------------------------

    def _operand(self, v):
        if isinstance(v, list):
            return [self._operand(x) for x in v]
        if not isinstance(v, Abstract):
            return v
        return self._pair(v) if _is_complex(v) else from_array(v)

    def _of_list(self, v):
        if isinstance(v, list):
            return [self._of_list(x) for x in v]
        return self._parts(v) if _is_complex(v) else v

    def _made(self, e, found, recorder):
        """Note what a rule made of ``e``; the recorded equations become the program's."""
        results = found if isinstance(found, (tuple, list)) else (found,)
        real = []
        with recording(recorder):
            for out, result in zip(e.outs, results, strict=True):
                if _is_complex(out):
                    x = lifted(result)
                    like = x.real if isinstance(x.real, Tensor) else x.imag
                    parts = [_fitted(p, like, out) for p in (x.real, x.imag)]
                    self._pairs[out.id] = tuple([recorder.value(p) for p in parts])
                else:
                    x = result.real if isinstance(result, Pair) else result
                    real.append((out, x.to(OF[out.dtype]).expand(out.shape)))
        if real:
            outs, values = zip(*real, strict=True)
            deliver(Equation(e.op, e.ins, e.params, list(outs)), values, recorder)
        self.equations += recorder.equations
        return True


def split(equations, inputs, outputs, writes):
    """The program as a ``Split``; None if it has no complex values."""
    values = (*inputs, *[v for v in outputs if isinstance(v, Abstract)])
    if any(map(_is_complex, values)) or any(map(_concerns, equations)):
        return Split(equations, inputs, outputs, writes)
    return None


def _with_parts(v):
    """A real value in the memory of the complex ``v``."""
    d = _REAL[v.dtype]
    return Abstract((*v.shape, 2), d, (*v.strides, d.itemsize), v.device)


def _fitted(part, like, out):
    dtype = OF[_REAL[out.dtype]]
    if not isinstance(part, Tensor):
        return like.new_full(out.shape, part, dtype=dtype)
    part = part.to(dtype)
    return part if tuple(part.shape) == out.shape else part.expand(out.shape)


def _cast(v, common):
    """An operand of an elementwise forward, in the precision of the complex dtype ``common``."""
    d = OF[_REAL[common]]
    if isinstance(v, Pair):
        return Pair(v.real.to(d), v.imag.to(d))
    return Pair(v.to(d), 0.0) if isinstance(v, Tensor) else v


def _is_parts(x):
    return isinstance(x, tuple)


def _number_part(x, i):
    return (x.real, x.imag)[i] if isinstance(x, complex | np.complexfloating) else 0 if i else x


def _real_param(name, value, i):
    """A parameter for the part ``i``: a complex dtype becomes a real one, numbers have parts."""
    if isinstance(value, np.dtype) and value in _REAL:
        return _REAL[value]
    if name == "value":
        return _number_part(value, i)
    return tuple([s // 2 for s in value]) if name == "strides" else value


def _stand_in(x):
    return np.ones((1,) * min(len(x.shape), 1), x.dtype) if isinstance(x, Abstract) else x
