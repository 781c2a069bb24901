"""Operators with a schema: an overload, the packet of a name's overloads, and namespaces.

A call of an overload checks its arguments against the schema, asks modes and classes, and then runs
one kernel. An operator with a gradient rule of its own runs as a custom ``autograd.Function``.
"""

import importlib
import threading
from types import ModuleType
from typing import Any

import rushlight
from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.function import Function
from rushlight.autograd.write import stamp
from rushlight.handled import classes_of
from rushlight.library.schema import ArgumentRefusal, Schema
from rushlight.ops.core.handlers import overridden
from rushlight.storage import root
from rushlight.tensor import Tensor

__all__ = ["Namespace", "OpOverload", "OpOverloadPacket", "find", "namespace", "publish"]

#: The dispatch keys that name a device of ours; the others are stored and never used.
_OURS = ("CompositeExplicitAutograd", "CompositeImplicitAutograd", "CPU")
_asked = threading.local()  # ``shapes``: vmap only asks for the shapes of results


class OpOverload:
    """One operator: a schema, the kernels that compute it, and how it is differentiated.

    Attributes:
        kernels: {dispatch key, such as "CPU": function}.
        fake: The function that gives results of the right shape and dtype, or None.
        backward, setup_context: The gradient rule (see ``register_autograd``), or None.
        batching: The rule for ``vmap``, or None.
        has_rule: Whether gradients are those of ``backward``, and not those of the kernel's
            operations. A custom operator without a ``backward`` refuses them.
        autocasts: {device type: dtype of the operands in autocast regions}.
        dispatch_rules: {class of a TorchDispatchMode: function that computes the operator there}.

    Args:
        schema: The Schema.
        packet: The OpOverloadPacket of its name.

    >>> import rushlight as torch
    >>> torch.library.define("docs::op", "(Tensor x, float y) -> Tensor")
    >>> torch.ops.docs.op.default._schema
    docs::op(Tensor x, float y) -> Tensor
    """

    def __init__(self, schema, packet):
        self._schema: Schema = schema
        self._overloadname = schema.overload_name or "default"
        self._overloadpacket = packet
        self.namespace, _, self._opname = schema.name.partition("::")
        self.__name__ = f"{self._opname}.{self._overloadname}"
        self.__qualname__ = self.__name__
        self.__module__ = f"torch._ops.{self.namespace}"
        self.kernels: dict = {}
        self.fake: Any = None
        self.backward: Any = None
        self.setup_context: Any = None
        self.batching: Any = None
        self.has_rule = False
        self.checks_memory = False
        self.autocasts: dict = {}
        self.dispatch_rules: dict = {}
        self._function: Any = None

    @property
    def overloadpacket(self):
        """The packet of all overloads of the name."""
        return self._overloadpacket

    @property
    def tags(self):
        """The tags of the operator: there are none."""
        return []

    def name(self):
        """The qualified name, such as ``"mylib::scale"``."""
        overload = self._schema.overload_name
        return f"{self._schema.name}.{overload}" if overload else self._schema.name

    def __str__(self):
        return f"{self.namespace}.{self.__name__}"

    def __repr__(self):
        return (
            f"<OpOverload(op='{self.namespace}.{self._opname}', overload='{self._overloadname}')>"
        )

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return find, (self.name(),)

    def __call__(self, /, *args, **kwargs):
        found = overridden(self, args, kwargs, deep=True)
        if found is not NotImplemented:
            return found
        args, kwargs = self._schema.bind(args, kwargs)
        policy = mode.state.autocast
        if policy is not None and self.autocasts:
            args, kwargs = self._cast(args, kwargs)
            with rushlight.autocast("cpu", enabled=False):
                return self._dispatched(args, kwargs)
        return self._dispatched(args, kwargs)

    def _dispatched(self, args, kwargs):
        if mode.intercept and mode.state.dispatch_modes is not None:
            return mode.state.dispatch_modes.call(self, args, kwargs)
        if mode.records():  # inside of a custom Function's forward it is the plain kernel's turn
            kernel = self.kernels.get("Autograd") or self.kernels.get("AutogradCPU")
            if kernel is not None:
                return kernel(*args, **kwargs)
        if not self.has_rule:
            return self._run(args, kwargs)
        leaves = _leaves(args)
        recording = mode.recorder()
        batches = recording is not None and recording.batches
        differentiated = mode.records() and any(
            isinstance(x, Tensor) and x.requires_grad for x in leaves
        )
        if not (differentiated or batches):
            with mode.no_grad():
                return self._run(args, kwargs)
        if self._function is None:
            self._function = _function_of(self)
        form = _Form(args, kwargs)
        _asked.shapes = batches and self.fake is not None
        try:
            found = self._function.apply(*leaves, form)
        finally:
            _asked.shapes = False
        return form.returned(found)

    def _cast(self, args, kwargs):
        target = self.autocasts.get("cpu")

        def cast(x):
            if isinstance(x, (list, tuple)):
                return type(x)([cast(part) for part in x])
            floating = isinstance(x, Tensor) and x.is_floating_point() and target is not None
            return x.to(target) if floating and x.dtype is not rushlight.float64 else x

        return tuple(map(cast, args)), {k: cast(v) for k, v in kwargs.items()}

    def _run(self, args, kwargs):
        if mode.intercept and mode.state.handlers and classes_of((*args, *kwargs.values())):
            return late.handlers().hand_over(self, args, kwargs)
        kernel = next((self.kernels[key] for key in reversed(_OURS) if key in self.kernels), None)
        if kernel is None:
            raise NotImplementedError(
                f"Could not run '{self.name()}' with arguments from the 'CPU' backend: no kernel "
                f"was registered for it. Register one with torch.library.impl({self.name()!r}, "
                "'cpu')."
            )
        written = [a for a in self._written(args, kwargs) if isinstance(a, Tensor)]
        versions = [t.cell[1] for t in written]
        found = kernel(*args, **kwargs)
        for t, version in zip(written, versions, strict=True):
            if (
                t.cell[1] == version and mode.recorder() is None
            ):  # a write through NumPy, which no operation stamped
                stamp(t)
        if self.checks_memory:
            self._check_memory(args, kwargs, found)
        return found

    def _written(self, args, kwargs):
        """The values of the arguments that the operator writes."""
        for i, a in enumerate(self._schema.arguments):
            if a.is_write:
                value = kwargs.get(a.name) if a.kwarg_only else args[i]
                yield from value if isinstance(value, (list, tuple)) else (value,)

    def _check_memory(self, args, kwargs, found):
        """Raise if a result shares memory with an argument or with another result."""
        results = [x for x in _leaves((found,)) if isinstance(x, Tensor)]
        given = [x for x in _leaves((*args, *kwargs.values())) if isinstance(x, Tensor)]
        cells = [id(x.cell) for x in given]
        arrays = [root(x._array) for x in given]
        for x in results:
            if id(x.cell) in cells or any(root(x._array) is a for a in arrays):
                raise RuntimeError(
                    f"{self._opname}: The output of this custom operator (1) must not also be an "
                    "input to this custom operator and (2) may not alias any inputs to this custom "
                    "operator or other returns. The most common way to trigger this error is if we "
                    "have y = custom_op(x) and y and x are the same Tensor. Please instead return "
                    "a clone of the offending output tensor(s) (e.g. return x.clone()) or refactor "
                    "the custom operator to not return y."
                )
            cells.append(id(x.cell))
            arrays.append(root(x._array))


# Gradients --------------------------------------------------------------------------------


def _leaves(args):
    """The values of ``args``; a list's or tuple's own values in its place."""
    found: list = []
    for x in args:
        found.extend(x if isinstance(x, (list, tuple)) else (x,))
    return found


class _Form:
    """How the flat arguments of the Function of an operator make up those of a call."""

    def __init__(self, args, kwargs):
        self.parts = [(type(x), len(x)) if isinstance(x, (list, tuple)) else None for x in args]
        self.kwargs = kwargs
        self.several: Any = None  # type of the results' container, or None for a single result
        self.lists: list = []  # for each result: its length if it is a list, else None

    def nested(self, leaves):
        """``leaves`` as the arguments."""
        rest = iter(leaves)
        return tuple(
            [
                next(rest) if p is None else p[0]([next(rest) for _ in range(p[1])])
                for p in self.parts
            ]
        )

    def flat(self, result):
        """The results as the Function returns them."""
        self.several = type(result) if isinstance(result, (list, tuple)) else None
        results = (result,) if self.several is None or self.several is list else result
        self.lists = [len(r) if isinstance(r, list) else None for r in results]
        flat = _leaves(results)
        return flat[0] if self.several is None else tuple(flat)

    def returned(self, found):
        """The results in the form in which the kernel gave them."""
        if self.several is None:
            return found
        return list(found) if self.several is list else tuple(self.of_results(found))

    def of_results(self, flat):
        """``flat`` with a list for each result that is a list."""
        rest = iter(flat)
        return [next(rest) if n is None else [next(rest) for _ in range(n)] for n in self.lists]


def _function_of(op):
    """The ``autograd.Function`` that runs ``op`` and its gradient rule."""

    def forward(ctx, *given):
        *leaves, form = given
        args = form.nested(leaves)
        result = op.fake(*args, **form.kwargs) if _asked.shapes else op._run(args, form.kwargs)
        flat = form.flat(result)
        ctx._form = form
        if op.setup_context is not None:
            needs, ctx.needs_input_grad = ctx.needs_input_grad, _nested_needs(ctx, form)
            named = {"keyword_only_inputs": form.kwargs} if form.kwargs else {}
            op.setup_context(ctx=ctx, inputs=args, output=result, **named)
            ctx.needs_input_grad = needs
        return flat

    def backward(ctx, *grads):
        if op.backward is None:
            raise RuntimeError(
                f"Trying to backward through {op} but no autograd formula was registered. Please "
                "use register_autograd to add one."
            )
        form = ctx._form
        needs, ctx.needs_input_grad = ctx.needs_input_grad, _nested_needs(ctx, form)
        try:
            found = op.backward(ctx, *form.of_results(grads))
        finally:
            ctx.needs_input_grad = needs
        return (*_flat_gradients(op, form, found), None)

    space = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    if op.batching is not None:
        space["vmap"] = staticmethod(_batched(op))
    name = f"GeneratedBackwardFor_{op.namespace}_{op._opname}_{op._overloadname}"
    return type(name, (Function,), space)


def _nested_needs(ctx, form):
    return form.nested(ctx.needs_input_grad[:-1])


def _flat_gradients(op, form, found):
    found = found if isinstance(found, tuple) else (found,)
    if len(found) != len(form.parts):
        raise RuntimeError(
            f"function {op._function.__name__} returned an incorrect number of gradients "
            f"(expected {len(form.parts)}, got {len(found)})"
        )
    flat: list = []
    for part, g in zip(form.parts, found, strict=True):
        if part is None:
            flat.append(g)
        elif g is None:
            flat.extend([None] * part[1])
        elif isinstance(g, (list, tuple)) and len(g) == part[1]:
            flat.extend(g)
        else:
            raise RuntimeError(
                "Expected the return from backward to be of the same structure as the inputs: "
                f"{op} takes a list of {part[1]} there, and its backward returned {g!r}"
            )
    return flat


def _batched(op):
    """The rule of the Function for ``vmap``, made of the operator's own rule."""

    def vmap(info, in_dims, *given):
        *leaves, form = given
        dims = form.nested(in_dims[:-1])
        found, out_dims = op.batching(info, dims, *form.nested(leaves), **form.kwargs)
        if isinstance(found, list):
            found = tuple(found)
            out_dims = tuple(out_dims) if isinstance(out_dims, list) else out_dims
        return found, out_dims

    return vmap


# Names ------------------------------------------------------------------------------------


class OpOverloadPacket:
    """All overloads of an operator's name. A call takes the first whose schema the arguments fit.

    Args:
        qualname: The qualified name, such as "mylib::scale".
    """

    def __init__(self, qualname):
        self._qualified_op_name = qualname
        self.namespace, _, self.__name__ = qualname.partition("::")
        self.__module__ = f"torch._ops.{self.namespace}"
        self.__qualname__ = self.__name__
        self._overloads: dict[str, OpOverload] = {}

    def overloads(self):
        """The names of the overloads."""
        return list(self._overloads)

    def __getattr__(self, name):
        overloads = self.__dict__.get("_overloads", {})
        if name in overloads:
            return overloads[name]
        raise AttributeError(f"The underlying op of '{self}' has no overload name '{name}'")

    def __call__(self, /, *args, **kwargs):
        *others, last = self._overloads.values()
        refusals = []
        for op in others:
            if (found := overridden(op, args, kwargs, deep=True)) is not NotImplemented:
                return found
            try:
                op._schema.bind(args, kwargs)
            except ArgumentRefusal as refusal:
                refusals.append(str(refusal))
            else:
                return op(*args, **kwargs)
        if not refusals:
            return last(*args, **kwargs)
        try:
            last._schema.bind(args, kwargs)
        except ArgumentRefusal as refusal:
            told = "\n\n".join([*refusals, str(refusal)])
            raise RuntimeError(
                f"Overloaded torch operator invoked from Python failed to match any schema:\n{told}"
            ) from None
        return last(*args, **kwargs)

    def __str__(self):
        return f"{self.namespace}.{self.__name__}"

    def __repr__(self):
        return f"<OpOverloadPacket(op='{self}')>"

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return _packet, (self._qualified_op_name,)

    def __iter__(self):
        return iter(self._overloads)


class Namespace(ModuleType):
    """What ``torch.ops.mylib`` is: the operators of a namespace.

    Args:
        name: The namespace.
    """

    def __init__(self, name):
        super().__init__(f"torch.ops.{name}")
        self.name = name
        self.packets: dict[str, OpOverloadPacket] = {}

    def __getattr__(self, name):
        found = self.__dict__.get("packets", {}).get(name)
        if found is None and self.name == "aten" and not name.startswith("__"):
            found = importlib.import_module("rushlight.library.aten").packet(name)
        if found is None:
            raise AttributeError(f"'_OpNamespace' '{self.name}' object has no attribute '{name}'")
        return found

    def __dir__(self):
        return sorted(self.packets)

    def __repr__(self):
        return f"<module 'torch.ops.{self.name}' from 'torch.ops'>"


_NAMESPACES: dict[str, Namespace] = {}


def namespace(name):
    """Return ``torch.ops.<name>``; a namespace that nothing is defined in is empty."""
    if name not in _NAMESPACES:
        _NAMESPACES[name] = Namespace(name)
    return _NAMESPACES[name]


def publish(op):
    """Make ``torch.ops.<namespace>.<name>`` of an OpOverload that has no packet yet."""
    space = namespace(op.namespace)
    packet = space.packets.get(op._opname)
    if packet is None:
        packet = space.packets[op._opname] = OpOverloadPacket(op._schema.name)
    packet._overloads[op._overloadname] = op
    op._overloadpacket = packet


def _packet(qualname):
    space, _, name = qualname.partition("::")
    return getattr(namespace(space), name)


def find(name):
    """Return the OpOverload of a qualified name, such as ``"mylib::scale"`` or ``"mylib::f.int"``.

    Raises:
        RuntimeError: There is no operator of that name.
    """
    qualname, _, overload = name.partition(".")
    if "::" not in qualname:
        raise ValueError(
            f'Expected `qualname` to be of the form "namespace::name", but got {name}. The '
            "qualname passed to the torch.library APIs must consist of a namespace and a name, "
            "e.g. aten::sin"
        )
    try:
        return getattr(_packet(qualname), overload or "default")
    except AttributeError:
        raise RuntimeError(
            f"operator {name} does not exist: define it with torch.library.define or "
            "torch.library.custom_op first"
        ) from None
