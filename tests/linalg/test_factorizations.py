"""Inverses, determinants, LU factors, ranks and products of matrices: errors, dtypes, special values."""

import numpy as np
import pytest

import rushlight as torch

pytestmark = pytest.mark.parity


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


def matrix(t, *shape, dtype="float32"):
    """A matrix whose pivots are not on its diagonal."""
    x = np.random.default_rng(0).normal(size=shape or (2, 3, 3))
    return t.from_numpy(x.astype(dtype))


REFUSED = {
    "inv of a rectangle": lambda t: t.linalg.inv(t.ones(2, 3)),
    "inv of a vector": lambda t: t.linalg.inv(t.ones(2)),
    "inv of integers": lambda t: t.inverse(t.ones(2, 2, dtype=t.int64)),
    "inv into another dtype": lambda t: t.linalg.inv(t.eye(2), out=t.empty(0).double()),
    "det of a rectangle": lambda t: t.det(t.ones(2, 3)),
    "logdet of a rectangle": lambda t: t.logdet(t.ones(2, 3)),
    "lu of a vector": lambda t: t.linalg.lu(t.ones(2)),
    "lu without pivots": lambda t: t.linalg.lu(t.eye(2), pivot=False),
    "lu_factor of a singular matrix": lambda t: t.linalg.lu_factor(t.zeros(2, 2)),
    "lu_factor_ex": lambda t: t.linalg.lu_factor_ex(t.zeros(2, 2), check_errors=True),
    "lu_solve, dtype of pivots": lambda t: t.linalg.lu_solve(t.eye(2), t.ones(2).long(), t.ones(2, 1)),
    "lu_solve, number of pivots": lambda t: t.linalg.lu_solve(t.eye(2), t.ones(1).int(), t.ones(2, 1)),
    "lu_solve, rows": lambda t: t.linalg.lu_solve(t.eye(2), t.ones(2).int(), t.ones(3, 1)),
    "lu_solve, columns": lambda t: t.linalg.lu_solve(t.eye(2), t.ones(2).int(), t.ones(2, 1), left=False),
    "lu_solve, dtypes": lambda t: t.linalg.lu_solve(t.eye(2), t.ones(2).int(), t.ones(2, 1).double()),
    "lu_unpack, range": lambda t: t.lu_unpack(t.eye(2), t.ones(2).int() + 5),
    "lu_unpack, dtype": lambda t: t.lu_unpack(t.eye(2), t.ones(2).long()),
    "pinv of a vector": lambda t: t.linalg.pinv(t.ones(2)),
    "pinv, complex tolerance": lambda t: t.linalg.pinv(t.eye(2), atol=t.tensor(1j)),
    "rank of a vector": lambda t: t.linalg.matrix_rank(t.ones(2)),
    "cond of a vector": lambda t: t.linalg.cond(t.ones(2)),
    "cond of a rectangle": lambda t: t.linalg.cond(t.ones(2, 3), 1),
    "cond, order": lambda t: t.linalg.cond(t.eye(2), 3),
    "cond, word": lambda t: t.linalg.cond(t.eye(2), "x"),
    "power of a rectangle": lambda t: t.linalg.matrix_power(t.ones(2, 3), 2),
    "one matrix": lambda t: t.linalg.multi_dot([t.eye(2)]),
    "batches": lambda t: t.linalg.multi_dot([t.ones(1, 2, 2), t.eye(2)]),
    "a vector inside": lambda t: t.linalg.multi_dot([t.eye(2), t.ones(2), t.eye(2)]),
    "dtypes of a chain": lambda t: t.linalg.multi_dot([t.eye(2), t.eye(2).double()]),
    "sizes of a chain": lambda t: t.linalg.multi_dot([t.eye(2), t.eye(3)]),
    "no matrix": lambda t: t.chain_matmul(),
    "vecdot of integers": lambda t: t.linalg.vecdot(t.arange(3), t.arange(3)),
    "vecdot, dtypes": lambda t: t.linalg.vecdot(t.ones(3), t.ones(3).double()),
    "cross, dims": lambda t: t.linalg.cross(t.ones(3), t.ones(2, 3)),
    "vander, N": lambda t: t.linalg.vander(t.ones(3), N=1),
    "vander of bools": lambda t: t.linalg.vander(t.ones(3).bool()),
    "vander of a matrix": lambda t: t.vander(t.ones(3, 3)),
    "vander, negative N": lambda t: t.vander(t.ones(3), -1),
    "tensorinv, ind": lambda t: t.linalg.tensorinv(t.eye(4), ind=0),
    "tensorinv, sizes": lambda t: t.linalg.tensorinv(t.ones(2, 3, 4)),
    "tensorsolve, sizes": lambda t: t.linalg.tensorsolve(t.ones(2, 6, 3), t.ones(2, 3)),
    "trace of a vector": lambda t: t.trace(t.ones(3)),
    "trace of bools": lambda t: t.trace(t.ones(3, 3).bool()),
    "vdot, sizes": lambda t: t.vdot(t.ones(2), t.ones(3)),
    "vdot of matrices": lambda t: t.vdot(t.ones(2, 2), t.ones(2)),
    "ormqr, rows": lambda t: t.ormqr(t.ones(4, 3), t.ones(3), t.ones(3, 2)),
    "ormqr, tau": lambda t: t.ormqr(t.ones(4, 3), t.ones(2), t.ones(4, 2)),
    "ormqr, dtypes": lambda t: t.ormqr(t.ones(4, 3), t.ones(3), t.ones(4, 2).double()),
}  # fmt: skip
#: Arguments of the wrong type.
MISTAKEN = {
    "a list": lambda t: t.linalg.det([1.0]),
    "a float as exponent": lambda t: t.linalg.matrix_power(t.eye(2), 2.0),
    "a tensor as list": lambda t: t.linalg.multi_dot(t.eye(2)),
    "a list as matrix": lambda t: t.chain_matmul([t.eye(2), t.eye(2)]),
    "another name": lambda t: t.linalg.det(input=t.eye(2)),
    "no such name": lambda t: t.trace(t.eye(2), out=t.empty(0)),
    "N by position": lambda t: t.linalg.vander(t.ones(3), 3),
}
SINGULAR = {
    "inv": lambda t, z: t.linalg.inv(z),
    "inverse": lambda t, z: z.inverse(),
    "inv_ex": lambda t, z: t.linalg.inv_ex(z, check_errors=True),
    "power": lambda t, z: t.linalg.matrix_power(z, -2),
    "tensorinv": lambda t, z: t.linalg.tensorinv(z, 1),
    "tensorsolve": lambda t, z: t.linalg.tensorsolve(z, z[0]),
}


@pytest.mark.filterwarnings("ignore:torch.chain_matmul")
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, peer):
    for t in (torch, peer):
        with pytest.raises(RuntimeError):
            REFUSED[name](t)


@pytest.mark.filterwarnings("ignore:torch.chain_matmul")
@pytest.mark.parametrize("name", MISTAKEN)
def test_mistaken(name, peer):
    for t in (torch, peer):
        with pytest.raises(TypeError):
            MISTAKEN[name](t)


@pytest.mark.parametrize("name", SINGULAR)
def test_singular_matrices(name, peer):
    for t in (torch, peer):
        with pytest.raises(t.linalg.LinAlgError, match="singular"):
            SINGULAR[name](t, t.zeros(2, 2))


RESULTS = {
    "inverse of a part": lambda t: t.linalg.inv_ex(t.stack([t.eye(2) * 2, t.zeros(2, 2)]))[0][0],
    "info": lambda t: t.linalg.inv_ex(t.stack([t.eye(2), t.zeros(2, 2)])).info,
    "a negative determinant": lambda t: t.logdet(-t.eye(3)),
    "no determinant": lambda t: t.logdet(t.zeros(2, 2)),
    "determinant of inf": lambda t: t.det(t.eye(2) * float("inf")),
    "determinant of nan": lambda t: t.det(t.full((2, 2), float("nan"))),
    "an exact determinant": lambda t: t.det(t.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=t.float64)),
    "LU of zeros": lambda t: t.linalg.lu(t.zeros(2, 2)).P,
    "pivots of zeros": lambda t: t.linalg.lu_factor_ex(t.zeros(2, 2)).pivots,
    "solution with a zero pivot": lambda t: t.linalg.lu_solve(
        t.zeros(2, 2), t.tensor([1, 2], dtype=t.int32), t.ones(2, 1)
    ),
    "condition of zeros": lambda t: t.linalg.cond(t.zeros(2, 2)),
    "condition of a singular matrix": lambda t: t.linalg.cond(t.ones(2, 2), 1),
    "condition of nothing": lambda t: t.linalg.cond(t.zeros(2, 0, 0), 1),
    "rank of nothing": lambda t: t.linalg.matrix_rank(t.zeros(2, 0, 3)),
    "rank into int32": lambda t: t.linalg.matrix_rank(matrix(t), out=t.empty(0).int()),
    "power of integers": lambda t: t.linalg.matrix_power(t.tensor([[1, 1], [0, 1]]), 7),
    "power of halves": lambda t: t.linalg.matrix_power(t.eye(2).half() * 2, 3),
    "chain of integers": lambda t: t.linalg.multi_dot([t.tensor([[1, 1], [0, 1]])] * 3),
    "trace of int32": lambda t: t.trace(t.ones(2, 2).int()),
    "trace of bfloat16": lambda t: t.trace(t.ones(2, 2).bfloat16()).float(),
    "powers of bools": lambda t: t.vander(t.tensor([True, False])),
    "powers of int32": lambda t: t.linalg.vander(t.arange(3).int()),
    "vdot of int32": lambda t: t.vdot(t.arange(3).int(), t.arange(3).int()),
    "autocast of an inverse": lambda t: _autocast(t, lambda x: t.inverse(x)),
    "autocast of a trace": lambda t: _autocast(t, lambda x: t.trace(x)),
    "autocast of a chain": lambda t: _autocast(t, lambda x: t.linalg.multi_dot([x, x])).float(),
}


def _autocast(t, call):
    with t.autocast("cpu", dtype=t.bfloat16):
        return call(t.eye(2).bfloat16() * 3)


@pytest.mark.parametrize("name", RESULTS)
def test_values_and_dtypes(name, peer):
    found, expected = (RESULTS[name](t) for t in (torch, peer))
    assert str(found.dtype) == str(expected.dtype) and found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


WRITTEN = {
    "inv_ex": (lambda t, **out: t.linalg.inv_ex(matrix(t), **out), ("inverse", "info")),
    "lu": (lambda t, **out: t.linalg.lu(matrix(t), **out), "PLU"),
    "lu_factor": (lambda t, **out: t.linalg.lu_factor(matrix(t), **out), ("LU", "pivots")),
    "svd": (lambda t, **out: t.svd(matrix(t), **out), "USV"),
    "slogdet": (lambda t, **out: t.slogdet(matrix(t), **out), ("sign", "logabsdet")),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_results_are_named_and_written(name, peer):
    call, fields = WRITTEN[name]
    for t in (torch, peer):
        expected = call(t)
        out = tuple(t.empty_like(x) for x in expected)
        found = call(t, out=out)
        for field, o in zip(fields, out, strict=True):
            assert getattr(found, field) is o or t is peer
            assert t.equal(o, getattr(expected, field))
    assert type(call(torch)).__name__ == type(call(peer)).__name__


OUT = {
    "inv": lambda t, x, **out: t.linalg.inv(x, **out),
    "inverse": lambda t, x, **out: t.inverse(x, **out),
    "det": lambda t, x, **out: t.linalg.det(x, **out),
    "pinv": lambda t, x, **out: t.linalg.pinv(x, **out),
    "cond": lambda t, x, **out: t.linalg.cond(x, **out),
    "matrix_power": lambda t, x, **out: t.linalg.matrix_power(x, 3, **out),
    "vecdot": lambda t, x, **out: t.linalg.vecdot(x, x, **out),
    "cross": lambda t, x, **out: t.linalg.cross(x, x + 1, **out),
    "multi_dot": lambda t, x, **out: t.linalg.multi_dot([x[0], x[1]], **out),
    "lu_solve": lambda t, x, **out: t.linalg.lu_solve(*t.linalg.lu_factor(x), x, **out),
    "ormqr": lambda t, x, **out: t.ormqr(x, x[..., 0], x, **out),
}


@pytest.mark.parametrize("name", OUT)
def test_written_results(name, peer):
    for t in (torch, peer):
        x = matrix(t)
        expected = OUT[name](t, x)
        out = t.empty_like(expected)
        assert OUT[name](t, x, out=out) is out
        assert t.equal(out, expected)


def test_deprecated_functions_say_so():
    x = torch.eye(2)
    for call in (torch.lu, torch.qr, torch.cholesky, torch.chain_matmul):
        with pytest.warns(UserWarning, match="deprecated in favor of torch.linalg"):
            call(x)


def test_gradient_of_a_singular_determinant():
    """PyTorch gives 0 here; the derivative is the matrix of cofactors."""
    x = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    torch.det(x).backward()
    torch.testing.assert_close(x.grad, torch.tensor([[1.0, -1], [-1, 1]], dtype=torch.float64))


def test_gradient_of_equal_singular_values():
    x = torch.eye(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(torch.linalg.pinv, x)
    assert torch.autograd.gradgradcheck(torch.linalg.pinv, x)


def test_gradient_of_a_condition_number():
    x = matrix(torch, 3, 3, dtype="float64").requires_grad_()
    for p in (1, "fro", "nuc"):
        assert torch.autograd.gradcheck(lambda x, p=p: torch.linalg.cond(x, p), x)


def test_programs_check_values():
    f = torch.compile(lambda x: torch.linalg.inv(x) * 2, fullgraph=True)
    assert torch.equal(f(torch.eye(2)), torch.eye(2) * 2)
    with pytest.raises(torch.linalg.LinAlgError, match="element 1 is zero"):
        f(torch.zeros(2, 2))
    unpack = torch.compile(lambda x, p: torch.lu_unpack(x, p)[0], fullgraph=True)
    assert torch.equal(unpack(torch.eye(2), torch.tensor([1, 2]).int()), torch.eye(2))
    with pytest.raises(RuntimeError, match="between 1 and"):
        unpack(torch.eye(2), torch.tensor([1, 5]).int())


def test_subclasses_override():
    class Own(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func.__name__

    own = torch.eye(2).as_subclass(Own)
    assert torch.linalg.inv(own) == "linalg_inv"
    assert own.det() == "det"


def test_decompositions_of_what_is_not_finite():
    """LAPACK's singular values of an infinite matrix may run forever."""
    for value in (float("nan"), float("inf")):
        x = torch.eye(3).fill_diagonal_(value)
        for call in (torch.linalg.svd, torch.linalg.pinv, torch.linalg.matrix_rank):
            with pytest.raises(torch.linalg.LinAlgError, match="non-finite"):
                call(x)
