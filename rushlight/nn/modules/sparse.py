"""Layers that look up rows of a table: single rows, or bags of rows that are combined."""

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """Base of Embedding and EmbeddingBag: the table of rows, and the options of a look-up."""

    def _make(
        self, num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq,
        sparse, weight, freeze, device, dtype,
    ):  # fmt: skip
        kind = type(self).__name__
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < max(num_embeddings, 1):
                raise AssertionError(
                    f"{kind}: padding_idx must be within num_embeddings: {padding_idx} is not, "
                    f"with num_embeddings={num_embeddings}"
                )
            if padding_idx < 0:
                padding_idx += num_embeddings
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        shape = (num_embeddings, embedding_dim)
        if weight is None:
            empty = rushlight.empty(shape, device=device, dtype=dtype)
            self.weight = Parameter(empty, requires_grad=not freeze)
            self.reset_parameters()
            return
        if tuple(weight.shape) != shape:
            raise AssertionError(
                f"{kind}: the weight has shape {tuple(weight.shape)}; "
                f"(num_embeddings, embedding_dim) is {shape}"
            )
        self.weight = Parameter(weight, requires_grad=not freeze)

    def reset_parameters(self):
        """Draw the table again from the normal distribution with mean 0 and std 1."""
        init.normal_(self.weight)
        self._fill_padding_idx_with_zero()

    def _fill_padding_idx_with_zero(self):
        if self.padding_idx is not None:
            with no_grad():
                self.weight.select(0, self.padding_idx).fill_(0)

    @classmethod
    def _check_pretrained(cls, embeddings):
        if embeddings.dim() != 2:
            raise AssertionError(
                f"{cls.__name__}.from_pretrained: embeddings {tuple(embeddings.shape)} must have "
                "2 dims"
            )
        return embeddings.shape


class Embedding(_Table):
    """A table of vectors, looked up by index.

    Shape: x: (*) of integers → (*, embedding_dim).

    Args:
        padding_idx: A row that starts at zero and gets no gradient. Default: none.

    Raises:
        AssertionError: ``padding_idx`` is out of range, or ``_weight`` has another shape.

    >>> import rushlight as torch
    >>> table = torch.nn.Embedding.from_pretrained(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> table(torch.tensor([1, 1, 0]))
    tensor([[3., 4.],
            [3., 4.],
            [1., 2.]])
    """

    __constants__ = [
        "num_embeddings", "embedding_dim", "padding_idx", "max_norm", "norm_type",
        "scale_grad_by_freq", "sparse",
    ]  # fmt: skip

    def __init__(
        self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0,
        scale_grad_by_freq=False, sparse=False, _weight=None, _freeze=False, device=None,
        dtype=None,
    ):  # fmt: skip
        super().__init__()
        self._make(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq,
            sparse, _weight, _freeze, device, dtype,
        )  # fmt: skip

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, padding_idx=None, max_norm=None, norm_type=2.0,
        scale_grad_by_freq=False, sparse=False,
    ):  # fmt: skip
        """Make an Embedding with a given table.

        Args:
            embeddings: The table: Tensor (num_embeddings, embedding_dim), whose memory is shared.
            freeze: Give the table no gradient, so that it is not trained. Default: True.
            padding_idx: A row that gets no gradient. Default: none.
            max_norm, norm_type, scale_grad_by_freq, sparse: As for ``Embedding``.

        Returns:
            The new Embedding.

        Raises:
            AssertionError: ``embeddings`` does not have two dims.

        >>> import rushlight as torch
        >>> table = torch.nn.Embedding.from_pretrained(torch.ones(4, 2))
        >>> table(torch.tensor([3, 0])).shape, table.weight.requires_grad
        (torch.Size([2, 2]), False)
        """
        rows, columns = cls._check_pretrained(embeddings)
        return cls(
            rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            _weight=embeddings, _freeze=freeze,
        )  # fmt: skip

    def forward(self, input):
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse,
        )  # fmt: skip

    def extra_repr(self):
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        if self.padding_idx is not None:
            parts.append(f"padding_idx={self.padding_idx}")
        if self.max_norm is not None:
            parts.append(f"max_norm={self.max_norm}")
        if self.norm_type != 2:
            parts.append(f"norm_type={self.norm_type}")
        if self.scale_grad_by_freq:
            parts.append(f"scale_grad_by_freq={self.scale_grad_by_freq}")
        if self.sparse:
            parts.append("sparse=True")
        return ", ".join(parts)


class EmbeddingBag(_Table):
    """The sums, means or maxima of bags of rows of a table.

    If the input has two dims, each of its rows is a bag. If the input has one dim, a bag goes from
    one of the ``offsets`` to the next.

    Shape: x: (bags, n), or (n) with offsets (bags), of integers → (bags, embedding_dim).

    Args:
        mode: ``"sum"``, ``"mean"`` (default) or ``"max"`` of each bag's rows.
        include_last_offset: The last offset is the end of the last bag. Default: False.
        padding_idx: A row that starts at zero, is left out of the bags and gets no gradient.
            Default: none.

    Raises:
        AssertionError: ``padding_idx`` is out of range, or ``_weight`` has another shape.

    >>> import rushlight as torch
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> bags = torch.nn.EmbeddingBag.from_pretrained(table, mode="sum")
    >>> bags(torch.tensor([0, 1, 2]), torch.tensor([0, 2]))
    tensor([[4., 6.],
            [5., 6.]])
    """

    __constants__ = [
        "num_embeddings", "embedding_dim", "max_norm", "norm_type", "scale_grad_by_freq", "mode",
        "sparse", "include_last_offset", "padding_idx",
    ]  # fmt: skip

    def __init__(
        self, num_embeddings, embedding_dim, max_norm=None, norm_type=2.0,
        scale_grad_by_freq=False, mode="mean", sparse=False, _weight=None,
        include_last_offset=False, padding_idx=None, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.mode = mode
        self.include_last_offset = include_last_offset
        self._make(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq,
            sparse, _weight, False, device, dtype,
        )  # fmt: skip

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        mode="mean", sparse=False, include_last_offset=False, padding_idx=None,
    ):  # fmt: skip
        """Make an EmbeddingBag with a given table.

        Args:
            embeddings: The table: Tensor (num_embeddings, embedding_dim), whose memory is shared.
            freeze: Give the table no gradient, so that it is not trained. Default: True.
            padding_idx: A row that is left out of the bags and gets no gradient. Default: none.
            max_norm, norm_type, scale_grad_by_freq, mode, sparse, include_last_offset: As for
                ``EmbeddingBag``.

        Returns:
            The new EmbeddingBag.

        Raises:
            AssertionError: ``embeddings`` does not have two dims.

        >>> import rushlight as torch
        >>> bags = torch.nn.EmbeddingBag.from_pretrained(torch.ones(4, 2), mode="sum")
        >>> bags(torch.tensor([[0, 1], [2, 3]]))
        tensor([[2., 2.],
                [2., 2.]])
        """
        rows, columns = cls._check_pretrained(embeddings)
        found = cls(
            rows, columns, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings,
            include_last_offset, padding_idx,
        )  # fmt: skip
        found.weight.requires_grad_(not freeze)
        return found

    def forward(self, input, offsets=None, per_sample_weights=None):
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
            self.mode, self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self):
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        if self.max_norm is not None:
            parts.append(f"max_norm={self.max_norm}")
        if self.norm_type != 2:
            parts.append(f"norm_type={self.norm_type}")
        if self.scale_grad_by_freq:
            parts.append(f"scale_grad_by_freq={self.scale_grad_by_freq}")
        parts.append(f"mode={self.mode!r}")
        if self.padding_idx is not None:
            parts.append(f"padding_idx={self.padding_idx}")
        return ", ".join(parts)
