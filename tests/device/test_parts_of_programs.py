"""Parts of programs that make tensors of their own, which must lie beside the caller's."""

import gc
import io
import warnings

import pytest

import rushlight as T
from rushlight import nn
from tests.device.cases import Cases, normal
from tests.device.test_programs import assert_alike, on_cpu

D = T.distributions
F = nn.functional
CASES = Cases()
case = CASES.add


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@case
def sequences_packed_by_lengths_of_the_cpu(d):
    m = nn.LSTM(3, 4, batch_first=True, bidirectional=True).to(d)
    x = normal(d, 3, 5, 3).requires_grad_()
    packed = nn.utils.rnn.pack_padded_sequence(
        x, T.tensor([2, 5, 3]), batch_first=True, enforce_sorted=False
    )
    y, lengths = nn.utils.rnn.pad_packed_sequence(m(packed)[0], batch_first=True)
    y.sum().backward()
    return y, lengths, lengths.device.type == "cpu", x.grad, x.grad.stride()


@case
def lengths_of_labellings_on_the_cpu(d):
    x = normal(d, 6, 2, 4).log_softmax(2).requires_grad_()
    loss = F.ctc_loss(x, T.tensor([[1, 2], [3, 1]], device=d), T.tensor([6, 5]), (2, 1))
    loss.backward()
    return loss, x.grad


@case
def an_optimizer_loaded_from_another_device(d):
    def trained(m, o):
        for _ in range(2):
            o.zero_grad()
            m(T.ones(2, 3, device=d)).pow(2).sum().backward()
            o.step()

    results = []
    for name, options in (
        ("Adam", {}), ("AdamW", {"capturable": T.device(d).type != "cpu"}), ("SGD", {"momentum": 0.9}), ("NAdam", {}),
        ("Adagrad", {}), ("Adafactor", {}), ("Rprop", {}),
    ):  # fmt: skip
        T.manual_seed(0)
        m = nn.Linear(3, 2).to(d)
        o = getattr(T.optim, name)(m.parameters(), lr=1e-2, **options)
        trained(m, o)
        file = io.BytesIO()
        T.save({"model": m.state_dict(), "optimizer": o.state_dict()}, file)
        file.seek(0)
        saved = T.load(file, map_location="cpu")
        m = nn.Linear(3, 2).to(d)
        m.load_state_dict(saved["model"])
        o = getattr(T.optim, name)(m.parameters(), lr=1e-2, **options)
        o.load_state_dict(saved["optimizer"])
        trained(m, o)
        results += [*m.parameters()]
    return results


@case
def a_generator_of_the_device(d):
    g = T.Generator(device=d).manual_seed(3)
    return T.rand(3, device=d, generator=g).shape, g.initial_seed()


@case
def gradients_as_their_leaves_lie(d):
    x = normal(d, 2, 3, 4, 4).to(memory_format=T.channels_last).requires_grad_()
    y = normal(d, 3, 4).t().requires_grad_()
    z = normal(d, 3, 4).t()[::2].requires_grad_()
    nn.functional.relu(x).permute(0, 2, 3, 1).contiguous().cumsum(-1).pow(2).sum().backward()
    (y.exp().sum() + (y.reshape(-1)[:3] ** 2).sum() + (z @ normal(d, 3, 2)).sum()).backward()
    return [(t.grad, t.grad.stride()) for t in (x, y, z)]


@case
def gradients_are_added_in_place(d):
    x = normal(d, 3, 2).t().requires_grad_()
    (x * 2).sum().backward()
    kept, version = x.grad, x.grad._version
    (x * 3).sum().backward()
    return kept, x.grad is kept, kept._version - version


@case
def hooks_of_modules_whose_input_has_no_gradient(d):
    m, seen = nn.Bilinear(3, 3, 2).to(d), []
    m.register_full_backward_hook(lambda m, given, got: seen.append(given))
    x, y = normal(d, 2, 3).requires_grad_(), normal(d, 2, 3).requires_grad_()
    m(x, y.detach()).sum().backward()
    return [[g is None or g.device == x.device for g in given] for given in seen], x.grad


def _distributions(a):
    """Distributions whose parameters are made of ``a`` (3), which is positive."""
    eye = T.eye(3, device=a.device)
    normal, several = D.Normal(a, a), D.Categorical(logits=a)
    return [
        normal, D.Gamma(a, 2.0), D.Beta(a, 1.5), D.Exponential(a), D.Laplace(0.5, a),
        D.Bernoulli(logits=a), several, D.Dirichlet(a), D.StudentT(a), D.Uniform(-a, a),
        D.Gumbel(a, a), D.LogNormal(a, 1.0), D.Cauchy(a, a), D.HalfNormal(a), D.Geometric(a * 0.4),
        D.Multinomial(5, logits=a), D.MultivariateNormal(a, eye * 2),
        D.MultivariateNormal(a, precision_matrix=eye * 2), D.Independent(normal, 1),
        D.Weibull(a, a), D.Pareto(a, a), D.Kumaraswamy(a, a), D.Binomial(5, a * 0.4),
        D.RelaxedBernoulli(a[0], logits=a), D.RelaxedOneHotCategorical(a[0], logits=a),
        D.OneHotCategorical(logits=a), D.LowRankMultivariateNormal(a, eye[:, :1], a),
        D.MixtureSameFamily(several, normal), D.Wishart(a[0] + 4, eye[:2, :2]),
        D.TransformedDistribution(normal, [D.ExpTransform(), D.PowerTransform(2.0)]),
        D.TransformedDistribution(D.Independent(normal, 1), [D.StickBreakingTransform()]),
        D.TransformedDistribution(D.Independent(normal, 1), [D.CorrCholeskyTransform()]),
        D.FisherSnedecor(a + 2, a + 3), D.LKJCholesky(3, a[0]), D.InverseGamma(a, a),
    ]  # fmt: skip


def _asked(q):
    """What a distribution answers: draws, densities, and what it has of the rest."""
    T.manual_seed(3)
    x = q.sample((2,))
    found = [type(q).__name__, x, q.log_prob(x), q.expand((2, *q.batch_shape)).log_prob(x)]
    if q.has_rsample:
        T.manual_seed(3)
        found.append(q.rsample((2,)))
    if q.has_enumerate_support:
        found.append(q.enumerate_support())
    for get in (q.entropy, lambda: q.mean, lambda: q.variance, lambda: q.cdf(x)):
        try:
            found.append(get())
        except NotImplementedError:
            found.append(None)
    return found


@case
def distributions(d):
    a = T.tensor([0.5, 1.5, 2.0], device=d)
    kept = [_asked(q) for q in _distributions(a)]
    pairs = [(D.Normal(a, a), D.Normal(a + 1, 2.0)), (D.Beta(a, a), D.Pareto(a, a))]
    return kept, [D.kl_divergence(p, q) for p, q in pairs]


_LONG = ("distributions", "an_optimizer_loaded_from_another_device")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in _LONG else n for n in CASES]
)
def test_as_on_the_cpu(name, device):
    found = []
    for d in ("cpu", device.type):
        T.manual_seed(0)
        found.append(on_cpu(CASES[name](d)))
    assert_alike(found[1], found[0])


# Places that do not fit -------------------------------------------------------------------------


def test_what_lies_elsewhere_is_refused(device):
    near, far = T.ones(3, 2), T.ones(3, 2, device=device)
    where = T.tensor([0], device=device)
    with pytest.raises(RuntimeError, match="either on cpu or on the same device as the indexed"):
        near[where]
    with pytest.raises(RuntimeError, match="either on cpu or on the same device as the indexed"):
        near[where] = 2.0
    with pytest.raises(RuntimeError, match="either on cpu or on the same device as the indexed"):
        near.index_put((where,), T.ones(1, 2))
    with pytest.raises(RuntimeError, match=f"Expected out tensor to have device {device}, but got"):
        T.add(far, far, out=near)
    with pytest.raises(RuntimeError, match="assigned grad has data located on a different device"):
        far.clone().requires_grad_().grad = near
    leaf = far.clone().requires_grad_()
    with pytest.raises(RuntimeError, match=f"expected device {device} but got cpu"):
        (leaf * 2).backward(near)
    assert leaf.grad is None and near.tolist() == [[1.0, 1.0]] * 3
    leaf.sum().backward(T.tensor(2.0))  # a number is taken from the CPU
    assert leaf.grad.device == device and leaf.grad.tolist() == [[2.0, 2.0]] * 3
    far.index_put_((T.tensor([0]),), T.zeros(2, device=device))  # and so are indices
    assert far.tolist() == [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]


def test_copies_of_tensors_are_made_where_they_are_asked_for(device):
    near, far = T.ones(2), T.ones(2, device=device)
    assert T.tensor(far).device == device and T.tensor(near).device.type == "cpu"
    assert T.tensor(far, device="cpu").device.type == "cpu"
    assert T.tensor(near, device=device).device == device
    assert T.tensor(far, requires_grad=True).requires_grad
    assert T.tensor(far, dtype=T.float16).dtype is T.float16
    with T.device(device):
        assert T.tensor(near).device == device


def test_memory_that_is_lacking_is_not_counted(device):
    of = getattr(T, device.type)
    gc.collect()  # else garbage of other tests is freed when memory is lacking
    of.reset_peak_memory_stats()
    before = of.memory_allocated(), of.max_memory_allocated()
    with pytest.raises(RuntimeError, match=r"out of memory|too large") as caught:
        T.empty(1 << 45, device=device)
    assert (of.memory_allocated(), of.max_memory_allocated()) == before
    assert "Of the allocated memory 131072.00 GiB" not in str(caught.value)


def test_memory_of_a_device_stays_where_it_is(device):
    x = T.ones(2, device=device)
    assert x.share_memory_() is x and x.device == device
    assert x.record_stream(getattr(T, device.type).current_stream()) is None
    with pytest.raises(NotImplementedError, match="record_stream"):
        T.ones(2).record_stream(None)


def _written(x, d):
    y = T.zeros(x.shape, dtype=T.half, device=d)
    y[::2] = x[::2] * 1
    y[1::2] = x[1::2] * 1
    return y


#: Ways on which float64 becomes float16.
_TO_HALF = {
    "conversion": lambda x, d: x.half(),
    "result": lambda x, d: (x * 1).half(),
    "copy": lambda x, d: T.zeros(x.shape, dtype=T.half, device=d).copy_(x),
    "write": _written,
    "in place": lambda x, d: T.zeros(x.shape, dtype=T.half, device=d).add_(x),
    "out": lambda x, d: T.mul(x, 1, out=T.zeros(x.shape, dtype=T.half, device=d)),
    "sum": lambda x, d: x.unsqueeze(1).sum(1, dtype=T.half),
    "cumsum": lambda x, d: x.unsqueeze(1).cumsum(1, dtype=T.half).squeeze(1),
}


@pytest.mark.parametrize("way", _TO_HALF)
def test_float64_is_rounded_to_float16_from_float32(device, way):
    """As in PyTorch: numbers next to a tie become the tie first, and then the even neighbour."""
    numbers = [1 + 2**-11 + 2**-40, 65520 - 1e-9, 2**-25 * (1 + 2**-40), -1 - 2**-11 - 2**-40]
    x = T.tensor(numbers * 40, dtype=T.float64)
    for d in ("cpu", device):
        for call in (_TO_HALF[way], T.compile(_TO_HALF[way])):
            got = call(x.to(d), d).cpu()
            assert got.tolist() == [1.0, float("inf"), 0.0, -1.0] * 40
