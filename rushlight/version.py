"""torch.version: the PyTorch that rushlight stands for, and that nothing is built for a GPU."""

from rushlight.torch_version import TorchVersion

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "xpu"]

__version__ = TorchVersion("2.13.0+rushlight")
#: The version of the torchvision that ``rushlight.vision`` stands for.
vision = "0.28.0+rushlight"
debug = False
cuda = None
hip = None
xpu = None
rocm = None
git_version = "rushlight"
