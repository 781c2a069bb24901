"""GradScaler against PyTorch's: scales, steps left out, state and what it refuses."""

import pickle

import numpy as np
import pytest

import rushlight as torch


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


def training(t, **options):
    """Scales and weights over steps of which some have gradients that are not finite."""
    w = t.nn.Parameter(t.tensor([1.0, -2.0]))
    optimizer = t.optim.SGD([w], lr=0.1, momentum=0.9)
    scaler = t.amp.GradScaler("cpu", **options)
    found = []
    for k in range(14):
        optimizer.zero_grad()
        factor = {3: float("inf"), 4: float("nan"), 9: 1e38}.get(k, 1.0)
        scaler.scale(w.square().sum() * factor).backward()
        if k % 3 == 0:
            scaler.unscale_(optimizer)
            t.nn.utils.clip_grad_norm_([w], 1.0)
        scaler.step(optimizer)
        scaler.update(8.0 if k == 11 else None)
        state = scaler.state_dict()
        found += [*state.values(), *w.tolist()]
    return found


@pytest.mark.parity
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"init_scale": 16.0, "growth_interval": 2},
        {"init_scale": 3.0, "growth_factor": 1.5, "backoff_factor": 0.25, "growth_interval": 3},
        {"init_scale": 2.0**127, "growth_interval": 1},  # cannot grow
    ],
)
def test_trajectories(options, peer):
    np.testing.assert_allclose(training(torch, **options), training(peer, **options), rtol=1e-5)


def test_disabled():
    w = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([w], lr=1.0)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    loss = w.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert w.tolist() == [0.0, 0.0] and scaler.state_dict() == {} and scaler.get_scale() == 1.0
    scaler.load_state_dict({})
    with pytest.warns(UserWarning, match="CUDA"):
        assert not torch.amp.GradScaler().is_enabled()


def test_scales_what_is_nested():
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    x = torch.ones(2)
    first, (second,) = scaler.scale([x, (x * 2,)])
    assert first.tolist() == [4.0, 4.0] and second.tolist() == [8.0, 8.0]
    assert [t.tolist() for t in scaler.scale(iter([x]))] == [[4.0, 4.0]]
    with pytest.raises(ValueError):
        scaler.scale(3)


def refusals(t):
    """The errors of calls in a wrong order."""
    w = t.nn.Parameter(t.ones(2))
    optimizer = t.optim.SGD([w], lr=0.1)
    found = []

    def refused(call):
        try:
            call()
        except (RuntimeError, AssertionError, ValueError) as error:
            found.append(type(error))
        else:
            found.append(None)

    scaler = t.amp.GradScaler("cpu")
    refused(scaler.update)
    scaler.scale(w.sum())
    refused(scaler.update)
    refused(lambda: scaler.step(optimizer))  # no gradients
    scaler = t.amp.GradScaler("cpu")
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    refused(lambda: scaler.unscale_(optimizer))
    refused(lambda: pickle.dumps(scaler))
    scaler.step(optimizer)
    refused(lambda: scaler.step(optimizer))
    refused(lambda: scaler.unscale_(optimizer))
    refused(lambda: scaler.step(optimizer, closure=lambda: 0))
    scaler.update()
    refused(lambda: scaler.load_state_dict({}))
    refused(lambda: t.amp.GradScaler("cpu", growth_factor=1.0))
    refused(lambda: t.amp.GradScaler("cpu", backoff_factor=1.0))
    half = t.nn.Parameter(t.ones(2).half())
    half.grad = t.ones(2).half()
    refused(lambda: scaler.unscale_(t.optim.SGD([half], lr=0.1)))
    return found


@pytest.mark.parity
def test_refusals(peer):
    got = refusals(torch)
    assert got == refusals(peer) and None not in got


class Scene:
    """A scaler with three optimizers, of which one never has gradients, and what may be called."""

    def __init__(self, t):
        self.t, self.w = t, t.nn.Parameter(t.ones(2))
        self.optimizer, self.other, self.idle = (
            t.optim.SGD([p], lr=0.1) for p in (self.w, t.nn.Parameter(t.ones(2)), t.nn.Parameter(t.ones(1)))
        )  # fmt: skip
        self.other.param_groups[0]["params"][0].grad = t.ones(2)
        self.scaler = t.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)

    def pickled(self):
        self.scaler = pickle.loads(pickle.dumps(self.scaler))

    def calls(self):
        t, s, one = self.t, self.scaler, self.t.tensor(1.0)
        saved = {"scale": 16.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 3}
        return [
            lambda: s.scale((self.w * self.w).sum()).backward(),
            lambda: s.scale([one, (one,)]),
            lambda: list(s.scale(x for x in [one])),
            lambda: s.scale(3),
            lambda: setattr(self.w, "grad", t.tensor([float("inf"), 1.0])),
            lambda: s.step(self.optimizer),
            lambda: s.step(self.other),
            lambda: s.step(self.idle),
            lambda: s.step(self.optimizer, closure=int),
            lambda: s.unscale_(self.optimizer),
            lambda: s.unscale_(self.idle),
            s.update,
            lambda: s.update(8.0),
            lambda: s.update("8"),
            lambda: s.update(t.tensor(8.0)),
            lambda: s.update(t.tensor([8.0, 1.0])),
            lambda: s.update(t.tensor(8.0, requires_grad=True)),
            s.get_scale,
            s.state_dict,
            lambda: s.load_state_dict({**saved, "_growth_tracker": 1}),
            lambda: s.load_state_dict({}),
            self.pickled,
        ]


def told(t, order):
    """What calls in this order give or raise, and the weights after them."""
    scene, found = Scene(t), []
    for n in order:
        try:
            found.append(repr(scene.calls()[n]()))
        except Exception as error:
            found.append((type(error), "" if type(error) is AttributeError else str(error)))
    return [*found, scene.w.tolist()]


@pytest.mark.parity
def test_calls_in_any_order(peer):
    rng = np.random.default_rng(0)
    for _ in range(500):
        order = rng.integers(0, 22, rng.integers(1, 8)).tolist()
        assert told(torch, order) == told(peer, order), order


def test_state_goes_on():
    def steps(scaler, count):
        w = torch.nn.Parameter(torch.ones(2))
        optimizer = torch.optim.SGD([w], lr=0.1)
        for _ in range(count):
            optimizer.zero_grad()
            scaler.scale(w.sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        return scaler.state_dict()

    options = {"init_scale": 2.0, "growth_interval": 3}
    unbroken = steps(torch.amp.GradScaler("cpu", **options), 7)
    first = torch.amp.GradScaler("cpu", **options)
    state = steps(first, 4)
    resumed = torch.amp.GradScaler("cpu")
    resumed.load_state_dict(state)
    copied = pickle.loads(pickle.dumps(first))
    used = torch.amp.GradScaler("cpu")
    steps(used, 1)
    used.load_state_dict(state)
    for scaler in (resumed, copied, used):
        assert steps(scaler, 3) == unbroken


def test_getters_and_setters():
    scaler = torch.amp.GradScaler("cpu")
    scaler.set_growth_factor(3.0)
    scaler.set_backoff_factor(0.1)
    scaler.set_growth_interval(5)
    found = scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()
    assert found == (3.0, 0.1, 5)


def test_a_compiled_step_runs_eagerly():
    def train(prepare):
        w = torch.ones(2, requires_grad=True)
        optimizer, scaler = (
            torch.optim.SGD([w], lr=0.1),
            torch.amp.GradScaler("cpu", init_scale=8.0),
        )

        def step(x):
            optimizer.zero_grad()
            loss = (w * x).pow(2).sum()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            return loss

        step = prepare(step)
        return [step(torch.ones(2)).item() for _ in range(3)]

    with pytest.warns(UserWarning, match="GradScaler cannot look"):
        assert train(torch.compile) == train(lambda f: f)


def test_a_compiled_step_may_scale_the_loss():
    w, scaler = torch.ones(2, requires_grad=True), torch.amp.GradScaler("cpu", init_scale=8.0)

    @torch.compile(fullgraph=True)
    def step(x):
        scaler.scale((w * x).sum()).backward()

    step(torch.ones(2))
    step(torch.ones(2))
    assert w.grad.tolist() == [16, 16] and scaler.get_scale() == 8
