"""torch.native_*, norm_except_dim, hash_tensor, cond and autocast's older names, as PyTorch's."""

import random

import pytest

import rushlight as torch


def of(peer, x):
    """The tensor ``x`` of rushlight as one of PyTorch, with the same elements."""
    return peer.from_dlpack(x.detach()) if x is not None else None


def matches(peer, ours, theirs, what):
    assert (str(ours.dtype), tuple(ours.shape)) == (str(theirs.dtype), tuple(theirs.shape)), what
    wide = peer.float64
    peer.testing.assert_close(
        of(peer, ours.double()), theirs.detach().to(wide), rtol=1e-2 if "16" in what else 1e-4,
        atol=1e-2 if "16" in what else 1e-4, equal_nan=True, msg=lambda m: f"{what}: {m}",
    )  # fmt: skip


def norm_case(chance, name):
    """The arguments of a call of ``name``, drawn at random."""
    dtype = chance.choice([torch.float32, torch.float64, torch.float16, torch.bfloat16])
    weights = torch.float32 if dtype.itemsize == 2 and chance.random() < 0.5 else dtype
    n, c, space = chance.randint(1, 4), 2 * chance.randint(1, 3), chance.choice([(), (3,), (2, 3)])
    x = torch.randn(n, c, *space).to(dtype)

    def affine(*shape):
        drawn = [torch.rand(shape).to(weights) for _ in range(2)]
        return drawn if chance.random() < 0.6 else [None, None]

    if name == "native_layer_norm":
        shape = tuple(x.shape[chance.randint(1, x.ndim - 1) :])
        return x, shape, *affine(*shape), 1e-5
    if name == "native_group_norm":
        size = x[0, 0].numel()
        return x, *affine(c), n, c, size, chance.choice([1, 2, c]), 1e-5
    training = chance.random() < 0.5
    w, b = affine(c)
    running = [torch.rand(c).to(x.dtype if w is None else w.dtype) + 0.5 for _ in range(2)]
    if training and chance.random() < 0.5:
        running = [None, None]
    return x, w, b, *running, training, 0.1, 1e-5


@pytest.mark.parity
@pytest.mark.parametrize("name", ["native_layer_norm", "native_group_norm", "native_batch_norm"])
def test_norms_and_their_statistics(name):
    peer = pytest.importorskip("torch")
    chance = random.Random(name)
    torch.manual_seed(len(name))
    for _ in range(60):
        args = norm_case(chance, name)
        same = [of(peer, a.clone()) if isinstance(a, torch.Tensor) else a for a in args]
        x, y = args[0].requires_grad_(), same[0].requires_grad_()
        what = f"{name} {args[0].dtype} {[getattr(a, 'shape', a) for a in args]}"
        found, right = getattr(torch, name)(*args), getattr(peer, name)(*same)
        for ours, theirs in zip(found, right, strict=True):
            matches(peer, ours, theirs, what)
        assert not found[1].requires_grad and not found[2].requires_grad
        g = torch.randn(x.shape).to(x.dtype)
        found[0].backward(g)
        right[0].backward(of(peer, g))
        if "16" not in what:  # PyTorch rounds more often there
            matches(peer, x.grad, y.grad, what)
        for ours, theirs in zip(args[3:5], same[3:5], strict=True):  # running statistics
            if isinstance(ours, torch.Tensor):
                matches(peer, ours, theirs, what)


def test_single_values_have_no_spread():
    x = torch.full((1, 2), 3.0)
    mean, var = torch.zeros(2), torch.ones(2)
    assert torch.batch_norm(x, None, None, mean, var, True, 0.5, 1e-5, True).tolist() == [[0, 0]]
    assert mean.tolist() == [1.5, 1.5] and var.isnan().all()
    assert torch.group_norm(x, 2).tolist() == [[0, 0]]
    for call in (lambda: torch.nn.functional.batch_norm(x, mean, var, training=True),
                 lambda: torch.nn.functional.group_norm(x, 2)):  # fmt: skip
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            call()


def test_refusals_of_norms():
    x = torch.ones(2, 4, 3)
    with pytest.raises(RuntimeError, match="Expected input of 2 \\* 4 \\* 2 elements"):
        torch.native_group_norm(x, None, None, 2, 4, 2, 2, 1e-5)
    with pytest.raises(RuntimeError, match="running_mean and running_var"):
        torch.native_batch_norm(x, None, None, None, None, False, 0.1, 1e-5)
    with pytest.raises(TypeError):
        torch.native_layer_norm(x, (3,))


@pytest.mark.parity
@pytest.mark.parametrize("train", [True, False, None])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_and_its_mask(p, train):
    peer = pytest.importorskip("torch")
    x = torch.arange(1.0, 25.0).reshape(4, 6).requires_grad_()
    y = of(peer, x.detach().clone()).requires_grad_()
    torch.manual_seed(3)
    peer.manual_seed(3)
    found, right = torch.native_dropout(x, p, train), peer.native_dropout(y, p, train)
    for ours, theirs in zip(found, right, strict=True):
        matches(peer, ours, theirs, "native_dropout")
    found[0].sum().backward()
    right[0].sum().backward()
    if train is not None:  # PyTorch's gradient leaves out 1 / (1 - p) there
        matches(peer, x.grad, y.grad, "native_dropout")
    for bad in (lambda t: t.native_dropout(t.ones(3), 1.5, True),
                lambda t: t.native_dropout(t.ones(3).int(), 0.5, True)):  # fmt: skip
        for library in (torch, peer):
            with pytest.raises(RuntimeError):
                bad(library)


@pytest.mark.parity
def test_norms_of_slices():
    peer = pytest.importorskip("torch")
    v = torch.randn(3, 4, 2)
    for order in (1, 2, 3):
        for dim in (-1, 0, 1, 2):
            found = torch.norm_except_dim(v, order, dim)
            matches(peer, found, peer.norm_except_dim(of(peer, v), order, dim), f"{order} {dim}")
    with pytest.raises(IndexError, match="but got 3"):
        torch.norm_except_dim(v, 2, 3)


@pytest.mark.parity
def test_hashes():
    peer = pytest.importorskip("torch")
    chance = random.Random(1)
    kinds = ["float16", "bfloat16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool"]
    for _ in range(80):
        shape = [chance.randint(1, 5) for _ in range(chance.randint(0, 3))]
        x = (torch.randn(shape) * 5).to(getattr(torch, chance.choice(kinds)))
        y = of(peer, x) if x.dtype is not torch.bool else peer.tensor(x.tolist())
        dims = [d - len(shape) * chance.randint(0, 1) for d in range(len(shape))]
        dim = chance.choice([(), *dims, tuple(chance.sample(dims, min(2, len(dims))))])
        keep = chance.random() < 0.5
        found = torch.hash_tensor(x, dim, keepdim=keep)
        right = peer.hash_tensor(y, dim, keepdim=keep)
        assert found.dtype is torch.uint64 and found.tolist() == right.tolist(), (x, dim, keep)
        assert found.shape == right.shape
    bad = (
        lambda t: t.hash_tensor(t.ones(2, dtype=t.complex64)),
        lambda t: t.hash_tensor(t.ones(2, dtype=t.uint16)),
        lambda t: t.hash_tensor(t.ones(2), mode=1),
        lambda t: t.hash_tensor(t.ones(2), dim=1),
        lambda t: t.hash_tensor(t.ones(0)),
        lambda t: t.hash_tensor(t.ones(0, 2), dim=0),
    )
    for call in bad:
        with pytest.raises((RuntimeError, IndexError)) as theirs:
            call(peer)
        with pytest.raises(IndexError if theirs.type is IndexError else RuntimeError):
            call(torch)
    assert torch.hash_tensor(torch.ones(0, 2), dim=1).shape == (0,)


def test_cond():
    x = torch.tensor([1.0, -3.0], requires_grad=True)
    y = torch.cond(x.sum() > 0, lambda v: v["x"], lambda v: v["x"] * v["x"], ({"x": x},))
    y.sum().backward()
    assert y.tolist() == [1, 9] and x.grad.tolist() == [2, -6]
    assert torch.cond(True, lambda: 1, lambda: 2) == 1
    same = lambda v: v
    for bad in (
        (torch.tensor([True, False]), same, same, (x,)),
        ("yes", same, same, (x,)),
        (torch.tensor(True), same, 5, (x,)),
        (torch.tensor(True), same, same, (3,)),
    ):
        with pytest.raises(RuntimeError, match="cond: Expect"):
            torch.cond(*bad)


def test_older_names_of_autocast():
    for kind in ("cpu", "ipu", "xla"):
        getattr(torch, f"set_autocast_{kind}_enabled")(True)
        assert getattr(torch, f"is_autocast_{kind}_enabled")() and torch.is_autocast_enabled(kind)
        getattr(torch, f"set_autocast_{kind}_enabled")(False)
        assert not torch.is_autocast_enabled(kind)
    for kind, device in (("cpu", "cpu"), ("gpu", "cuda"), ("xla", "xla"), ("ipu", "ipu")):
        before = torch.get_autocast_dtype(device)
        getattr(torch, f"set_autocast_{kind}_dtype")(torch.float16)
        assert getattr(torch, f"get_autocast_{kind}_dtype")() is torch.float16
        torch.set_autocast_dtype(device, before)
    torch.set_autocast_enabled(True)  # the older form is for CUDA
    assert torch.is_autocast_enabled() and not torch.is_autocast_enabled("cpu")
    torch.set_autocast_enabled(enabled=False)
    assert not torch.is_autocast_enabled("cuda")
    for wrong in ((5,), ("cpu",), ("cpu", 1)):
        with pytest.raises(TypeError, match="argument 'enabled' must be bool"):
            torch.set_autocast_enabled(*wrong)
    nested = torch.autocast_increment_nesting()
    assert torch.autocast_decrement_nesting() == nested - 1


def test_what_the_build_has():
    assert torch.has_lapack and torch.has_spectral and not torch.has_openmp
    assert torch.compiled_with_cxx11_abi() and not torch.is_vulkan_available()
    assert not torch.is_distributed(torch.ones(1))
    with pytest.warns(UserWarning, match="has_mps' is deprecated"):
        assert not torch.has_mps
