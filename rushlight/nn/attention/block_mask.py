"""The blocks of a mask of attention: which of them are visible, in part or entirely.

Source: Dong et al. 2024, "Flex Attention", section 4.
"""

import itertools
import math

import rushlight
from rushlight.dtype import float32, int32
from rushlight.nn.attention.positions import create_mask, noop_mask, required
from rushlight.ops.index.mask import where
from rushlight.ops.windows.pad import pad
from rushlight.utils._pytree import register_pytree_node

__all__ = ["BlockMask", "create_block_mask", "rule_of", "sliced"]

_TENSORS = (
    "kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices", "q_num_blocks",
    "q_indices", "full_q_num_blocks", "full_q_indices",
)  # fmt: skip


def _listed(dense):
    """(the number of blocks in each row, their columns first in order): int32 tensors.

    ``dense``: Tensor ``(*, rows, columns)`` that is not 0 at the blocks.
    """
    dense = dense.to(int32)
    columns = dense.argsort(-1, descending=True, stable=True)
    return dense.sum(-1).to(int32), columns.to(int32)


def _dense(counts, columns):
    """The int32 tensor ``(*, rows, columns)`` that is 1 at the blocks of ``_listed``."""
    size = columns.shape[-1]
    valid = rushlight.arange(size, device=columns.device) < counts.unsqueeze(-1)
    # The entries behind a row's count go to one column more, which is cut off.
    places = where(valid, columns, size).long()
    found = rushlight.zeros((*columns.shape[:-1], size + 1), dtype=int32, device=columns.device)
    return found.scatter(-1, places, 1)[..., :size].contiguous()


def _transposed(counts, columns):
    return (None, None) if counts is None else _listed(_dense(counts, columns).mT)


def _cropped(counts, columns, rows, width):
    """The lists for the first ``rows`` rows and ``width`` columns."""
    return _listed(_dense(counts, columns)[..., :rows, :width])


def sliced(batch, head, token_q, token_kv):
    """Stand in for the rule of a sliced BlockMask, whose positions have moved."""
    raise RuntimeError(
        "Cannot use mask_mod from a sliced BlockMask. When you slice a BlockMask using [], the "
        "mask_mod attribute is reset. You must set it from the original BlockMask's mask_mod."
    )


class BlockMask:
    """A mask of attention: a rule, and lists of the blocks in which it lets anything through.

    Each row of blocks lists the columns of its partly visible blocks (``kv_indices``, the first
    ``kv_num_blocks``) and of its entirely visible blocks (``full_kv_indices``). ``q_indices`` and
    ``full_q_indices`` list the same blocks by columns. ``create_block_mask`` makes all of them.

    Args:
        seq_lengths: The numbers of queries and keys.
        kv_num_blocks: Tensor ``(B, H, rows)``, int32.
        kv_indices: Tensor ``(B, H, rows, columns)``, int32.
        full_kv_num_blocks, full_kv_indices: The same for entirely visible blocks, or None.
        q_num_blocks, q_indices, full_q_num_blocks, full_q_indices: The same lists by columns.
        BLOCK_SIZE: The numbers of queries and keys in a block. Default: (128, 128).
        mask_mod: The rule inside the partly visible blocks. Default: everything is visible.

    Raises:
        RuntimeError: ``kv_indices`` has fewer than 2 dims.
        AssertionError: One of two lists that belong together is missing.

    >>> from rushlight.nn.attention.flex_attention import create_block_mask
    >>> mask = create_block_mask(lambda b, h, q, kv: q >= kv, 1, 1, 256, 256)
    >>> mask.shape, mask.sparsity()
    ((1, 1, 256, 256), 25.0)
    >>> mask.to_dense()
    tensor([[[[1, 0],
              [1, 1]]]], dtype=torch.int32)
    """

    def __init__(
        self, seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices,
        q_num_blocks, q_indices, full_q_num_blocks, full_q_indices, BLOCK_SIZE=(128, 128),
        mask_mod=noop_mask,
    ):  # fmt: skip
        if kv_indices is None or kv_num_blocks is None:
            raise AssertionError("kv_num_blocks and kv_indices must be provided")
        if kv_indices.ndim < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        _both("kv", full_kv_num_blocks, full_kv_indices)
        _both("q", full_q_num_blocks, full_q_indices)
        self.seq_lengths = seq_lengths
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.BLOCK_SIZE = BLOCK_SIZE
        self.mask_mod = mask_mod
        #: The rule from which the lists were made; then the rule alone says what is visible.
        self._made_from = None

    @classmethod
    def from_kv_blocks(
        cls, kv_num_blocks, kv_indices, full_kv_num_blocks=None, full_kv_indices=None,
        BLOCK_SIZE=128, mask_mod=None, seq_lengths=None, compute_q_blocks=True,
    ):  # fmt: skip
        """Make a mask from the lists of each row's blocks.

        Args:
            kv_num_blocks: Tensor ``(B, H, rows)``, int32: how many blocks each row visits.
            kv_indices: Tensor ``(B, H, rows, columns)``, int32: the columns of these blocks.
            full_kv_num_blocks: The same for blocks in which everything is visible, or None.
            full_kv_indices: The same for blocks in which everything is visible, or None.
            BLOCK_SIZE: The numbers of queries and keys in a block, or one int. Default: 128.
            mask_mod: The rule inside the blocks of ``kv_indices``. Default: all is visible.
            seq_lengths: The numbers of queries and keys. Default: as many as the blocks have.
            compute_q_blocks: List the blocks by columns, too. Default: True.

        Returns:
            BlockMask.

        Raises:
            RuntimeError: ``kv_indices`` has fewer than 2 dims.
            AssertionError: One of the two lists of full blocks is missing.

        >>> import rushlight as torch
        >>> from rushlight.nn.attention.flex_attention import BlockMask
        >>> counts = torch.tensor([[[1, 2]]], dtype=torch.int32)
        >>> columns = torch.tensor([[[[0, 1], [0, 1]]]], dtype=torch.int32)
        >>> BlockMask.from_kv_blocks(counts, columns, BLOCK_SIZE=4).shape
        (1, 1, 8, 8)
        """
        if kv_indices.ndim < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        _both("kv", full_kv_num_blocks, full_kv_indices)
        by_columns = [None] * 4
        if compute_q_blocks:
            by_columns = [
                *_transposed(kv_num_blocks, kv_indices),
                *_transposed(full_kv_num_blocks, full_kv_indices),
            ]
        if isinstance(BLOCK_SIZE, int):
            BLOCK_SIZE = (BLOCK_SIZE, BLOCK_SIZE)
        if seq_lengths is None:
            seq_lengths = tuple(
                [n * size for n, size in zip(kv_indices.shape[-2:], BLOCK_SIZE, strict=True)]
            )
        return cls(
            seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices,
            **dict(zip(_TENSORS[4:], by_columns, strict=True)), BLOCK_SIZE=BLOCK_SIZE,
            mask_mod=mask_mod or noop_mask,
        )  # fmt: skip

    @property
    def shape(self):
        """The sizes of the mask: those of the batch and heads, the queries and the keys."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self):
        """Return the number of elements of the whole mask, visible or not.

        Returns:
            int.

        >>> from rushlight.nn.attention.flex_attention import create_block_mask
        >>> mask = create_block_mask(lambda b, h, q, kv: q >= kv, 1, 1, 256, 256)
        >>> mask.numel()
        65536
        """
        return math.prod(self.shape)

    def sparsity(self):
        """Return the percentage of the mask that lies in blocks in which nothing is visible.

        Returns:
            float.

        >>> from rushlight.nn.attention.flex_attention import create_block_mask
        >>> mask = create_block_mask(lambda b, h, q, kv: q >= kv, 1, 1, 256, 256)
        >>> mask.sparsity()
        25.0
        """
        blocks = self.kv_num_blocks.sum()
        if self.full_kv_num_blocks is not None:
            blocks = blocks + self.full_kv_num_blocks.sum()
        return 100 * (1 - blocks.item() * math.prod(self.BLOCK_SIZE) / self.numel())

    def to_dense(self):
        """Return the blocks in which something is visible.

        Returns:
            Tensor ``(B, H, rows, columns)`` of blocks, int32: 1 where something is visible.

        >>> from rushlight.nn.attention.flex_attention import create_block_mask
        >>> mask = create_block_mask(lambda b, h, q, kv: q >= kv, 1, 1, 256, 256)
        >>> mask.to_dense()
        tensor([[[[1, 0],
                  [1, 1]]]], dtype=torch.int32)
        """
        found = _dense(self.kv_num_blocks, self.kv_indices)
        if self.full_kv_num_blocks is None:
            return found
        return found | _dense(self.full_kv_num_blocks, self.full_kv_indices)

    def to(self, device):
        """Return the same mask with its tensors on another device.

        Args:
            device: A device, or its name.

        Returns:
            BlockMask.

        >>> from rushlight.nn.attention.flex_attention import create_block_mask
        >>> mask = create_block_mask(lambda b, h, q, kv: q >= kv, 1, 1, 256, 256)
        >>> mask.to("cpu").shape
        (1, 1, 256, 256)
        """
        return self._with([None if t is None else t.to(device) for t in self._tensors()])

    def _tensors(self):
        return [getattr(self, name) for name in _TENSORS]

    def _with(self, tensors):
        """The same mask with other ``tensors``."""
        return _rebuilt(tensors, self._rest())

    def _rest(self):
        """All that is no tensor."""
        return self.seq_lengths, self.BLOCK_SIZE, self.mask_mod, self._made_from

    def _by_rows(self, change, mask_mod, seq_lengths):
        """The mask whose lists ``change`` makes from pairs of lists."""
        pairs = [(self.kv_num_blocks, self.kv_indices)]
        if self.full_kv_num_blocks is not None:
            pairs.append((self.full_kv_num_blocks, self.full_kv_indices))
        lists = dict(zip(_TENSORS, itertools.chain(*[change(*p) for p in pairs]), strict=False))
        return BlockMask.from_kv_blocks(
            BLOCK_SIZE=self.BLOCK_SIZE, mask_mod=mask_mod, seq_lengths=seq_lengths,
            compute_q_blocks=self.q_indices is not None, **lists,
        )  # fmt: skip

    def __getitem__(self, index):
        """The lists at ``index`` of the batch, the heads and the rows of blocks.

        The rule counts positions from the start of the whole mask, so it must be set anew.
        """
        index = index if isinstance(index, tuple) else (index,)
        index = (*index, slice(None), slice(None), slice(None))[:3]
        sizes = self.kv_num_blocks.shape[:3]
        kept = tuple(
            [
                slice(i, i + 1 or n) if isinstance(i, int) else i
                for i, n in zip(index, sizes, strict=True)
            ]
        )
        return self._by_rows(
            lambda counts, columns: (counts[kept], columns[kept]), sliced, self.seq_lengths
        )

    def _adjust(self, new_q_len, new_kv_len):
        """The mask's upper left corner of ``new_q_len`` queries and ``new_kv_len`` keys."""
        rows, width = [
            -(-n // size) for n, size in zip((new_q_len, new_kv_len), self.BLOCK_SIZE, strict=True)
        ]
        found = self._by_rows(
            lambda counts, columns: _cropped(counts, columns, rows, width),
            self.mask_mod,
            (new_q_len, new_kv_len),
        )
        found._made_from = self._made_from
        return found

    def __str__(self):
        seen = self.to_string().strip()
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, \n{seen}\n)"

    def __repr__(self):
        shapes = [(n, getattr(self, n)) for n in _TENSORS]
        lines = [f"{n}={None if t is None else t.shape}" for n, t in shapes]
        lines += [
            f"BLOCK_SIZE={self.BLOCK_SIZE}",
            f"shape={self.shape}",
            f"sparsity={self.sparsity():.2f}%",
            f"mask_mod={getattr(self.mask_mod, '__name__', self.mask_mod)}",
        ]
        return "BlockMask(\n" + ",\n".join(["    " + line for line in lines]) + "\n)"

    def to_string(self, grid_size=(20, 20), limit=4):
        """Draw the blocks: █ where all of them are visited, ░ where some are.

        Args:
            grid_size: The largest numbers of rows and columns of a drawing, or one int. -1 draws
                every block. Default: (20, 20).
            limit: The largest number of drawings, one for each batch entry and head. Default: 4.

        Returns:
            str.

        >>> from rushlight.nn.attention.flex_attention import create_block_mask
        >>> mask = create_block_mask(lambda b, h, q, kv: q >= kv, 1, 1, 256, 256)
        >>> print(mask.to_string().replace(" ", "·").rstrip())
        (0,·0)
        ██··
        ████
        """
        dense = self.to_dense()
        *batch, rows, columns = dense.shape
        most = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
        steps = [
            max(1, -(-n // m)) if m > 0 else 1 for n, m in zip((rows, columns), most, strict=True)
        ]
        found = []
        for i, place in enumerate(itertools.product(*[range(n) for n in batch])):
            if i == limit:
                found += [
                    "...",
                    "To print out more, set BlockMask.to_string(limit=N)",
                    "You can also index (BlockMask[batch, head]) to choose a specific batch or "
                    "head",
                ]
                break
            found.append(f"{place}\n{_drawn(dense[place], *steps)}")
        return "\n".join(found)


def _drawn(dense, down, right):
    """A line of signs for every ``down`` rows, a doubled sign for every ``right`` columns."""
    lines = ""
    for r in range(0, dense.shape[0], down):
        for c in range(0, dense.shape[1], right):
            part = dense[r : r + down, c : c + right].to(float32).mean().item()
            lines += 2 * ("█" if part == 1 else " " if part == 0 else "░")
        lines += "\n"
    return lines


def _both(side, counts, columns):
    if (counts is None) != (columns is None):
        raise AssertionError(
            f"full_{side}_num_blocks and full_{side}_indices must be both provided or omitted"
        )


def _rebuilt(tensors, rest):
    """The BlockMask of ``tensors`` in the order of ``_TENSORS``, and of ``BlockMask._rest()``."""
    lengths, size, mask_mod, made_from = rest
    lists = dict(zip(_TENSORS, tensors, strict=True))
    found = BlockMask(lengths, BLOCK_SIZE=size, mask_mod=mask_mod, **lists)
    found._made_from = made_from
    return found


register_pytree_node(BlockMask, lambda mask: (mask._tensors(), mask._rest()), _rebuilt)


def create_block_mask(
    mask_mod, B, H, Q_LEN, KV_LEN, device=None, BLOCK_SIZE=128, _compile=False,
    separate_full_blocks=True, compute_dq_write_order=False, dq_kv_order=True,
):  # fmt: skip
    """Return the BlockMask of a ``mask_mod``.

    Args:
        mask_mod: A function of scalar tensors ``(b, h, q_idx, kv_idx)`` that returns True where the
            query may attend to the key.
        B: The number of batch entries; None means that they all have the same mask.
        H: The number of heads of the query; None means that they all have the same mask.
        Q_LEN: The number of queries.
        KV_LEN: The number of keys.
        device: Where the mask is made. Default: the CPU.
        BLOCK_SIZE: The numbers of queries and keys in a block, or one int. Default: 128.
        separate_full_blocks: List the blocks in which all is visible separately. Default: True.
        compute_dq_write_order, dq_kv_order: Accepted without effect: gradients are added up in one
            order in any case.

    Returns:
        BlockMask of shape ``(B, H, Q_LEN, KV_LEN)``, with 1 where B or H is None.

    Raises:
        AssertionError: ``mask_mod`` does not take 4 arguments.

    >>> from rushlight.nn.attention.flex_attention import create_block_mask
    >>> near = lambda b, h, q, kv: (q >= kv) & (q - kv < 128)
    >>> create_block_mask(near, None, None, 512, 512).sparsity()
    56.25
    """
    if required(mask_mod) != 4:
        raise AssertionError(f"create-block_mask requires a mask_mod function! Got {mask_mod}")
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    mask = pad(mask, (0, -KV_LEN % size[1], 0, -Q_LEN % size[0]))
    blocks = mask.unflatten(-2, (-1, size[0])).unflatten(-1, (-1, size[1]))
    counts = blocks.sum((-3, -1))
    full = counts == math.prod(size)
    part = (counts > 0) & ~full if separate_full_blocks else counts > 0
    lists = dict(zip(_TENSORS[:2], _listed(part), strict=True))
    if separate_full_blocks:
        lists |= dict(zip(_TENSORS[2:4], _listed(full), strict=True))
    found = BlockMask.from_kv_blocks(
        **lists, BLOCK_SIZE=size, mask_mod=mask_mod, seq_lengths=(Q_LEN, KV_LEN)
    )
    found._made_from = mask_mod
    return found


def rule_of(mask):
    """The function of ``(b, h, q_idx, kv_idx)`` that tells whether ``mask`` lets the two meet.

    Blocks that are not listed are hidden. ``mask_mod`` holds inside the partly visible blocks.
    """
    if mask._made_from is mask.mask_mod:
        return mask.mask_mod
    part = _dense(mask.kv_num_blocks, mask.kv_indices) != 0
    full = None
    if mask.full_kv_num_blocks is not None:
        full = _dense(mask.full_kv_num_blocks, mask.full_kv_indices) != 0
    down, right = mask.BLOCK_SIZE

    def rule(b, h, q_idx, kv_idx):
        several = [n > 1 for n in part.shape[:2]]
        first = [i if many else 0 for i, many in zip((b, h), several, strict=True)]
        place = (*first, q_idx // down, kv_idx // right)
        found = part[place] & mask.mask_mod(b, h, q_idx, kv_idx)
        return found if full is None else found | full[place]

    return rule
