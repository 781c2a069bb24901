"""One recorded call: its program, the state it reads, and the effects that must land."""

from typing import Any

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.write import stamp
from rushlight.compiler.abstract import Abstract
from rushlight.compiler.gradient import Gradient
from rushlight.compiler.program import make_program
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
        wanted = [v for _, v in self.grads if v is not None] + [v for v, _, _ in self.spec]
        self.outer = [c for c in self.captured if not isinstance(c.get, int)]
        equations = recorder.equations
        if self.backward is not None:
            self.backward.finish(recorder)
            equations = equations[: self.backward.start]
            wanted = wanted + self._saved(inputs, wanted)
        position = {id(c): i for i, c in enumerate(self.captured)}
        writes = [(position[id(c)], value) for c, value in self.writes]
        self.program = make_program(equations, inputs, wanted, writes)

    def _saved(self, inputs, wanted):
        """What the program must give for the gradient beside its inputs and other outputs.

        ``self.sources`` tells of each saved value where it is found: in which list, and where.
        """
        written = {c.value.id for c, _ in self.writes}
        places = {v.id: (1, k) for k, v in enumerate(wanted) if isinstance(v, Abstract)}
        places |= {v.id: (0, k) for k, v in enumerate(inputs) if v.id not in written}
        more = [v for v in self.backward.saved if v.id not in places]
        places |= {v.id: (1, len(wanted) + k) for k, v in enumerate(more)}
        self.sources = [places[v.id] for v in self.backward.saved]
        return more

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
        for captured, _ in self.writes:
            stamp(_tensor(captured, leaves))
        n = len(self.spec)
        first = sum(value is not None for _, value in self.grads)
        outs = [self._output(k, found[first + k], arrays, leaves) for k in range(n)]
        self._set_grads(iter(found), leaves)
        if self.backward is not None:
            cells = {
                id(a): _tensor(c, leaves).cell for c, a in zip(self.captured, arrays, strict=False)
            }
            cells |= {id(o.array): o.cell for o in outs}
            saved = [(arrays, found)[which][k] for which, k in self.sources]
            self.backward.attach(outs, saved, cells, leaves)
        return self._build(self.tree, outs)

    def _set_grads(self, found, leaves):
        for owner, value in self.grads:
            tensor = leaves[owner] if isinstance(owner, int) else owner
            tensor._grad = None if value is None else from_array(next(found))

    def _output(self, k, array, arrays, leaves):
        _, _, outer = self.spec[k]
        if outer is not None:
            return leaves[outer] if isinstance(outer, int) else outer
        return from_array(array)

    def _build(self, tree, outs):
        kind, children = tree
        if children is None:
            return outs[kind]
        return kind([self._build(c, outs) for c in children])


def _tensor(captured, leaves):
    """The tensor that a captured input is in this run."""
    return leaves[captured.get] if isinstance(captured.get, int) else captured.tensor
