"""Builder: collects the nodes and constants of an ONNX file while it is built."""

from importlib import import_module
from typing import Any

import numpy as np

from rushlight.export.sizes import Size, Unknown
from rushlight.onnx.errors import OnnxExporterError

__all__ = ["Builder", "onnx"]


class _Package:
    """The package onnx, imported at first use: ``is_in_onnx_export`` works without onnx."""

    def __getattr__(self, name):
        try:
            return getattr(import_module("onnx"), name)
        except ImportError as error:
            raise ImportError(
                "torch.onnx.export needs the package onnx: pip install onnx"
            ) from error


onnx = _Package()


class Builder:
    """The nodes and constants of an ONNX graph under construction.

    Attributes:
        names: {id of a recorded value: the value's name in the file}.
        shapes: {id of a recorded value: the value's shape, of ints and Sizes}.
        origins: {name of a dim that may change: (input, dim) from which its size is read}.
    """

    def __init__(self, opset):
        self.opset = opset
        self.nodes: list = []
        self.initializers: list = []
        self.names: dict = {}
        self.shapes: dict = {}
        self.origins: dict = {}
        self._constants: dict = {}
        self._sizes: dict = {}
        self._count = 0

    # Names ------------------------------------------------------------------------------

    def enter(self, value, name):
        """Note that the recorded value is called ``name`` in the file."""
        self.names[value.id], self.shapes[value.id] = name, value.shape

    def name(self, x, dtype=None):
        """The name of an operand: a recorded value, or a number, which becomes a constant."""
        if hasattr(x, "id"):
            return self.names[x.id]
        return "" if x is None else self.number(x, dtype)

    def shape(self, x):
        """The shape of a recorded value; dims that may change are Sizes."""
        return self.shapes[x.id]

    def fresh(self):
        """A new, unused name."""
        self._count += 1
        return f"v{self._count}"

    # Nodes ------------------------------------------------------------------------------

    def node(self, kind, *inputs, count=1, **attributes) -> Any:
        """Append a node; return the name of its output, or a tuple of ``count`` names."""
        outputs = [self.fresh() for _ in range(count)]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs[0] if count == 1 else tuple(outputs)

    def cast(self, name, dtype):
        """Append a cast to ``dtype``; return the name of its output."""
        return self.node("Cast", name, to=element_type(dtype))

    # Constants --------------------------------------------------------------------------

    def initializer(self, name, array):
        """Store ``array`` in the file as a tensor called ``name``."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        self.initializers.append(onnx.numpy_helper.from_array(array, name))

    def constant(self, array):
        """The name of a constant; equal constants are stored once."""
        array = np.asarray(array)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = self.fresh()
            self.initializer(self._constants[key], array)
        return self._constants[key]

    def ints(self, numbers):
        """The name of a constant int64 vector of ``numbers``."""
        return self.constant(np.array(numbers, np.int64).reshape(-1))

    # Sizes ------------------------------------------------------------------------------

    def number(self, x, dtype):
        """The name of a 0-dim tensor that holds ``x``, a number or a Size."""
        if not isinstance(x, (Size, Unknown)):
            return self.constant(np.asarray(x).astype(dtype))
        return self.cast(self.node("Squeeze", self._size(x), self.ints([0])), dtype)

    def vector(self, sizes, infer=False):
        """The name of an int64 vector of ``sizes``, which are ints or Sizes.

        With ``infer`` one size that is not fixed becomes -1, so that Reshape infers this size.
        """
        sizes = list(sizes)
        open_ones = [i for i, n in enumerate(sizes) if isinstance(n, (Size, Unknown))]
        if infer and open_ones and 0 not in sizes:
            last = next((i for i in open_ones if isinstance(sizes[i], Unknown)), open_ones[-1])
            sizes[last] = -1
        if all(type(n) is int for n in sizes):
            return self.ints(sizes)
        return self.node("Concat", *[self._size(n) for n in sizes], axis=0)

    def _size(self, n):
        """The name of an int64 vector whose only element is ``n``."""
        if isinstance(n, int):
            return self.ints([n])
        if isinstance(n, Unknown):
            raise OnnxExporterError(
                "torch.onnx.export: a shape follows from a dim that may change in a way that is "
                "not a sum of products; export with a fixed size there"
            )
        if n not in self._sizes:
            terms = [self._term(names, factor) for names, factor in n.terms.items()]
            total = terms[0]
            for term in terms[1:]:
                total = self.node("Add", total, term)
            self._sizes[n] = total
        return self._sizes[n]

    def _term(self, names, factor):
        parts = [self._dim(n) for n in names]
        parts += [self.ints([factor])] if factor != 1 or not names else []
        product = parts[0]
        for part in parts[1:]:
            product = self.node("Mul", product, part)
        return product

    def _dim(self, name):
        key = name, "dim"
        if key not in self._sizes:
            source, dim = self.origins[name]
            self._sizes[key] = self.node("Shape", source, start=dim, end=dim + 1)
        return self._sizes[key]


def element_type(dtype):
    """The number by which ONNX denotes a NumPy dtype."""
    if dtype.name == "bfloat16":
        return onnx.TensorProto.BFLOAT16
    return onnx.helper.np_dtype_to_tensor_dtype(dtype)
