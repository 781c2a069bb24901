"""The Kullback-Leibler divergence of two distributions: Σ p log(p / q)."""

from rushlight.distributions.kl import across, gaussian, same  # they register their formulas
from rushlight.distributions.kl.registry import kl_divergence, register_kl

__all__ = ["across", "gaussian", "kl_divergence", "register_kl", "same"]
