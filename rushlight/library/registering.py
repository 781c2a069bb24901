"""Operators get kernels and rules by their names: ``define``, ``impl`` and ``register_…``."""

import functools

from rushlight.library.custom import OPDEFS, CustomOpDef, attach_autograd, dispatch_key
from rushlight.library.library import Library
from rushlight.library.operator import OpOverload, OpOverloadPacket, find

__all__ = [
    "define", "get_kernel", "impl", "impl_abstract", "operator_of", "register_autocast",
    "register_autograd", "register_fake", "register_kernel", "register_torch_dispatch",
    "register_vmap",
]  # fmt: skip


def operator_of(op):
    """The OpOverload that a name, a CustomOpDef, a packet or an OpOverload means."""
    if isinstance(op, CustomOpDef):
        return op._opoverload
    if isinstance(op, OpOverloadPacket):
        return op.default
    return op if isinstance(op, OpOverload) else find(op)


def define(qualname, schema=None, *, lib=None, tags=()):
    """Define an operator.

    Args:
        qualname: The qualified name, such as ``"mylib::scale"``; with ``lib`` without a namespace.
        schema: The schema without a name: ``"(Tensor x) -> Tensor"``.
        lib: The Library to define it in. Default: a part of the namespace.
        tags: Accepted without effect.

    Returns:
        None; for a Library as the first argument, a decorator.

    Raises:
        ValueError: The name has no namespace.
        RuntimeError: The schema can't be read, or the operator exists.

    >>> import rushlight as torch
    >>> torch.library.define("docs::twice", "(Tensor x) -> Tensor")
    >>> @torch.library.impl("docs::twice", "cpu")
    ... def twice(x):
    ...     return 2 * x
    >>> torch.ops.docs.twice(torch.ones(1))
    tensor([2.])
    """
    if isinstance(qualname, Library):  # PyTorch's first form: @define(library, schema)
        return _define_in(qualname, schema)
    space, sep, name = qualname.partition("::")
    if not sep and lib is None:
        raise ValueError(
            f'Expected `qualname` to be of the form "namespace::name", but got {qualname}. The '
            "qualname passed to the torch.library APIs must consist of a namespace and a name, "
            "e.g. aten::sin"
        )
    if not isinstance(schema, str):
        raise ValueError(
            f"define(qualname, schema): expected schema to be of type str, got {type(schema)}"
        )
    (lib or Library(space, "FRAGMENT")).define((name or qualname) + schema)
    return None


def _define_in(library, schema):
    def decorate(f):
        library.impl(library.define(schema), f)
        return f

    return decorate


def impl(qualname, types, func=None, *, lib=None):
    """Give an operator a kernel.

    Args:
        qualname: The qualified name.
        types: A device type, several of them, a dispatch key, or "default".
        func: The function. Default: the result is a decorator.
        lib: Accepted without effect.

    Returns:
        A decorator if ``func`` is None.

    Raises:
        RuntimeError: There is no such operator.

    >>> import rushlight as torch
    >>> torch.library.define("docs::minus", "(Tensor x) -> Tensor")
    >>> torch.library.impl("docs::minus", "default", lambda x: -x)
    >>> torch.ops.docs.minus(torch.ones(1))
    tensor([-1.])
    """
    if isinstance(qualname, Library):  # PyTorch's first form: @impl(library, name, key)
        return _impl_in(qualname, types, func or "")

    def register(f):
        op = operator_of(qualname)
        for kind in [types] if isinstance(types, str) else types:
            if kind == "meta":
                op.fake = f
            else:
                op.kernels[dispatch_key(kind)] = f
        return f

    if func is None:
        return register
    register(func)
    return None


def _impl_in(library, name, key):
    def decorate(f):
        library.impl(name, f, key)
        return f

    return decorate


def register_kernel(op, device_types, func=None, /, *, lib=None):
    """Give an operator a kernel for some device types.

    Args:
        op: The operator: its qualified name, an OpOverload, or what ``custom_op`` made.
        device_types: A device type, several of them, or None for all.
        func: The function. Default: the result is a decorator.
        lib: Accepted without effect.

    Returns:
        ``func``, or a decorator.

    >>> import rushlight as torch
    >>> @torch.library.custom_op("docs::same", mutates_args=())
    ... def same(x: torch.Tensor) -> torch.Tensor:
    ...     return x.clone()
    >>> @torch.library.register_kernel("docs::same", "cpu")
    ... def _(x):
    ...     return x + 0
    >>> same(torch.ones(1))
    tensor([1.])
    """
    if func is None:
        return lambda f: register_kernel(op, device_types, f)
    known = op if isinstance(op, CustomOpDef) else OPDEFS.get(op)
    if known is not None:
        return known.register_kernel(device_types, func)
    kinds = "default" if device_types is None else device_types
    impl(operator_of(op).name() if not isinstance(op, str) else op, kinds, func)
    return func


def register_fake(op, func=None, /, *, lib=None, _stacklevel=1, allow_override=True):
    """State the shapes and dtypes of an operator's results.

    Args:
        op: The operator: its qualified name, an OpOverload, or what ``custom_op`` made.
        func: A function of the operator's arguments that returns tensors with any values.
            Default: the result is a decorator.
        lib, allow_override: Accepted without effect.

    Returns:
        ``func``, or a decorator.

    >>> import rushlight as torch
    >>> torch.library.define("docs::first", "(Tensor x) -> Tensor")
    >>> @torch.library.register_fake("docs::first")
    ... def _(x):
    ...     return x.new_empty(1)
    """
    if func is None:
        return functools.partial(register_fake, op)
    operator_of(op).fake = func
    return func


def impl_abstract(qualname, func=None, *, lib=None, _stacklevel=1):
    """The deprecated name of ``register_fake``."""
    return register_fake(qualname, func) if func is not None else register_fake(qualname)


def register_autograd(op, backward, /, *, setup_context=None, lib=None):
    """State an operator's gradient rule.

    Args:
        op: The operator: its qualified name, an OpOverload, or what ``custom_op`` made.
        backward: ``backward(ctx, *grads)`` gives the gradient of each argument, or None.
        setup_context: ``setup_context(ctx, inputs, output)`` saves what backward needs.
        lib: Accepted without effect.

    Raises:
        RuntimeError: The operator writes into its arguments.

    >>> import rushlight as torch
    >>> torch.library.define("docs::id", "(Tensor x) -> Tensor")
    >>> torch.library.impl("docs::id", "cpu", lambda x: x.clone())
    >>> torch.library.register_autograd("docs::id", lambda ctx, g: g * 10)
    >>> x = torch.ones(1, requires_grad=True)
    >>> torch.ops.docs.id(x).backward()
    >>> x.grad
    tensor([10.])
    """
    found = operator_of(op)
    if found._schema.is_mutable:
        raise RuntimeError(
            f"Cannot register autograd formula for non-functional operator {found} with schema "
            f"{found._schema}. Please create a functional operator and register an autograd "
            "formula for that."
        )
    attach_autograd(found, backward, setup_context)


def register_vmap(op, func=None, /, *, lib=None):
    """State how ``vmap`` runs an operator on batches.

    Args:
        op: The operator: its qualified name, an OpOverload, or what ``custom_op`` made.
        func: ``func(info, in_dims, *args)`` returns the results and their batch dims. Default: the
            result is a decorator.
        lib: Accepted without effect.

    Returns:
        ``func``, or a decorator.

    >>> import rushlight as torch
    >>> @torch.library.custom_op("docs::sine", mutates_args=())
    ... def sine(x: torch.Tensor) -> torch.Tensor:
    ...     return x.sin()
    >>> @torch.library.register_vmap("docs::sine")
    ... def _(info, in_dims, x):
    ...     return sine(x), in_dims[0]
    >>> torch.vmap(sine)(torch.zeros(2))
    tensor([0., 0.])
    """
    if func is None:
        return functools.partial(register_vmap, op)
    found = operator_of(op)
    found.batching, found._function, found.has_rule = func, None, True
    return func


def register_torch_dispatch(op, torch_dispatch_class, func=None, /, *, lib=None):
    """Compute an operator by another function inside a ``TorchDispatchMode``.

    Args:
        op: The operator: its qualified name, an OpOverload, or what ``custom_op`` made.
        torch_dispatch_class: The class of the mode.
        func: ``func(mode, func, types, args, kwargs)``. Default: the result is a decorator.
        lib: Accepted without effect.

    Returns:
        ``func``, or a decorator.

    >>> import rushlight as torch
    >>> from rushlight.utils._python_dispatch import TorchDispatchMode
    >>> class Loud(TorchDispatchMode):
    ...     def __torch_dispatch__(self, func, types, args=(), kwargs=None):
    ...         return func(*args, **(kwargs or {}))
    >>> @torch.library.custom_op("docs::quiet", mutates_args=())
    ... def quiet(x: torch.Tensor) -> torch.Tensor:
    ...     return x.clone()
    >>> @torch.library.register_torch_dispatch("docs::quiet", Loud)
    ... def _(mode, func, types, args, kwargs):
    ...     return func(*args) + 1
    >>> with Loud():
    ...     quiet(torch.ones(1))
    tensor([2.])
    """
    if func is None:
        return functools.partial(register_torch_dispatch, op, torch_dispatch_class)
    operator_of(op).dispatch_rules[torch_dispatch_class] = func
    return func


def register_autocast(op, device_type, cast_inputs, /, *, lib=None):
    """Cast an operator's floating-point arguments to a dtype inside autocast regions.

    Args:
        op: The operator: its qualified name, an OpOverload, or what ``custom_op`` made.
        device_type: "cpu"; "cuda" is remembered without effect.
        cast_inputs: The dtype.
        lib: Accepted without effect.

    Raises:
        ValueError: Another device type.

    >>> import rushlight as torch
    >>> @torch.library.custom_op("docs::as_is", mutates_args=())
    ... def as_is(x: torch.Tensor) -> torch.Tensor:
    ...     return x.clone()
    >>> torch.library.register_autocast("docs::as_is", "cpu", torch.bfloat16)
    >>> with torch.autocast("cpu"):
    ...     as_is(torch.ones(1)).dtype
    torch.bfloat16
    """
    if device_type not in ("cpu", "cuda"):
        raise ValueError(f"register_autocast: unknown device type {device_type!r}")
    operator_of(op).autocasts[device_type] = cast_inputs


def get_kernel(op, dispatch_key):
    """Return the kernel of an operator for a dispatch key.

    Args:
        op: The operator: its qualified name or an OpOverload.
        dispatch_key: The key, such as "CPU".

    Returns:
        The function.

    Raises:
        RuntimeError: There is none.

    >>> import rushlight as torch
    >>> torch.library.define("docs::nothing", "(Tensor x) -> Tensor")
    >>> torch.library.impl("docs::nothing", "cpu", lambda x: x.clone())
    >>> torch.library.get_kernel("docs::nothing", "CPU")(torch.ones(1))
    tensor([1.])
    """
    found = operator_of(op)
    if dispatch_key not in found.kernels:
        raise RuntimeError(f"no kernel of {found.name()} for dispatch key {dispatch_key}")
    return found.kernels[dispatch_key]
