"""``torch.nn.functional.scaled_mm``: the product of scaled matrices of 8 bits, by recipes."""

from enum import Enum

from rushlight.dtype import FLOAT8, bfloat16, float32
from rushlight.errors import ShapeError
from rushlight.ops.linear.scaled_mm import _scaled_mm

__all__ = ["ScalingType", "SwizzleType", "scaled_grouped_mm", "scaled_mm"]


class _Numbered(Enum):
    def __int__(self):
        return self.value

    __index__ = __int__


class _ScalingType(_Numbered):
    """What each scale belongs to. The recipes of blocks are for GPUs only, as in PyTorch."""

    TensorWise, RowWise, BlockWise1x16, BlockWise1x32, BlockWise1x128, BlockWise128x128 = range(6)


class _SwizzleType(_Numbered):
    """The order in which the scales of blocks lie in memory."""

    NO_SWIZZLE, SWIZZLE_32_4_4 = range(2)


ScalingType, SwizzleType = _ScalingType, _SwizzleType  # the classes print themselves as in PyTorch


def scaled_mm(
    mat_a, mat_b, scale_a, scale_recipe_a, scale_b, scale_recipe_b, swizzle_a=None,
    swizzle_b=None, bias=None, output_dtype=bfloat16, contraction_dim=(), use_fast_accum=False,
):  # fmt: skip
    """Multiply two float8 matrices, each of which stands for itself times its scale.

    The product is computed in float32 and rounded once.

    Args:
        mat_a: Tensor ``(n, k)``.
        mat_b: Tensor ``(k, m)``.
        scale_a, scale_b: float32 tensors, or lists of one. ``TensorWise``: of one element;
            ``RowWise``: ``(n, 1)`` for ``mat_a``, and ``m`` elements with two dims for ``mat_b``.
        scale_recipe_a, scale_recipe_b: The ``ScalingType`` of both, or lists of one.
        swizzle_a, swizzle_b: The ``SwizzleType`` of both scales, or lists of one. The CPU has only
            ``NO_SWIZZLE``.
        use_fast_accum: Accepted without effect, as on PyTorch's CPU.
        bias: Tensor ``(m,)`` that is added. Default: none.
        output_dtype: The dtype of the result. None: that of ``mat_a``.
        contraction_dim: A dim of each matrix; their sizes must be equal. The product is always that
            of ``mat_a``'s rows and ``mat_b``'s columns, as on PyTorch's CPU.

    Returns:
        Tensor ``(n, m)``.

    Raises:
        ValueError: The shapes, dtypes or scales do not fit, or the recipes are those of blocks.
        RuntimeError: The scales for rows have other shapes.

    >>> import rushlight as torch
    >>> F, x = torch.nn.functional, torch.eye(2).to(torch.float8_e4m3fn)
    >>> whole, two = F.ScalingType.TensorWise, torch.tensor(2.0)
    >>> F.scaled_mm(x, x, two, whole, two, whole, output_dtype=torch.float32)
    tensor([[4., 0.],
            [0., 4.]])
    """
    for name, matrix in (("mat_a", mat_a), ("mat_b", mat_b)):
        if matrix.dim() != 2:
            raise ValueError(f"{name} must be a matrix")
    _check_contraction(mat_a, mat_b, contraction_dim)
    scales = [_list(scale_a), _list(scale_b)]
    recipes = [_list(scale_recipe_a), _list(scale_recipe_b)]
    _check_recipes(mat_a, mat_b, scales, recipes)
    ((a,), (b,)), ((recipe,), _) = scales, recipes
    swizzles = [_list(s or []) for s in (swizzle_a, swizzle_b)]
    if all(swizzles) and any(s is not SwizzleType.NO_SWIZZLE for s in (*swizzles[0], *swizzles[1])):
        raise ValueError("CPU does not support swizzle.")
    if recipe is ScalingType.TensorWise:
        for name, scale in (("scale_a", a), ("scale_b", b)):
            if scale.numel() != 1:
                raise ValueError(f"{name} must have 1 Float element")
    else:
        n, m = mat_a.shape[0], mat_b.shape[1]
        if [*a.shape] != [n, 1]:
            raise ValueError(f"scale_a must have shape [{n}, 1], got [{[*a.shape]}]")
        if b.dim() != 2 or b.numel() != m:
            raise ValueError(f"scale_b must have shape [1, {m}], got [{[*b.shape]}]")
        for name, scale in (("scale_a", a), ("scale_b", b)):
            if scale.stride(1) != 1:
                raise ValueError(f"expected {name}.stride(1) to be 1, but got {scale.stride(1)}")
        if b.shape[0] != 1:
            raise ShapeError(f"scale_b must have shape [1, {m}], got [{[*b.shape]}]")
    return _scaled_mm(mat_a, mat_b, a, b, bias, out_dtype=output_dtype)


def scaled_grouped_mm(
    mat_a, mat_b, scale_a, scale_recipe_a, scale_b, scale_recipe_b, swizzle_a=None, swizzle_b=None,
    bias=None, offs=None, output_dtype=bfloat16, contraction_dim=(), use_fast_accum=False,
):  # fmt: skip
    """Multiply scaled matrices in groups: only GPUs have this in PyTorch.

    Raises:
        NotImplementedError: Always. ``scaled_mm`` of each group computes the same.
    """
    raise NotImplementedError(
        "scaled_grouped_mm has no kernel here, as on PyTorch's CPU: call scaled_mm for each group"
    )


def _list(x):
    return [*x] if isinstance(x, (list, tuple)) else [x]


def _check_contraction(mat_a, mat_b, dims):
    if len(dims) not in (0, 2):
        raise ValueError("contraction_dim must have exactly 2 elements")
    i, j = dims or (1, 0)
    if mat_a.shape[i] != mat_b.shape[j]:
        told = f" with contraction dims mat_a: {i}, mat_b: {j}" if dims else ""
        raise ValueError(
            f"mat_a and mat_b shapes cannot be multiplied ({mat_a.shape[0]}x{mat_a.shape[1]} and "
            f"{mat_b.shape[0]}x{mat_b.shape[1]}){told}"
        )


def _check_recipes(mat_a, mat_b, scales, recipes):
    known = (ScalingType.TensorWise, ScalingType.RowWise)
    fit = recipes[0] == recipes[1] and len(recipes[0]) == 1 and recipes[0][0] in known
    fit = fit and all(len(s) == 1 and s[0].dtype is float32 for s in scales)
    if not fit or any(t.dtype not in FLOAT8 for t in (mat_a, mat_b)):
        n, m = mat_a.shape[0], mat_b.shape[1]
        raise ValueError(
            "Invalid scaling configuration. scaled_mm: the matrices must be float8, both recipes "
            "TensorWise or both RowWise, and the scales float32: one element each, or the shapes "
            f"({n}, 1) and (1, {m}). Got mat_a {mat_a.dtype}, mat_b {mat_b.dtype}, recipes "
            f"{recipes[0]} and {recipes[1]}, scales {[s.dtype for s in (*scales[0], *scales[1])]}"
        )
