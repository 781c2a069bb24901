"""Library: a part of a namespace, in which operators are defined by a schema."""

from rushlight.library.operator import OpOverload, find, namespace, publish
from rushlight.library.schema import parse_schema
from rushlight.notices import warn_once

__all__ = ["Library", "fallthrough_kernel"]

_LIBRARIES: dict = {}  # namespace → the Library of kind "DEF"


def fallthrough_kernel():
    """Stand for a kernel that leaves a call to the next dispatch key; it can't be called.

    Returns:
        Nothing.

    Raises:
        NotImplementedError: Always.

    >>> import rushlight as torch
    >>> torch.library.fallthrough_kernel.__name__
    'fallthrough_kernel'
    """
    raise NotImplementedError("fallthrough_kernel() should never be called.")


class Library:
    """A part of a namespace: it defines operators and gives them kernels.

    Args:
        ns: The namespace.
        kind: "DEF" for the one library that owns the namespace, "FRAGMENT" for further parts of
            it, "IMPL" for kernels of operators that exist.
        dispatch_key: The dispatch key of kernels for which ``impl`` is given none. Default: a
            kernel whose own operations are differentiated.

    Raises:
        RuntimeError: The namespace has a library of kind "DEF" already.
        ValueError: ``kind`` is unknown.

    >>> import rushlight as torch
    >>> library = torch.library.Library("docs_more", "DEF")
    >>> library.define("triple(Tensor x) -> Tensor")
    'triple'
    >>> library.impl("triple", lambda x: 3 * x, "CPU")
    >>> torch.ops.docs_more.triple(torch.ones(1))
    tensor([3.])
    """

    def __init__(self, ns, kind, dispatch_key=""):
        if kind not in ("DEF", "FRAGMENT", "IMPL"):
            raise ValueError("Unsupported kind: ", kind)
        if kind == "DEF" and ns in _LIBRARIES:
            raise RuntimeError(
                f"Only a single TORCH_LIBRARY can be used to register the namespace {ns}; please "
                "put all of your definitions in a single TORCH_LIBRARY block: use "
                f"Library({ns!r}, 'FRAGMENT') for further definitions."
            )
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self._ops: list = []
        if kind == "DEF":
            _LIBRARIES[ns] = self

    def __repr__(self):
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema, alias_analysis="", *, tags=()):
        """Define an operator.

        Args:
            schema: The schema with its name, such as ``"scale(Tensor x, float y) -> Tensor"``.
            alias_analysis, tags: Accepted without effect.

        Returns:
            The operator's name.

        Raises:
            RuntimeError: The schema can't be read, or the operator exists.
        """
        if self.kind == "IMPL":
            raise RuntimeError("define: this Library is for kernels only (IMPL)")
        parsed = parse_schema(schema, self.ns)
        if not parsed.name.startswith(f"{self.ns}::"):
            raise RuntimeError(f"define: {parsed.name} is not in the namespace {self.ns}")
        name = parsed.name.partition("::")[2]
        packet = namespace(self.ns).packets.get(name)
        if packet is not None and (parsed.overload_name or "default") in packet.overloads():
            raise RuntimeError(
                f"Tried to register an operator ({parsed}) with the same name and overload name "
                "multiple times. Each overload's schema should only be registered with a single "
                "call to def()."
            )
        op = OpOverload(parsed, None)
        publish(op)
        self._ops.append(op)
        return f"{name}.{parsed.overload_name}" if parsed.overload_name else name

    def impl(self, op_name, fn, dispatch_key="", *, with_keyset=False, allow_override=True):
        """Give an operator a kernel.

        Args:
            op_name: The operator's name without its namespace, or an OpOverload.
            fn: The function that computes it.
            dispatch_key: "CPU", "CompositeExplicitAutograd", "CompositeImplicitAutograd" (the
                default); "Meta" registers a fake; "Autograd" a function that runs in the
                operator's place; other devices' kernels never run.
            with_keyset: Must be False.
            allow_override: Replace a kernel that there is, with a warning. Default: True.

        Raises:
            RuntimeError: There is no such operator, or it has a kernel for the key already.
        """
        if not callable(fn):
            raise TypeError(
                f"Input function is required to be a callable but found type {type(fn)}"
            )
        if with_keyset:
            raise NotImplementedError("Library.impl: with_keyset=True; dispatch keys don't exist")
        op = op_name if isinstance(op_name, OpOverload) else find(f"{self.ns}::{_name(op_name)}")
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        if key == "Meta":
            op.fake = fn
            return
        if fn is fallthrough_kernel:
            return
        if key in op.kernels and not allow_override:
            raise RuntimeError(
                f"This is not allowed since there's already a kernel registered from python "
                f"overriding {op._opname}'s behavior for {key} dispatch key and {op.namespace} "
                "namespace."
            )
        if key in op.kernels:
            warn_once(
                f"Library.impl: the kernel of {op.namespace}::{op._opname} for {key} is replaced. "
                "This is said once: kernels of other operators may be replaced, too",
                "Library.impl replaces",
            )
        op.kernels[key] = fn

    def _destroy(self):
        """Take the library's definitions back."""
        for op in self._ops:
            packets = namespace(op.namespace).packets
            packets[op._opname]._overloads.pop(op._overloadname, None)
            if not packets[op._opname]._overloads:
                del packets[op._opname]
        self._ops.clear()
        if _LIBRARIES.get(self.ns) is self:
            del _LIBRARIES[self.ns]


def _name(op_name):
    return op_name.partition("::")[2] if "::" in op_name else op_name
