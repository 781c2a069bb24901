"""How a tensor lies on the processes along one dim of a mesh."""

__all__ = ["Partial", "Placement", "Replicate", "Shard"]


class Placement:
    """The base of ``Shard``, ``Replicate`` and ``Partial``."""

    def is_shard(self, dim=None):
        """Whether each process has a part along a dim: ``dim``, or any."""
        return isinstance(self, Shard) and dim in (None, self.dim)

    def is_replicate(self):
        """Whether each process has the whole."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op=None):
        """Whether the whole is the sum, or another combination, of what the processes have."""
        return isinstance(self, Partial) and reduce_op in (None, self.reduce_op)

    def _key(self):
        return (type(self),)

    def __eq__(self, other):
        return isinstance(other, Placement) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())


class Shard(Placement):
    """Each process has a part along a dim.

    Args:
        dim: The dim of the tensor.

    >>> from rushlight.distributed.tensor import Shard
    >>> Shard(0)
    Shard(dim=0)
    """

    def __init__(self, dim):
        self.dim = dim

    def _key(self):
        return Shard, self.dim

    @staticmethod
    def local_shard_size_and_offset(curr_local_size, num_chunks, rank):
        """Return the size of the part number ``rank`` of ``num_chunks``, and where it begins.

        Args:
            curr_local_size: The size of the whole dim.
            num_chunks: The number of parts; all but the last ones have the same size.
            rank: The index of the part.

        >>> from rushlight.distributed.tensor import Shard
        >>> [Shard.local_shard_size_and_offset(7, 3, rank) for rank in range(3)]
        [(3, 0), (3, 3), (1, 6)]
        """
        size = -(-curr_local_size // num_chunks)
        start = min(size * rank, curr_local_size)
        return min(size, curr_local_size - start), start

    def _local_shard_size_and_offset(self, curr_local_size, num_chunks, rank):
        return self.local_shard_size_and_offset(curr_local_size, num_chunks, rank)

    def __repr__(self):
        return f"Shard(dim={self.dim})"

    def __str__(self):
        return f"S({self.dim})"


class _StridedShard(Shard):
    """A part along a dim that another dim of the mesh divides, too."""

    def __init__(self, dim, *, split_factor):
        super().__init__(dim)
        self.split_factor = split_factor


class Replicate(Placement):
    """Each process has the whole tensor.

    >>> from rushlight.distributed.tensor import Replicate
    >>> Replicate()
    Replicate()
    """

    def __repr__(self):
        return "Replicate()"

    def __str__(self):
        return "R"


class Partial(Placement):
    """The whole is the combination of what the processes have.

    Args:
        reduce_op: "sum", "avg", "max", "min" or "product".

    >>> from rushlight.distributed.tensor import Partial
    >>> Partial()
    Partial(sum)
    """

    def __init__(self, reduce_op="sum"):
        self.reduce_op = reduce_op

    def _key(self):
        return Partial, self.reduce_op

    def __repr__(self):
        return f"Partial({self.reduce_op})"

    def __str__(self):
        return f"P({self.reduce_op})"
