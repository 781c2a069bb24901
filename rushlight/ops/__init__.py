"""Every operation, each defined once. Importing this package binds them all."""

import importlib

_MODULES = (
    "elementwise.activation", "linear.addmm", "elementwise.arithmetic", "linear.bilinear",
    "elementwise.clamp", "tensor.cast", "tensor.copy_into", "elementwise.comparison",
    "elementwise.complex",
    "tensor.conversion", "create.filled", "linear.cross", "create.from_data",
    "elementwise.division", "random.dropout", "tensor.copying", "linear.einsum",
    "tensor.interchange", "elementwise.exponential", "reduce.extrema", "create.fill",
    "index.gather", "index.indexing", "index.index_put", "index.index_slices",
    "shape.join", "create.legacy",
    "elementwise.logic", "index.mask", "linear.matmul", "tensor.storage", "tensor.operators",
    "shape.permute", "core.view_writes", "elementwise.power", "reduce.product", "random.sampling",
    "random.in_place", "random.on_devices", "create.range", "elementwise.rectifier", "reduce.sum",
    "sequence.rnn", "elementwise.rounding", "random.distributions", "random.rejection_on_devices",
    "reduce.scan", "index.scatter", "index.scatter_reduce", "reduce.counts",
    "reduce.distinct", "reduce.search", "shape.pixel_shuffle",
    "reduce.softmax", "reduce.sort",
    "elementwise.special", "shape.split", "shape.strided", "shape.repeat", "linear.triangle",
    "elementwise.trigonometry", "reduce.variance", "reduce.vector_norm", "shape.view",
    "create.windows", "fft.stft", "fft.on_devices", "linear.low_rank", "linear.lobpcg",
    "index.view_scatter", "index.index_reduce", "index.flat_put", "shape.axis_split",
    "shape.view_copies", "tensor.plain_methods", "tensor.rare_methods", "tensor.removed",
    "create.from_file", "elementwise.step",
    "elementwise.floating_point", "reduce.distance", "reduce.renorm",
    "reduce.difference", "reduce.quantile", "reduce.mode", "reduce.covariance", "reduce.histogram",
    "reduce.frobenius_norm", "reduce.hash", "shape.compose", "create.indices", "create.further",
    "shape.queries", "elementwise.quantize",
    "linear.factors", "linear.grouped_mm", "linear.matrices", "linear.scaled_mm", "linear.trace",
    "linear.tensordot", "linear.vander", "linear.vdot", "linear.nuclear_norm",
    "tensor.sparse_methods",
)  # fmt: skip

for _name in _MODULES:
    importlib.import_module(f"rushlight.ops.{_name}")
importlib.import_module("rushlight.autograd.history")
importlib.import_module("rushlight.autograd.gradient")

from rushlight.docstrings import document  # noqa: E402
from rushlight.ops.core.definition import FUNCTIONS  # noqa: E402
from rushlight.ops.core.guard import guard_all  # noqa: E402
from rushlight.tensor import Tensor  # noqa: E402

for _kind, _names in {
    "scatter": ("scatter", "scatter_add", "scatter_reduce"),
    "slices": ("index_select", "index_add", "index_copy", "index_fill", "index_reduce"),
}.items():
    for _name in _names:
        document(FUNCTIONS[_name], _kind)
# In-place methods that are functions of ``torch``, too.
for _name in ("as_strided_", "detach_", "fill_", "index_put_", "resize_as_", "zero_"):
    FUNCTIONS[_name] = Tensor.__dict__[_name]
# What is made of several operations is guarded by one check of its arguments.
guard_all(FUNCTIONS, Tensor)
