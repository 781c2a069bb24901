"""What tensors say of their history after no_grad, detach and in-place draws."""

import pytest

import rushlight as torch


@pytest.mark.parametrize("look", [lambda x: x.view(3), lambda x: x[:2], lambda x: x.view(3)[1:]])
@pytest.mark.parametrize("computed", [False, True])
def test_a_view_made_under_no_grad_requires_what_its_base_does(look, computed):
    x = torch.ones(3, requires_grad=True)
    base = x * 2 if computed else x
    with torch.no_grad():
        view = look(base)
        assert not look(base.detach()).requires_grad
        assert not (view * 2).requires_grad
    assert view.requires_grad and view.is_leaf and view.grad_fn is None


def test_detach_keeps_a_subclass_but_not_a_parameter():
    class Marked(torch.Tensor):
        pass

    assert type(Marked(torch.ones(2)).detach()) is Marked
    assert type(torch.nn.Parameter(torch.ones(2)).detach()) is torch.Tensor


DRAWS = {
    "normal_": "NormalBackward0", "uniform_": "UniformBackward0",
    "exponential_": "ExponentialBackward0", "bernoulli_": "BernoulliBackward2",
    "random_": "RandomBackward1",
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_into_a_computed_tensor_passes_zeros_on(name):
    x = torch.ones(3, requires_grad=True)
    y = x * 1
    getattr(y, name)(*[3] * (name == "random_"))
    assert y.requires_grad and y.grad_fn.name() == DRAWS[name]
    (y * 2).sum().backward()
    assert torch.equal(x.grad, torch.zeros(3))


def test_a_draw_into_part_of_a_computed_tensor_takes_that_part_s_gradient():
    x = torch.ones(3, requires_grad=True)
    y = x * 1
    y[:2].normal_()
    y.sum().backward()
    assert torch.equal(x.grad, torch.tensor([0.0, 0.0, 1.0]))


def test_switches_that_change_nothing_are_remembered():
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError, match="highest"):
        torch.set_float32_matmul_precision("low")
    assert torch.get_float32_matmul_precision() == "highest"


def test_grad_dtype_is_the_dtype_of_a_leafs_gradients():
    x = torch.ones(2, requires_grad=True)
    assert x.grad_dtype is torch.float32
    assert torch.ones(2, dtype=torch.int32).grad_dtype is torch.int32
    y = (x * 2).sum()
    x.grad_dtype = torch.float64  # a graph that exists already follows
    seen = []
    x.register_hook(lambda g: seen.append(g.dtype))
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 4] and x.grad.dtype is x.grad_dtype is torch.float64
    assert seen == [torch.float64] * 2
    assert torch.autograd.grad((x * 2).sum(), x)[0].dtype is torch.float64
    with pytest.raises(RuntimeError, match="because there is already a gradient"):
        x.grad_dtype = torch.float16
    with pytest.raises(RuntimeError, match="to a tensor with grad_dtype"):
        x.grad = torch.ones(2)
    x.requires_grad_(False)
    x.data = torch.ones(3, dtype=torch.float16)
    assert x.requires_grad_().grad_dtype is torch.float64
    assert x.detach().grad_dtype is torch.float16
    with pytest.raises(RuntimeError, match="or None, but got str"):
        x.grad_dtype = "float32"
    computed = x * 2
    with pytest.raises(RuntimeError, match="can only be set on leaf tensors"):
        computed.grad_dtype = torch.float32
    with pytest.raises(RuntimeError, match="can only be accessed on leaf tensors"):
        computed.grad_dtype  # noqa: B018
    x.grad = None
    x.grad_dtype = torch.int32
    with pytest.raises(RuntimeError, match="must be floating point or complex"):
        (x * 2).sum().backward()


def test_without_a_grad_dtype_gradients_keep_their_dtypes():
    x = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    x.grad_dtype = None
    w = torch.tensor([1.2345678, 1.0])
    (x * w).sum().backward()
    assert x.grad.dtype is torch.float32 and x.grad[0] == w[0]
    x.grad = None
    (x.float() * w).sum().backward()  # the gradient of the conversion is one, too
    assert x.grad.dtype is torch.bfloat16
    (x * w).sum().backward()  # is added to what is there
    assert x.grad.dtype is torch.bfloat16 and x.grad[0] == 2.46875
    z = torch.ones(2, requires_grad=True)
    z.grad_dtype = None
    (z * 2j).sum().backward(torch.tensor(1 + 1j))
    assert z.grad.tolist() == [2, 2] and z.grad.dtype is torch.float32


def test_a_compiled_step_follows_grad_dtype():
    x = torch.ones(2, requires_grad=True)

    @torch.compile
    def step():
        x.grad = None
        (x * 2).sum().backward()
        return x.grad

    dtypes = torch.float32, torch.float64, torch.float32
    for dtype in dtypes:
        x.grad = None
        x.grad_dtype = dtype
        assert step().dtype is dtype and step().dtype is dtype
