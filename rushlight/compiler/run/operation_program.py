"""Programs of one operation on arrays of fixed shapes, such as pools, in eager mode.

Each shape needs a compilation, so such programs are used only if one call is enough work.
"""

from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.equation import Equation
from rushlight.compiler.run.native_program import NativeProgram
from rushlight.locks import new_lock
from rushlight.ops.core.inference import infer

__all__ = ["Single"]

_LARGE = 32 << 20  # an arena of more bytes is freed after each call


class Single(NativeProgram):
    """One operation as machine code, which keeps no arrays of a call."""

    def __init__(self, op, inputs, params):
        """Compile for the shapes and dtypes of ``inputs`` (arrays or None) and fixed ``params``."""
        ins = tuple([x if x is None else Abstract(x.shape, x.dtype) for x in inputs])
        outs = infer(op, ins, params, Abstract)
        values = [v for v in ins if v is not None]
        super().__init__([Equation(op, ins, params, outs)], values, outs, ())
        if not all(native for _, native in self.segments):
            raise NotImplementedError(f"{op.name} has no kernel for {ins}")
        self._one = new_lock()

    def __call__(self, arrays):
        """The results for ``arrays``; None: NumPy computes them. One thread at a time runs it."""
        with self._one:
            found = self.run(arrays)
            self._forget()
        return found

    def _replay(self, arrays, held):
        return None  # a replay would compute the operation by this very program

    def _forget(self):
        if self.image.arena > _LARGE:
            self.states.clear()
        for state in self.states:
            state.forget()
