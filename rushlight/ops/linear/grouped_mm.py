"""Products of matrices in groups, as a mixture of experts needs them."""

from rushlight.dtype import bfloat16, float16, float32, int32
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.linear.matmul import bmm, mm
from rushlight.ops.shape.join import cat, stack


def _check(a, b, offs, bias, out_dtype):
    """Raise unless the operands fit together."""
    if a.ndim not in (2, 3) or b.ndim not in (2, 3):
        raise ShapeError(f"grouped_mm: mat_a has to be 2 or 3d, and mat_b, too: {a.ndim}, {b.ndim}")
    if a.dtype not in (float32, bfloat16, float16):
        raise DtypeError(f"Expected mat_a to be Float32, BFloat16 or Float16 matrix, got {a.dtype}")
    if a.dtype is not b.dtype:
        raise DtypeError(f"grouped_mm: expected one dtype, but got: {a.dtype} != {b.dtype}")
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            "grouped_mm: contraction dimension of mat_a and mat_b must match: "
            f"{tuple(a.shape)} and {tuple(b.shape)}"
        )
    if (offs is None) is not (a.ndim == b.ndim == 3):
        raise ShapeError(
            "Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d"
        )
    if offs is not None and (offs.ndim != 1 or offs.dtype is not int32):
        raise DtypeError("grouped_mm: Offsets have to be int32, and in a vector")
    groups = {m.shape[0] for m in (a, b) if m.ndim == 3} | set(
        offs.shape if offs is not None else ()
    )
    if len(groups) != 1:
        raise ShapeError(f"grouped_mm: matrix batch sizes have to match: {sorted(groups)}")
    if bias is not None:
        raise RuntimeError("grouped_mm: Bias not supported yet")
    if out_dtype is not None and out_dtype is not a.dtype:
        raise DtypeError("Grouped gemm output dtype must match `mat_a` dtype")


@function(name="_grouped_mm", method=False)
def _grouped_mm(input, mat2, offs=None, bias=None, out_dtype=None):
    """Multiply matrices in groups, whose sizes may differ.

    A matrix of two dims is split into groups at ``offs``: ``input`` along its rows if ``mat2`` has
    three dims, ``mat2`` along its columns if ``input`` has three dims, and both along the dim that
    is summed over if both have two dims. Of two matrices of three dims, each index is a group.

    Args:
        input: Tensor ``(n, k)`` or ``(groups, n, k)``, float32, bfloat16 or float16.
        mat2: Tensor ``(k, m)`` or ``(groups, k, m)`` of the same dtype.
        offs: int32 tensor ``(groups,)`` with the end of each group. Default: none, for two
            tensors of three dims.
        bias: None; PyTorch's argument has no meaning yet.
        out_dtype: The dtype of ``input``, or None.

    Returns:
        Tensor ``(n, m)`` if one matrix has two dims, else ``(groups, n, m)``. Rows or columns
        after the last group are 0.

    Raises:
        RuntimeError: The shapes or dtypes do not fit, or ``bias`` is given.

    >>> import rushlight as torch
    >>> experts = torch.stack([torch.eye(2), 2 * torch.eye(2)])
    >>> ends = torch.tensor([1, 3], dtype=torch.int32)
    >>> torch.nn.functional.grouped_mm(torch.ones(3, 2), experts, offs=ends)
    tensor([[1., 1.],
            [2., 2.],
            [2., 2.]])
    """
    _check(input, mat2, offs, bias, out_dtype)
    if offs is None:
        return bmm(input, mat2)
    ends = offs.tolist()
    bounds = list(zip([0, *ends], ends, strict=False))
    if input.ndim == mat2.ndim:
        return stack([mm(input[:, i:j], mat2[i:j]) for i, j in bounds])
    split = 0 if input.ndim == 2 else 1
    if split == 0:
        found = [mm(input[i:j], mat2[g]) for g, (i, j) in enumerate(bounds)]
        rest = input.new_zeros(input.shape[0] - ends[-1], mat2.shape[-1])
    else:
        found = [mm(input[g], mat2[:, i:j]) for g, (i, j) in enumerate(bounds)]
        rest = input.new_zeros(input.shape[1], mat2.shape[-1] - ends[-1])
    return cat([*found, rest] if rest.numel() else found, split)


def grouped_mm(mat_a, mat_b, *, offs=None, bias=None, out_dtype=None):
    """Multiply matrices in groups, whose sizes may differ: the experts of a mixture.

    Args:
        mat_a: Tensor ``(n, k)``, whose rows ``offs`` splits, or ``(groups, n, k)``.
        mat_b: Tensor ``(groups, k, m)``, or ``(k, m)``, whose columns ``offs`` splits. If both have
            two dims, ``offs`` splits the dim ``k``.
        offs: int32 tensor ``(groups,)`` with the end of each group. Default: none, for two
            tensors of three dims.
        bias: None; PyTorch's argument has no meaning yet.
        out_dtype: The dtype of ``mat_a``, or None.

    Returns:
        Tensor ``(n, m)`` if one matrix has two dims, else ``(groups, n, m)``. Rows or columns
        after the last group are 0.

    Raises:
        RuntimeError: The shapes or dtypes do not fit, or ``bias`` is given.

    >>> import rushlight as torch
    >>> a, b = torch.ones(3, 2), torch.ones(2, 2, 1)
    >>> torch.nn.functional.grouped_mm(a, b, offs=torch.tensor([1, 3], dtype=torch.int32))
    tensor([[2.],
            [2.],
            [2.]])
    """
    return _grouped_mm(mat_a, mat_b, offs, bias, out_dtype)
