"""PyTorch's module of this name, which holds the sampler of programs with several processes."""

from rushlight.utils.data.sampler import DistributedSampler

__all__ = ["DistributedSampler"]
