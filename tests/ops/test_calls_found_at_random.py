"""Calls that PyTorch takes or refuses, and rushlight did not: the random search found them."""

import warnings
from functools import partial

import pytest

import rushlight as torch

ONE = torch.zeros(1, 1, dtype=torch.int64)


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda x, out: torch.mvlgamma(x + 2, 2, out=out), [[1.5502, 1.5502], [1.5502, 1.5502]]),
        (lambda x, out: torch.scatter_reduce(x, 0, ONE, x, "sum", out=out), [[2, 1], [1, 1]]),
        (lambda x, out: torch.nn.functional.avg_pool2d(x[None], 2, out=out), [[[1]]]),
        (
            lambda x, out: torch.nn.functional.avg_pool3d(x[None, None], (1, 2, 2), out=out),
            [[[[1]]]],
        ),
    ],
)
def test_results_that_go_into_out(call, wanted):
    out = torch.empty(0)
    assert call(torch.ones(2, 2), out) is out
    torch.testing.assert_close(out, torch.tensor(wanted, dtype=out.dtype), atol=1e-4, rtol=0)
    with pytest.raises(RuntimeError, match=r"dtype|can.t be cast"):
        call(torch.ones(2, 2), torch.empty(0, dtype=torch.int64))


def test_normals_are_drawn_in_the_dtype_of_out():
    torch.manual_seed(0)
    found = torch.normal(0.0, torch.ones(2), out=torch.empty(2, dtype=torch.complex64))
    parts = torch.tensor([1.0896, -0.2075, -1.5406, 0.4019])  # PyTorch's
    torch.testing.assert_close(torch.view_as_real(found).flatten(), parts, atol=1e-4, rtol=0)
    torch.normal(torch.tensor([1, 2]), 1.0, out=torch.empty(2))
    with pytest.raises(NotImplementedError):
        torch.normal(torch.ones(2), 1.0, out=torch.tensor([1, 2]))


def test_distances_of_integers_are_floats():
    x = torch.tensor([1, 2])
    assert torch.pairwise_distance(x, x + 1, 2, eps=1).item() == 0
    assert torch.pairwise_distance(x, x + 1).item() == pytest.approx(2**0.5, rel=1e-5)


def test_complex_rms_norm_is_contiguous():
    x = torch.ones(2, 6, 3, dtype=torch.complex64).mT
    assert torch.rms_norm(x, (6,)).stride() == (18, 6, 1)


@pytest.mark.parametrize(
    "call",
    [
        torch.linalg.pinv, torch.linalg.cond, torch.linalg.tensorinv, torch.cholesky,
        torch.cholesky_inverse, torch.nn.functional.normalize,
        lambda A, out: torch.linalg.matrix_power(A, 4, out=out),
        lambda A, out: torch.linalg.tensorsolve(A, A[0], out=out),
        lambda A, out: torch.orgqr(A, A[0], out=out),
    ],
)  # fmt: skip
def test_out_may_be_wider_than_the_result(call):
    A, out = torch.eye(2), torch.empty(0, dtype=torch.float64)
    call = partial(call, ind=1) if call is torch.linalg.tensorinv else call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert call(A, out=out) is out
        with pytest.raises(RuntimeError):
            call(A, out=out.long())


def test_absolute_values_of_complex_numbers_go_into_complex_ones():
    x = torch.tensor([3 + 4j])
    assert torch.abs(x, out=x) is x and x.tolist() == [5]


@pytest.mark.parametrize("option", ["requires_grad", "pin_memory"])
def test_none_is_the_default_of_an_option(option):
    assert not torch.ones(2, **{option: None}).requires_grad
    assert torch.ones(2).new_full((2,), 3.0, **{option: None}).tolist() == [3, 3]
    with pytest.raises(TypeError):
        torch.ones(2).requires_grad_(None)


def test_limits_of_threshold_are_numbers_of_the_dtype():
    x = torch.tensor([3, 4], dtype=torch.uint8)
    assert torch.threshold(x, 3.7, -3).tolist() == [253, 4]  # a negative int wraps around
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.threshold(x, 3, 300)
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.threshold(torch.ones(1), 0, 1j)
    half = torch.tensor([0.3], dtype=torch.float16)  # it is 0.30005
    assert torch.threshold(half, 0.3, 1.0).tolist() == half.tolist()


def test_the_exponential_of_one_number():
    assert torch.linalg.matrix_exp(torch.tensor([[-float("inf")]])).tolist() == [[0]]


def test_the_pivots_of_other_matrices_are_refused():
    LU, pivots = torch.eye(3).expand(2, 3, 3), torch.ones(3, 3, dtype=torch.int32)
    assert torch.lu_unpack(LU, pivots[0]).P.shape == (2, 3, 3)
    for wrong in (pivots, pivots[:1], pivots[:2, :2]):
        with pytest.raises(RuntimeError, match="do not belong"):
            torch.lu_unpack(LU, wrong)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, n: torch.nn.functional.rrelu(x, n, 1e10),
        lambda x, n: torch.nn.functional.celu(x, n),
        lambda x, n: torch.nn.functional.alpha_dropout(x, n, True),
        lambda x, n: torch.nn.functional.dropout1d(x[None], n, True),
        lambda x, n: torch.nn.functional.cross_entropy(x, torch.tensor([0, 1]), label_smoothing=n),
        lambda x, n: torch.nn.functional.embedding(torch.tensor([0]), x.clone(), max_norm=n),
        lambda x, n: torch.linalg.vector_norm(x, n),
    ],
)
def test_numbers_in_tensors_of_half_precision_are_numbers(call):
    x, number = torch.tensor([[-1.0, 2.0], [0.0, -3.0]]), torch.tensor(0.3, dtype=torch.float16)
    found = []
    for n in (number, number.item()):
        torch.manual_seed(0)
        found.append(call(x, n))
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-6)


def test_the_root_of_lp_pool_is_rounded_as_its_norm():
    norm = torch.tensor(0.3, dtype=torch.float16)  # 1 / norm is 3.332 here, 3.3328 of the number
    found = torch.nn.functional.lp_pool1d(torch.tensor([[[1.0, 2.0], [0.0, 3.0]]]), norm, 2)
    expected = torch.tensor([[[14.498799], [2.9992485]]])  # PyTorch's
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


# Recurrent layers -------------------------------------------------------------------------------


def test_a_cell_state_may_be_wider_than_the_rest():
    low = torch.bfloat16
    x, h, c = torch.ones(2, 3, dtype=low), torch.ones(2, 2, dtype=low), torch.ones(2, 2)
    found = torch.lstm_cell(x, (h, c), torch.ones(8, 3, dtype=low), torch.ones(8, 2, dtype=low))
    assert [t.dtype for t in found] == [torch.float32, torch.float32]
    torch.testing.assert_close(found[0], torch.full((2, 2), 0.9554), atol=1e-4, rtol=0)
    with pytest.raises(RuntimeError, match="batch size"):
        torch.lstm_cell(x, (h, c[:1]), torch.ones(8, 3, dtype=low), torch.ones(8, 2, dtype=low))
    with pytest.raises(RuntimeError, match="expects two hidden states"):
        torch.lstm_cell(x, (h,), torch.ones(8, 3, dtype=low), torch.ones(8, 2, dtype=low))


@pytest.mark.parametrize("size", [(), (1,), (2, 1)])
@pytest.mark.parametrize(
    ("name", "gates"),
    [("gru_cell", 3), ("lstm_cell", 4), ("rnn_tanh_cell", 1), ("rnn_relu_cell", 1)],
)
def test_biases_of_cells_broadcast(name, gates, size):
    x, h, rows = torch.ones(2, 3), torch.full((2, 2), 0.25), 2 * gates
    states = (h, h) if name == "lstm_cell" else h
    weights = (
        torch.linspace(-1, 1, 3 * rows).view(rows, 3),
        torch.linspace(0, 1, 2 * rows).view(rows, 2),
    )
    found = []
    for bias in (torch.full(size, 0.5), torch.full((rows,), 0.5)):
        bias.requires_grad_()
        out = getattr(torch, name)(x, states, *weights, torch.zeros(rows), bias)
        out = out[0] if type(out) is tuple else out
        out.sum().backward()
        found.append((out, bias.grad.sum()))
    torch.testing.assert_close(found[0], found[1])


def test_rows_behind_a_packed_sequence_are_not_read():
    x, h, weights = torch.ones(4, 1), torch.ones(1, 2, 1), [torch.ones(1, 1), torch.ones(1, 1)]
    out, last = torch.rnn_relu(x, torch.tensor([2, 1]), h, weights, False, 1, 0.0, False, False)
    assert out.flatten().tolist() == [2, 2, 3] and last.flatten().tolist() == [3, 2]


def test_indices_of_bags_and_their_offsets_are_promoted():
    indices, offsets = torch.tensor([1, 0, 1], dtype=torch.uint8), torch.tensor([0, 2])
    bags = torch.embedding_bag(torch.eye(2), indices, offsets, mode=1)
    assert bags[0].tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert [t.dtype for t in bags[1:]] == [torch.int64] * 3
    with pytest.raises(RuntimeError, match="Long or Int"):
        torch.embedding_bag(torch.eye(2), indices, offsets.to(torch.int16))


def test_the_mean_of_a_bag_that_ends_before_the_indices():
    table, end = torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([0, 2])
    bag = torch.nn.functional.embedding_bag
    assert bag(torch.tensor([0, 1, 2]), table, end, include_last_offset=True).tolist() == [[1.5]]


@pytest.mark.parametrize(
    ("parts", "w_hh"), [(1, (6, 2)), (3, (6, 2)), (4, (6, 2)), (2, (5, 2)), (2, (6,))]
)
def test_states_and_weights_of_a_network_fit(parts, w_hh):
    x, h, weights = torch.ones(3, 2, 2), torch.ones(parts, 2, 2), [torch.ones(6, 2)] * 4
    weights[3] = torch.ones(w_hh)
    with pytest.raises(RuntimeError, match=r"must have 2 parts|must be a matrix"):
        torch.gru(x, h, weights, False, 1, 0.0, False, True, False)


# Errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x, i: torch.tensor(None), RuntimeError),
        (lambda x, i: torch.tensor([1, None], dtype=torch.int64), TypeError),
        (lambda x, i: x.new_tensor(None), TypeError),
        (lambda x, i: torch.zero_(0.5), TypeError),
        (lambda x, i: torch.einsum("i,i->", 1), TypeError),
        (lambda x, i: torch.binomial(x, i), ValueError),
        (lambda x, i: torch.normal(x, torch.ones(2, dtype=torch.complex64)), RuntimeError),
        (lambda x, i: torch.pinverse(x[None], None), TypeError),
        (lambda x, i: torch.embedding_renorm_(x[0], i, 1.0, 2.0), RuntimeError),
        (lambda x, i: torch.embedding_renorm_(x[None], i.to(torch.int8), 1.0, 2.0), RuntimeError),
        (lambda x, i: torch.nn.functional.embedding(i, i[None], max_norm=1.0), RuntimeError),
        (lambda x, i: torch.nn.functional.embedding_bag(i[None], x[None], padding_idx=0.5), TypeError),
        (lambda x, i: torch.nn.functional.pairwise_distance(x, x, p=None), TypeError),
        (lambda x, i: torch.nn.functional.poisson_nll_loss(x, 2), TypeError),
        (lambda x, i: torch.nn.functional.pad(x[None], (1, 1), "reflect", 0.5), RuntimeError),
    ],
)  # fmt: skip
def test_the_kind_of_error(call, error):
    with pytest.raises((IndexError, RuntimeError, TypeError, ValueError)) as found:
        call(torch.ones(2), torch.zeros(2, dtype=torch.int64))
    assert isinstance(found.value, error)
