"""What a definition of an operation holds, and the registry of all of them."""

from functools import partial, wraps
from operator import itemgetter
from typing import Any

from rushlight.autograd import mode
from rushlight.autograd.tape import Node
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.errors import ArgumentDtypeError, DtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.outputs import in_place, store
from rushlight.tensor import Tensor, from_array

__all__ = ["FUNCTIONS", "OPS", "REQUIRED", "Op", "function", "numpy_names", "publish"]

#: Every operation by name: what the conformance suite goes through.
OPS: dict = {}
#: Every public function of the ``torch`` namespace by name.
FUNCTIONS: dict = {}


class _Required:
    def __repr__(self):
        return "REQUIRED"


REQUIRED = _Required()


class VariadicNode(Node):
    """A node whose operation takes a list of tensors: one rule gives all their gradients."""

    __slots__ = ()
    is_plain = False

    def backward(self, g, symbolic):
        self.check(symbolic)
        rule, wanted, _ = self.op.rules[0]
        values = [self.lift(k) if symbolic else self.saved[k] for k in wanted]
        return [
            gi if parent is not None else None
            for parent, gi in zip(self.parents, rule(g, *values), strict=True)
        ]


class Op:
    """One operation: its forward, its gradient rules, and what its kind needs to know.

    Attributes:
        name: Its public name.
        kind: ``elementwise``, ``reduction``, ``view``, ``kernel`` or ``source``.
        forward: ``forward(xp, *inputs, **params)`` on raw arrays.
        inputs: Names of the inputs that may be tensors.
        params: Names of the other parameters, with their defaults in ``defaults``.
        required: Names of those without a default.
        variadic: The one input is a list of tensors.
        rules: For each input None or (rule, indices into ``saves``, what takes several at once).
        saves: Names that the rules want: an input, ``out``, a parameter, ``x_shape``, ``x_dtype``.
        origins: For each of ``saves`` the index of the input it is, -1 for ``out``, -2 for
            ``index`` (the last of several outputs, which holds integers), else None.
        prepare: ``prepare(*arrays, **params)`` checks shapes and dtypes, and returns the params
            in one form.
        shape: ``shape(*arrays, **params)`` gives the result's shape, or raises what is wrong with
            the operands. A kernel's result has the dtype of its first input then; a list is the
            shapes of several results, None that it does not know. A source's gives the dtype, too.
        explain: What says why the forward failed: that rule, or another which asks for values.
        check: ``check(*arrays, **params)`` raises where values are out of range; at each run, so a
            replayed program checks as well.
        dynamic: The result's shape depends on values, so it cannot be traced; or a function that
            tells so from the arguments.
        by_layout: A view that exists only of memory that lies in a certain way.
        of_storage: A view of all the memory behind its input, wherever in it the input lies; its
            parameters are ``size``, ``stride`` and ``start``.
        in_order: Its results are always contiguous.
        varies: It is another operation for some values of its number, so a trace needs to know it.
        keeps_order: Its results may lie in memory in the order of an operand's dims, as those of
            elementwise operations do; the results of other kernels and of reductions are made
            contiguous, as PyTorch's are. A tuple: the forward works element by element, and
            these inputs, the first of them before the next, decide how its result lies. "like":
            it does so as well, and its result lies as one of ``empty_like`` does.
        arranges: The result of elementwise work is laid in PyTorch's order.
        channels: How many inputs decide whether the result has its channels last in memory, as
            PyTorch's has where one of them does.
        columns: Which results are matrices that lie column by column, as LAPACK writes them.
        lines: Which inputs, signals (N, C, L), then count as images of height 1.
        one_of_many: A view that is one result of an operation with several, such as split.
        exact: Inputs that keep their precision where they are numbers, or tensors without dims, and
            the result is of half precision. All others are rounded to it first, as in PyTorch.
        keeps_floats: Operands that are all float32, or all float64, are computed with as they are;
            None until that was tried.
        role, form: What the compiler has for it, by option ``primitive``: the role of its equations
            and, where operations share one, its form, as in ``reduction add``; see
            ``compiler/ir/roles.py``. Elementwise operations are ``pointwise``, views ``view``.
        least: From how many elements on a kernel of the compiler's takes its place, or None.
        worth: ``worth(*inputs, **params)``: whether there is also work enough for a kernel that is
            compiled for these very shapes, as those of contractions are; None: always.
        slopes: From as many on the gradient rules become kernels, too.
        shares: The results may lie in the memory of an input, as those of a view do.
        again: The rules want the result, but PyTorch's do not: where it was written, it is
            computed again from the inputs.
        spared: Inputs that the rules on arrays do not read, as the forward leaves in ``memo``
            what they want of them.
        autocast: What autocast casts its operands to, see ``autocast.py``; None: nothing.
        arrays: Its operator takes a NumPy array, as PyTorch's == does and no other.
        tensors: Names of the inputs for which a Python number won't do.
        kinds: What parameters take, where name and default don't tell; see ``contract.py``.
        admitted: For each parameter of a public function that is judged by its kind: the types
            that are admitted at sight.
        draws: It takes from a random generator, so a program must keep it and its order.
        raises: It raises where values are wrong, so a program must keep it; nothing is computed.
        lowering: What it is made of: (rule, names that the rule wants); see ``lower``.
        checking: What of its values must be checked: likewise; see ``lower_check``.
        store: ``store(out, result)`` writes into what ``out=`` names; option ``casts`` says which
            dtypes besides its own, see ``result.py``.
        closures: What to run once the rules are stated: functions that note what rules want saved.
        call: The public function.
    """

    def __init__(self, kind, forward, **options):
        code = forward.__code__
        names = code.co_varnames[1 : code.co_argcount]
        keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        defaults = forward.__defaults__ or ()
        self.name = options.pop("name", None) or forward.__name__.strip("_")
        self.kind = kind
        self.forward = forward
        self.inputs = names
        self.optional = names[len(names) - len(defaults) :]
        self.params = keywords
        given = forward.__kwdefaults__ or {}
        self.defaults = {k: given.get(k, REQUIRED) for k in keywords}
        self.required = tuple([k for k in keywords if k not in given])
        self.variadic = bool(names) and names[0] == "tensors"
        self.options = options
        self.shape = options.pop("shape", None)
        self.explain = options.pop("explain", self.shape)
        self.dtype = options.pop("dtype", None)
        self.prepare = options.pop("prepare", None)
        self.check = options.pop("check", None)
        self.widen = options.pop("widen", True)
        self.varargs = options.pop("varargs", False)
        self.dynamic = options.pop("dynamic", False)
        self.by_layout = options.pop("by_layout", False)
        self.of_storage = options.pop("of_storage", False)
        order = options.pop("keeps_order", kind not in ("kernel", "reduction"))
        self.keeps_order = order
        self.arranges = type(order) in (tuple, str) or (order and kind == "elementwise")
        self.channels = options.pop("channels", 0)
        self.columns = options.pop("columns", ())
        self.in_order = not (order or self.channels or self.columns)
        self.lines = options.pop("lines", ())
        self.varies = options.pop("varies", False)
        self.one_of_many = options.pop("one_of_many", False)
        own = {"elementwise": "pointwise", "view": "view"}.get(kind, "")
        self.role, _, self.form = options.pop("primitive", own).partition(" ")
        self.draws = options.pop("draws", False)
        self.raises = options.pop("raises", False)
        self.lowering: Any = None
        self.checking: Any = None
        self.arrays = options.pop("arrays", False)
        self.tensors = options.pop("tensors", ())
        self.kinds = options.pop("kinds", {})
        self.admitted: dict = {}
        self.exact = options.pop("exact", ())
        self.keeps_floats = None
        least = options.pop("least", None)
        self.least = None if least is None else large_from(least)
        self.worth = options.pop("worth", None)
        self.slopes = options.pop("slopes", kind == "elementwise")
        self.shares = options.pop("shares", kind == "view")
        self.again = options.pop("again", False)
        self.spared = options.pop("spared", ())
        self.autocast = options.pop("autocast", None)
        self.rules: list[Any] = [None] * len(names)
        self.closures: list[Any] = []
        self.call: Any = None
        self.store = partial(
            store, name=self.name, casts=options.pop("casts", False),
            error=ArgumentDtypeError if self.variadic else DtypeError,
        )  # fmt: skip
        self.saves: list[str] = []
        self.origins: list[int | None] = []
        self.plan: list[tuple] = []
        base = VariadicNode if self.variadic else Node
        grad_name = options.pop("grad_name", None) or _camel(self.name) + "Backward0"
        self.node: type[Node] = type(grad_name, (base,), {"__slots__": (), "op": self})
        if options:
            raise TypeError(f"{self.name}: unknown options {list(options)}")
        OPS[self.name] = self

    def is_exact(self, i, x):
        """Whether ``x``, the operand ``i``, is not rounded to half precision; see ``exact``."""
        return x is None or (i in self.exact and not getattr(x, "ndim", 0))

    def __repr__(self):
        return f"<{self.kind} {self.name}>"

    def grad(self, **rules):
        """State the gradient of each input: ``x=lambda g, y: g * y``. Rules get what they name."""
        users: dict = {}
        for name, rule in rules.items():
            i = self.inputs.index(name)
            code = rule.__code__
            wanted = code.co_varnames[1 : code.co_argcount]
            for w in wanted:
                if w not in self.saves:
                    self.saves.append(w)
                    self.origins.append(self._origin(w))
                users.setdefault(w, []).append(i)
            places = tuple([self.saves.index(w) for w in wanted])
            if self.least is not None and self.slopes:
                rule = native.slope(self, name, rule)
            self.rules[i] = rule, places, itemgetter(*places) if len(places) > 1 else None
        self.plan = [(w, o, tuple(users[w])) for w, o in zip(self.saves, self.origins, strict=True)]
        self.node.holds = any(o is not None for o in self.origins)
        for specialise in self.closures:
            specialise()

    def result_of(self, saved):
        """The result again, of the values that a node saved."""
        from rushlight.ops.core.dispatch import apply, compute

        values = dict(zip(self.saves, saved, strict=True))
        params = {name: values[name] for name in self.params}
        inputs = [values[name] for name in self.inputs]
        if mode.state.recorder is None:
            return compute(self, inputs, params)
        found = apply(self, [from_array(x) if hasattr(x, "shape") else x for x in inputs], params)
        return tuple([t.array for t in found]) if type(found) is tuple else found.array

    def lower(self, rule):
        """State what the operation is made of: ``lambda x, dim: exp(x) / total(exp(x), dim)``.

        The compiler calls the rule with what it names, inputs as tensors without elements, and
        puts the operations that it runs in this one's place. A rule that does not serve the shapes
        or parameters it is given returns NotImplemented. See ``compiler/capture/lowering.py``.
        """
        self.lowering = rule, self._named(rule)
        return rule

    def lower_check(self, rule):
        """State which values the forward refuses: a rule, as ``lower`` takes it, of check_range."""
        self.checking = rule, self._named(rule)
        return rule

    def _named(self, rule):
        code = rule.__code__
        names = code.co_varnames[: code.co_argcount]
        unknown = set(names) - {*self.inputs, *self.params}
        if unknown:
            raise TypeError(f"{self.name}: a lowering names {unknown}, which the operation lacks")
        return names

    def _origin(self, name):
        if name == "out":
            return -1
        if name in self.inputs:
            return self.inputs.index(name)
        if name == "index" and name not in self.params:
            return -2
        owner = name.rpartition("_")[0]
        if name not in self.params and owner not in self.inputs:
            raise TypeError(
                f"{self.name}: a gradient rule names {name!r}, which the operation lacks"
            )
        return None


def _camel(name):
    return "".join([part.capitalize() for part in name.split("_")])


def publish(call, name, public=True, method=True, inplace=False, alias=(), operator=None):
    """Make ``call`` known: a function of ``torch``, a method of Tensor, and their other names."""
    names = (name, *((alias,) if isinstance(alias, str) else alias))
    for n in names:
        if public:
            FUNCTIONS[n] = call
        if method:
            setattr(Tensor, n, call)
        if inplace:
            setattr(Tensor, n + "_", in_place(call, n + "_"))
            if public:
                FUNCTIONS[n + "_"] = Tensor.__dict__[n + "_"]
    if operator:
        setattr(Tensor, operator, call)


def numpy_names(call):
    """``call`` that takes NumPy's ``axis`` and ``keepdims`` for ``dim`` and ``keepdim`` as well."""

    @wraps(call)
    def renamed(*args, **named):
        if "axis" in named:
            named["dim"] = named.pop("axis")
        if "keepdims" in named:
            named["keepdim"] = named.pop("keepdims")
        return call(*args, **named)

    return renamed


def function(
    call=None, *, name=None, public=True, method=True, inplace=False, alias=(), **judgement
):
    """Publish a composite: a plain function of operations.

    ``judgement``: how its arguments are judged, as ``takes`` of ``contract.py`` has it.
    """
    if call is None:
        return lambda f: function(
            f, name=name, public=public, method=method, inplace=inplace, alias=alias, **judgement
        )
    takes(**judgement)(call)
    publish(call, name or call.__name__.strip("_"), public, method, inplace, alias)
    return call
