"""Distributions that programs define, the same under PyTorch and here."""

import math

import pytest

import rushlight as torch
from tests.distributions.test_distributions import slopes
from tests.distributions.test_univariate import same

pytestmark = pytest.mark.parity


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


def squashed(t):
    """A normal distribution squashed by tanh, of soft actor-critic."""
    d = t.distributions

    class Tanh(d.transforms.Transform):
        domain = d.constraints.real
        codomain = d.constraints.interval(-1.0, 1.0)
        bijective = True
        sign = +1

        def __init__(self, cache_size=1):
            super().__init__(cache_size=cache_size)

        def __eq__(self, other):
            return isinstance(other, Tanh)

        def _call(self, x):
            return x.tanh()

        def _inverse(self, y):
            return 0.5 * (y.log1p() - (-y).log1p())

        def log_abs_det_jacobian(self, x, y):
            return 2.0 * (math.log(2.0) - x - t.nn.functional.softplus(-2.0 * x))

    class SquashedNormal(d.transformed_distribution.TransformedDistribution):
        def __init__(self, loc, scale):
            self.loc, self.scale = loc, scale
            self.base_dist = d.Normal(loc, scale)
            super().__init__(self.base_dist, [Tanh()])

        @property
        def mean(self):
            mean = self.loc
            for step in self.transforms:
                mean = step(mean)
            return mean

    return SquashedNormal


def truncated(t):
    """A normal distribution whose samples are clamped, straight through."""
    d = t.distributions

    class TruncatedNormal(d.Normal):
        def __init__(self, loc, scale, low=-1.0, high=1.0):
            super().__init__(loc, scale, validate_args=False)
            self.low, self.high = low, high

        def sample(self, clip=None, sample_shape=()):
            shape = self._extended_shape(sample_shape)
            noise = d.utils._standard_normal(shape, dtype=self.loc.dtype, device=self.loc.device)
            noise = (noise * self.scale).clamp(-clip, clip)
            x = self.loc + noise
            return x - x.detach() + x.clamp(self.low, self.high).detach()

    return TruncatedNormal


def own(t):
    """A distribution of its own, with a lazy parameter and a support that depends on one."""
    d = t.distributions

    class Triangle(d.Distribution):
        arg_constraints = {"width": d.constraints.positive}
        has_rsample = True

        def __init__(self, width, validate_args=None):
            (self.width,) = d.utils.broadcast_all(width)
            super().__init__(self.width.shape, validate_args=validate_args)

        @d.constraints.dependent_property(is_discrete=False, event_dim=0)
        def support(self):
            return d.constraints.interval(-self.width, self.width)

        @d.utils.lazy_property
        def peak(self):
            return 1 / self.width

        def rsample(self, sample_shape=()):
            shape = self._extended_shape(sample_shape)
            return (t.rand(shape) - t.rand(shape)) * self.width

        def log_prob(self, value):
            if self._validate_args:
                self._validate_sample(value)
            return (self.peak * (1 - value.abs() / self.width)).log()

    @d.register_kl(Triangle, Triangle)
    def _divergence(p, q):
        return (q.width / p.width).log()

    return Triangle


def test_soft_actor_critic(peer):
    found = []
    for t in (torch, peer):
        loc = t.tensor([[0.3, -1.0]], requires_grad=True)
        scale = t.tensor([[0.5, 2.0]], requires_grad=True)
        policy = squashed(t)(loc, scale)
        t.manual_seed(0)
        action = policy.rsample((4,))
        log_prob = policy.log_prob(action).sum(-1)
        found.append([policy.mean, action, log_prob, *slopes(t, log_prob, [loc, scale])])
    for got, want in zip(*found, strict=True):
        same(got, want, 1e-5, "squashed")


def test_clamped_samples(peer):
    found = []
    for t in (torch, peer):
        loc = t.tensor([[0.3, -1.0]], requires_grad=True)
        policy = truncated(t)(loc, t.full_like(loc, 0.7))
        t.manual_seed(0)
        action = policy.sample(clip=0.3, sample_shape=(20,))
        found.append([action, *slopes(t, action, [loc]), policy.log_prob(action)])
        with pytest.raises(NotImplementedError):
            policy.expand((3, 2))
    for got, want in zip(*found, strict=True):
        same(got, want, 1e-5, "clamped")


def test_a_distribution_of_ones_own(peer):
    found = []
    for t in (torch, peer):
        kind = own(t)
        d = kind(t.tensor([1.0, 3.0]))
        t.manual_seed(0)
        samples = d.sample((3,))
        found.append([samples, d.log_prob(samples), t.distributions.kl_divergence(d, kind(2.0))])
        assert repr(d).startswith("Triangle(width: ")
        with pytest.raises(ValueError):
            d.log_prob(t.tensor(2.0))
        with pytest.raises(ValueError):
            kind(-1.0)
        independent = t.distributions.Independent(d, 1)
        found[-1].append(independent.log_prob(samples))
    for got, want in zip(*found, strict=True):
        same(got, want, 1e-5, "own")
