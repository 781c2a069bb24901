"""Probability distributions: ``torch.distributions``."""

from rushlight.distributions.distribution import Distribution
from rushlight.distributions.exp_family import ExponentialFamily

__all__ = ["Distribution", "ExponentialFamily"]
