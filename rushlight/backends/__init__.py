"""torch.backends: switches of libraries that PyTorch uses and rushlight does without."""

from rushlight.backends import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
