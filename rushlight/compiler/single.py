"""Programs of one operation on arrays of fixed shapes, for eager's convolutions and pools.

They are compiled for each shape, so they are used where one call is work enough.
"""

import threading
from math import prod
from typing import Any

from numpy import ndarray

from rushlight.compiler.abstract import Abstract
from rushlight.compiler.inference import infer
from rushlight.compiler.native import NativeProgram
from rushlight.compiler.trace import Equation
from rushlight.ops.window import output_size

__all__ = ["WORK", "Single"]

_LARGE = 32 << 20  # bytes of an arena that is not kept from one call to the next


class Single(NativeProgram):
    """One operation as machine code, which keeps no arrays of a call."""

    def __init__(self, op, inputs, params):
        """For ``inputs``, arrays or None; ``params`` are constants."""
        ins = tuple([x if x is None else Abstract(x.shape, x.dtype) for x in inputs])
        outs = infer(op, ins, params)
        values = [v for v in ins if v is not None]
        super().__init__([Equation(op, ins, params, outs)], values, outs, ())
        if not all(native for _, native in self.segments):
            raise NotImplementedError(f"{op.name} has no kernel for {ins}")
        self._one = threading.Lock()

    def __call__(self, arrays):
        """The result; threads take turns."""
        with self._one:
            (found,) = self.run(arrays)
            self._forget()
        return found

    def _forget(self):
        if self.image.arena > _LARGE:
            self.states.clear()
        for state in self.states:
            state.forget()


def _forward(x, weight, *bias, stride, padding, dilation, groups, **params):
    places = output_size(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return len(x) * prod(places) * weight.size * _dear(groups, weight)


def _input(g, weight, *, groups, **params):
    return g.size * weight[0].size * _dear(groups, weight)


def _weight(g, x, *, kernel_size, groups, **params):
    each = x.shape[1] // groups
    return g.size * each * prod(kernel_size) * (_DEPTHWISE if groups > 1 == each else 1)


#: How much longer NumPy takes for a multiplication where channels are on their own.
_DEPTHWISE = 16


def _dear(groups, weight):
    return _DEPTHWISE if groups > 1 == weight.shape[1] else 1


def _elements(*arrays, **params):
    return 32 * max([a.size for a in arrays if type(a) is ndarray])


#: About how many multiplications one call is, or what takes NumPy as long, by operation.
WORK: dict[str, Any] = {
    "convolution": _forward,
    "convolution_input_grad": _input,
    "convolution_weight_grad": _weight,
    **dict.fromkeys(("max_pool_backward", "avg_pool_backward"), _elements),
    **{f"{kind}_pool{n}d": _elements for kind in ("max", "avg") for n in (1, 2, 3)},
}
