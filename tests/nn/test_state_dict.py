"""State dicts: saving, loading, versions, hooks and errors, as PyTorch's."""

from collections import OrderedDict

import pytest

import rushlight
from rushlight import nn


def net(torch, features=2):
    return torch.nn.Sequential(
        OrderedDict(
            body=torch.nn.Sequential(torch.nn.Linear(3, features), torch.nn.BatchNorm1d(features)),
            head=torch.nn.Linear(features, 1, bias=False),
        )
    )


class WithExtra:
    """Mixed into a Module: state that is no tensor."""

    extra = 5

    def get_extra_state(self):
        return {"extra": self.extra}

    def set_extra_state(self, state):
        self.extra = state["extra"]


def extra_layer(torch):
    return type("Extra", (WithExtra, torch.nn.Linear), {})(1, 1)


def loaded(torch, change, strict=True, assign=False):
    """Load the changed state of one model into another; what it reports and what is there."""
    source, target = net(torch), net(torch)
    state = source.state_dict()
    state = change(torch, state) or state
    try:
        report = target.load_state_dict(state, strict=strict, assign=assign)
    except Exception as error:
        # The lines of the report, without their wording.
        heads = ("Missing key", "Unexpected key", "size mismatch", "While copying")
        lines = [line.strip() for line in str(error).split("\n")]
        keys = [line[line.find(":") :] if "key(s)" in line else "" for line in lines]
        report = [type(error).__name__, [next((h for h in heads if h in li), "") for li in lines]]
        report += keys
    else:
        report = [repr(report), list(report.missing_keys), list(report.unexpected_keys)]
    return [report, target.state_dict()]


def without(*keys):
    def change(torch, state):
        for key in keys:
            del state[key]

    return change


def put(**entries):
    def change(torch, state):
        state.update({k.replace("__", "."): v(torch) for k, v in entries.items()})

    return change


CHANGES = {
    "nothing": lambda torch, state: None,
    "missing": without("head.weight", "body.1.running_var"),
    "unexpected": put(head__bias=lambda t: t.ones(1), other=lambda t: t.ones(1)),
    "unexpected module": put(tail__weight=lambda t: t.ones(1), body__0__x__y=lambda t: t.ones(1)),
    "unexpected extra": put(head___extra_state=lambda t: 3),
    "misshapen": put(head__weight=lambda t: t.ones(2, 2), body__0__bias=lambda t: t.ones(3)),
    "0-dim": put(body__1__num_batches_tracked=lambda t: t.tensor([7])),
    "no tensor": put(head__weight=lambda t: [1, 2]),
    "other dtype": put(head__weight=lambda t: t.ones(1, 2, dtype=t.float64)),
    "all wrong": lambda torch, state: {
        **{k: v for k, v in state.items() if k != "body.0.bias"},
        "x": torch.ones(1),
        "head.weight": torch.ones(3),
    },
    "plain dict": lambda torch, state: dict(state),
    "version 1": lambda torch, state: {
        k: v for k, v in state.items() if "num_batches" not in k
    },
    "no mapping": lambda torch, state: list(state.items()),
}  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("assign", [True, False])
@pytest.mark.parametrize("name", CHANGES)
def test_loading_does_as_pytorchs(parity, name, strict, assign):
    parity(lambda torch: loaded(torch, CHANGES[name], strict, assign))


def hooked(torch):
    log = []
    source, target = net(torch), net(torch)

    def saving(module, prefix, keep_vars):
        log.append(["saving", type(module).__name__, prefix, keep_vars])

    def saved(module, state_dict, prefix, local_metadata):
        log.append(["saved", prefix, sorted(local_metadata.items()), len(state_dict)])
        state_dict[prefix + "added"] = torch.zeros(1)

    def loading(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
        log.append(["loading", type(module).__name__, prefix, len(state_dict), strict])
        state_dict.pop(prefix + "added", None)

    def done(module, keys):
        log.append(["done", type(module).__name__, list(keys.missing_keys)])
        keys.unexpected_keys.clear()

    handles = [
        source.body.register_state_dict_pre_hook(saving),
        source.body[0].register_state_dict_post_hook(saved),
        target.body[0].register_load_state_dict_pre_hook(loading),
        target.register_load_state_dict_post_hook(done),
        target.body.register_load_state_dict_post_hook(done),
        source._register_state_dict_hook(lambda m, state, prefix, meta: dict(state)),
    ]
    state = source.state_dict()
    log.append([type(state).__name__, list(state)])
    log.append(repr(target.load_state_dict(state)))
    for handle in handles:
        handle.remove()
    log.append(list(source.state_dict(keep_vars=True, prefix="p.")))
    return log


def post_hook_returns(torch):
    source = net(torch)
    source.register_state_dict_post_hook(lambda *args: {})
    source.state_dict()


def load_hook_returns(torch):
    source = net(torch)
    source.register_load_state_dict_post_hook(lambda *args: 1)
    source.load_state_dict(source.state_dict())


def registered_twice(torch):
    def hook(*args):
        return None

    source = net(torch)
    source.register_state_dict_post_hook(hook)
    source._register_state_dict_hook(hook)


def extra_state(torch):
    layer, other = extra_layer(torch), extra_layer(torch)
    layer.extra = 9
    state = layer.state_dict()
    keys = list(state)
    other.load_state_dict(state)
    del state["_extra_state"]
    report = other.load_state_dict(state, strict=False)
    return [keys, other.extra, repr(report)]


SCRIPTS = {
    "hooks": hooked,
    "post hook returns": post_hook_returns,
    "load hook returns": load_hook_returns,
    "registered twice": registered_twice,
    "extra state": extra_state,
    "extra state missing": lambda torch: extra_layer(torch).load_state_dict(
        torch.nn.Linear(1, 1).state_dict()
    ),
    "no extra state": lambda torch: torch.nn.Linear(1, 1).get_extra_state(),
    "positional": lambda torch: list(net(torch).state_dict(None, "p.", True)),
    "destination": lambda torch: [
        d for d in [{}] for _ in [net(torch).state_dict(destination=d)]
    ],
    "metadata": lambda torch: {
        k: str(v) for k, v in net(torch).state_dict(prefix="p.")._metadata.items()
    },
    "keep_vars": lambda torch: [
        [v.requires_grad for v in net(torch).state_dict(keep_vars=keep).values()]
        for keep in (False, True)
    ],
    "assign keeps requires_grad": lambda torch: [
        [type(p).__name__, p.requires_grad, str(p.dtype)]
        for target in [net(torch).requires_grad_(False)]
        for _ in [target.load_state_dict(net(torch).double().state_dict(), assign=True)]
        for p in target.parameters()
    ],
    "assign parameters": lambda torch: [
        (p is q, q.requires_grad)
        for source, target in [(net(torch), net(torch).requires_grad_(False))]
        for _ in [target.load_state_dict(source.state_dict(keep_vars=True), assign=True)]
        for p, q in zip(source.parameters(), target.parameters(), strict=True)
    ],
}  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("name", SCRIPTS)
def test_state_dicts_do_as_pytorchs(parity, name):
    parity(SCRIPTS[name])


def test_saved_tensors_share_the_modules_memory():
    layer = nn.Linear(2, 1)
    layer.state_dict()["bias"].fill_(4.0)
    assert layer.bias.item() == 4.0


def test_the_error_lists_everything_that_is_wrong():
    target = net(rushlight)
    state = target.state_dict()
    del state["head.weight"]
    state["extra.bias"] = rushlight.ones(1)
    state["body.0.bias"] = rushlight.ones(3)
    with pytest.raises(RuntimeError) as caught:
        target.load_state_dict(state)
    head, missing, unexpected, shape = str(caught.value).split("\n\t")
    assert head == "Error(s) in loading state_dict for Sequential:"
    assert missing == 'Missing key(s) in state_dict: "head.weight". '
    assert unexpected == 'Unexpected key(s) in state_dict: "extra.bias". '
    assert "body.0.bias" in shape and "[3]" in shape and "[2]" in shape


def test_loading_leaves_the_given_dict_as_it_was():
    state = net(rushlight).state_dict()
    del state["body.1.num_batches_tracked"]
    state._metadata["body.1"]["version"] = 1
    keys, metadata = list(state), {k: dict(v) for k, v in state._metadata.items()}
    net(rushlight).load_state_dict(state, assign=True)
    assert list(state) == keys and state._metadata == metadata


@pytest.mark.parametrize("assign", [False, True])
def test_a_checkpoint_without_a_count_of_batches_leaves_the_count(assign):
    layer = nn.BatchNorm1d(2)
    layer.num_batches_tracked.fill_(5)
    older = dict(layer.state_dict())
    del older["num_batches_tracked"]
    layer.load_state_dict(older, assign=assign)
    assert layer.num_batches_tracked.item() == 5
