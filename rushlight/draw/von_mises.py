"""Von Mises numbers, by rejection from a wrapped Cauchy distribution.

Source: Best and Fisher, Efficient simulation of the von Mises distribution, Applied Statistics 28
(1979), 152-157.
"""

import math

import numpy as np

from rushlight.draw.words import doubles

__all__ = ["von_mises"]


def von_mises(generator, concentrations):
    """Draw an angle from [-π, π] around 0 for each concentration in a float64 array."""
    k = concentrations.reshape(-1)
    r = _proposal(k)
    angles = np.zeros_like(k)
    todo = np.ones(k.shape, bool)
    with generator.lock, np.errstate(all="ignore"):
        while todo.any():
            u, v, side = doubles(generator, 3 * k.size).reshape(3, -1)
            z = np.cos(math.pi * u)
            f = (1 + r * z) / (r + z)
            c = k * (r - f)
            accepted = (c * (2 - c) - v > 0) | (np.log(c / v) + 1 - c >= 0)
            # Each round proposes an angle for every element. As in PyTorch, a newly accepted angle
            # also replaces an angle that was accepted in an earlier round.
            np.copyto(angles, np.sign(side - 0.5) * np.arccos(f), where=accepted)
            todo &= ~accepted
    return angles.reshape(concentrations.shape)


def _proposal(k):
    """The parameter of the wrapped Cauchy distribution with the fewest rejected angles."""
    tau = 1 + np.sqrt(1 + 4 * k**2)
    rho = (tau - np.sqrt(2 * tau)) / (2 * k)
    return np.where(k < 1e-5, 1 / k + k, (1 + rho**2) / (2 * rho))
