"""The errors that rushlight raises, each a subclass of the type that PyTorch raises.

::

    RuntimeError
    ├── ShapeError      shapes that do not fit an operation
    ├── DtypeError      element types that an operation refuses
    │   ├── UnsupportedDtypeError   also a NotImplementedError: no kernel for the type
    │   └── ArgumentDtypeError      also a TypeError: PyTorch raises either
    ├── AcceleratorError  a device failed, or cannot do now what it is asked for
    ├── OutOfMemoryError  for programs that catch it: Python raises MemoryError instead
    ├── NoDeviceError   also an AssertionError: PyTorch raises either
    ├── LayoutError     no rule for a layout; also a NotImplementedError and AttributeError
    ├── GraphError      a graph that cannot be differentiated as asked
    └── TraceError      Python that depends on a value, inside ``torch.compile``
    TypeError
    └── ArgumentError   also an AttributeError: what is no tensor where PyTorch asks it for a method
    IndexError
    └── DimError        a dim or an index out of range
        └── IndexRangeError     also a RuntimeError: PyTorch raises either
"""

__all__ = [
    "AcceleratorError",
    "ArgumentDtypeError",
    "ArgumentError",
    "DimError",
    "DtypeError",
    "GraphError",
    "IndexRangeError",
    "LayoutError",
    "NoDeviceError",
    "OutOfMemoryError",
    "ShapeError",
    "TraceError",
    "UnhandledError",
    "UnsupportedDtypeError",
]


class ShapeError(RuntimeError):
    """Shapes that do not fit an operation."""


class AcceleratorError(RuntimeError):
    """A device failed, or cannot do now what it is asked for."""


class DtypeError(RuntimeError):
    """Element types that an operation refuses."""


class UnsupportedDtypeError(DtypeError, NotImplementedError):
    """An element type that an operation has no kernel for."""


class ArgumentDtypeError(DtypeError, TypeError):
    """An element type that an operation refuses, where PyTorch's type is TypeError."""


class GraphError(RuntimeError):
    """A graph that cannot be differentiated as asked."""


class LayoutError(NotImplementedError, AttributeError):
    """A layout of tensors that a function has no rule for.

    It is an AttributeError, because sparse and nested tensors have no array: what asks for one
    fails as for any object without an array.
    """


class OutOfMemoryError(RuntimeError):
    """An accelerator ran out of memory. It exists for programs that catch it."""


class NoDeviceError(AssertionError, RuntimeError):
    """There is no device of a type: PyTorch's error for ``"cuda"``, and the one for a number."""


class TraceError(RuntimeError):
    """Python that depends on a tensor's value, inside ``torch.compile``."""


class ArgumentError(TypeError, AttributeError):
    """An argument of the wrong type, where PyTorch raises either TypeError or AttributeError."""


class UnhandledError(TypeError):
    """The modes, and the classes of the operands, all declined a call (``__torch_function__``)."""


class DimError(IndexError):
    """A dim or an index out of range."""


class IndexRangeError(DimError, RuntimeError):
    """An index out of range where PyTorch's type depends on how the memory is laid out."""
