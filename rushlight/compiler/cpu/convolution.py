"""Convolution and its two gradients: their description, and the choice of their kernels."""

from dataclasses import dataclass
from math import prod

import numpy as np

from rushlight.compiler.codegen.emission import Plan
from rushlight.compiler.codegen.value import computed
from rushlight.compiler.cpu import (
    convolution_product,
    costs,
    narrow_gradient,
    shifted_sum,
    weight_gradient,
)
from rushlight.compiler.cpu.image_strips import Images

__all__ = [
    "Convolution",
    "describe",
    "emit",
    "gains_by_own_code",
    "is_simple",
    "parts",
    "plan",
    "resized",
    "serves_many_shapes",
]

# Descriptions -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Convolution:
    """A convolution or one of its two gradients; operands may have any strides.

    Attributes:
        form: ``result``, ``input_grad`` or ``weight_grad``.
        dtype: NumPy's dtype of operands and result.
        batch, channels, outputs: The number of images, of x's channels and of output channels.
        size, places: For each of 1 to 3 dims, the size of x and of the convolution's result.
        kernel, stride, padding, dilation: For each dim, the parameters of the windows.
        strides: The element strides of each operand, in the order of the operation's signature; the
            bias is the last.
        flat: Whether the sink may be given one running number for all places: as the index of the
            last dim, with 0 for the dims before it.
        counts_at: None, or the place among the kernels' ``args`` from which on the plan's counts
            lie. The code then serves any number of images, and is only planned for ``batch``.
        sizes_at: None, or the place among ``args`` of the address of the plan's sizes. The code
            then serves many shapes; see ``open_sizes.py``. The operands are in C order.
    """

    form: str
    dtype: np.dtype
    batch: int
    channels: int
    outputs: int
    size: tuple
    places: tuple
    kernel: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int
    strides: tuple
    flat: bool = False
    counts_at: int | None = None
    sizes_at: int | None = None

    @property
    def compute(self):
        """The dtype in which sums are computed."""
        return computed(self.dtype)

    @property
    def steps(self):
        """The strides of a result in C order, as the sink's indices count it."""
        return tuple([prod(self.shape[k + 1 :]) for k in range(len(self.shape))])

    @property
    def weight_strides(self):
        """The weight's strides of group, result channel and summed channel."""
        outer, inner = self.strides[1][:2]
        group = self.outputs // self.groups * outer
        return (group, outer, inner) if self.form == "result" else (group, inner, outer)

    @property
    def weight_places(self):
        """The offsets of the weight's taps."""
        places = [0]
        for n, step in zip(self.kernel, self.strides[1][2:], strict=True):
            places = [place + k * step for place in places for k in range(n)]
        return places

    @property
    def flops(self):
        """The number of floating-point operations."""
        sums = self.batch * self.outputs * prod(self.places)
        return 2 * sums * (self.channels // self.groups) * prod(self.kernel)

    def images(self, operand=0, count=None):
        """An operand (not the weight) as ``count`` images with three dims."""
        is_x = (self.form, operand) in (("result", 0), ("weight_grad", 1))
        lead = (0,) * (3 - len(self.size))
        strides = self.strides[operand]
        strides = (*strides[:2], *lead, *strides[2:])
        count = self.batch if count is None else count
        return Images(self.dtype, strides, count, (self.size if is_x else self.places)[-1])

    @property
    def shape(self):
        """The shape of the result as the sink's indices count it: a weight gradient is a matrix."""
        if self.form == "result":
            return (self.batch, self.outputs, *self.places)
        if self.form == "input_grad":
            return (self.batch, self.channels, *self.size)
        return (self.outputs, self.channels // self.groups * prod(self.kernel))


def describe(form, ins, out_shape, params):
    """Return the description of an equation: its form, inputs, result's shape and parameters."""
    ins = [x for x in ins if x is not None]
    strides = tuple([tuple([s // x.dtype.itemsize for s in x.strides]) for x in ins])
    first, second = ins[0].shape, ins[1].shape
    if form == "result":
        x, w, g = first, second, out_shape
    elif form == "input_grad":
        x, w, g = out_shape, second, first
    else:
        x, g = second, first  # the result is a matrix, so its shape does not tell the kernel's size
        w = (g[1], x[1] // params["groups"], *params["kernel_size"])
    windows = [tuple(params[k]) for k in ("stride", "padding", "dilation")]
    return Convolution(
        form, ins[0].dtype, x[0], x[1], w[0], tuple(x[2:]), tuple(g[2:]), tuple(w[2:]),
        windows[0], windows[1], windows[2], params["groups"], strides,
    )  # fmt: skip


def plan(description, target, name="convolution"):
    """The kernels that compute ``description``; their names start with ``name``."""
    if not prod(description.shape):
        return Plan(description, target, (), ())
    return _emitter(description, target).plan(description, target, name)


def resized(plan, images):
    """``plan``, whose ``counts_at`` is not None, with the launches and counts for ``images``."""
    return _emitter(plan.description, plan.target).resized(plan, images)


def emit(module, plan, sink):
    """Add the plan's kernels to ``module``.

    The kernels' ``args`` are the addresses of the operands, of the temporaries, and of the memories
    that the sink uses. The kernels pass each vector of results once to ``sink(b, args, indices,
    value, mask)``. Its lanes run along the result's last dim; ``indices`` (i64) are those of its
    first lane. A weight gradient counts as a matrix (O, C / groups · kernel).
    """
    if plan.kernels:
        _emitter(plan.description, plan.target).emit(module, plan, sink)


def is_simple(description, target):
    """Whether LLVM's loop strength reduction gains nothing, as was measured; see ``Work``."""
    return _emitter(description, target) is not convolution_product


def parts(plan):
    """(key, module) of each piece of code that a plan for many shapes calls by its address."""
    found = _emitter(plan.description, plan.target)
    return found.parts(plan) if found is shifted_sum else []


def serves_many_shapes(d, target):
    """Whether a convolution has code that serves many shapes; its operands are in C order."""
    return _emitter(d, target) is not convolution_product


def gains_by_own_code(d):
    """Whether code for exactly this shape is faster than the code for many shapes.

    Gradients of weights have their taps at constant places then. With few channels in a group,
    copying and storing take most of the time, and both take up to twice as long in code for many
    shapes.
    """
    return d.form == "weight_grad" or min(d.channels, d.outputs) < costs.SHARED_CHANNELS * d.groups


def _emitter(description, target):
    if convolution_product.fits(description, target):
        return convolution_product
    if description.form != "weight_grad":
        return shifted_sum
    return narrow_gradient if narrow_gradient.fits(description) else weight_gradient
