"""A softmax over very many classes that saves work on the rare classes."""

from collections import namedtuple

import rushlight
from rushlight.nn import functional as F
from rushlight.nn.modules.container import ModuleList, Sequential
from rushlight.nn.modules.linear import Linear
from rushlight.nn.modules.module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """The log-softmax over classes sorted by frequency: a short head, and clusters of rare classes.

    The head scores the classes up to the first of ``cutoffs``, and each cluster as a whole. Cluster
    i first projects its input to ``in_features`` / ``div_value``ⁱ features. The loss computes a
    cluster only for the examples whose class is in the cluster.

    Shape: x: (N, in_features) or (in_features); y: (N) or () → (output: y's shape, loss: ()).

    Args:
        n_classes: Number of classes.
        cutoffs: The first class of each cluster: ascending ints above 0 and below ``n_classes``.
        div_value: Each cluster has this many times fewer features than the cluster before it.
            Default: 4.
        head_bias: Add a learned bias to the scores of the head. Default: False.

    Raises:
        ValueError: The ``cutoffs`` do not ascend inside (0, n_classes).
        RuntimeError: A class is out of range, or shapes do not fit (in the call).

    Source: Grave et al. 2016, https://arxiv.org/abs/1609.04309

    >>> import rushlight as torch
    >>> layer = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs=[4, 10], div_value=2)
    >>> layer.log_prob(torch.ones(3, 8)).shape
    torch.Size([3, 20])
    """

    def __init__(
        self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None,
        dtype=None,
    ):  # fmt: skip
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError(
                "AdaptiveLogSoftmaxWithLoss: cutoffs should be a sequence of length larger than 0"
            )
        if (
            cutoffs != sorted(set(cutoffs))
            or any(int(c) != c for c in cutoffs)
            or cutoffs[0] <= 0
            or cutoffs[-1] > n_classes - 1
        ):
            raise ValueError(
                "AdaptiveLogSoftmaxWithLoss: cutoffs should be a sequence of unique, positive "
                "integers sorted in an increasing order, where each value is between 1 and "
                f"n_classes-1, not {cutoffs} for {n_classes} classes"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        options = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **options)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden = int(in_features // (div_value ** (i + 1)))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(
                    Linear(in_features, hidden, bias=False, **options),
                    Linear(hidden, size, bias=False, **options),
                )
            )

    def reset_parameters(self):
        """Draw the weights of the head and of the clusters again."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_, target_):
        self._check(input_, target_)
        rows = input_ if target_.ndim else input_.unsqueeze(0)
        classes = target_ if target_.ndim else target_.unsqueeze(0)
        found = self._target_log_probs(rows, classes)
        output = found if target_.ndim else found.squeeze(0)
        return _ASMoutput(output, (-found).mean())

    def _check(self, input, target):
        if target.ndim > 1:
            raise RuntimeError(
                f"{type(self).__name__}: 0D or 1D target tensor expected, multi-target not "
                f"supported: {tuple(target.shape)}"
            )
        shapes = f"input {tuple(input.shape)}, target {tuple(target.shape)}"
        if target.ndim == 1 and input.shape[:1] != target.shape:
            raise RuntimeError(
                f"{type(self).__name__}: Input and target should have the same size in the batch "
                f"dimension: {shapes}"
            )
        if input.ndim != target.ndim + 1:
            raise RuntimeError(
                f"{type(self).__name__}: {target.ndim}D target tensor expects "
                f"{target.ndim + 1}D input tensors: {shapes}"
            )

    def _target_log_probs(self, input, target):
        found = input.new_zeros(len(target))
        slot = target.new_zeros(len(target))  # position in the head: a class, or a cluster
        used = 0
        for i, (low, high) in enumerate(zip([0, *self.cutoffs], self.cutoffs, strict=False)):
            row = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if not row.numel():
                continue
            used += row.numel()
            if i == 0:
                slot = slot.index_copy(0, row, target[row])
                continue
            within = F.log_softmax(self.tail[i - 1](input.index_select(0, row)), dim=1)
            own = within.gather(1, (target[row] - low).unsqueeze(1)).squeeze(1)
            found = found.index_copy(0, row, own)
            slot = slot.index_fill(0, row, self.shortlist_size + i - 1)
        if used != len(target):
            raise RuntimeError(
                f"{type(self).__name__}: Target values should be in [0, {self.n_classes - 1}], but "
                f"values in range [{target.min().item()}, {target.max().item()}] were found."
            )
        head = F.log_softmax(self.head(input), dim=1)
        return found + head.gather(1, slot.unsqueeze(1)).squeeze(1)

    def _all_log_probs(self, input, head):
        head = F.log_softmax(head, dim=1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            slot = self.shortlist_size + i
            parts.append(F.log_softmax(cluster(input), dim=1) + head[:, slot : slot + 1])
        return rushlight.cat(parts, 1)

    def log_prob(self, input):
        """Compute the log-probability of each class.

        Args:
            input: Tensor (N, in_features).

        Returns:
            Tensor (N, n_classes).

        >>> import rushlight as torch
        >>> layer = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs=[4, 10], div_value=2)
        >>> layer.log_prob(torch.ones(3, 8)).exp().sum(1).allclose(torch.ones(3))
        True
        """
        return self._all_log_probs(input, self.head(input))

    def predict(self, input):
        """Find the most probable class of each example.

        Args:
            input: Tensor (N, in_features).

        Returns:
            Tensor (N) of int64.

        >>> import rushlight as torch
        >>> layer = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs=[4, 10], div_value=2)
        >>> layer.predict(torch.ones(3, 8)).shape
        torch.Size([3])
        """
        head = self.head(input)
        best = head.argmax(dim=1)
        rare = best >= self.shortlist_size
        if not rare.any():
            return best
        if rare.all():
            return self._all_log_probs(input, head).argmax(dim=1)
        best[rare] = self._all_log_probs(input[rare], head[rare]).argmax(dim=1)
        return best
