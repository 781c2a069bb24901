"""Groups, state dicts, hooks and closures, as PyTorch has them; what it refuses, it refuses."""

import copy
import importlib
import pickle

import pytest

import rushlight


def base(torch):
    """The module of Optimizer, which PyTorch's package does not show."""
    return importlib.import_module(f"{torch.__name__}.optim.optimizer")


def leaf(torch, *shape):
    return torch.ones(shape).requires_grad_()


def stepped(torch, optimizer, steps=1):
    for i in range(steps):
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = torch.full_like(p.detach(), 0.5 + i)
        optimizer.step()
    return optimizer


KINDS = {
    "SGD": {"momentum": 0.9},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adagrad": {},
    "Adadelta": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "Rprop": {},
    "ASGD": {},
}

WRONG = {
    "a tensor": lambda t, o: o.SGD(leaf(t, 2)),
    "nothing": lambda t, o: o.SGD([]),
    "None": lambda t, o: o.SGD(None),
    "a number": lambda t, o: o.SGD([3]),
    "a list in a list": lambda t, o: o.SGD([[leaf(t, 2)]]),
    "a non-leaf": lambda t, o: o.SGD([leaf(t, 2) * 2]),
    "a set in a group": lambda t, o: o.SGD([{"params": {leaf(t, 2)}}]),
    "no params": lambda t, o: o.SGD([{"lr": 1.0}]),
    "a group, then a tensor": lambda t, o: o.SGD([{"params": [leaf(t, 2)]}, leaf(t, 2)]),
    "one in two groups": lambda t, o: o.SGD([{"params": p} for p in [leaf(t, 2)] * 2]),
    "some names": lambda t, o: o.SGD([("a", leaf(t, 2)), leaf(t, 2)]),
    "one group with names": lambda t, o: o.SGD(
        [{"params": [("a", leaf(t, 2))]}, {"params": [leaf(t, 2)]}]
    ),
    "a required option": lambda t, o: o.Optimizer([leaf(t, 2)], {"lr": base(t).required}),
    "an abstract step": lambda t, o: o.Optimizer([leaf(t, 2)], {}).step(),
    "SGD lr": lambda t, o: o.SGD([leaf(t, 2)], lr=-1.0),
    "SGD lr of two": lambda t, o: o.SGD([leaf(t, 2)], lr=t.ones(2)),
    "SGD lr of text": lambda t, o: o.SGD([leaf(t, 2)], lr="0.1"),
    "SGD momentum": lambda t, o: o.SGD([leaf(t, 2)], momentum=-0.1),
    "SGD decay": lambda t, o: o.SGD([leaf(t, 2)], weight_decay=-0.1),
    "SGD nesterov": lambda t, o: o.SGD([leaf(t, 2)], nesterov=True),
    "SGD nesterov, dampening": lambda t, o: o.SGD(
        [leaf(t, 2)], momentum=0.9, dampening=0.1, nesterov=True
    ),
    "SGD fused, foreach": lambda t, o: o.SGD([leaf(t, 2)], fused=True, foreach=True),
    "SGD fused, differentiable": lambda t, o: o.SGD([leaf(t, 2)], fused=True, differentiable=True),
    "SGD positional": lambda t, o: o.SGD([leaf(t, 2)], 0.1, 0.9, 0, 0, False, True),
    "Adam lr": lambda t, o: o.Adam([leaf(t, 2)], lr=-1.0),
    "Adam lr of two": lambda t, o: o.Adam([leaf(t, 2)], lr=t.ones(2)),
    "Adam eps": lambda t, o: o.Adam([leaf(t, 2)], eps=-1.0),
    "Adam decay": lambda t, o: o.Adam([leaf(t, 2)], weight_decay=-1.0),
    "Adam beta 0": lambda t, o: o.Adam([leaf(t, 2)], betas=(1.0, 0.9)),
    "Adam beta 1": lambda t, o: o.Adam([leaf(t, 2)], betas=(0.9, -0.1)),
    "Adam int beta": lambda t, o: o.Adam([leaf(t, 2)], betas=(0, 0.9)),
    "Adam one tensor beta": lambda t, o: o.Adam([leaf(t, 2)], betas=(t.tensor(0.9), 0.9)),
    "Adam beta of two": lambda t, o: o.Adam([leaf(t, 2)], betas=(t.zeros(2), t.zeros(2))),
    "Adam foreach, tensor lr": lambda t, o: o.Adam([leaf(t, 2)], lr=t.tensor(0.1), foreach=True),
    "Adam fused, foreach": lambda t, o: o.Adam([leaf(t, 2)], fused=True, foreach=True),
    "AdamW lr": lambda t, o: o.AdamW([leaf(t, 2)], lr=-1.0),
    "RMSprop lr": lambda t, o: o.RMSprop([leaf(t, 2)], lr=-1.0),
    "RMSprop alpha": lambda t, o: o.RMSprop([leaf(t, 2)], alpha=-1.0),
    "RMSprop momentum": lambda t, o: o.RMSprop([leaf(t, 2)], momentum=-1.0),
    "RMSprop eps": lambda t, o: o.RMSprop([leaf(t, 2)], eps=-1.0),
    "Adagrad lr_decay": lambda t, o: o.Adagrad([leaf(t, 2)], lr_decay=-1.0),
    "Adagrad start": lambda t, o: o.Adagrad([leaf(t, 2)], initial_accumulator_value=-1.0),
    "Adagrad fused, differentiable": lambda t, o: o.Adagrad(
        [leaf(t, 2)], fused=True, differentiable=True
    ),
    "load: groups": lambda t, o: o.SGD([leaf(t, 2)]).load_state_dict(
        {"state": {}, "param_groups": []}
    ),
    "load: sizes": lambda t, o: o.SGD([leaf(t, 2)]).load_state_dict(
        o.SGD([leaf(t, 2), leaf(t, 2)]).state_dict()
    ),
    "add: no dict": lambda t, o: o.SGD([leaf(t, 2)]).add_param_group([leaf(t, 2)]),
}


@pytest.mark.parity
@pytest.mark.parametrize("what", WRONG)
def test_refusals_are_pytorchs(parity, what):
    parity(lambda torch: WRONG[what](torch, torch.optim) and None, raises=True)


def test_messages_name_what_disagrees():
    w = rushlight.ones(2, 3, requires_grad=True)
    sgd = rushlight.optim.SGD
    with pytest.raises(TypeError, match=r"SGD: params argument.*Tensor of shape \(2, 3\)"):
        sgd(w)
    with pytest.raises(ValueError, match=r"can't optimize a non-leaf.*\(2, 3\).*MulBackward0"):
        sgd([w * 2])
    with pytest.raises(ValueError, match=r"parameter 1 \(2, 3\) of group 1 is in an earlier one"):
        sgd([{"params": [w]}, {"params": [rushlight.ones(1), w]}])
    with pytest.raises(ValueError, match="group 0 has 2 parameters, the optimizer's has 1"):
        sgd([w]).load_state_dict(sgd([w, rushlight.ones(1)]).state_dict())


@pytest.mark.parity
@pytest.mark.parametrize("kind", KINDS)
def test_repr_and_groups(parity, kind):
    def script(torch):
        make = getattr(torch.optim, kind)
        named = [("w", leaf(torch, 2)), ("b", leaf(torch, 3))]
        several = [{"params": leaf(torch, 2)}, {"params": (leaf(torch, 3),), "lr": 0.5, "note": 7}]
        first = make(named, **KINDS[kind])
        second = make(several, lr=torch.tensor(0.25))
        second.add_param_group({"params": leaf(torch, 1), "weight_decay": 0.5})
        options = [{k: v for k, v in g.items() if k != "params"} for g in second.param_groups]
        sizes = [[tuple(p.shape) for p in g["params"]] for g in second.param_groups]
        return repr(first), repr(second), options, sizes, first.defaults, list(vars(first))[:3]

    parity(script)


@pytest.mark.parity
@pytest.mark.parametrize("kind", KINDS)
def test_state_dict_before_and_after_steps(parity, kind):
    """Keys, their order and their values, with a parameter that never has a gradient."""

    def script(torch):
        params = [leaf(torch, 2), leaf(torch, 3), leaf(torch), leaf(torch, 2, 2)]
        optimizer = getattr(torch.optim, kind)(params, **KINDS[kind])
        seen = [copy.deepcopy(optimizer.state_dict())]
        for i in range(3):
            for p in params:
                p.grad = torch.full_like(p.detach(), 0.5)
            params[1].grad = None
            params[3].grad = None if i == 0 else params[3].grad
            optimizer.step()
            seen.append(copy.deepcopy(optimizer.state_dict()))
        return seen

    parity(script, rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("kind", KINDS)
def test_loading(parity, kind):
    """A loaded state goes on like the saved one, in the parameters' dtype, names kept."""

    def script(torch):
        make = lambda params, **more: getattr(torch.optim, kind)(params, **KINDS[kind], **more)
        first = stepped(torch, make([leaf(torch, 2), leaf(torch, 3)], lr=0.3), 3)
        saved = copy.deepcopy(first.state_dict())
        wide = [torch.ones(n, dtype=torch.float64, requires_grad=True) for n in (2, 3)]
        second = make([("a", wide[0]), ("b", wide[1])], maximize=True)
        second.load_state_dict(copy.deepcopy(saved))  # PyTorch goes on to write what it loaded
        loaded = copy.deepcopy(second.state_dict())
        stepped(torch, second, 2)
        return saved, loaded, second.state_dict(), wide, first.state_dict()

    parity(script, rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints_of_older_versions(parity, kind):
    """Step counts that are numbers, groups that lack the newer options."""

    def script(torch):
        make = lambda: getattr(torch.optim, kind)([leaf(torch, 2)], lr=0.1, **KINDS[kind])
        saved = copy.deepcopy(stepped(torch, make(), 2).state_dict())
        old = "lr", "momentum", "weight_decay", "dampening", "betas", "eps", "params", "alpha"
        group = saved["param_groups"][0]
        old = *old, "amsgrad", "centered", "lr_decay", "initial_accumulator_value"
        old = *old, "rho", "etas", "step_sizes", "momentum_decay", "lambd", "t0"
        saved["param_groups"] = [{k: v for k, v in group.items() if k in old}]
        for state in saved["state"].values():
            if "step" in state:
                state["step"] = 2
        optimizer = make()
        optimizer.load_state_dict(saved)
        loaded = copy.deepcopy(optimizer.state_dict())
        return loaded, stepped(torch, optimizer).state_dict()

    parity(script, rtol=1e-6)


def test_loading_copies():
    """Unlike PyTorch's, a loaded state shares no memory with the dict that it came from."""
    first = stepped(rushlight, rushlight.optim.Adam([leaf(rushlight, 2)]))
    second = rushlight.optim.Adam([leaf(rushlight, 2)])
    second.load_state_dict(first.state_dict())
    stepped(rushlight, second, 3)
    assert first.state_dict()["state"][0]["step"].item() == 1.0


@pytest.mark.parity
def test_hooks(parity):
    def script(torch):
        seen = []
        note = lambda name: lambda *args: seen.append((name, len(args), args[0].defaults["lr"]))
        optimizer = torch.optim.SGD([leaf(torch, 2)], lr=0.1)
        everywhere = base(torch)
        handles = [
            optimizer.register_step_pre_hook(note("pre")),
            optimizer.register_step_post_hook(note("post")),
            everywhere.register_optimizer_step_pre_hook(note("all pre")),
            everywhere.register_optimizer_step_post_hook(note("all post")),
            optimizer.register_state_dict_pre_hook(note("save pre")),
            optimizer.register_state_dict_pre_hook(note("save first"), prepend=True),
            optimizer.register_state_dict_post_hook(lambda o, d: {**d, "extra": 3}),
            optimizer.register_state_dict_post_hook(note("save post")),
            optimizer.register_load_state_dict_pre_hook(lambda o, d: seen.append(sorted(d))),
            optimizer.register_load_state_dict_pre_hook(
                lambda o, d: {**d, "param_groups": [{**d["param_groups"][0], "lr": 0.7}]}
            ),
            optimizer.register_load_state_dict_post_hook(note("load post")),
        ]
        stepped(torch, optimizer)
        optimizer.load_state_dict(optimizer.state_dict())
        seen.append(optimizer.param_groups[0]["lr"])
        for handle in handles:
            handle.remove()
        stepped(torch, optimizer)
        optimizer.load_state_dict(optimizer.state_dict())
        return seen

    parity(script)


@pytest.mark.parity
def test_hooks_that_replace_the_closure(parity):
    def script(torch):
        optimizer = torch.optim.SGD([leaf(torch, 2)], lr=0.1)
        optimizer.register_step_pre_hook(lambda o, args, kwargs: ((args[0], lambda: 7.0), kwargs))
        return optimizer.step(), optimizer.step(lambda: 3.0)

    def wrong(torch):
        optimizer = torch.optim.SGD([leaf(torch, 2)], lr=0.1)
        optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
        optimizer.step()

    parity(script)
    parity(wrong, raises=True)


def test_a_hook_runs_once_around_a_subclass_that_calls_super():
    class Careful(rushlight.optim.SGD):
        def step(self, closure=None):
            return super().step(closure)

    seen = []
    optimizer = Careful([leaf(rushlight, 2)])
    optimizer.register_step_pre_hook(lambda *args: seen.append(1))
    optimizer.step()
    optimizer.step()
    assert seen == [1, 1]


@pytest.mark.parity
def test_own_optimizers(parity):
    """A subclass of Optimizer with its own step has hooks, closures, schedulers and state."""

    def script(torch):
        required = base(torch).required

        class Signs(torch.optim.Optimizer):
            def __init__(self, params, lr=required):
                super().__init__(params, {"lr": lr})

            @torch.no_grad()
            def step(self, closure=None):
                loss = None
                if closure is not None:
                    with torch.enable_grad():
                        loss = closure()
                for group in self.param_groups:
                    for p in group["params"]:
                        self.state[p]["n"] = self.state[p].get("n", 0) + 1
                        p.add_(p.grad.sign(), alpha=-group["lr"])
                return loss

        w = leaf(torch, 2)
        optimizer = Signs([w], lr=0.25)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        seen = []
        optimizer.register_step_post_hook(lambda *args: seen.append(len(args)))

        def closure():
            optimizer.zero_grad()
            loss = (w * w).sum()
            loss.backward()
            return loss

        for _ in range(3):
            seen.append(optimizer.step(closure).detach())
            scheduler.step()
        return seen, w, optimizer.state_dict(), repr(optimizer)

    parity(script, rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(parity, set_to_none):
    def script(torch):
        w, b = leaf(torch, 2), leaf(torch, 1)
        optimizer = torch.optim.SGD([w, b])
        w.grad = torch.autograd.grad((w * w * w).sum(), w, create_graph=True)[0]
        optimizer.zero_grad(set_to_none=set_to_none)
        return w.grad, b.grad, w.grad is not None and w.grad.requires_grad

    parity(script)


@pytest.mark.parity
@pytest.mark.parametrize("kind", KINDS)
def test_duplicates_and_parameters_without_gradients(parity, kind):
    def script(torch):
        w, frozen = leaf(torch, 2), leaf(torch, 3)
        optimizer = getattr(torch.optim, kind)([w, w, frozen], lr=0.1)
        before = w._version
        w.grad = torch.ones(2)
        for _ in range(3):
            optimizer.step()
        return w, frozen, optimizer.state_dict(), w._version > before, frozen._version

    parity(script, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_pickle_and_copies(kind):
    """A pickled or copied optimizer goes on by itself, with the same result."""
    make = lambda: getattr(rushlight.optim, kind)([leaf(rushlight, 2, 3)], **KINDS[kind])
    original = stepped(rushlight, make(), 2)
    twins = [copy.deepcopy(original), pickle.loads(pickle.dumps(original))]
    expected = stepped(rushlight, original, 2).param_groups[0]["params"][0]
    for twin in twins:
        (p,) = twin.param_groups[0]["params"]
        assert p is not expected
        stepped(rushlight, twin, 2)
        assert p.tolist() == expected.tolist()
        assert repr(twin) == repr(original)
        assert set(vars(twin)) >= {"state", "defaults", "param_groups"}


@pytest.mark.parity
def test_under_other_modes(parity):
    """Grad mode is left as it was, and neither it nor inference mode matters to a step."""

    def script(torch):
        seen = []
        look = lambda: seen.append(torch.is_grad_enabled())
        for enter in (torch.no_grad, torch.enable_grad, torch.inference_mode):
            w = leaf(torch, 2)
            optimizer = torch.optim.Adam([w], lr=0.1)
            w.grad = torch.ones(2)
            with enter():
                optimizer.step(look)
                look()
            seen += [w, w.requires_grad, w.is_leaf]
        return seen

    parity(script, rtol=1e-6)


def test_a_parameter_in_two_groups_keeps_its_first_index():
    optimizer = rushlight.optim.SGD([rushlight.ones(2), rushlight.ones(3)], lr=0.1)
    optimizer.param_groups.extend(optimizer.param_groups)
    assert [g["params"] for g in optimizer.state_dict()["param_groups"]] == [[0, 1], [0, 1]]


def test_an_optimizer_without_super_init():
    class Plain(rushlight.optim.Optimizer):
        def __init__(self, params):
            self.param_groups = [{"params": list(params), "lr": 1.0}]
            self.defaults, self.state = {}, {}

        def step(self, closure=None):
            pass

    optimizer = Plain([rushlight.ones(1)])
    scheduler = rushlight.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.5
    calls = []
    optimizer.register_step_pre_hook(lambda *args: calls.append(args))
    assert len(optimizer._optimizer_step_pre_hooks) == 1
    assert not Plain([rushlight.ones(1)])._optimizer_step_pre_hooks  # each has its own


def test_names_for_optimizers_of_libraries():
    from rushlight.optim import _get_value, _use_grad_for_differentiable

    class Descent(rushlight.optim.Optimizer):
        @_use_grad_for_differentiable
        def step(self):
            return rushlight.is_grad_enabled()

    w = [rushlight.ones(1, requires_grad=True)]
    assert Descent(w, {"differentiable": True}).step() is True
    assert Descent(w, {"differentiable": False}).step() is False
    assert _get_value(rushlight.tensor(2.0)) == 2.0
