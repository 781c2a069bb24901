"""Bundles: parameters that an optimizer updates together, as one flat array.

The step of a small parameter is almost only overhead. So many small parameters and their gradients
are copied into flat arrays, updated at once, and copied back. A large parameter is updated in its
own memory, in blocks that stay in the cache while all lines of the update rule are applied to
them. Both cases are the same loop over flat arrays.

The optimizer's state of a bundle stays in flat arrays. The state tensors of each parameter are
views of these arrays, so code that reads, loads, copies or saves the state sees ordinary tensors.
"""

import numpy as np

from rushlight.autograd.tape import tick
from rushlight.autograd.write import check_overlap, read_only, stamp
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.errors import ShapeError

__all__ = ["CACHE", "SMALL", "Bundle", "adopt_counts", "bundles", "real_type"]

#: Parameters with fewer elements than this are joined. In measurements, joining was no faster from
#: twice this size on.
SMALL = large_from(8192)
#: Bytes that one block may take, temporaries included, so that it fits into a usual L2 cache.
CACHE = 3 * 2**18

_REAL = {np.dtype(t): np.dtype(r) for t, r in ("ff", "dd", "Ff", "Dd")}


def real_type(p):
    """Return the real dtype in which ``p`` is updated; None if ``p`` cannot be in a bundle.

    Bundles take float32 and float64, and complex numbers as pairs of these.
    """
    array = p._array
    return _REAL.get(array.dtype) if type(array) is np.ndarray else None


def adopt_counts(counts):
    """Return an array of the numbers in ``counts``; make these one-element tensors views of it."""
    steps = np.array([t._array.reshape(()) for t in counts])
    for i, t in enumerate(counts):
        t._array = steps[i, ...].reshape(t._array.shape)
    return steps


def bundles(params, columns, counts, numbers):
    """Partition ``params`` into bundles of one dtype and one step count.

    Args:
        columns: For each parameter, its state tensors other than the step.
        counts: For each parameter, the number of steps so far, as a tensor or a float.
        numbers: For each parameter, its state tensors of one number. The parameters of a bundle
            have equal numbers.
    """
    kinds: dict = {}
    made = []
    for member in zip(params, columns, counts, numbers, strict=True):
        p, _, count, others = member
        size, memory = p._array.size, p._array.__array_interface__["data"][0]
        # A bundle's states are views of one memory, and a file has one dtype for each memory.
        key = p._array.dtype, float(count), *map(float, others)
        found = kinds.get(key)
        if size >= SMALL:
            made.append([member])
        elif found is None or found[1] + size > 4 * SMALL or memory in found[2]:
            # Parameters that share memory go into different bundles. In one bundle, the second
            # parameter that is copied back would overwrite the first one's update.
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
        p, g, buffers: The parameters, gradients and state tensors, as flat real arrays.
        steps: An array of each parameter's number of steps, which is the memory of the state
            tensors ``"step"``. None if the state has no such tensors.
        taken: The number of steps, if ``steps`` is None.
        numbers: For each state tensor of one number, an array of the parameters' values.
        block: The number of elements that are updated at once.
        direct: True if the bundle is one large contiguous parameter, updated in its own memory.
    """

    __slots__ = (
        "arrays", "block", "buffers", "direct", "g", "known", "members", "numbers", "p", "params",
        "scalars", "steps", "taken",
    )  # fmt: skip

    def __init__(self, params, columns, counts, numbers):
        self.params = params
        self.arrays = [p._array for p in params]
        for a in self.arrays:
            if not a.flags.writeable:
                raise read_only("step", a)
            check_overlap(a, "step")
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
            self.members = [(p, p._array, *part) for p, part in zip(params, parts, strict=True)]
        self.buffers = [self._adopt(tensors, real, size) for tensors in zip(*columns, strict=True)]
        self.taken = counts[0]
        self.steps = None if isinstance(counts[0], float) else adopt_counts(counts)
        self.numbers = [*map(adopt_counts, zip(*numbers, strict=True))]
        self.known = None
        # A block needs the parameter, the gradient, the state tensors and a temporary.
        self.block = CACHE // (self.p.itemsize * (3 + len(self.buffers)))

    def _adopt(self, tensors, real, size):
        """Return a flat array with the values of ``tensors``; make the tensors views of it."""
        for t, array in zip(tensors, self.arrays, strict=True):
            if t._array.shape != array.shape:
                raise ShapeError(
                    f"step: a state tensor {t._array.shape} does not have the shape {array.shape} "
                    "of its parameter; delete the state, or make it anew"
                )
        if self.direct and _plain(tensors[0]._array, self.arrays[0]):
            return tensors[0]._array.reshape(-1).view(real)
        flat = np.empty(size, real)
        for t, part in zip(tensors, _parts(flat, self.arrays), strict=True):
            part[...] = t._array
            t._array = part
        return flat

    def gather(self):
        """Copy the parameters and gradients into the flat arrays.

        Return False if a parameter has no gradient, or if its memory was replaced.
        """
        try:
            if self.direct:
                (p,) = self.params
                self.g = p._grad._array.reshape(-1).view(self.p.dtype)
                return p._array is self.arrays[0]
            for p, array, p_part, g_part in self.members:
                if p._array is not array:
                    return False
                p_part[...] = array
                g_part[...] = p._grad._array
        except AttributeError:  # the gradient is None
            return False
        return True

    def count(self):
        """Return the number of steps so far; None if the parameters' counts or numbers differ."""
        if self.steps is None:
            return self.taken
        if any(len({*a.tolist()}) > 1 for a in self.numbers):
            return None
        counts = self.steps.tolist()
        return counts[0] if counts.count(counts[0]) == len(counts) else None

    def load(self, scalars):
        """Write the scalars of the update rule into 0-dim arrays.

        NumPy multiplies by a 0-dim array in half the time that it needs for a float.
        """
        if self.known is None:
            memory = np.empty(len(scalars), self.p.dtype)
            self.scalars = memory, [memory[i, ...] for i in range(len(scalars))]
        self.scalars[0][...] = self.known = scalars

    def advance(self, update, scalars, count, group):
        """Take step number ``count + 1``."""
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
        """Copy the parameters back, and note the write for autograd."""
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
    """Yield, for each of ``arrays``, its part of ``flat`` as a view in its shape and dtype."""
    start = 0
    for array in arrays:
        stop = start + array.nbytes // flat.itemsize
        yield flat[start:stop].view(array.dtype).reshape(array.shape)
        start = stop


def _plain(array, like):
    """True if ``array`` can be updated in its own memory."""
    return array.flags.c_contiguous and array.flags.writeable and array.dtype == like.dtype
