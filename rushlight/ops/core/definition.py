"""The definition of an operation, and the registry of all operations."""

import re
from functools import partial
from operator import itemgetter
from typing import Any

from rushlight.autograd import mode
from rushlight.autograd.tape import Node
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.docstrings import document
from rushlight.errors import ArgumentDtypeError, DtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.outputs import in_place, store
from rushlight.ops.core.replays import Replays
from rushlight.tensor import Tensor, from_array

__all__ = ["FUNCTIONS", "OPS", "REQUIRED", "Op", "composed", "function", "publish"]

#: Every operation by name. The conformance suite tests all of them.
OPS: dict = {}
#: Every public function of the ``torch`` namespace by name.
FUNCTIONS: dict = {}


_SAME = (lambda g: g).__code__.co_code  # a rule that computes nothing


def _is_refusal(entry):
    """Whether the rule of ``entry`` only raises; see ``underivable`` in ``rules.py``."""
    return entry is not None and hasattr(entry[0], "unlisted")


class _Required:
    def __repr__(self):
        return "REQUIRED"


REQUIRED = _Required()


class VariadicNode(Node):
    """The node of an operation on a list of tensors: one rule gives all their gradients."""

    __slots__ = ()
    is_plain = False

    def backward(self, g, symbolic, leads=None):
        self.check(symbolic)
        rule, wanted, *_ = self.op.rules[0]
        values = [self.lift(k) if symbolic else self.saved[k] for k in wanted]
        return [
            gi if parent is not None else None
            for parent, gi in zip(self.parents, rule(g, *values), strict=True)
        ]


class Op:
    """One operation: its forward, its gradient rules, and the options of its definition.

    Attributes:
        name: The public name.
        kind: ``elementwise``, ``reduction``, ``view``, ``kernel`` or ``source``.
        forward: ``forward(xp, *inputs, **params)`` on raw arrays.
        inputs: Names of the inputs that may be tensors.
        params: Names of the other parameters, with their defaults in ``defaults``.
        required: Names of the parameters without a default.
        variadic: The only input is a list of tensors.
        linear: If the operation is linear in each input with a gradient rule: for each input the
            names of the inputs that its rule reads. See ``autograd/tangents.py``.
        rules: For each input None, or (rule, indices into ``saves``, an itemgetter for these
            indices if there are several, its ``Replays``).
        saves: Names that the rules want: an input, ``out``, a parameter, ``x_shape``, ``x_dtype``.
        origins: For each name of ``saves``: the index of the input with this name, -1 for ``out``,
            -2 for ``index`` (the last of several outputs, which holds integers), else None.
        watched: (name, origin, inputs whose gradients refuse a write to it); see ``watch``.
        prepare: ``prepare(*arrays, **params)`` checks shapes and dtypes, and returns the params
            in one normalised form.
        shape: ``shape(*arrays, **params)`` gives the result's shape, or raises an error that says
            what is wrong with the operands. It may give a list of the shapes of several results,
            or None for an unknown shape. The result of a kernel then has the dtype of its first
            input. The rule of a source gives the dtype, too.
        explain: Raises the error message after the forward failed. Default: ``shape``.
        check: ``check(*arrays, **params)`` raises if values are out of range. The check is part of
            every run, so a compiled program checks as well.
        dynamic: The result's shape depends on values, so the operation cannot be traced. A function
            decides it from the arguments.
        by_layout: A view that exists only if the input's memory is laid out suitably.
        of_storage: A view of the whole storage behind the input, wherever in the storage the input
            lies. Its parameters are ``size``, ``stride`` and ``start``.
        in_order: The results are always contiguous.
        varies: The operation computes differently for some values of its number (a power of 2,
            say), so a trace keeps the number as a constant.
        keeps_order: True: the results may lie in memory in the order of an operand's dims. This is
            the default, except for kernels and reductions: their results are made contiguous, as
            PyTorch's are. A tuple: the forward works element by element, and the inputs with these
            indices decide the order; an earlier input decides before a later one. "like": the
            forward works element by element, and the result lies as one of ``empty_like`` does.
        arranges: The forward works element by element, and its result gets PyTorch's order of dims.
        channels: The first so many inputs decide whether the result is channels-last in memory: it
            is if one of them is, as in PyTorch.
        columns: Indices of the results that are column-major matrices, as LAPACK writes them.
        lines: Indices of the inputs among ``channels`` that may be signals (N, C, L); these count
            as images of height 1.
        by_contents: Dims of size 1 of the input among ``channels`` count little, as in
            ``strides.channels_order``.
        one_of_many: A view that is one of several results of an operation, such as split.
        exact: Indices of the inputs that are not rounded to half precision if the result has half
            precision, and if the input is a number or a 0-dim tensor. All other operands are
            rounded first, as in PyTorch.
        conditions: Indices of the inputs of an elementwise operation that only decide: they keep
            their dtype.
        eight_bits: The result may be rounded to a dtype of 8 bits, as PyTorch's is.
        keeps_floats: The promotion rule leaves operands unchanged if all are float32, or all
            float64. None until the first call finds out.
        role, form: The option ``primitive`` tells the compiler the role of the operation's
            equations and, if several operations share the role, its form, as in ``reduction add``;
            see ``compiler/ir/roles.py``. Elementwise operations are ``pointwise``, views ``view``.
        least: The number of elements of the largest operand from which on a compiled kernel
            replaces NumPy. None: NumPy always computes the result. Default: ``LEAST_ELEMENTS`` of
            ``backend/native.py`` for elementwise operations, None for others.
        halves: A kernel computes large arrays of half precision. Of a reduction: a function that
            computes the result in half precision, or gives None. Default: for elementwise
            operations without ``least``. False if NumPy's float32 results have other bits than a
            kernel's.
        widths: If an operand is broadcast along rows or columns, a kernel is compiled for each
            width of the rows. Default: if ``least`` is stated. Else only narrow rows have one.
        spreads: Each element takes so long that operands are first copied to one shape for a
            kernel, so that one kernel serves all shapes. Default: False.
        worth: ``worth(*inputs, **params)`` tells whether there is enough work for a kernel that is
            compiled for these parameters, and for a contraction's exact shapes. None: always.
        into: ``into(out, *inputs)`` writes the result of an elementwise operation on floats into
            the array ``out``, which may be an input. It serves large arrays of operations that are
            neither a kernel nor one function of NumPy.
        fixed: The kernel for large arrays is the program of ``lowering`` for the exact shapes of
            the operands, as that of a contraction is. Default: False.
        slopes: The gradient rules also run as compiled kernels, from ``least`` elements on.
            Default: True for elementwise operations that state ``least``.
        shares: The results may share the memory of an input, as views do.
        own_slope: The gradient rules count in more than the operation's inputs say, so the
            derivative of the lowering is not the gradient.
        rounds_once: Each gradient rule is one product or sum, so that it rounds only once in half
            precision. Default: False.
        batching: The rule by which ``vmap`` runs the operation on batches, if its kind has none, or
            the name of one of ``func/batch_rules.py``. That of a view is ``batching(x, **params)``:
            the view of each sample of the batch ``x``, whose dim 0 counts the samples.
        again: The rules want the result, but PyTorch's rules don't. If the result was written
            before backward, it is computed again from the inputs.
        spared: Names of the inputs that the rules on arrays do not read, because the forward left
            in ``memo`` what the rules need of them.
        unread: Indices of the results that the rules do not read, although they name ``out``.
        flat: The gradients change with the operands only in steps, and their slope counts as 0, as
            in PyTorch. Without this a second derivative counts the operand as unused.
        symmetric: The Jacobian by each input equals its transpose if all numbers are real, so the
            gradient rules also give tangents. Default: True for elementwise operations.
        copied: Names of the inputs of which a node saves a copy, because PyTorch saves a value made
            of them, so that they may be written before backward.
        moves: Each element of the result is an element of an input, or a constant, and only shapes
            and params decide which. Calls that repeat then move elements in native code; see
            ``compiler/replay``.
        constants: Names of the inputs that PyTorch does not differentiate by: that such an input
            requires grad is an error.
        autocast: The rule for autocast, see ``autocast.py``; None: no casts.
        arrays: The operator accepts a NumPy array as its other operand, as PyTorch's ``==`` does.
        tensors: Names of the inputs that must not be a Python number.
        numbers: All inputs may be Python numbers, and the result is a tensor all the same.
        kinds: {name: kind} of the parameters whose name and default don't determine the kind; see
            ``argument_kinds.py``.
        admitted: Name of a parameter → the types that are admitted at sight (``arguments.py``).
        forms: The number of positional arguments, with the names of the others → how calls of this
            form are bound (``arguments.py``).
        draws: The operation draws from a random generator, so a program keeps it, and its order.
        raises: The operation computes nothing and raises if values are wrong, so a program keeps
            it.
        lowering: (rule, names that the rule wants): what the operation is made of; see ``lower``.
        far_lowering: The same for devices that cannot run the forward; see ``lower_on_devices``.
        pair_lowering: The same for complex numbers on devices; see ``lower_on_pairs``.
        counting: The rule of a dynamic operation for devices; see ``lower_by_counting``.
        places: Whether operands are places of a sparse tensor, which lie on the host.
        checking: (rule, names that the rule wants): the checks of values; see ``lower_check``.
        short: The short way of calls on plain operands, or None; see ``direct.py``.
        store: ``store(out, result)`` writes the result into ``out``. The option ``casts`` says
            which dtypes ``out`` may have besides the result's own; see ``outputs.py``. It may be a
            function of the operands.
        closures: Functions that run once the rules are stated, and note what the rules want saved.
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
        self.by_contents = options.pop("by_contents", False)
        self.varies = options.pop("varies", False)
        self.one_of_many = options.pop("one_of_many", False)
        own = {"elementwise": "pointwise", "view": "view"}.get(kind, "")
        self.role, _, self.form = options.pop("primitive", own).partition(" ")
        self.draws = options.pop("draws", False)
        self.moves = options.pop("moves", False)
        self.raises = options.pop("raises", False)
        self.lowering: Any = None
        self.far_lowering: Any = None
        self.pair_lowering: Any = None
        self.counting: Any = None
        self.places = False
        self.checking: Any = None
        self.arrays = options.pop("arrays", False)
        self.tensors = options.pop("tensors", ())
        self.numbers = options.pop("numbers", False)
        self.kinds = options.pop("kinds", {})
        self.admitted: dict = {}
        self.forms: dict = {}
        self.exact = options.pop("exact", ())
        self.conditions = options.pop("conditions", ())
        self.eight_bits = options.pop("eight_bits", False)
        self.keeps_floats = None
        self.widths = options.pop("widths", options.get("least") is not None)
        self.spreads = options.pop("spreads", False)
        least = options.pop("least", native.LEAST_ELEMENTS if kind == "elementwise" else None)
        self.least = None if least is None else large_from(least)
        self.halves = options.pop("halves", kind == "elementwise" and least is None)
        self.worth = options.pop("worth", None)
        self.into = options.pop("into", None)
        self.fixed = options.pop("fixed", False)
        self.slopes = options.pop("slopes", kind == "elementwise" and self.widths)
        self.shares = options.pop("shares", kind == "view")
        self.own_slope = options.pop("own_slope", False)
        self.rounds_once = options.pop("rounds_once", False)
        self.batching: Any = None
        self.again = options.pop("again", False)
        self.spared = options.pop("spared", ())
        self.unread = options.pop("unread", ())
        self.copied = options.pop("copied", ())
        self.constants = options.pop("constants", ())
        self.flat = options.pop("flat", False)
        self.symmetric = options.pop("symmetric", kind == "elementwise")
        self.autocast = options.pop("autocast", None)
        self.rules: list[Any] = [None] * len(names)
        self.closures: list[Any] = []
        self.short: Any = None
        self.call: Any = None
        self.casts = options.pop("casts", False)
        self.store = partial(
            store, name=self.name, casts=False if callable(self.casts) else self.casts,
            error=ArgumentDtypeError if self.variadic else DtypeError,
        )  # fmt: skip
        self.saves: list[str] = []
        self.origins: list[int | None] = []
        self.plan: list[tuple] = []
        self.watched: list[tuple] = []
        self.linear: list[Any] | None = None
        base = VariadicNode if self.variadic else Node
        grad_name = options.pop("grad_name", None) or node_name(self.name)
        self.node: type[Node] = type(grad_name, (base,), {"__slots__": (), "op": self})
        mixed = {"__slots__": (), "is_mixed": True, "is_plain": False}
        self.mixed_node: type[Node] = type(grad_name, (self.node,), mixed)
        if options:
            raise TypeError(f"{self.name}: unknown options {list(options)}")
        OPS[self.name] = self

    def is_exact(self, i, x):
        """Whether operand ``i``, which is ``x``, is exempt from rounding to half precision."""
        return x is None or (i in self.exact and not getattr(x, "ndim", 0))

    def __repr__(self):
        return f"<{self.kind} {self.name}>"

    def grad(self, **rules):
        """State the gradient rules: ``x=lambda g, y: g * y`` gives the gradient of the input ``x``.

        A rule receives the result's gradient ``g``, and then the values that its parameters name.
        """
        users: dict = {name: list(who) for name, _, who in self.plan}
        for name, rule in rules.items():
            i = self.inputs.index(name)
            if getattr(rule, "unlisted", False):  # see ``underivable``
                self.node.__name__ = self.mixed_node.__name__ = "NotImplemented"
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
            take = itemgetter(*places) if len(places) > 1 else None
            replays = Replays(function=rule)
            if code.co_code == _SAME:
                replays.run = None
            self.rules[i] = rule, places, take, replays
        self.linear = None
        if not (self.symmetric or self.draws or self.of_storage):
            self._find_linear(users)
        self.plan = [(w, o, tuple(users[w])) for w, o in zip(self.saves, self.origins, strict=True)]
        self.node.holds = any(o is not None for o in self.origins)
        for specialise in self.closures:
            specialise()

    def added(self, i):
        """The shape of the result → that of the input ``i``, if the operation only adds the input.

        None if it does more. A rule that does more than return its gradient, although the input is
        only added, has the attribute ``added``: the number of the input's dims.
        """
        if self.rules[i] is None:
            return None
        rule = self.rules[i][0]
        if rule.__code__.co_code == _SAME:
            return tuple
        count = getattr(rule, "added", None)
        return None if count is None else lambda shape: shape[len(shape) - count :]

    def _find_linear(self, users):
        """Fill ``linear`` if each rule is that of a linear operation, and save what calls need.

        A call on the tangent of an input needs the other inputs that multiply it: their rules read
        each other. An input without a rule is an index or the like. The others are only added, so
        their zeros need a shape. Parameters without a default are needed, too.
        """
        found: list[Any] = []
        for i, entry in enumerate(self.rules):
            origins = [] if entry is None else [self.origins[k] for k in entry[1]]
            if i in origins or -1 in origins or -2 in origins or _is_refusal(entry):
                return
            found.append({self.inputs[o] for o in origins if o is not None})
        ruleless = {k for k, entry in zip(self.inputs, self.rules, strict=True) if entry is None}
        self.linear = [
            {k for k in read if k in ruleless or name in found[self.inputs.index(k)]}
            for name, read in zip(self.inputs, found, strict=True)
        ]
        for i, read in enumerate(self.linear):
            if self.rules[i] is None or self.added(i) is not None:
                continue
            if not read >= ruleless:
                self.linear = None
                return
            zeros = [
                name + "_shape"
                for k, name in enumerate(self.inputs)
                if not (k == i or name in read or name in self.optional or self.added(k))
            ]
            for w in (*self.required, *zeros):
                if w not in self.saves:
                    self.saves.append(w)
                    self.origins.append(None)
                users.setdefault(w, []).append(i)

    def watch(self, **names):
        """State which values PyTorch's rules save and ours do not: ``watch(x="x out")``.

        If one of them was written before backward, the gradient of the input ``x`` is refused, as
        PyTorch's is. ``out1`` is the second of several results.
        """
        users: dict = {}
        for name, values in names.items():
            for w in values.split():
                users.setdefault(w, []).append(self.inputs.index(name))
        self.watched = [(w, self._origin(w), tuple(who)) for w, who in users.items()]
        self.node.holds = True
        for specialise in self.closures:
            specialise()

    def result_of(self, saved):
        """Compute the result again from the values that a node saved."""
        from rushlight.ops.core.compute import compute
        from rushlight.ops.core.dispatch import apply

        values = dict(zip(self.saves, saved, strict=True))
        params = {name: values[name] for name in self.params}
        inputs = [values[name] for name in self.inputs]
        if mode.recorder() is None:
            return compute(self, inputs, params)
        found = apply(self, [from_array(x) if hasattr(x, "shape") else x for x in inputs], params)
        return tuple([t._array for t in found]) if type(found) is tuple else found._array

    def lower(self, rule=None):
        """State what the operation is made of: ``lambda x, dim: exp(x) / total(exp(x), dim)``.

        The compiler calls the rule with the inputs and params that it names; the inputs are tensors
        without elements. The operations that the rule runs replace this operation. The rule returns
        NotImplemented for shapes or params that it does not support. See
        ``compiler/capture/lowering.py``.

        Without a rule, the forward itself runs on the tensors, with ``TENSORS`` as ``xp``.
        """
        if rule is None:
            self.lowering = self._forward_of_tensors, (*self.inputs, *self.params)
        else:
            self.lowering = rule, self._named(rule)
        return rule

    def lower_on_devices(self, rule):
        """State what the operation is made of where NumPy cannot run its forward: on devices.

        The rule is one as for ``lower``, and comes before it. Without a rule for ``lower`` the
        processor keeps to the forward.
        """
        self.far_lowering = rule, self._named(rule)
        return rule

    def lower_on_pairs(self, rule):
        """State what the operation does with complex numbers on devices, which have none.

        The rule gets a ``Pair`` of real tensors for a complex input, and returns one for a complex
        result (``complex_pairs.py``). Elementwise operations need no rule: their forward runs on
        pairs. Other operations with a lowering run that on complex values.
        """
        self.pair_lowering = rule, self._named(rule)
        return rule

    def lower_by_counting(self, rule):
        """State a dynamic operation in others that may read numbers, for eager calls on devices.

        The rule gets tensors with elements, and may ask them for a number: ``x.sum().item()``.
        """
        self.counting = rule, self._named(rule)
        return rule

    def _forward_of_tensors(self, *values):
        from rushlight.ops.core.tensor_namespace import TENSORS

        n = len(self.inputs)
        params = dict(zip(self.params, values[n:], strict=True))
        return self.forward(TENSORS, *values[:n], **params)

    def lower_check(self, rule):
        """State which values the forward refuses: a rule as for ``lower``, made of check_range."""
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
        if name == "out" or (name[:3] == "out" and name[3:].isdigit()):
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


def node_name(name):
    """PyTorch's name for the node of the operation ``name``: Log1PBackward0 for ``log1p``."""
    parts = [part[:1].upper() + part[1:].lower() for part in name.split("_")]
    return re.sub("[0-9][a-z]", lambda m: m[0].upper(), "".join(parts)) + "Backward0"


def publish(
    call, name, public=True, method=True, inplace=False, alias=(), operator=None, direct=None
):
    """Publish ``call`` as a function of ``torch``, as a method of Tensor, and by its aliases.

    ``inplace`` adds the in-place methods; ``direct`` is an option of ``outputs.in_place``.
    """
    names = (name, *((alias,) if isinstance(alias, str) else alias))
    for n in names:
        if public:
            FUNCTIONS[n] = call
        if method:
            setattr(Tensor, n, call)
        if inplace:
            setattr(Tensor, n + "_", in_place(call, n + "_", direct=direct))
            if public:
                FUNCTIONS[n + "_"] = Tensor.__dict__[n + "_"]
    if operator:
        setattr(Tensor, operator, call)


def composed(call):
    """Let the guard replay calls of a method that is made of operations.

    A method whose name ends in ``_`` writes to its tensor, and does nothing else to it.
    """
    vars(call)["composes"] = "in place" if call.__name__.endswith("_") else True
    return call


def function(
    call=None, *, name=None, public=True, method=True, inplace=False, alias=(), direct=None,
    **judgement,
):  # fmt: skip
    """Publish a composite: a plain Python function that calls several operations.

    ``inplace``, ``direct``: as in ``publish``. ``judgement``: options for the check of its
    arguments, see ``argument_kinds.takes``.
    """
    if call is None:
        return lambda f: function(
            f, name=name, public=public, method=method, inplace=inplace, alias=alias,
            direct=direct, **judgement,
        )  # fmt: skip
    document(takes(**judgement)(call))
    call.composes = not call.__name__.endswith("_")  # the guard lets its calls be replayed
    name = name or call.__name__.strip("_")
    publish(call, name, public, method, inplace, alias, direct=direct)
    return call
