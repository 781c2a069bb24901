"""In-place writes: through views, versions, and what is refused."""

import warnings

import numpy as np
import pytest

import rushlight as torch


def leaf(*shape):
    return torch.arange(float(np.prod(shape))).reshape(shape).add(1).requires_grad_()


def test_write_through_a_view_changes_the_base_history():
    x = leaf(2, 3)
    y = x * 2
    y[0].mul_(3)
    y.sum().backward()
    assert x.grad.tolist() == [[6.0] * 3, [2.0] * 3]


def test_other_views_see_the_write():
    x = leaf(4)
    y = x * 1
    a, b = y[:3], y.view(2, 2)
    a.mul_(10)
    (b[0] * b[0]).sum().backward()
    assert x.grad.tolist() == [200.0, 400.0, 0.0, 0.0]


def test_writing_the_base_changes_its_views():
    x = leaf(3)
    y = x * 1
    v = y[1:]
    y.mul_(5)
    v.sum().backward()
    assert x.grad.tolist() == [0.0, 5.0, 5.0]


def test_a_constant_takes_on_a_gradient():
    x = leaf(2)
    buffer = torch.zeros(3)
    buffer[1:] = x * 4
    assert buffer.requires_grad
    buffer.sum().backward()
    assert x.grad.tolist() == [4.0, 4.0]


def test_chain_of_views():
    x = leaf(2, 6)
    y = x * 1
    y.t()[2:5].reshape(3, 2)[1].add_(y.detach()[0, 0])
    y.view(3, 4).transpose(0, 1)[0].mul_(7)
    y.sum().backward()
    want = torch.ones(3, 4)
    want[:, 0] = 7
    assert x.grad.tolist() == want.view(2, 6).tolist()


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.add_(1),
        lambda x: x[0].mul_(2),
        lambda x: x.__setitem__(0, 5.0),
        lambda x: x.zero_(),
    ],
)
def test_leaves_are_protected(write):
    x = leaf(3)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        write(x)
    with torch.no_grad():
        write(x)


@pytest.mark.parametrize(
    "build", [lambda x: x.exp(), lambda x: x.sigmoid(), lambda x: x.tanh(), lambda x: x.sqrt()]
)
def test_a_saved_result_must_not_change(build):
    y = build(leaf(3))
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_saved_input_must_not_change():
    x, w = leaf(3), leaf(3)
    h = x * 2
    y = h * w
    h.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_what_is_not_saved_may_change():
    x = leaf(3)
    h = x * 2
    y = h + 1
    h.mul_(2)
    y.sum().backward()
    assert x.grad.tolist() == [2.0] * 3


def test_in_place_of_an_operation_that_saves_its_result():
    x = leaf(3)
    y = x * 1
    y.exp_()
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp([1, 2, 3]), rtol=1e-6)


def test_versions():
    x = torch.zeros(4)
    assert x._version == 0
    x[1:].add_(1)
    assert x._version == 1 == x.detach()._version
    x.data.add_(1)
    assert x._version == 1


def test_an_in_place_operation_cannot_enlarge_or_lower_the_category():
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        torch.zeros(3).add_(torch.zeros(2, 3))
    with pytest.raises(RuntimeError, match="can't be cast"):
        torch.zeros(3, dtype=torch.int64).add_(1.5)


def test_a_view_made_in_no_grad_is_refused():
    x = leaf(3)
    y = x * 1
    with torch.no_grad():
        v = y[1:]
    with pytest.raises(RuntimeError, match="no_grad mode"):
        v.add_(1)


def test_parameters_in_one_flat_buffer():
    """A leaf that looks into a plain tensor is a leaf like others, and so are views of it."""
    flat = torch.zeros(6)
    x = flat[:4].view(2, 2).requires_grad_()
    row = x[0]
    with pytest.raises(RuntimeError, match="leaf Variable"):
        x.mul_(2)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        row.mul_(2)
    with torch.no_grad():
        x.add_(3)
    flat.mul_(2)
    x.detach().add_(1)
    assert x.is_leaf and x.requires_grad and row.requires_grad
    (row * row).sum().backward()
    assert x.grad.tolist() == [[14.0, 14.0], [0.0, 0.0]]
    assert flat.tolist() == [7.0, 7.0, 7.0, 7.0, 0.0, 0.0]


def test_detach_shares_memory_and_version():
    x = leaf(3)
    y = x * 1
    z = y * y
    y.detach().zero_()
    assert y.tolist() == [0.0] * 3
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@pytest.mark.parity
@pytest.mark.parametrize("seed", range(20))
def test_random_writes_against_pytorch(seed):
    peer = pytest.importorskip("torch")

    def run(torch):
        rng = np.random.default_rng(seed)
        x = torch.from_numpy(rng.standard_normal((4, 6))).requires_grad_()
        y = x * 1.5
        views = [y]
        for _ in range(8):
            v = views[rng.integers(len(views))]
            kind = rng.integers(6)
            if kind == 0:
                v = v.t() if v.dim() == 2 else v
            elif kind == 1 and v.dim() and v.shape[0] > 1:
                v = v[int(rng.integers(v.shape[0])) :]
            elif kind == 2 and v.dim() > 1:
                v = v[:, 0]
            elif kind == 3:
                v.mul_(float(rng.uniform(0.5, 2)))
            elif kind == 4:
                v.add_((y.detach() * 0.1).sum() * x[0, 0])
            elif kind == 5 and v.dim():
                v[0] = v[-1] * 2
            views.append(v)
        sum((v * v).sum() for v in views).backward()
        return y.detach().numpy(), x.grad.numpy()

    for got, want in zip(run(torch), run(peer), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("turn", [lambda y: y.t_(), lambda y: y.unsqueeze_(0)])
def test_a_view_made_before_the_dims_change_in_place_still_looks_where_it_did(turn):
    x = leaf(2, 3)
    y = x * 1
    view = y[0]
    turn(y)
    view.mul_(3)
    assert view.shape == (3,)
    (y * torch.arange(6.0).reshape(y.shape)).sum().backward()
    weights = torch.arange(6.0).reshape(y.shape)
    weights = weights.t() if weights.shape == (3, 2) else weights[0]
    assert x.grad.tolist() == (weights * torch.tensor([[3.0], [1.0]])).tolist()


def test_dims_changed_in_place_are_a_write_to_those_who_saved_the_tensor():
    y = leaf(1, 2) * 2
    z = y**2
    y.squeeze_(0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_dims_of_a_leaf_changed_without_gradients_leave_it_a_leaf():
    x = leaf(2, 3)
    with torch.no_grad():
        x.unsqueeze_(0).transpose_(1, 2)
    assert x.is_leaf and x.requires_grad
    (x * 2).sum().backward()
    assert x.grad.shape == (1, 3, 2)


def test_as_strided_in_place_keeps_the_history():
    x = leaf(2, 2)
    y = x * 3
    y.as_strided_((3,), (1,), 1)
    y.sum().backward()
    assert x.grad.tolist() == [[0.0, 3.0], [3.0, 3.0]]


def test_changing_dims_again_and_again_keeps_nothing():
    from rushlight.autograd.tape import turns

    x = torch.ones(2, 3)
    for _ in range(4):
        x.t_()
    assert id(x) not in turns


def test_a_write_without_gradients_leaves_a_view_its_history_to_derive():
    x = leaf(2, 2)
    y = x * 1
    view = y[0]
    y.mul_(2)
    with torch.no_grad():
        view[0] = 5
    view.sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0], [0.0, 0.0]]


@pytest.mark.parametrize("look", [
    lambda x: x.split(2)[0], lambda x: x.chunk(2)[1][0],
    lambda x: x.chunk(2)[0].as_strided((1,), (1,), 0),
])  # fmt: skip
def test_one_of_several_views_takes_on_no_gradient(look):
    x = torch.ones(4, 2)
    scale = torch.tensor(2.0, requires_grad=True)
    view = look(x).add_(1)
    for write in (view.mul_, view.copy_, lambda v: view.__setitem__(0, v)):
        with pytest.raises(RuntimeError, match="multiple views"):
            write(scale)
    with torch.no_grad():
        view.mul_(scale)


@pytest.mark.parametrize("before", [lambda x: x, lambda x: x * 1])
def test_a_view_of_what_was_detached_since_is_refused(before):
    x = before(torch.ones(3, requires_grad=True))
    view = x[:2]
    x.detach_()
    with pytest.raises(RuntimeError, match="a view of a leaf"):
        view.mul_(2)


def test_a_view_of_a_view_made_in_no_grad_is_refused_too():
    y = leaf(3, 2) * 2
    with torch.no_grad():
        view = y[0]
    with pytest.raises(RuntimeError, match="no_grad mode"):
        view[0:1].mul_(2)
    assert view[0:1].requires_grad


def test_arguments_of_a_wrong_type_are_refused_before_the_write():
    with pytest.raises(TypeError):
        leaf(2).atan2_(0.1)


def test_the_gradient_of_a_weight_saves_the_normalised_input():
    x, weight = torch.tensor([3.0, 4.0]), torch.ones(2, requires_grad=True)
    found = torch.nn.functional.rms_norm(x, (2,), weight)
    expected = found.detach().clone()
    x.zero_()
    found.sum().backward()
    assert weight.grad.tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["index_add", "index_copy"])
def test_the_source_of_rows_is_saved(name):
    x = leaf(3) * 1
    found = getattr(torch.zeros(3), name)(0, torch.tensor([2, 1, 0]), x)
    x.relu_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        found.sum().backward()


@pytest.mark.parametrize("compiled", [False, True])
def test_a_write_beyond_the_view_whose_storage_is_looked_at(compiled):
    def write(x):
        y = x * 2
        y.diagonal().as_strided((), (), 10).pow_(2)  # element (1, 0, 2) is on no diagonal
        return y

    x = torch.ones(2, 2, 4, requires_grad=True)
    (torch.compile(write) if compiled else write)(x).sum().backward()
    assert x.grad.flatten().tolist() == [2.0] * 10 + [8.0] + [2.0] * 5


def test_a_view_keeps_its_memory_when_data_of_its_root_is_set():
    x = torch.ones(3, requires_grad=True)
    y = x * 1
    view, other, data = y[:2], y[1:], y.detach()
    y.data = 3 * data
    view.mul_(2)
    assert view.tolist() == [2, 2] and other.tolist() == [2, 1] and y.tolist() == [3, 3, 3]
    assert view.data_ptr() == data.data_ptr() != y.data_ptr()
    assert torch.autograd.grad(other.sum(), x)[0].tolist() == [0, 2, 1]


def test_a_plain_view_keeps_its_memory_when_data_of_its_root_is_set():
    y, x = torch.zeros(3), torch.full((2,), 4.0, requires_grad=True)
    view = y[:2]
    y.data = torch.ones(3)
    view.add_(x)
    assert view.tolist() == [4, 4] and y.tolist() == [1, 1, 1]
    assert torch.autograd.grad(view.sum(), x)[0].tolist() == [1, 1]


READ_ONLY_WRITES = [
    lambda x: x.add_(1), lambda x: x.zero_(), lambda x: x.__setitem__(0, 1), lambda x: x.fill_(2),
    lambda x: x.copy_(torch.ones(3)), lambda x: torch.add(x, 1, out=x), lambda x: x[1:].mul_(2),
    lambda x: x.uniform_(), lambda x: x.masked_fill_(x > 0, 1.0), lambda x: x.sort(out=(x, x.long())),
    lambda x: x.index_add_(0, torch.tensor([0]), torch.ones(1, dtype=x.dtype)),
    lambda x: x.scatter_add_(0, torch.tensor([0]), torch.ones(1, dtype=x.dtype)),
    lambda x: torch.compile(lambda y: y.add_(1))(x), lambda x: x.clamp_(0, 1),
]  # fmt: skip


def read_only(array):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the array is not writable: once in a process
        return torch.from_numpy(array)


@pytest.mark.parametrize("i", range(len(READ_ONLY_WRITES)))
def test_writes_to_read_only_arrays_say_what_to_do(i):
    array = np.ones(3)
    array.flags.writeable = False
    x = read_only(array)
    with pytest.raises(RuntimeError, match=r"is read-only.*clone\(\) of the tensor"):
        READ_ONLY_WRITES[i](x)
    assert array.tolist() == [1, 1, 1]
    assert x.clone().add_(1).tolist() == [2, 2, 2]


@pytest.mark.parametrize("size", [3, 100_000])
def test_optimizers_do_not_write_to_read_only_arrays(size):
    array = np.ones(size, "f4")
    array.flags.writeable = False
    p = torch.nn.Parameter(read_only(array))
    p.sum().backward()
    for optimizer in (torch.optim.SGD([p], 0.1), torch.optim.Adam([p])):
        with pytest.raises(RuntimeError, match=r"step: .*is read-only"):
            optimizer.step()
    assert (array == 1).all()
