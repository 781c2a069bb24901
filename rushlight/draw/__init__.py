"""Draws from a generator, number for number what PyTorch's CPU generator draws.

Most functions take ``(generator, count, dtype, *parameters)``, where ``dtype`` is NumPy's. They
return a 1-D array of ``count`` numbers in the order of the generator's stream. For a new tensor the
array is only reshaped. For an existing tensor, ``rushlight.strides.fill`` writes the numbers into
memory in the order in which PyTorch visits the elements. The docstring of each module says how its
numbers are computed from the stream's words.
"""

from rushlight.draw.bernoulli import bernoulli, bernoulli_like, dropout_noise
from rushlight.draw.binomial import binomial
from rushlight.draw.continuous import (
    cauchy,
    exponential,
    geometric,
    log_normal,
    normal,
    uniform,
)  # fmt: skip
from rushlight.draw.gamma import dirichlet, gamma
from rushlight.draw.integers import full_range, integers
from rushlight.draw.multinomial import multinomial
from rushlight.draw.permutation import permutation
from rushlight.draw.poisson import poisson
from rushlight.draw.von_mises import von_mises

__all__ = [
    "bernoulli", "bernoulli_like", "binomial", "cauchy", "dirichlet", "dropout_noise",
    "exponential", "full_range", "gamma", "geometric", "integers", "log_normal", "multinomial",
    "normal", "permutation", "poisson", "uniform", "von_mises",
]  # fmt: skip
