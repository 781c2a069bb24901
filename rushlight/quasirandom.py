"""``torch.quasirandom``: points that fill the unit cube more evenly than random ones."""

import numpy as np

import rushlight
from rushlight.tensor import Tensor, from_array

__all__ = ["SobolEngine"]


class SobolEngine:
    """Draws the points of a Sobol sequence, in [0, 1).

    The direction numbers are those of Joe and Kuo (2008), which SciPy holds.

    Args:
        dimension: The number of coordinates of a point, from 1 to 21,201.
        scramble: Scramble the sequence at random (Owen 1998, as simplified by Matoušek). Default:
            False.
        seed: The seed of the scrambling. Default: None, the numbers of the global generator.

    Raises:
        ValueError: ``dimension`` is out of range.

    >>> import rushlight as torch
    >>> torch.quasirandom.SobolEngine(2).draw(3)
    tensor([[0.0000, 0.0000],
            [0.5000, 0.5000],
            [0.7500, 0.2500]])
    """

    MAXBIT = 30
    MAXDIM = 21201

    def __init__(self, dimension, scramble=False, seed=None):
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(
                f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]"
            )
        self.seed, self.scramble, self.dimension = seed, scramble, dimension
        self.sobolstate = from_array(_direction_numbers(dimension, self.MAXBIT))
        self.shift = rushlight.zeros(dimension, dtype=rushlight.int64)
        if scramble:
            self._scramble()
        self.reset()

    def _scramble(self):
        """Multiply the bits of the direction numbers by random triangular matrices."""
        n = self.MAXBIT
        seeded = self.seed is not None
        generator = rushlight.Generator().manual_seed(self.seed) if seeded else None
        bits = rushlight.randint(2, (self.dimension, n), generator=generator)
        matrices = rushlight.randint(2, (self.dimension, n, n), generator=generator).tril()
        weights = 2 ** rushlight.arange(n)
        self.shift = (bits * weights).sum(1)
        matrices.diagonal(dim1=1, dim2=2).fill_(1)
        falling = weights.flip(0)  # the matrices count from the highest bit
        # The bits of all numbers: (dimension, bit, number).
        state = self.sobolstate.unsqueeze(1) // falling.unsqueeze(1) % 2
        self.sobolstate = ((matrices @ state % 2) * falling.unsqueeze(1)).sum(1)

    def reset(self):
        """Go back to the first point, and return this engine."""
        self.quasi, self.num_generated = self.shift.clone(), 0
        return self

    def draw(self, n=1, out=None, dtype=None):
        """Return the next ``n`` points.

        Args:
            n: Number of points. Default: 1.
            out: Tensor that receives the points; it is resized.
            dtype: The dtype of the points. Default: ``torch.get_default_dtype()``.

        Returns:
            Tensor of shape (n, dimension).
        """
        points = self._next(n)
        dtype = rushlight.get_default_dtype() if dtype is None else dtype
        found = from_array(points * 2.0**-self.MAXBIT).to(dtype)
        if isinstance(out, Tensor):
            return out.resize_as_(found).copy_(found)
        return found

    def draw_base2(self, m, out=None, dtype=None):
        """Return the next ``2**m`` points.

        Args:
            m: The logarithm to base 2 of the number of points.
            out: Tensor that receives the points; it is resized.
            dtype: The dtype of the points. Default: ``torch.get_default_dtype()``.

        Returns:
            Tensor of shape (2**m, dimension).

        Raises:
            ValueError: The number of all points drawn would be no power of 2, so that they would
                not be balanced.
        """
        n = 2**m
        total = self.num_generated + n
        if total & (total - 1):
            raise ValueError(
                "The balance properties of Sobol' points require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: n="
                f"{self.num_generated}+2**{m}={total}. If you still want to do this, the function "
                "'.draw()' can be used."
            )
        return self.draw(n, out=out, dtype=dtype)

    def fast_forward(self, n):
        """Leave out the next ``n`` points, and return this engine."""
        self._next(n)
        return self

    def _next(self, n):
        """Return the next ``n`` points as whole numbers of ``MAXBIT`` bits, and go on behind them.

        Point i differs from the point before it by the direction number whose index is the number
        of ones at the end of i - 1 in binary.
        """
        if not n:
            return np.empty((0, self.dimension), np.int64)
        last = self.quasi.numpy()
        known = min(self.num_generated, 1)  # the point in ``quasi`` was given already
        before = np.arange(self.num_generated - known, self.num_generated + n - 1)
        ones = np.log2(~before & (before + 1)).astype(int)
        steps = np.concatenate([last[None], self.sobolstate.numpy().T[ones]])
        points = np.bitwise_xor.accumulate(steps)[known:]
        self.quasi = from_array(points[-1].copy())
        self.num_generated += n
        return points

    def __repr__(self):
        text = f"dimension={self.dimension}"
        if self.scramble:
            text += ", scramble=True"
        if self.seed is not None:
            text += f", seed={self.seed}"
        return f"{type(self).__name__}({text})"


def _direction_numbers(dimension, bits):
    """Return the direction numbers as an int64 array (dimension, bits)."""
    from scipy.stats import qmc

    # SciPy makes them from its table for its own engine, which keeps them in a private attribute.
    return qmc.Sobol(dimension, scramble=False, bits=bits)._sv.astype(np.int64)
