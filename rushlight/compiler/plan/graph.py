"""The graph to be compiled: the role of each equation, and the views among the values.

Views cost nothing. A value that is a view is described by an offset and strides into the C order of
another value, its ``source``. If no offset and strides describe a view (such as the reshape of a
transposed value), its operand is copied first.
"""

from collections import Counter

from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.ir import roles
from rushlight.compiler.ir.abstract import HALF, Abstract
from rushlight.compiler.ir.affine import composed, path_map, strides_of, view_map
from rushlight.compiler.ir.equation import Equation
from rushlight.compiler.ir.machine import machine
from rushlight.dtype import float32
from rushlight.ops.core.definition import OPS

__all__ = ["Graph", "View"]

#: A transposed factor that is read at least _MANY times is copied to C order once, for products
#: whose other factor has at most _SMALL rows. Otherwise each product would transpose it anew.
_SMALL, _MANY = 64, 4
#: A reduction of at least _LARGE elements to at most _FEW is split in two; see _reduction.
_LARGE, _FEW = 1 << 17, 4
#: The numbers of rows that a dim may be cut into, in order of preference.
_ROWS = (256, 192, 128, 96, 80, 64, 60, 50, 48, 40, 36, 32, 30, 25, 24, 20, 16, 12, 10, 8)


class View:
    """A value whose elements are those of ``source`` at ``offset + Σ index · strides``."""

    __slots__ = ("offset", "source", "strides")

    def __init__(self, source, offset, strides):
        self.source, self.offset, self.strides = source, offset, strides


class Graph:
    """Equations in order, with the role of each.

    Attributes:
        roles: id(equation) → ``constant``, ``view``, ``pointwise``, ``gather``, ``reduction``,
            ``extremum``, ``scan``, ``scatter``, ``padding``, ``contraction``, ``patch`` or
            ``call``.
        makers: value id → the equation that makes it.
        views: value id → View, of values that are views.
        patches: value id → (other value, offset, strides): the value lies in the other's memory.
        leaving: ids of results. They have the same layout in memory as in eager mode.
        checks: ids of the values that are flags of failed checks.
        after: id(equation) → values that must be in memory before the equation runs.
    """

    def __init__(self, equations, inputs):
        self.uses = Counter([v.id for e in equations for v in operands(e)])
        self.equations: list = []
        self.inputs = {v.id: v for v in inputs}
        self.roles: dict = {}
        self.makers: dict = {}
        self.views: dict = {}
        self.patches: dict = {}
        self.after: dict = {}
        self.checks: set = set()
        self.leaving: set = set()
        self._copies: dict = {}
        for e in equations:
            role = self._role(e)
            if role in ("call", "contraction", "gather", "scatter", "padding"):
                e = self._in_memory(e)
            if e.op.role == "looped":
                e = self._in_order(e, 0)
            if role in ("contraction", "reduction", "patch", "scatter"):
                e = getattr(self, "_" + role)(e)
            self._add(e, role)

    def role(self, value):
        """The role of the equation that makes ``value``; None for an input."""
        maker = self.makers.get(value.id)
        return None if maker is None else self.roles[id(maker)]

    def source(self, value):
        """The value in whose memory ``value`` lies."""
        view = self.views.get(value.id)
        return value if view is None else view.source

    def strides(self, value):
        """Strides in elements of a value that has memory of its own."""
        if value.id in self.inputs or value.id in self.leaving:
            return tuple([s // value.itemsize for s in value.strides])
        return strides_of(value.shape)

    def _in_c_order(self, source):
        return self.strides(source) == strides_of(source.shape)

    def check_first(self, flags):
        """Let reads and writes at computed places run after the checks of these places.

        ``flags`` are the values of the checks: a program ends where one of them is set. The places
        are integers that are computed from integers that a check looks at.
        """
        self.checks = {v.id for v in flags}
        checked: dict = {}  # id of an integer → the flags of its checks
        for flag in flags:
            for v in self._integers(flag, through="b"):
                checked.setdefault(v.id, []).append(flag)
        for e in self.equations if checked else ():
            if self.roles[id(e)] in ("call", "contraction", "gather", "scatter"):
                places = [v for v in operands(e) if v.dtype.kind in "iu"]
                every = {i.id for v in places for i in self._integers(v, through="iub")}
                found = [flag for i in every for flag in checked.get(i, ())]
                if found:
                    self.after.setdefault(id(e), []).extend(found)

    def _integers(self, value, through):
        """The integers that ``value`` is computed from, and itself if it is one.

        The search goes on through values whose dtypes are of the kinds ``through``.
        """
        seen, waiting = {value.id: value}, [value]
        while waiting:
            v = waiting.pop()
            maker = self.makers.get(v.id)
            if maker is None or v.dtype.kind not in through:
                continue
            for x in operands(maker):
                if x.id not in seen and x.dtype.kind in "iub":
                    seen[x.id] = x
                    waiting.append(x)
        return [v for v in seen.values() if v.dtype.kind in "iu"]

    def _whole(self, value):
        """Whether the elements of ``value`` lie one after the other in its source's C order."""
        view, order = self.views.get(value.id), strides_of(value.shape)
        steps = order if view is None else view.strides
        return all(n == 1 or s == c for n, s, c in zip(value.shape, steps, order, strict=True))

    def _add(self, e, role):
        for v in e.outs:
            self.makers[v.id] = e
        self.roles[id(e)] = role
        self.equations.append(e)

    def _role(self, e):
        if not all(roles.dtype(v.dtype) and v.size for v in (*operands(e), *e.outs)):
            return "call"
        role = roles.role(e)
        return self._view(e) if role == "view" else role

    def _view(self, e):
        return self._look(e.ins[0], e.outs[0], *view_map(e))

    def _look(self, x, out, offset, strides):
        """Note that ``out`` has the elements of ``x`` at ``offset + Σ index · strides``."""
        shape = out.shape
        before = self.views.get(x.id)
        if before is None and self._in_c_order(x):
            self.views[out.id] = View(x, offset, strides)
            return "view"
        source = x if before is None else before.source
        if before is not None and self._whole(x) and self._in_c_order(source):
            self.views[out.id] = View(source, before.offset + offset, strides)
            return "view"
        inner = (0, strides_of(x.shape)) if before is None else (before.offset, before.strides)
        found = composed((offset, strides), shape, inner, x.shape)
        if found is not None and before is None:
            # x is an input that is not in C order. ``composed`` only tells whether the view has
            # an affine index in x. The View counts in C order; ``kernel.outside`` translates it.
            found = (offset, strides)
        if found is None:
            self.views[out.id] = View(self._copy(x), offset, strides)
        else:
            self.views[out.id] = View(source, *found)
        return "view"

    def _in_memory(self, e):
        """``e`` with copies of its constant operands, because constants have no memory."""
        swap = lambda v: (
            self._copy(v)
            if isinstance(v, Abstract) and self.role(self.source(v)) == "constant"
            else v
        )
        ins = ([swap(v) for v in e.ins[0]],) if e.op.variadic else tuple(map(swap, e.ins))
        return Equation(e.op, ins, {k: swap(v) for k, v in e.params.items()}, e.outs)

    def _reduction(self, e):
        """Split a large reduction in two: first along each row, then over the rows' results.

        So threads share the work. Returns the second reduction, or ``e`` itself if it is small.
        """
        x, out = e.ins[0], e.outs[0]
        if x.size < _LARGE or out.size > _FEW or out.dtype in HALF:
            return e
        dims = sorted(e.params["dim"])
        row = max(dims[:-1], key=lambda d: x.shape[d], default=0)
        if row == dims[-1] or x.shape[row] < _ROWS[-1]:
            row = dims[-1]
        n = x.shape[row]
        rows = next((k for k in _ROWS if n % k == 0), 0) if row == dims[-1] else n
        if not rows:
            return e
        # The dim ``row`` becomes two dims: the rows, and the elements of each row.
        parts = self._viewed(x, (*x.shape[:row], rows, n // rows, *x.shape[row + 1 :]))
        columns = tuple([d + (d > row) for d in dims if d != row] + [row + 1])
        shape = [1 if d in columns else k for d, k in enumerate(parts.shape)]
        found = Abstract(tuple(shape), out.dtype)
        params = {**e.params, "dim": columns, "keepdim": True}
        self._add(Equation(e.op, (parts,), params, [found]), "reduction")
        del shape[row + 1]
        return Equation(e.op, (self._viewed(found, tuple(shape)),), e.params, e.outs)

    def _viewed(self, x, shape):
        """``x`` reshaped to ``shape``."""
        found = Abstract(shape, x.dtype)
        e = Equation(OPS["reshape"], (x,), {"shape": shape}, [found])
        self._add(e, self._view(e))
        return found

    def _contraction(self, e):
        """``e`` in the form that its kernel computes, with a single result."""
        if "program" in e.params:
            e = self._in_order(e, len(e.ins[0]) - len(e.params["program"].captured))
        if len(e.outs) > 1:
            return self._joined(e)
        if e.op.role in ("product", "convolution") and not machine().calls:
            e = self._unwidened(e)
        if e.op.role == "product" and e.ins[0].ndim == 2:
            return self._product(e)
        if (e.op.role, e.op.form) == ("convolution", "weight_grad"):
            return self._matrix(e)
        return e

    def _unwidened(self, e):
        """``e`` on factors in half precision, if it has them converted to float32.

        The sums are float32 all the same, and tensor cores are several times faster.
        """
        ins = [self._narrow(v) for v in e.ins if v is not None]
        if None in ins or len({v.dtype for v in ins}) != 1:
            return e
        rest = iter(ins)
        factors = [None if v is None else self._narrowed(v, next(rest)) for v in e.ins]
        return Equation(e.op, tuple(factors), e.params, e.outs)

    def _narrow(self, value):
        """The value in half precision from which ``value``, or its source, was converted."""
        maker = self.makers.get(self.source(value).id)
        if maker is None or maker.op.role != "copy" or value.dtype != float32.numpy:
            return None
        x = maker.ins[0]
        return x if isinstance(x, Abstract) and x.dtype in HALF else None

    def _narrowed(self, value, source):
        """``value``, which is a view of ``source`` in another dtype, as a view of ``source``."""
        view = self.views.get(value.id)
        if view is None:
            return source
        found, maker = Abstract(value.shape, source.dtype), self.makers[value.id]
        self._look(source, found, view.offset, view.strides)
        self._add(Equation(maker.op, (source,), maker.params, [found]), "view")
        return found

    def _in_order(self, e, own):
        """``e``, which reads contiguous tensors after the first ``own``: the others are copied."""
        (tensors,) = e.ins
        whole = lambda v: self._whole(v) and self._in_c_order(self.source(v))
        captured = [v if whole(v) else self._copy(v) for v in tensors[own:]]
        return Equation(e.op, ([*tensors[:own], *captured],), e.params, e.outs)

    def _product(self, e):
        """``e``; its second factor is a copy if several products would each transpose it."""
        x, y = e.ins
        view = self.views.get(y.id)
        turned = view is not None and view.strides[-1] != 1
        if turned and x.shape[0] <= _SMALL and self.uses[y.id] >= _MANY:
            return Equation(e.op, (x, self._copy(y)), e.params, e.outs)
        return e

    def _patch(self, e):
        """A write of a value into a view of a base, as two copies into one memory.

        If nothing else reads the base, the base is not copied: its memory is written. A base that
        is ``unset`` has nothing to copy.
        """
        base, value = e.ins
        out = e.outs[0]
        offset, strides, shape = path_map(base.shape, e.params["path"])
        if not isinstance(value, Abstract):
            value = self._constant(value, shape, base.dtype)
        fixed = self.role(base) in (None, "constant", "view") and not self._unset(base)
        if self.uses[base.id] > 1 or fixed:
            start = Abstract(base.shape, base.dtype)
            self._add(
                Equation(OPS["clone"], (base,), {"memory_format": None}, [start]), "pointwise"
            )
            self.patches[start.id] = out, 0, strides_of(base.shape)
        else:
            start = base
            self.patches[out.id] = base, 0, strides_of(base.shape)
        part = Abstract(shape, value.dtype)
        copy = Equation(OPS["clone"], (value,), {"memory_format": None}, [part])
        self.after[id(copy)] = [start]
        self._add(copy, "pointwise")
        self.patches[part.id] = out, offset, strides
        return Equation(e.op, (start, part), e.params, e.outs)

    def _unset(self, value):
        maker = self.makers.get(value.id)
        return maker is not None and maker.op.form == "unset"

    def _constant(self, number, shape, dtype):
        found = Abstract(shape, dtype)
        params = {"shape": shape, "value": number, "dtype": dtype}
        self._add(Equation(OPS["full"], (), params, [found]), "constant")
        return found

    def _scatter(self, e):
        """A scatter into a copy of its base; the result lies in the memory of the copy."""
        base, *others = e.ins
        out = e.outs[0]
        start = Abstract(base.shape, base.dtype)
        self._add(Equation(OPS["clone"], (base,), {"memory_format": None}, [start]), "pointwise")
        self.patches[start.id] = out, 0, strides_of(base.shape)
        found = Equation(e.op, (start, *others), e.params, e.outs)
        self.after[id(found)] = [start]
        return found

    def _matrix(self, e):
        """A convolution's weight gradient as its kernel computes it: a matrix (O, K)."""
        out = e.outs[0]
        n = out.shape[0]
        matrix = Abstract((n, out.size // n), out.dtype)
        self.views[out.id] = View(matrix, 0, strides_of(out.shape))
        return Equation(e.op, e.ins, e.params, [matrix])

    def _joined(self, e):
        """Several results of one kernel as views of one result, one after the other in memory."""
        whole = Abstract((sum([v.size for v in e.outs]),), e.outs[0].dtype)
        offset = 0
        for out in e.outs:
            self.views[out.id] = View(whole, offset, strides_of(out.shape))
            offset += out.size
        return Equation(e.op, e.ins, e.params, [whole])

    def _copy(self, x):
        """A copy of ``x`` in C order, made at most once; any reshape of the copy is a view."""
        if x.id not in self._copies:
            self._copies[x.id] = copy = Abstract(x.shape, x.dtype)
            self._add(Equation(OPS["clone"], (x,), {"memory_format": None}, [copy]), "pointwise")
        return self._copies[x.id]
