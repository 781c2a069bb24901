"""Layers for the distance of two vectors and for the similarity of their directions."""

from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """The p-norm of x1 − x2 + eps over the last dim.

    Shape: x1, x2: (N, D) or (D) → (N) or (); with ``keepdim`` (N, 1) or (1).

    Args:
        p: Exponent of the norm. Default: 2.
        eps: Number added to each difference. Default: 1e-6.
        keepdim: Keep the last dim, with size 1. Default: False.

    >>> import rushlight as torch
    >>> torch.nn.PairwiseDistance()(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """

    __constants__ = ["norm", "eps", "keepdim"]

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1, x2):
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """The cosine x1 · x2 / (‖x1‖ ‖x2‖) of two vectors along ``dim``.

    Shape: x1, x2: (*, D, *) → (*, *).

    Args:
        dim: The dim of the vectors. Default: 1.
        eps: Least value of each of the two norms. Default: 1e-8.

    >>> import rushlight as torch
    >>> x = torch.tensor([[3.0, 4.0]])
    >>> torch.nn.CosineSimilarity()(x, x.flip(1))
    tensor([0.9600])
    """

    __constants__ = ["dim", "eps"]

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1, x2):
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
