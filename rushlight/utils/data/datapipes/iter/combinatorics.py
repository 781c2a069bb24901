"""torch.utils.data.datapipes.iter.combinatorics: the step that shuffles."""

from rushlight.utils.data.datapipes import IterDataPipe

__all__ = ["ShufflerIterDataPipe"]


class ShufflerIterDataPipe(IterDataPipe):
    """PyTorch's step that shuffles a DataPipe; ``DataLoader(shuffle=True)`` shuffles in rushlight.

    Raises:
        NotImplementedError: an object is made.
    """
