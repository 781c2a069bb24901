"""A recording whose operations are run again on tensors, for which gradients may be wanted then.

A program of ``torch.compile`` has gradients of its own. The operations that ``vmap`` and
``torch.export`` record run again one by one, and the tape records their gradients then. So the
recording says where no gradient passes: at ``detach()``, and in ``no_grad`` blocks.
"""

from rushlight.autograd import mode
from rushlight.compiler.capture.recorder import Recorder
from rushlight.ops.core.kinds import kernel, like_first

__all__ = ["ReplayRecorder"]


@kernel(
    public=False, method=False, widen=False, name="detach", shape=like_first, primitive="copy",
    keeps_order=True,
)  # fmt: skip
def without_history(xp, x):
    """x, without a gradient rule."""
    return x


@kernel(
    public=False, method=False, widen=False, name="value_under_history", shape=like_first,
    keeps_order=(0, 1),
)  # fmt: skip
def value_under_history(xp, x, value):
    """``value`` with the history of x: what a write under ``no_grad`` leaves in a tensor."""
    return value.copy()


value_under_history.grad(x=lambda g: g)


class ReplayRecorder(Recorder):
    """A recording with the borders of gradients.

    Attributes:
        differentiates: Whether gradients were on at the beginning.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.differentiates = mode.state.grad
        self._split: set = set()  # ids of memories of which a detached copy was made
        self._rereads = False  # whether a part of memory is read for later reads, too

    def emit(self, op, ins, params):
        outs = super().emit(op, ins, params)
        return [self._detached(v) for v in outs] if self._forgets() else outs

    def _forgets(self):
        """Whether the results of an operation that is recorded now have no history."""
        return self.differentiates and not mode.state.grad and not self._rereads

    def _reread(self, value, path):
        """The part has its history, also if the first to read it is a ``no_grad`` block."""
        self._rereads = True
        try:
            return super()._reread(value, path)
        finally:
            self._rereads = False

    def _detached(self, value):
        if value.dtype.kind in "biu":
            return value
        return super().emit(without_history.op, (value,), {})[0]

    def note_alias(self, tensor, source):
        """A detached tensor is a value without history. Its memory may not be written then."""
        if not self.differentiates:
            return super().note_alias(tensor, source)
        value = self._detached(self.value(source))
        self._split.update((id(self.place(source).memory), value.id))
        tensor._array = value
        self.note(tensor)
        return None

    def write(self, x, value):
        memory = self.place(x).memory
        if id(memory) in self._split or memory.look.id in self._split:
            self.refuse(
                "a tensor of which there is a detach() is written, or that is one; write to a "
                "clone()"
            )
        return super().write(x, value)

    def _write(self, memory, value, path):
        before = memory.value
        super()._write(memory, value, path)
        if self.differentiates and not mode.state.grad:
            operands = before, memory.value
            (memory.value,) = super().emit(value_under_history.op, operands, {})
