"""Faults that the random search over operations found, one for each mechanism."""

import math

import pytest

import rushlight as torch
from rushlight.ops.core.definition import OPS


def test_rules_stated_in_two_parts_save_for_both():
    """``clamp_min`` states the rule of its bound after that of its input, and both need the input."""
    x = torch.tensor([0.0, 2.0], requires_grad=True)
    torch.clamp_min(x, torch.ones(2)).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0]
    users = {name: set(who) for name, _, who in OPS["clamp_min"].plan}
    assert users["x"] == {0, 1, 2}


def test_an_infinite_weight_does_not_reach_beyond_the_edges():
    w = torch.ones(1, 1, 3, 2)
    w[0, 0, 2, 1] = math.inf
    found = torch.nn.functional.conv_transpose2d(torch.ones(1, 1, 3, 4), w)
    assert not found.isnan().any()
    assert found[0, 0, :, 0].tolist() == [1, 2, 3, 2, 1]


@pytest.mark.parametrize("number", [True, 1, 1.0])
def test_functions_of_a_number_keep_the_precision(number):
    x = torch.tensor([1, 2])
    found = torch.special.xlog1py(x, number)
    assert found.dtype is torch.float32
    assert found[0].item() == pytest.approx(math.log(2), rel=1e-7)


def test_numbers_alone():
    assert torch.add(2, 3).dtype is torch.int64
    assert torch.mul(True, 2.5).item() == 2.5
    assert torch.div(7, 2, rounding_mode="floor").item() == 3
    with pytest.raises(TypeError):
        torch.maximum(2, 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda n: torch.nn.functional.hardshrink(torch.tensor([0.5, 2.0]), n),
        lambda n: torch.ones(2, 3).std(n), lambda n: torch.tril_indices(3, n),
        lambda n: torch.clamp(torch.arange(4), n, 2),
        lambda n: torch.allclose(torch.ones(1), torch.zeros(1), n),
    ],
)  # fmt: skip
def test_a_number_in_a_tensor(call):
    assert str(call(torch.tensor(1))) == str(call(1))


def test_out_counts_one_write():
    out = torch.empty(0)
    torch.exp(torch.ones(3), out=out)
    assert out._version == 1
    torch.exp(torch.ones(3), out=out)
    assert out._version == 2
    with pytest.raises(TypeError):
        torch.exp_(torch.ones(3), out=out)


def test_points_that_lie_nowhere():
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    grid = torch.tensor([math.nan, 0.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    sample = torch.nn.functional.grid_sample
    zeros = sample(image, grid, align_corners=False)
    assert zeros.isnan().flatten().tolist() == [True, False]
    border = sample(image, grid, padding_mode="border", align_corners=False)
    assert border.flatten().tolist() == [4.0, 5.5]


@pytest.mark.parametrize(
    "name", ["elu", "selu", "celu", "hardtanh", "relu6", "softshrink", "hardshrink"]
)
def test_nan_passes_its_gradient_on(name):
    x = torch.tensor([math.nan], requires_grad=True)
    getattr(torch.nn.functional, name)(x).backward()
    assert x.grad.item() == pytest.approx(1.0507 if name == "selu" else 1.0, rel=1e-4)


def test_draws_in_the_order_of_memory():
    x = torch.ones(2, 6, 3).transpose(1, 2)
    torch.manual_seed(0)
    turned = torch.alpha_dropout(x, 0.4, True).transpose(1, 2)
    torch.manual_seed(0)
    assert turned.equal(torch.alpha_dropout(torch.ones(2, 6, 3), 0.4, True))


def test_losses_promote_what_they_broadcast():
    half = torch.ones(3, dtype=torch.float16)
    with pytest.warns(UserWarning, match="different to the input size"):
        assert torch.nn.functional.mse_loss(torch.tensor(1.0), half).dtype is torch.float32
        assert torch.nn.functional.huber_loss(half, torch.zeros(1)).dtype is torch.float16


def test_degrees_without_end():
    x = torch.tensor([255.0, 1.0, -1.0])
    found = torch.special.chebyshev_polynomial_u(x, torch.tensor([2**40, 20, 21]))
    assert found[1:].tolist() == [21.0, -22.0] and found[0].isnan()


def test_an_operation_without_a_derivative_says_so():
    x = torch.eye(3, requires_grad=True)
    with pytest.raises(NotImplementedError, match="geqrf"):
        torch.geqrf(x)[0].sum().backward()


def test_numbers_for_out_are_drawn_in_its_order_in_memory():
    torch.manual_seed(0)
    out = torch.empty(7, 3).t()
    torch.randn(3, 7, out=out)
    torch.manual_seed(0)
    assert torch.equal(out, torch.empty(7, 3).t().normal_())
    torch.manual_seed(0)
    assert not torch.equal(out, torch.randn(3, 7))


def test_normal_has_the_dtype_of_its_mean():
    for a, b in (("float32", "float16"), ("float16", "float64"), ("float64", "float32")):
        mean, std = torch.zeros(3, dtype=getattr(torch, a)), torch.ones(3, dtype=getattr(torch, b))
        assert torch.normal(mean, std).dtype is mean.dtype


def test_states_for_another_number_of_sequences_are_refused():
    net = torch.nn.RNN(3, 4)
    call = lambda n: torch.rnn_tanh(
        torch.ones(5, 2, 3), torch.zeros(1, n, 4), list(net.parameters()),
        True, 1, 0.0, False, False, False,
    )[0]  # fmt: skip
    assert torch.equal(call(1), call(2))
    with pytest.raises(RuntimeError, match="size"):
        call(3)


def test_the_gradient_of_cholesky_has_imaginary_parts_on_the_diagonal():
    a = torch.tensor([[2, 1j], [-1j, 3]], requires_grad=True)
    weight = torch.tensor([[1 + 2j, 3], [4j, 5 - 1j]])
    (torch.linalg.cholesky(a) * weight).sum().abs().backward()
    want = torch.tensor(
        [[0.1057 - 0.4761j, 0.3825 + 0.6365j], [-0.0936 - 0.6365j, 1.5406 + 0.4761j]]
    )
    torch.testing.assert_close(a.grad, want, atol=1e-4, rtol=0)


def test_slopes_of_a_product_with_two_zeros_are_zero_whatever_comes_back():
    for step in (
        lambda x: x.prod().sqrt().backward(),
        torch.compile(lambda x: x.prod().sqrt().backward()),
    ):
        for _ in range(2):
            x = torch.tensor([0.0, 0.0, 3.0], requires_grad=True)
            step(x)
            assert x.grad.tolist() == [0.0, 0.0, 0.0]
    x = torch.tensor([0.0, 0.0, 3.0], requires_grad=True)
    (slope,) = torch.autograd.grad(x.prod(), x, create_graph=True)
    assert torch.autograd.grad(slope.sum(), x)[0].tolist() == [3.0, 3.0, 0.0]


def test_a_tensor_is_a_tensor_before_it_is_a_number():
    assert torch.max(torch.tensor(1), torch.tensor(0)).item() == 1
    assert torch.min(torch.ones(2, 3), torch.tensor(0)).shape == (2, 3)
    mean = torch.ones((), requires_grad=True)
    assert torch.autograd.grad(torch.normal(mean, torch.ones(3)).sum(), mean)[0].item() == 0
    assert torch.max(torch.tensor([3, 4]), dim=torch.tensor(0)).values.item() == 4


def test_limits_of_integers_are_integers():
    x = torch.tensor([-1, 0, 1])
    assert torch.threshold(x, -0.5, 3.7).tolist() == [3, 3, 1]
    assert torch.nn.functional.threshold(x, torch.tensor(0), torch.tensor(5)).tolist() == [5, 5, 1]


def test_log1p_of_small_and_huge_complex_numbers():
    small = torch.log1p(torch.tensor([1e-30 + 1e-30j, 1e-4 - 1e-10j]))
    torch.testing.assert_close(small.real, torch.tensor([1e-30, 9.9995e-05]), rtol=1e-6, atol=0)
    huge = torch.log1p(torch.tensor([3.4e38 + 3.4e38j])).real.item()
    assert huge == pytest.approx(math.log(3.4e38) + math.log(2) / 2, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e20])
def test_std_of_any_size(scale):
    x = torch.tensor([1.0, 2.0, 4.0]) * scale
    for found in (x.std(), torch.std_mean(x)[0], x.reshape(1, 3).std(1)[0]):
        assert found.item() == pytest.approx(1.527525 * scale, rel=1e-5)
    assert torch.zeros(3).std().item() == 0 and torch.tensor([1.0, math.inf]).std().isnan()


def test_matrix_exp_has_all_digits():
    ones = torch.linalg.matrix_exp(torch.ones(2, 3, 3, dtype=torch.float64))
    assert ones[1, 0, 0].item() == pytest.approx(1 + (math.exp(3) - 1) / 3, rel=2e-15)
    turn = torch.tensor([[0.0, -100.0], [100.0, 0.0]], dtype=torch.float64)
    assert torch.linalg.matrix_exp(turn)[0, 0].item() == pytest.approx(math.cos(100), abs=1e-12)
    assert torch.linalg.matrix_exp(torch.ones(0, 0)).shape == (0, 0)


def test_infinite_norms_of_windows():
    x = torch.tensor([[[1.0, -2.0, 3.0, 5.0]]])
    lp_pool1d = torch.nn.functional.lp_pool1d
    assert lp_pool1d(x, math.inf, 2).tolist() == [[[2, 5]]]
    assert lp_pool1d(x, -math.inf, 2).tolist() == [[[1, 3]]]


def test_a_cell_with_the_second_bias_alone():
    one = torch.ones(1, 1)
    found = torch.rnn_relu_cell(one, one, one, one, None, torch.ones(1))
    assert found.item() == 3
    with pytest.raises(RuntimeError, match="as many rows"):
        torch.rnn_relu_cell(torch.ones(1, 2), torch.ones(1, 2), torch.ones(2, 2), torch.ones(1, 2))


def test_the_gradient_of_a_hermitian_pseudoinverse_is_not_symmetric():
    x = torch.eye(2, requires_grad=True)
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    (found,) = torch.autograd.grad(torch.linalg.pinv(x, hermitian=True), x, weight)
    torch.testing.assert_close(found, -weight)


def test_vectors_without_singular_values_have_no_gradient():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]], requires_grad=True)
    U, S, Vh = torch.linalg.svd(x)
    (found,) = torch.autograd.grad(((U[:, :2] * S) @ Vh).sum(), x, retain_graph=True)
    torch.testing.assert_close(found, torch.ones(3, 2))
    with pytest.raises(RuntimeError, match="full_matrices=False"):
        U.sum().backward()


def test_a_loss_that_depends_on_phases_is_refused():
    x = torch.tensor([[1.0, 2j], [3.0, 4.0]], requires_grad=True)
    U = torch.linalg.svd(x).U
    U.abs().sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="ill-defined"):
        U.real.sum().backward()


def test_numbers_are_made_in_the_shape_of_out():
    for make in (torch.arange, lambda n, out: torch.linspace(0, n - 1, n, out=out)):
        out = torch.empty(2, 2)
        assert make(4, out=out) is out
        assert out.tolist() == [[0, 1], [2, 3]]


def test_a_weight_without_dims_has_any_dtype():
    x, y = torch.ones(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bfloat16)
    assert torch.lerp(x, y, torch.tensor(0.25)).tolist() == [0.75, 0.75]
    with pytest.raises(RuntimeError, match="one dtype"):
        torch.lerp(x, y, torch.tensor([0.25, 0.5]))


def test_a_tolerance_does_not_decide_the_dtype():
    found = torch.linalg.pinv(torch.eye(2), rtol=torch.tensor(0.1, dtype=torch.float16))
    assert found.dtype is torch.float32


def test_pivots_that_no_factorization_gives_are_refused():
    x = torch.eye(2)
    for pivots in ([0, 2], [3, 2]):
        with pytest.raises(RuntimeError, match="pivots"):
            torch.linalg.lu_solve(x, torch.tensor(pivots, dtype=torch.int32), x)
    with pytest.raises(RuntimeError, match="ldl_factor"):
        torch.linalg.ldl_solve(x, torch.tensor([1, 1]), x)
    P, _, _ = torch.lu_unpack(torch.ones(3, 0), torch.ones(3, dtype=torch.int32))
    assert P.tolist() == torch.eye(3).tolist()


def test_indices_and_sizes_that_pytorch_refuses():
    x = torch.arange(4.0)
    with pytest.raises(RuntimeError, match="int64"):
        torch.take_along_dim(x, torch.tensor([0], dtype=torch.int32), 0)
    with pytest.raises(RuntimeError, match="long"):
        torch.tensor_split(x, torch.tensor(2, dtype=torch.int16))
    with pytest.raises(RuntimeError, match="expected 8"):
        torch.repeat_interleave(x, 2, output_size=4)


def test_frequencies_of_a_signal_without_elements():
    assert torch.fft.rfftfreq(-1).tolist() == [0] and torch.fft.rfftfreq(-3).shape == (0,)


def test_powers_of_two_in_the_precision_of_a_complex_number():
    found = torch.ldexp(torch.ones(1, dtype=torch.complex128), torch.tensor([200]))
    assert found.item() == 2.0**200


def test_distances_of_nan():
    x, y = torch.tensor([[math.nan, 1.0]], requires_grad=True), torch.tensor([[1.0, 1.0]])
    for p in (0, 0.5, 1, 2, 3, math.inf):
        found = torch.cdist(x, y, p=p)
        assert found.isnan().all()
        (slope,) = torch.autograd.grad(found.sum(), x)
        assert slope[0, 0].item() == 0 if p == 0 else slope[0, 0].isnan()
    (slope,) = torch.autograd.grad(torch.cdist(x, y, p=1).sum(), x)
    assert slope[0, 1].item() == 0


def test_a_matrix_of_nan_has_no_cholesky_factor():
    x = torch.tensor([[4.0, 2, 2], [2, math.nan, 2], [2, 2, 3]])
    L, info = torch.linalg.cholesky_ex(x)
    assert info.item() == 2
    assert str(L.tolist()) == "[[2.0, 0.0, 0.0], [1.0, nan, 0.0], [1.0, 2.0, 3.0]]"
    with pytest.raises(torch.linalg.LinAlgError):
        torch.linalg.cholesky(x)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_inverse_by_a_singular_factor_is_refused(compiled):
    inverse = torch.compile(torch.cholesky_inverse) if compiled else torch.cholesky_inverse
    assert inverse(torch.eye(2)).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(torch.linalg.LinAlgError, match="diagonal element 2 is zero"):
        inverse(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))


@pytest.mark.parametrize("name", ["legendre_polynomial_p", "laguerre_polynomial_l"])
def test_polynomials_of_huge_degree_go_on_where_the_recurrence_ends(name, monkeypatch):
    from rushlight.ops.special import polynomials

    polynomial = getattr(torch.special, name)
    points = [-1.0, -0.5, -1e-6, 0.0, 1e-9, 0.3, 0.99, 1.0, 1.002]
    x = torch.tensor(points, dtype=torch.float64)
    for n in (2000, 2001):
        monkeypatch.setattr(polynomials, "_FAR", 1000)
        far = polynomial(x, n)
        monkeypatch.setattr(polynomials, "_FAR", 3000)
        exact = polynomial(x, n)
        assert (far - exact).abs().le(2e-4 * exact.abs() + 1e-6).all(), (far, exact)
    found = polynomial(torch.tensor([0.3, math.nan]), 2**62)  # no recurrence gets there
    assert abs(found[0].item()) < 1 and found[1].isnan()


def test_a_complex_number_without_an_imaginary_part_is_a_real_one():
    number = torch.tensor(2 + 0j)
    assert float(number) == 2 and int(number) == 2
    assert torch.celu(torch.ones(2), number).dtype is torch.float32
    assert torch.kaiser_window(3, True, number).tolist() == torch.kaiser_window(3, True, 2).tolist()
    for call in (float, int, lambda x: torch.celu(torch.ones(2), x)):
        with pytest.raises(RuntimeError, match="without overflow"):
            call(number + 1j)


def test_rows_are_not_renormalized_in_a_leaf():
    with pytest.raises(RuntimeError, match="leaf"):
        torch.embedding_renorm_(torch.ones(2, 3, requires_grad=True), torch.tensor([1]), 1.0, 2.0)


def test_functions_without_a_derivative_say_so_in_backward():
    x = torch.arange(3.0, requires_grad=True)
    for found in (torch.detach_copy(x), torch.histogram(x, 2).bin_edges):
        with pytest.raises((NotImplementedError, RuntimeError), match="is not implemented"):
            found.sum().backward()


def test_binomial_counts_are_finite():
    with pytest.raises(RuntimeError, match="must be finite"):
        torch.binomial(torch.tensor([math.nan]), torch.tensor([0.5]))


def test_the_power_of_an_infinite_complex_number():
    assert torch.exp2(torch.tensor(complex(-math.inf, 1.0))).item() == 0


@pytest.mark.parametrize("name", ["gru_cell", "lstm_cell", "rnn_tanh_cell"])
def test_gradients_of_complex_cells(name):
    torch.manual_seed(0)
    gates = {"gru_cell": 3, "lstm_cell": 4, "rnn_tanh_cell": 1}[name]
    sizes = [(2, 3), (2, 2), (2 * gates, 3), (2 * gates, 2)]
    inputs = [torch.randn(*s, dtype=torch.complex128).requires_grad_() for s in sizes]

    def call(x, h, *weights):
        return getattr(torch, name)(x, (h, h) if name == "lstm_cell" else h, *weights)

    assert torch.autograd.gradcheck(call, inputs)


def test_what_is_behind_a_zero_does_not_count_in_the_slopes_of_a_running_product():
    x = torch.tensor([2.0, 0.0, 3.0, 0.0, math.inf], requires_grad=True)
    torch.cumprod(x, 0).sum().backward()
    assert x.grad.tolist() == [1, 8, 0, 0, 0]


def test_the_gradient_of_eigenvectors_is_hermitian():
    x = torch.tensor([[2.0, 1j], [-1j, 5.0]], dtype=torch.complex128).requires_grad_()
    weight = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64)
    (torch.linalg.eigh(x)[1].abs() * weight).sum().backward()
    assert torch.allclose(x.grad, x.grad.mH) and x.grad.abs().max() > 0.01
    with pytest.raises(RuntimeError, match="an eigenvector is only determined"):
        (torch.linalg.eigh(x)[1].imag * weight).sum().backward()


def test_a_margin_is_converted_to_the_dtype_of_distances_first():
    """(uint8 wraps around, as in PyTorch.)"""
    loss = torch.nn.functional.hinge_embedding_loss
    x, away = torch.tensor([3, 8], dtype=torch.uint8), torch.tensor([-1, -1])
    assert loss(x, away, 1.1, reduction="none").tolist() == [254, 249]
    assert loss(x.float() / 4, away, True, reduction="none").tolist() == [0.25, 0]


def test_means_of_integers_are_cut_exactly():
    x = torch.tensor([[[-(2**62), 1, 1, 1], [7, -9, 2**62, 5]]])
    assert torch.nn.functional.avg_pool2d(x, (1, 4)).tolist() == [[[-(2**60) + 1], [2**60]]]
    small = torch.nn.functional.avg_pool2d(x[:, 1:, :2].to(torch.int8), (1, 2))
    assert small.tolist() == [[[-1]]]


def test_batch_norm_of_no_values_leaves_the_statistics():
    mean, var = torch.ones(3), torch.ones(3)
    weight = torch.ones(3, requires_grad=True)
    found = torch.nn.functional.batch_norm(torch.ones(0, 3, 2), mean, var, weight, training=True)
    found.sum().backward()
    assert mean.tolist() == var.tolist() == [1, 1, 1] and weight.grad.tolist() == [0, 0, 0]


def test_batch_norm_by_a_variance_below_zero_is_nan():
    x, var = torch.ones(2, 2), torch.tensor([1.0, -math.inf])
    found = torch.nn.functional.batch_norm(x, torch.zeros(2), var)
    assert found.isnan().tolist() == [[False, True]] * 2
    with pytest.raises(ValueError, match="non-negative"):
        torch.nn.functional.batch_norm(x, torch.zeros(2), var, eps=-1e-5)
    assert torch.batch_norm(x, None, None, None, None, True, 0.1, 0, False).shape == (2, 2)


def test_inverses_beside_a_singular_matrix():
    A = torch.tensor([[[2.0, 0], [0, 4]], [[1, 1], [1, 1]]])
    inverse, info = torch.linalg.inv_ex(A)
    assert info.tolist() == [0, 2] and inverse[1].isnan().all()
    assert inverse[0].tolist() == [[0.5, 0], [0, 0.25]]
    found, info = torch.linalg.solve_ex(A, torch.ones(3, 1, 2, 1))
    assert found.shape == (3, 2, 2, 1) and found[2, 0, :, 0].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x, f: x.index_add(5, f, x), IndexError),
        (lambda x, f: x.index_select(5, f), IndexError),
        (lambda x, f: x.index_select(0, f), RuntimeError),
        (lambda x, f: x.index_copy(0, f, f), IndexError),
        (lambda x, f: x.index_copy(0, f, x), RuntimeError),
        (lambda x, f: x.index_fill(0, f, 1.0), IndexError),
        (lambda x, f: x.index_fill(0, f.long()[None], 1.0), RuntimeError),
        # Types come before shapes and dtypes.
        (lambda x, f: torch.nn.functional.conv1d(x.bool(), x.bool(), stride=True), TypeError),
        (lambda x, f: torch.nn.functional.max_pool2d(x[:0], 2, ceil_mode=None), TypeError),
        (lambda x, f: torch.nn.functional.group_norm(x, 3, f, eps=None), TypeError),
    ],
)
def test_the_error_that_pytorch_finds_first(call, error):
    with pytest.raises((IndexError, RuntimeError, TypeError)) as found:
        call(torch.ones(2, 3), torch.zeros(1))
    assert isinstance(found.value, error)


def test_vectors_of_lstsq_have_the_batch_of_the_matrices():
    A = torch.ones(2, 4, 3)
    assert torch.linalg.lstsq(A, torch.ones(2, 4)).solution.shape == (2, 3)
    with pytest.raises(RuntimeError, match=r"size\(-2\)"):
        torch.linalg.lstsq(A, torch.ones(1, 4))
