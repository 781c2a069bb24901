"""Products of matrices and of vectors: powers, chains, inner and cross products."""

from rushlight import shapes
from rushlight.errors import DtypeError, ShapeError
from rushlight.linalg.checks import check_floats, identity
from rushlight.linalg.inverse import inv
from rushlight.ops.core.autocast import LOWER, autocasts
from rushlight.ops.core.outputs import store
from rushlight.ops.linear.cross import cross as _cross
from rushlight.ops.linear.vander import powers
from rushlight.ops.linear.vdot import vdot
from rushlight.ops.tensor.memory_format import contiguous_format

__all__ = ["cross", "matrix_power", "multi_dot", "vander", "vecdot"]


def matrix_power(A, n, *, out=None):
    """Return the power Aⁿ of square matrices.

    Args:
        A: Tensor of square matrices ``(*, N, N)``, integers too if ``n`` is not negative.
        n: The exponent, an int. 0 gives the identity matrix, and a negative one a power of A⁻¹.

    Returns:
        Tensor ``(*, N, N)``.

    Raises:
        LinAlgError: ``n`` is negative, and a matrix is singular.
        RuntimeError: A is not square.

    >>> import rushlight as torch
    >>> torch.linalg.matrix_power(torch.tensor([[1, 1], [0, 1]]), 3)
    tensor([[1, 3],
            [0, 1]])
    """
    if A.dim() < 2 or A.shape[-1] != A.shape[-2]:
        raise ShapeError(
            "linalg.matrix_power: A must be batches of square matrices (…, N, N), got "
            f"{tuple(A.shape)}"
        )
    if n == 0:
        found = A.clone(memory_format=contiguous_format).copy_(identity(A))
    elif n == 1:
        found = A.clone(memory_format=contiguous_format)
    else:
        found = _positive_power(A if n > 0 else inv(A), abs(n))
    return found if out is None else store(out, found, "linalg.matrix_power", casts=True)


def _positive_power(A, n):
    """Return Aⁿ by squaring: a factor A^(2ᵏ) for each bit k of ``n``."""
    if n == 3:
        return A @ A @ A
    found, square = None, A
    while True:
        n, bit = divmod(n, 2)
        if bit:
            found = square if found is None else found @ square
        if not n:
            return found
        square = square @ square


def multi_dot(tensors, *, out=None):
    """Multiply two or more matrices, in the order that needs the fewest multiplications.

    Args:
        tensors: List or tuple of matrices. The first may be a vector, which counts as a row, and
            the last one too, which counts as a column.

    Returns:
        Tensor: the product, without the dims of vectors.

    Raises:
        RuntimeError: There are fewer than two tensors, or their shapes or dtypes do not fit.

    Source: Cormen, Leiserson, Rivest and Stein, Introduction to Algorithms, section 15.2 (3rd
    edition), "Matrix-chain multiplication".

    >>> import rushlight as torch
    >>> torch.linalg.multi_dot([torch.ones(2, 5), torch.ones(5, 2), torch.ones(2)])
    tensor([10., 10.])
    """
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    row, column = tensors[0].dim() == 1, tensors[-1].dim() == 1
    matrices = list(tensors)
    if row:
        matrices[0] = matrices[0].unsqueeze(0)
    if column:
        matrices[-1] = matrices[-1].unsqueeze(1)
    _check_chain(tensors, matrices)
    found = chain_product(matrices)
    if row or column:
        found = found.reshape(found.shape[row : 1 if column else 2])
    return found if out is None else store(out, found, "multi_dot")


def _check_chain(tensors, matrices):
    """Raise unless the ``matrices``, made of the ``tensors`` of a call, can be multiplied."""
    last = len(tensors) - 1
    for i, (t, m) in enumerate(zip(tensors, matrices, strict=True)):
        if m.dim() != 2:
            allowed = "1D or 2D" if i in (0, last) else "2D"
            which = {0: "the first tensor", last: "the last tensor"}.get(i, f"tensor {i}")
            raise ShapeError(f"multi_dot(): {which} must be {allowed} but got {t.dim()}D")
        if t.dtype != tensors[0].dtype:
            raise DtypeError(
                f"multi_dot(): all tensors must have the same dtype, but tensor 0 is "
                f"{tensors[0].dtype} and tensor {i} {t.dtype}"
            )
        if i and matrices[i - 1].shape[1] != m.shape[0]:
            raise ShapeError(
                f"multi_dot(): tensors {i - 1} and {i} with shapes "
                f"{list(tensors[i - 1].shape)} and {list(t.shape)} cannot be multiplied"
            )


def chain_product(matrices):
    """Multiply matrices in the order that needs the fewest multiplications of numbers."""
    n = len(matrices)
    if n == 2:
        return matrices[0] @ matrices[1]
    sizes = [m.shape[0] for m in matrices] + [matrices[-1].shape[1]]
    cost = {(i, i): 0 for i in range(n)}  # of the product of the matrices i to j
    cut = {}  # the last matrix of the left factor of the product of the matrices i to j
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            costs = {
                k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            }
            # Of equal costs the first, but of three matrices the last, as in PyTorch.
            cut[i, j] = min(reversed(costs) if n == 3 else costs, key=costs.__getitem__)
            cost[i, j] = costs[cut[i, j]]

    def product(i, j):
        if i == j:
            return matrices[i]
        return product(i, cut[i, j]) @ product(cut[i, j] + 1, j)

    return product(0, n - 1)


@autocasts(LOWER)
def vecdot(x, y, *, dim=-1, out=None):
    """Return the inner products Σ x̄·y of vectors along a dim.

    Args:
        x: Tensor of any shape ``(*)``, floating point or complex. Its elements are conjugated.
        y: Tensor of the dtype of ``x``. The shapes are broadcast.
        dim: The dim of the vectors. Negative dims count from the end. Default: -1.

    Returns:
        Tensor of the broadcast shape without ``dim``.

    Raises:
        RuntimeError: The dtypes differ, or are not floating point or complex.

    >>> import rushlight as torch
    >>> torch.linalg.vecdot(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    check_floats("linalg.vecdot", x)
    if x.dtype != y.dtype:
        raise DtypeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, got {x.dtype} and {y.dtype}"
        )
    shapes.dim(dim, max(x.dim(), y.dim()), "linalg.vecdot")
    if x.dim() == 1 == y.dim():
        return vdot(x, y) if out is None else vdot(x, y, out=out)
    found = (x.conj() * y).sum(dim)
    return found if out is None else store(out, found, "linalg.vecdot")


def cross(input, other, *, dim=-1, out=None):
    """Return the cross product of vectors of 3 elements.

    Args:
        input: Tensor with size 3 in ``dim``.
        other: Tensor with as many dims as ``input``, and size 3 in ``dim``. The other dims are
            broadcast.
        dim: The dim that holds the vectors. Negative dims count from the end. Default: -1.

    Returns:
        Tensor of the shape to which the operands are broadcast.

    Raises:
        RuntimeError: The numbers of dims differ, or ``dim`` does not have size 3 in both.

    >>> import rushlight as torch
    >>> torch.linalg.cross(torch.tensor([1, 0, 0]), torch.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    return _cross(input, other, dim, out=out)


def vander(x, *, N=None):
    """Return Vandermonde matrices: each row has the powers 0 to N - 1 of an element of ``x``.

    Args:
        x: Tensor of vectors ``(*, n)``: integers, float32, float64 or complex. A 0-dim tensor is
            taken as a vector.
        N: The number of powers, at least 2. Default: n.

    Returns:
        Tensor ``(*, n, N)``; int64 for integers.

    Raises:
        RuntimeError: N is below 2, or the dtype is bool or half precision.

    >>> import rushlight as torch
    >>> torch.linalg.vander(torch.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]])
    """
    if x.dtype.name in ("bool", "float16", "bfloat16"):
        raise DtypeError(
            "linalg.vander supports floating point, complex, and integer tensors, but got "
            f"{x.dtype}"
        )
    x = x if x.dim() else x.unsqueeze(0)
    n = x.shape[-1] if N is None else N
    if n < 2:
        raise RuntimeError(f"linalg.vander: N must be greater than 1, got {n}")
    return powers(x, n)
