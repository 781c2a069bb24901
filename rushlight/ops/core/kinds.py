"""The kinds of operations. A definition states what is special; its kind provides all the rest.

::

    @elementwise(dtype=to_float)
    def exp(xp, x):
        return xp.exp(x)

    exp.grad(x=lambda g, out: g * out)

Each decorator turns a forward on arrays into the public function and binds it to the ``torch``
namespace and to Tensor. The function is one of the closures of ``closures.py``.
"""

from functools import cache, update_wrapper

import numpy as np

import rushlight.dtype as dtypes
from rushlight import shapes
from rushlight.autograd import mode
from rushlight.docstrings import complete
from rushlight.errors import DtypeError, UnhandledError
from rushlight.ops.core.argument_kinds import fits
from rushlight.ops.core.arguments import admitted, bind, judge, refuse
from rushlight.ops.core.closures import (
    binary,
    generic,
    listed,
    looking,
    reducer,
    slow,
    slow_operator,
    unary,
    with_out,
)  # fmt: skip
from rushlight.ops.core.definition import FUNCTIONS, Op, publish
from rushlight.ops.core.direct import direct
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.handlers import PLAIN, by_name, overridden
from rushlight.ops.core.promotion import promote
from rushlight.ops.core.replays import replayed
from rushlight.ops.core.signature import Signed
from rushlight.tensor import Tensor

__all__ = ["elementwise", "kernel", "like_first", "reduction", "source", "view"]


def _finish(op, call, publication):
    """Make ``call`` the public function of ``op``."""
    op.short = direct(op)
    update_wrapper(call, op.forward)
    call.__name__ = call.__qualname__ = op.name
    call.__wrapped__ = Signed(op)
    several = op.kind == "elementwise" and len(op.inputs) > 1
    call.__doc__ = complete(op.forward.__doc__ or "", call.__wrapped__.names,
                            "broadcast" if several else op.kind)  # fmt: skip
    call.op = op
    call.grad = op.grad
    call.watch = op.watch
    call.lower = op.lower
    call.lower_check = op.lower_check
    call.lower_on_devices = op.lower_on_devices
    call.lower_on_pairs = op.lower_on_pairs
    call.lower_by_counting = op.lower_by_counting
    op.call = call
    if publication.get("public", True) or publication.get("method", True) or op.kinds:
        op.admitted = admitted(op)
    publish(call, op.name, **publication)
    if op.varargs and publication.get("public", True):
        FUNCTIONS[op.name] = update_wrapper(listed(op, call), call)
    return call


def _split(options):
    names = ("public", "method", "inplace", "alias", "operator", "own_operator")
    return {n: options.pop(n) for n in names if n in options}


# Elementwise ------------------------------------------------------------------------------


def elementwise(forward=None, *, dtype=promote, inplace=True, **options):
    """An operation on each element, whose inputs are broadcast.

    ``dtype`` is a promotion rule, which gives the dtype of the computation. The option ``casts``
    lists the dtypes that ``out=`` may have besides the result's; True allows all to which the
    result can be cast. Default: True for several inputs, or if the rule changes the dtype of bool.
    """
    if forward is None:
        return lambda f: elementwise(f, dtype=dtype, inplace=inplace, **options)
    publication = _split(options)
    options.setdefault("casts", forward.__code__.co_argcount > 2 or _makes_numbers(dtype))
    op = Op("elementwise", forward, dtype=dtype, **options)
    build = None if op.params or op.optional else {1: unary, 2: binary}.get(len(op.inputs))
    build = build if op.keeps_order in (True, (0,)) else None
    call = generic(op) if build is None else build(op, slow)
    if build is binary:
        call = with_out(op, call)
    operators, own = publication.pop("operator", ()), publication.pop("own_operator", False)
    call = _finish(op, call, {"inplace": inplace, **publication})
    if own:
        _bind_own_operator(op, build, operators)
    elif operators:
        _bind_operators(op, build, operators)
    return call


@cache
def _makes_numbers(rule):
    """Whether the promotion rule gives bool tensors (and therefore integers) another dtype."""
    try:
        return rule([np.zeros(1, bool)]) is not dtypes.bool
    except DtypeError:
        return False


def _bind_operators(op, build, names):
    """Bind Python's operators ``names``. They return NotImplemented for operands of other classes.

    Python then asks the class of the other operand.
    """
    if build is unary:
        operator = op.call
    else:
        operator = build(op, slow_operator)
        update_wrapper(operator, op.forward)
        operator.op = op
    for name in (names,) if type(names) is str else names:
        setattr(Tensor, name, operator)


def _bind_own_operator(op, build, name):
    """Bind an operator that handlers of classes see itself (``Tensor.__eq__``), as in PyTorch.

    Of other operators they see the method (``Tensor.add``).
    """

    def path(op, args, out):
        found = NotImplemented
        if mode.intercept > mode.metas:
            try:
                found = overridden(operator, args, {})
            except UnhandledError:
                return NotImplemented
        return slow_operator(op, args, out) if found is NotImplemented else found

    operator = build(op, path)
    update_wrapper(operator, op.forward)
    operator.__name__, operator.__qualname__ = name, f"Tensor.{name}"
    operator.op = op
    setattr(Tensor, name, operator)


# Reductions -------------------------------------------------------------------------------


def in_dtype(x, dtype):
    """``x`` converted for a sum or product in ``dtype``, which has a gradient if ``x`` has one.

    Raises:
        DtypeError: ``x`` requires a gradient, and ``dtype`` has none.
    """
    found = x.to(dtype)
    if x.node is not None and found.dtype.category < 2 and mode.records():
        raise DtypeError(
            f"Autograd not support dtype: {dtype}, but input {tuple(x.shape)} requires a gradient; "
            "detach() it first"
        )
    return found


def reduction(forward=None, *, whole_name=None, takes_dtype=False, of_no_dims=None, **options):
    """An operation over some dims, by default all; with ``keepdim`` these dims stay with size 1.

    The forward and the rules get ``dim`` as a tuple of dims counted from the front.
    ``whole_name`` is the node's name if no dim is given. ``takes_dtype``: the function has an
    argument ``dtype=``, and the input is converted to it first. ``of_no_dims`` gives the result for
    ``dim=()``; without it ``()`` stands for all dims.
    """
    if forward is None:
        more = {"whole_name": whole_name, "takes_dtype": takes_dtype, "of_no_dims": of_no_dims}
        return lambda f: reduction(f, **more, **options)
    publication = _split(options)
    op = Op("reduction", forward, prepare=None, **options)
    op.prepare = lambda x, *, dim, keepdim, **rest: {
        "dim": shapes.dims(dim, x.ndim, op.name),
        "keepdim": shapes.flag(keepdim, op.name),
        **rest,
    }
    op.explain = lambda x, *, dim, keepdim, **_: shapes.reduced(x.shape, dim, keepdim, op.name)
    whole = type(whole_name, (op.node,), {"__slots__": ()}) if whole_name else op.node

    def handled(given, named):
        if plain:
            given, named = written(given, named)
        return overridden(op.call, given, named)

    def written(given, named):
        """The arguments without defaults: the closure can't tell if its caller wrote them."""
        given, params = by_name(op, given[:1], dict(zip(op.params, given[1:], strict=False)))
        return given, params | named

    def full(given, named):
        if mode.intercept > mode.metas and (
            mode.state.function_modes or not PLAIN.issuperset(map(type, (*given, *named.values())))
        ):
            found = handled(given, named)
            if found is not NotImplemented:
                return found
        if plain and named:  # NumPy's name of a parameter may be among them
            given, named = written(given, named)
        kwargs = dict(named)
        out = kwargs.pop("out", None)
        dtype = kwargs.pop("dtype", None)
        if takes_dtype and dtype is None and isinstance(out, Tensor):
            dtype = out.dtype  # the reduction is computed in this dtype, too
        args, params = bind(op, given, kwargs)
        if dtype is not None:
            if not isinstance(args[0], Tensor):
                found = handled(given, named)
                if found is not NotImplemented:
                    return found
                refuse(op, 0, args[0])
            if not fits("dtype", dtype):
                raise TypeError(
                    f"{op.name}(): argument 'dtype' must be torch.dtype, not {type(dtype).__name__}"
                )
            if not takes_dtype:
                raise TypeError(f"{op.name}() got an unexpected keyword argument 'dtype'")
            args = (in_dtype(args[0], dtype),)
        try:
            no_dims = of_no_dims is not None and params["dim"] in ((), [])
            if no_dims and isinstance(args[0], Tensor) and args[0].dim():
                found = of_no_dims(args[0])
            else:
                found = apply(op, args, params, *(() if plain else (given, named)))
        except (RuntimeError, ValueError, IndexError, AttributeError):
            judge(op, params)
            raise
        if not isinstance(found, Tensor):  # the result of a class that overrides operations
            return found
        if dtype is not None and found.dtype is not dtype:  # integers were summed as int64
            found = found.to(dtype)
        if whole is not op.node and params["dim"] is None and type(found.node) is op.node:
            found.node.__class__ = whole
        return found if out is None else op.store(out, found)

    plain = op.params == ("dim", "keepdim") and of_no_dims is None
    call = reducer(op, whole, full) if plain else replayed(lambda *args, **named: full(args, named))
    return _finish(op, call, publication)


# The rest ---------------------------------------------------------------------------------


def view(forward=None, **options):
    """An operation whose result is a view: it shares the memory and the clock of ``x``."""
    if forward is None:
        return lambda f: view(f, **options)
    publication = _split(options)
    op = Op("view", forward, widen=False, **options)
    return _finish(op, looking(op), publication)


def kernel(forward=None, **options):
    """Any other computation on arrays.

    ``shape`` states the result's shape for traces, or raises the error if the operands don't fit.
    By default half precision is computed in float32 and rounded once; ``widen=False`` gives the
    forward the arrays as they are.
    """
    if forward is None:
        return lambda f: kernel(f, **options)
    publication = _split(options)
    op = Op("kernel", forward, **options)
    return _finish(op, generic(op), publication)


def like_first(x, *_, **params):
    """The option ``shape`` of a kernel whose result has the shape of its first input."""
    return x.shape


def source(forward=None, **options):
    """An operation without tensor inputs, such as creation: its forward gets ``xp`` and params."""
    if forward is None:
        return lambda f: source(f, **options)
    publication = {"method": False, **_split(options)}
    op = Op("source", forward, widen=False, **options)
    return _finish(op, generic(op), publication)
