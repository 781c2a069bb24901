"""Joining parameters changes no bit of what stepping each by itself gives, whatever happens."""

import copy
import pickle

import numpy as np
import pytest

import rushlight
from rushlight.optim import bundle
from tests.optim.test_rules import RULES

SHAPES = [(3, 4), (5,), (), (2, 3), (100, 90), (7,)]


class Pair:
    """The same parameters under one optimizer, and each under an optimizer of its own."""

    def __init__(self, kind, options, seed):
        self.draw = np.random.default_rng(seed)
        self.kind, self.options = getattr(rushlight.optim, kind), options
        self.params = [self.parameter(shape) for shape in SHAPES]
        self.joined = self.kind(self.params, **options)
        self.twins = [p.detach().clone().requires_grad_() for p in self.params]
        self.apart = [self.kind([p], **options) for p in self.twins]

    def parameter(self, shape):
        return rushlight.from_numpy(self.draw.standard_normal(shape).astype("f4")).requires_grad_()

    def step(self):
        everyone = self.draw.random() < 0.6
        for p, twin in zip(self.params, self.twins, strict=True):
            g = self.draw.standard_normal(p.shape).astype("f4")
            some = everyone or self.draw.random() < 0.7
            p.grad = rushlight.from_numpy(g) if some else None
            twin.grad = None if p.grad is None else p.grad.clone()
        self.joined.step()
        for optimizer in self.apart:
            optimizer.step()
        for p, twin, optimizer in zip(self.params, self.twins, self.apart, strict=True):
            assert p.detach().numpy().tobytes() == twin.detach().numpy().tobytes()
            ours, theirs = self.joined.state.get(p, {}), optimizer.state.get(twin, {})
            # Adagrad makes its state with the optimizer, but not for parameters added later.
            assert list(ours) == list(theirs) or (self.kind.__name__ == "Adagrad" and not ours)
            for name, value in ours.items():
                assert value.numpy().tobytes() == theirs[name].numpy().tobytes(), name

    # What may happen between steps -------------------------------------------------------

    def grow(self):
        p = self.parameter((4, 2))
        self.params.append(p)
        self.twins.append(p.detach().clone().requires_grad_())
        self.joined.add_param_group({"params": [p]})
        self.apart.append(self.kind([self.twins[-1]], **self.options))

    def replace_state(self):
        for p, twin, optimizer in zip(self.params, self.twins, self.apart, strict=True):
            for state, owner in (self.joined.state, p), (optimizer.state, twin):
                for name, value in state.get(owner, {}).items():
                    state[owner][name] = value.clone()

    def replace_data(self):
        for p in (self.params[1], self.twins[1]):
            p.data = p.detach() * 2

    def scale_state(self):
        for optimizer in (self.joined, *self.apart):
            for state in optimizer.state.values():
                for name, value in state.items():
                    if name != "step":
                        value *= 0.5

    def replace_memory_of_state(self):
        for optimizer in (self.joined, *self.apart):
            for state in optimizer.state.values():
                for name, value in state.items():
                    value.data = value.detach() * (1.0 if name == "step" else 0.5)

    def drop_state(self):
        for optimizer in (self.joined, *self.apart):
            for p in [p for p in optimizer.state if p.ndim == 1]:
                del optimizer.state[p]

    def change_rate(self):
        for optimizer in (self.joined, *self.apart):
            for group in optimizer.param_groups:
                group["lr"] = 0.0123

    def copied(self):
        self.joined = copy.deepcopy(self.joined)
        self.params = [p for group in self.joined.param_groups for p in group["params"]]

    def pickled(self):
        self.joined = pickle.loads(pickle.dumps(self.joined))
        self.params = [p for group in self.joined.param_groups for p in group["params"]]

    def reload(self):
        saved = self.joined.state_dict()
        before = [p for group in self.joined.param_groups for p in group["params"]]
        groups = [
            {"params": before[start : start + len(group["params"])]}
            for group, start in zip(self.joined.param_groups, self.starts(), strict=True)
        ]
        self.joined = self.kind(groups, **self.options)
        self.joined.load_state_dict(saved)

    def starts(self):
        start = 0
        for group in self.joined.param_groups:
            yield start
            start += len(group["params"])


OTHERS = "parameter", "step", "starts"
EVENTS = [name for name in vars(Pair) if not name.startswith("_") and name not in OTHERS]


@pytest.mark.parametrize("rule", RULES)
def test_joined_is_apart(rule):
    kind, options = RULES[rule]
    pair = Pair(kind, options, seed=0)
    for i in range(40):
        pair.step()
        if i % 3 == 2:
            getattr(pair, EVENTS[(i // 3) % len(EVENTS)])()


@pytest.mark.parametrize("seed", range(4))
def test_joined_is_apart_in_any_order(seed):
    pair = Pair("AdamW", {"amsgrad": True}, seed)
    for name in pair.draw.choice(EVENTS, 30):
        pair.step()
        getattr(pair, name)()


def adam(*params):
    for p in params:
        p.grad = rushlight.ones(p.shape, dtype=p.dtype)
    return rushlight.optim.Adam(params)


@pytest.mark.skipif(bundle.SMALL == 1, reason="no parameter is small")
def test_small_parameters_share_memory_and_keep_their_own():
    p, q = rushlight.zeros(3), rushlight.zeros(2, 2)
    memory = p.data_ptr(), q.data_ptr()
    optimizer = adam(p, q)
    optimizer.step()
    assert (p.data_ptr(), q.data_ptr()) == memory
    mean = optimizer.state[p]["exp_avg"]
    optimizer.step()
    assert optimizer.state[p]["exp_avg"] is mean
    assert optimizer.state[q]["exp_avg"].data_ptr() == mean.data_ptr() + 3 * 4
    assert [s["step"].item() for s in optimizer.state.values()] == [2.0, 2.0]


def test_large_parameters_are_updated_in_blocks(monkeypatch):
    """However a parameter is cut, it gets the same bits."""
    found = []
    for size in (20000, 20480, 10**9):
        monkeypatch.setattr(bundle, "CACHE", size)
        p = rushlight.linspace(-1, 1, 9001)
        optimizer = rushlight.optim.Adam([p])
        for _ in range(3):
            p.grad = p.detach() * 3
            optimizer.step()
        found.append(p.numpy().tobytes())
    assert len(set(found)) == 1


@pytest.mark.parametrize("size", [3, 120])
def test_odd_strides(size):
    """Transposed parameters, expanded gradients: the same as contiguous ones."""
    base = np.random.default_rng(0).standard_normal((size, size)).astype("f4")
    p = rushlight.from_numpy(base.copy()).t()
    q = rushlight.from_numpy(np.ascontiguousarray(base.T))
    for tensor in (p, q):
        tensor.grad = rushlight.ones(1, size).expand(size, size)
        optimizer = rushlight.optim.SGD([tensor], lr=0.1, momentum=0.9)
        optimizer.step()
        optimizer.step()
    assert np.array_equal(p.numpy(), q.numpy())


def test_parameters_that_are_one_memory_are_updated_in_turn():
    """Two tensors over one memory each take their own step on it."""
    p = rushlight.zeros(3)
    q = p.detach()
    p.grad, q.grad = rushlight.ones(3), rushlight.ones(3)
    rushlight.optim.SGD([p, q], lr=1.0).step()
    assert p.tolist() == [-2.0] * 3


def test_a_step_is_seen_by_the_tape():
    """A value that a gradient needs and that a step overwrote is refused, as for any write."""
    w = rushlight.ones(2, requires_grad=True)
    loss = (w * w).sum()
    w.grad = rushlight.ones(2)
    rushlight.optim.SGD([w]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_state_of_another_shape_is_refused():
    p = rushlight.zeros(3)
    optimizer = adam(p)
    optimizer.state[p]["exp_avg"] = rushlight.zeros(4)
    with pytest.raises(RuntimeError, match=r"state tensor \(4,\).*shape \(3,\)"):
        optimizer.step()


def test_steps_do_not_warn_and_give_pytorchs_infinities():
    p = rushlight.zeros(3)
    optimizer = rushlight.optim.Adam([p], eps=0.0)
    p.grad = rushlight.tensor([0.0, 1e30, float("inf")])
    optimizer.step()
    assert p.isnan().tolist() == [True, False, True]
