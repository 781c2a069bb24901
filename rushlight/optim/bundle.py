"""Bundles: parameters that step together, worked on as one flat array.

A step on a small parameter is all overhead, so the gradients of many small parameters are copied
into one array, updated at once, and copied back. A large parameter is updated where it lies, in
blocks that stay in the cache while every line of the rule passes over them. Both are the same
loop over flat arrays; only where those lie differs.

The state of a bundle lies in flat arrays for good: each parameter's state tensors are views of
them, so that reading, loading, copying and saving see ordinary tensors.
"""

import numpy as np

from rushlight.autograd.tape import tick
from rushlight.autograd.write import stamp
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.errors import ShapeError

__all__ = ["CACHE", "SMALL", "Bundle", "bundles", "real_type"]

#: Parameters of fewer elements are joined; measured, the gain is gone at twice as many.
SMALL = large_from(8192)
#: Bytes worked on at once, temporaries included: what fits into a usual L2 cache.
CACHE = 3 * 2**18

_REAL = {np.dtype(t): np.dtype(r) for t, r in ("ff", "dd", "Ff", "Dd")}


def real_type(p):
    """The dtype that ``p`` is worked on in, or None where NumPy alone does not do it."""
    array = p.array
    return _REAL.get(array.dtype) if type(array) is np.ndarray else None


def bundles(params, columns, counts, numbers):
    """Partition ``params`` into bundles of one dtype and one step count.

    Args:
        columns: For each parameter, its state tensors other than the step.
        counts: For each parameter, its tensor of the number of steps so far, or that number.
        numbers: For each parameter, its tensors of other numbers, alike in a bundle.
    """
    kinds: dict = {}
    made = []
    for member in zip(params, columns, counts, numbers, strict=True):
        p, _, count, others = member
        size, memory = p.array.size, p.array.__array_interface__["data"][0]
        key = real_type(p), float(count), *map(float, others)
        found = kinds.get(key)
        if size >= SMALL:
            made.append([member])
        elif found is None or found[1] + size > 4 * SMALL or memory in found[2]:
            # A bundle writes each memory once: parameters that share one are updated in turn.
            kinds[key] = [[member], size, {memory}]
            made.append(kinds[key][0])
        else:
            found[0].append(member)
            found[1] += size
            found[2].add(memory)
    return [Bundle(*zip(*members, strict=True)) for members in made]


class Bundle:
    """Parameters of one dtype that have taken the same number of steps.

    Attributes:
        p, g, buffers: The parameters, gradients and state, each one flat real array.
        steps: The number of steps of each parameter, memory of the tensors that show it; None
            where no tensor does, and ``taken`` is that number.
        numbers: For each other number of the state, that of each parameter.
        block: How many elements are worked on at once.
    """

    __slots__ = (
        "arrays", "block", "buffers", "direct", "g", "known", "members", "numbers", "p", "params",
        "scalars", "steps", "taken",
    )  # fmt: skip

    def __init__(self, params, columns, counts, numbers):
        self.params = params
        self.arrays = [p.array for p in params]
        real = real_type(params[0])
        first = self.arrays[0]
        self.direct = first.size >= SMALL and first.flags.c_contiguous
        size = sum(a.nbytes for a in self.arrays) // real.itemsize
        if self.direct:
            self.p = first.reshape(-1).view(real)
            self.members: list = []
        else:
            self.p, self.g = np.empty(size, real), np.empty(size, real)
            parts = zip(_parts(self.p, self.arrays), _parts(self.g, self.arrays), strict=True)
            self.members = [(p, p.array, *part) for p, part in zip(params, parts, strict=True)]
        self.buffers = [self._adopt(tensors, real, size) for tensors in zip(*columns, strict=True)]
        self.taken = counts[0]
        self.steps = None if isinstance(counts[0], float) else self._adopt_counts(counts)
        self.numbers = [*map(self._adopt_counts, zip(*numbers, strict=True))]
        self.known = None
        # Parameter, gradient, state and a temporary.
        self.block = CACHE // (self.p.itemsize * (3 + len(self.buffers)))

    def _adopt(self, tensors, real, size):
        """One flat array with the values of ``tensors``, which become views of it."""
        for t, array in zip(tensors, self.arrays, strict=True):
            if t.array.shape != array.shape:
                raise ShapeError(
                    f"step: a state tensor {t.array.shape} does not have the shape {array.shape} "
                    "of its parameter; delete the state, or make it anew"
                )
        if self.direct and _plain(tensors[0].array, self.arrays[0]):
            return tensors[0].array.reshape(-1).view(real)
        flat = np.empty(size, real)
        for t, part in zip(tensors, _parts(flat, self.arrays), strict=True):
            part[...] = t.array
            t.array = part
        return flat

    @staticmethod
    def _adopt_counts(counts):
        steps = np.array([t.array for t in counts])
        for i, t in enumerate(counts):
            t.array = steps[i, ...]
        return steps

    def gather(self):
        """Copy parameters and gradients in; False where one has no gradient, or other memory."""
        try:
            if self.direct:
                (p,) = self.params
                self.g = p._grad.array.reshape(-1).view(self.p.dtype)
                return p.array is self.arrays[0]
            for p, array, p_part, g_part in self.members:
                if p.array is not array:
                    return False
                p_part[...] = array
                g_part[...] = p._grad.array
        except AttributeError:  # the gradient is None
            return False
        return True

    def count(self):
        """The number of steps so far; None where the parameters' counts or numbers differ."""
        if self.steps is None:
            return self.taken
        if any(len({*a.tolist()}) > 1 for a in self.numbers):
            return None
        counts = self.steps.tolist()
        return counts[0] if counts.count(counts[0]) == len(counts) else None

    def load(self, scalars):
        """Set the scalars of the rule.

        NumPy multiplies by an array of no dims in half the time that it needs for a float.
        """
        if self.known is None:
            memory = np.empty(len(scalars), self.p.dtype)
            self.scalars = memory, [memory[i, ...] for i in range(len(scalars))]
        self.scalars[0][...] = self.known = scalars

    def advance(self, update, scalars, count, group):
        """Take the step after ``count``."""
        if scalars != self.known:
            self.load(scalars)
        values = self.scalars[1]
        n = self.block
        if self.direct and native.update(update, self.p, self.g, self.buffers, values, group):
            pass
        elif self.p.size <= n:
            update(np, self.p, self.g, self.buffers, values, group)
        else:
            for i in range(0, self.p.size, n):
                block = slice(i, i + n)
                buffers = [b[block] for b in self.buffers]
                update(np, self.p[block], self.g[block], buffers, values, group)
        if self.steps is None:
            self.taken = count + 1
        else:
            self.steps.fill(count + 1)
        self.scatter()

    def scatter(self):
        """Copy the parameters back, and mark them written."""
        for _, array, part, _ in self.members:
            array[...] = part
        now = tick()
        for p in self.params:
            if p.view_of is None:
                cell = p._cell or p.cell
                cell[0] = now
                cell[1] += 1
            else:
                stamp(p)


def _parts(flat, arrays):
    """The part of ``flat`` that each of ``arrays`` has, in its shape and dtype."""
    start = 0
    for array in arrays:
        stop = start + array.nbytes // flat.itemsize
        yield flat[start:stop].view(array.dtype).reshape(array.shape)
        start = stop


def _plain(array, like):
    """Whether ``array`` can be updated where it lies."""
    return array.flags.c_contiguous and array.flags.writeable and array.dtype == like.dtype
