"""One recorded call: its program, the state it reads, and the effects that must land."""

from typing import Any

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.write import stamp
from rushlight.compiler.gradient import Gradient
from rushlight.compiler.program import Program
from rushlight.compiler.trace import Recorder, key_of, module_state
from rushlight.tensor import Tensor, from_array

__all__ = ["Entry"]


class Entry:
    """A program of one function, with the guards under which it may run."""

    def __init__(self, function, args, kwargs, leaves):
        recorder = Recorder()
        for i, t in enumerate(leaves):
            recorder.capture(t)
            recorder.captured[key_of(t.array)].get = i
        mode.add_intercept(1)
        mode.state.recorder = recorder
        try:
            result = function(*args, **kwargs)
            self.spec: list[Any] = []
            self.tree = self._outputs(result, recorder)
            self._effects(recorder)
            self.backward = Gradient.of(recorder, self.spec) if mode.is_grad_enabled() else None
        finally:
            mode.state.recorder = None
            mode.add_intercept(-1)
            recorder.restore()
        self._assemble(recorder)

    def _outputs(self, tree, recorder):
        """The result's structure.

        Its tensors go to ``spec`` as (value, tensor, the outer tensor that it is, or None).
        """
        if isinstance(tree, Tensor):
            outer = None
            if type(tree.array) is np.ndarray:
                key = recorder.capture(tree)
                captured = recorder.captured[key]
                outer = captured.get if isinstance(captured.get, int) else tree
            self.spec.append((recorder.value(tree), tree, outer))
            return len(self.spec) - 1, None
        if isinstance(tree, tuple) and hasattr(tree, "_make"):  # a named tuple
            return tree._make, [self._outputs(t, recorder) for t in tree]
        if isinstance(tree, (tuple, list)):
            return type(tree), [self._outputs(t, recorder) for t in tree]
        if isinstance(tree, dict):
            kind = lambda values, keys=tuple(tree): dict(zip(keys, values, strict=True))
            return kind, [self._outputs(t, recorder) for t in tree.values()]
        return (lambda _, constant=tree: constant), []

    def _effects(self, recorder):
        self.grads = []
        for tensor, before in recorder.grads.values():
            now = tensor._grad
            if now is before:
                continue
            value = None if now is None else recorder.value(now)
            where = recorder.captured.get(key_of(tensor.array))
            given = where is not None and isinstance(where.get, int)
            self.grads.append((where.get if given else tensor, value))

    def _assemble(self, recorder):
        self.captured = list(recorder.captured.values())
        self.lives = recorder.lives
        self.guards = recorder.guards
        self.modules = list(recorder.modules.values())
        self.writes = [(recorder.captured[k], recorder.current[k]) for k in recorder.written]
        inputs = [c.value for c in self.captured] + [v for _, v in self.lives]
        wanted = [v for _, v in self.writes] + [v for _, v in self.grads if v is not None]
        wanted += [v for v, _, _ in self.spec]
        self.outer = [c for c in self.captured if not isinstance(c.get, int)]
        equations = recorder.equations
        if self.backward is not None:
            self.backward.finish(recorder)
            equations = equations[: self.backward.start]
            wanted = wanted + self.backward.saved
        self.program = Program(equations, inputs, wanted)

    def holds(self):
        """Whether the state that was baked in is still as it was."""
        for module, state in self.modules:
            if module_state(module) != state:
                return False
        # Guards first: what is captured may be there only where they hold.
        if not all(get() == value for get, value in self.guards):
            return False
        for captured in self.outer:
            array, value = captured.get(), captured.value
            if array.shape != value.shape or array.dtype != value.dtype:
                return False
        return True

    def run(self, leaves):
        """Compute everything, then let the writes land."""
        arrays = [leaves[c.get].array if isinstance(c.get, int) else c.get() for c in self.captured]
        arrays += [np.asarray(get(), v.dtype) for get, v in self.lives]
        found = self.program.run(arrays)
        position = {id(c): i for i, c in enumerate(self.captured)}
        targets = [(c, arrays[position[id(c)]]) for c, _ in self.writes]
        self._land(targets, found, leaves)
        found = found[len(targets) :]
        n = len(self.spec)
        first = len(found) - n - (0 if self.backward is None else len(self.backward.saved))
        outs = [self._output(k, found[first + k], arrays, leaves) for k in range(n)]
        self._set_grads(found[:first], outs, leaves)
        if self.backward is not None:
            cells = {
                id(a): _tensor(c, leaves).cell for c, a in zip(self.captured, arrays, strict=False)
            }
            cells |= {id(o.array): o.cell for o in outs}
            self.backward.attach(outs, found[first + n :], cells, leaves)
        return self._build(self.tree, outs)

    def _set_grads(self, found, outs, leaves):
        """Give the leaves their gradients, each in memory of its own."""
        held = {id(o.array) for o in outs}
        for owner, value in self.grads:
            grad = None
            if value is not None:
                grad = found.pop(0)
                if grad.base is not None or id(grad) in held:
                    grad = grad.copy()
                held.add(id(grad))
            tensor = leaves[owner] if isinstance(owner, int) else owner
            tensor._grad = None if grad is None else from_array(grad)

    def _land(self, targets, found, leaves):
        values = []
        for (_, array), value in zip(targets, found, strict=False):
            # A value that looks into memory about to be written is taken out first.
            shared = any(np.may_share_memory(value, a) for _, a in targets)
            values.append(value.copy() if shared and value is not array else value)
        for (captured, array), value in zip(targets, values, strict=True):
            np.copyto(array, value, casting="unsafe")
            stamp(_tensor(captured, leaves))

    def _output(self, k, array, arrays, leaves):
        _, _, outer = self.spec[k]
        if outer is not None:
            return leaves[outer] if isinstance(outer, int) else outer
        return from_array(_own(array, arrays) if self.writes else array)

    def _build(self, tree, outs):
        kind, children = tree
        if children is None:
            return outs[kind]
        return kind([self._build(c, outs) for c in children])


def _tensor(captured, leaves):
    """The tensor that a captured input is in this run."""
    return leaves[captured.get] if isinstance(captured.get, int) else captured.tensor


def _own(array, inputs):
    """``array``, copied where it looks into an input's memory or repeats elements."""
    if array.base is not None and any(np.may_share_memory(array, a) for a in inputs):
        return array.copy()
    return array
