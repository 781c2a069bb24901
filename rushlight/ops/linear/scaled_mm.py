"""The product of matrices of 8 bits, scaled back to what these stand for."""

from rushlight.dtype import FLOAT8, float32
from rushlight.errors import ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.outputs import store
from rushlight.ops.linear.matmul import mm, ranked


def _check_scales(n, m, scale_a, scale_b):
    """Raise unless there is one scale for each matrix, or one for each row and each column."""
    single = scale_a.numel() == scale_b.numel() == 1
    by_rows = tuple(scale_a.shape) == (n, 1) and tuple(scale_b.shape) == (1, m)
    if not (single or by_rows) or not scale_a.dtype is scale_b.dtype is float32:
        raise ValueError(
            "Invalid scaling configuration. _scaled_mm: scale_a and scale_b must be float32, and "
            f"have one element each, or the shapes ({n}, 1) and (1, {m}); got {scale_a.dtype} "
            f"{tuple(scale_a.shape)} and {scale_b.dtype} {tuple(scale_b.shape)}"
        )


@function(name="_scaled_mm", method=False)
def _scaled_mm(
    input, mat2, scale_a, scale_b, bias=None, scale_result=None, out_dtype=None,
    use_fast_accum=False, *, out=None,
):  # fmt: skip
    """Multiply two matrices of 8 bits, each of which stands for itself times a scale.

    The product is computed in float32 and rounded once.

    Args:
        input: Tensor ``(n, k)`` of a dtype of 8 bits.
        mat2: Tensor ``(k, m)`` of a dtype of 8 bits.
        scale_a, scale_b: float32 tensors of one element; or ``(n, 1)`` and ``(1, m)``, a scale for
            each row of ``input`` and each column of ``mat2``.
        bias: Tensor ``(m,)`` that is added. Default: none.
        scale_result: Accepted without effect, as on PyTorch's CPU.
        out_dtype: The dtype of the result. Default: that of ``input``.
        use_fast_accum: Accepted without effect.

    Returns:
        Tensor ``(n, m)``.

    Raises:
        RuntimeError: The shapes do not fit.
        ValueError: The dtypes do not fit, or the scales have other shapes.

    >>> import rushlight as torch
    >>> x = torch.eye(2).to(torch.float8_e4m3fn)
    >>> torch._scaled_mm(x, x, torch.tensor(2.0), torch.tensor(3.0), out_dtype=torch.float32)
    tensor([[6., 0.],
            [0., 6.]])
    """
    ranked("_scaled_mm", None, (2, 2), input=input, mat2=mat2)
    (n, k), (inner, m) = input.shape, mat2.shape
    if k != inner:
        raise ShapeError(f"mat_a and mat_b shapes cannot be multiplied ({n}x{k} and {inner}x{m})")
    if any(t.dtype not in FLOAT8 for t in (input, mat2)):
        raise ValueError(
            "Invalid scaling configuration. _scaled_mm: the matrices must have float8 dtypes, not "
            f"{input.dtype} and {mat2.dtype}"
        )
    _check_scales(n, m, scale_a, scale_b)
    if bias is not None and bias.numel() != m:
        raise ShapeError(f"Bias must be size {m} but got {bias.numel()}")
    shapes = ((), ()) if scale_a.numel() == 1 == scale_b.numel() else ((n, 1), (1, m))
    scales = scale_a.reshape(shapes[0]), scale_b.reshape(shapes[1])
    found = mm(input.float(), mat2.float()) * scales[0] * scales[1]
    found = (found if bias is None else found + bias.float()).to(out_dtype or input.dtype)
    return found if out is None else store(out, found, "_scaled_mm")
