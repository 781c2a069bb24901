"""Random positions, drawn with a probability in proportion to their weights.

With replacement, a uniform number (u64 of ``continuous.py``) is searched in the normalised
cumulative sum of the weights. Without replacement, or for one sample, each weight is divided by an
exponential number, and the positions of the largest quotients are the samples: an exponential race.

Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir, Information Processing
Letters 97 (2006), for the race; live PyTorch.
"""

from math import inf, prod

import numpy as np

from rushlight import late
from rushlight.backend.sizes import large_from
from rushlight.draw.continuous import exponential
from rushlight.draw.words import DIGITS, F32, F64, doubles, to_dtype
from rushlight.dtype import of as torch_dtype
from rushlight.selection import largest
from rushlight.strides import empty_like, fill

__all__ = ["multinomial"]


_FEW = 64  # weights
_MANY = large_from(1 << 10)  # weights and samples


def multinomial(generator, weights, count, replacement=False):
    """Draw ``count`` positions from each row of weights, as int64.

    Weights of shape (*, N) give positions of shape (*, count).

    Raises:
        RuntimeError: A weight is negative, infinite or nan, or all weights of a row are zero.
            The weights are not floating point, or have no dim. N is 0 or above 2^24.
            ``count`` is below 1 or, without replacement, above N.
    """
    _check_multinomial(weights, count, replacement)
    shape = (*weights.shape[:-1], count)
    if weights.ndim > 2:
        weights = weights.reshape(prod(shape[:-1]), weights.shape[-1])
    rows = weights if weights.ndim == 2 else weights[None]
    if len(rows) == 0:
        return np.empty(shape, np.int64)
    _check_weights(rows)
    if not replacement or count == 1:
        race = empty_like(weights)
        fill(race, exponential(generator, race.size, race.dtype))
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            race = to_dtype(weights / race, F64 if race.dtype == F64 else F32)
        race = race.reshape(rows.shape)
        found = race.argmax(axis=1)[:, None] if count == 1 else largest(race, count)
        return (found if found.flags.c_contiguous else found.copy()).reshape(shape)
    with generator.lock:
        u = doubles(generator, len(rows) * count).reshape(len(rows), count)
    if generator.noted or rows.size + u.size >= _MANY:
        sums = np.dtype("f8" if rows.dtype == F64 else "f4")
        results = [(u.shape, np.dtype(np.int64)), ((rows.shape[1],), sums)]
        found = late.looped(_searched, (to_dtype(rows, sums), u, *rows.shape, count), results)
        if found is not None:
            return found[0].reshape(shape)
    found = np.empty(u.shape, np.int64)
    for i, row in enumerate(rows):
        found[i] = _cumulative(row).searchsorted(u[i])
    return found.reshape(shape)


def _searched(weights, u, rows, n, count, found, sums):
    """For each number, find the first of ``_cumulative``'s sums that is not below the number."""
    for i in range(rows):
        total = weights[i * n]
        sums[0] = total
        for j in range(1, n):
            total = total + weights[i * n + j]
            sums[j] = total
        for j in range(n):
            sums[j] = sums[j] / total
        for k in range(i * count, i * count + count):
            first = 0
            last = n - 1  # its sum counts as 1
            while first < last:
                middle = (first + last) // 2
                if float(sums[middle]) < u[k]:  # not so if it is nan, where the sum overflowed
                    first = middle + 1
                else:
                    last = middle
            found[k] = first


def _cumulative(row):
    """The normalised cumulative sum of a row.

    The weights are added one by one, in float64 for float64 weights, else in float32.
    """
    sums = to_dtype(row, F64 if row.dtype == F64 else F32).cumsum()
    with np.errstate(over="ignore", invalid="ignore"):
        sums /= sums[-1]
    sums = sums.astype(np.float64, copy=False)
    sums[np.isnan(sums)] = 1.0  # inf / inf, where the sum overflowed
    sums[-1] = 1.0
    return sums


#: PyTorch says the second sentence of weights in one dim.
NO_PROBABILITY = (
    "multinomial: probability tensor contains either `inf`, `nan` or element < 0: invalid "
    "multinomial distribution"
)


def _check_multinomial(weights, count, replacement):
    if not weights.ndim:
        raise RuntimeError(f"multinomial: prob_dist must be 1 or 2 dim, but is {weights.shape}")
    if weights.dtype not in DIGITS:
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{torch_dtype(weights.dtype)}"
        )
    if count <= 0:
        raise RuntimeError(f"multinomial: cannot sample n_sample <= 0 samples, got {count}")
    size = weights.shape[-1]
    if not replacement and count > size:
        raise RuntimeError(
            "multinomial: cannot sample n_sample > prob_dist.size(-1) samples without replacement: "
            f"{count} of weights {weights.shape}"
        )
    if size > 1 << 24:
        raise RuntimeError(f"multinomial: number of categories cannot exceed 2^24, got {size}")


def _check_weights(rows):
    if rows.shape[1] == 0:
        raise RuntimeError("multinomial: there are no categories to draw from")
    if rows.size <= _FEW and type(rows) is np.ndarray:
        # NumPy takes five times as long for each of its functions.
        each = rows.tolist()
        if all(min(row) >= 0 and 0 < sum(row) < inf for row in each):  # nan: the sum is nan
            return
    most = np.maximum.reduce(rows, axis=1)
    # nan fails both comparisons.
    if not (np.minimum.reduce(rows, axis=None) >= 0 and np.maximum.reduce(most) < np.inf):
        raise RuntimeError(NO_PROBABILITY)
    if np.count_nonzero(most) < len(most):
        raise RuntimeError(
            "invalid multinomial distribution (sum of probabilities <= 0): the weights of row "
            f"{np.flatnonzero(most == 0)[0]} are all zero"
        )
