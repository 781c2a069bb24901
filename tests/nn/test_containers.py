"""Containers of modules and of parameters, as PyTorch's."""

from collections import OrderedDict

import pytest

import rushlight
from rushlight import nn


def layers(torch, n=4):
    return [torch.nn.Linear(1, i + 1) for i in range(n)]


def numbered(name, *steps):
    """Do each step to a container of four layers; show it, or the error, after each."""

    def script(torch):
        items = layers(torch)
        kind = getattr(torch.nn, name)
        container = kind(*items) if name == "Sequential" else kind(items)
        seen = []
        for step in steps:
            try:
                result = step(container, torch)
            except Exception as error:
                result = builtin_name(error)
            seen.append([shown(result), repr(container), len(container)])
        return seen

    return script


def builtin_name(error):
    return next(k.__name__ for k in type(error).__mro__ if k.__module__ == "builtins")


def shown(result):
    return [repr(r) for r in result] if isinstance(result, list) else repr(result)


BOTH = (
    lambda c, torch: c[0],
    lambda c, torch: c[-1],
    lambda c, torch: c[1:3],
    lambda c, torch: c[::-2],
    lambda c, torch: c[4],
    lambda c, torch: c[-5],
    lambda c, torch: c["0"],
    lambda c, torch: list(c),
    lambda c, torch: c.append(torch.nn.ReLU()),
    lambda c, torch: c.append(3),
    lambda c, torch: c.extend([torch.nn.Tanh(), torch.nn.ReLU()]),
    lambda c, torch: c.extend(3),
    lambda c, torch: c.insert(1, torch.nn.SiLU()),
    lambda c, torch: c.insert(0, torch.nn.SiLU()),
    lambda c, torch: c.__setitem__(1, torch.nn.Mish()),
    lambda c, torch: c.__setitem__(-1, torch.nn.Mish()),
    lambda c, torch: c.__setitem__(99, torch.nn.Mish()),
    lambda c, torch: c.__setitem__(0, 3),
    lambda c, torch: c.pop(0),
    lambda c, torch: c.pop(-1),
    lambda c, torch: c.pop(99),
    lambda c, torch: c.pop(slice(0, 2)),
    lambda c, torch: c.__delitem__(-1),
    lambda c, torch: c.__delitem__(slice(None, None, 2)),
    lambda c, torch: c.__delitem__(99),
    lambda c, torch: list(c.state_dict()),
    lambda c, torch: c + c,
    lambda c, torch: [n for n in dir(c) if n.isdigit()],
)
SEQUENTIAL = (
    lambda c, torch: c.insert(9, torch.nn.ReLU()),
    lambda c, torch: c.insert(-1, torch.nn.ReLU()),
    lambda c, torch: c.insert(-9, torch.nn.ReLU()),
    lambda c, torch: c.insert(0, 3),
    lambda c, torch: c + [torch.nn.ReLU()],
    lambda c, torch: c.__iadd__(torch.nn.Sequential(torch.nn.ReLU())),
    lambda c, torch: c.__iadd__([torch.nn.ReLU()]),
    lambda c, torch: c * 2,
    lambda c, torch: 2 * c,
    lambda c, torch: c * 0,
    lambda c, torch: c * 1.5,
    lambda c, torch: c.__imul__(2),
    lambda c, torch: c.__imul__(-1),
)
MODULE_LIST = (
    lambda c, torch: c + [torch.nn.ReLU()],
    lambda c, torch: c.__iadd__([torch.nn.ReLU()]),
)


def named(torch):
    net = torch.nn.Sequential(
        OrderedDict([("first", torch.nn.Linear(1, 1)), ("second", torch.nn.ReLU())])
    )
    seen = [repr(net), repr(net[0:1]), list(net.state_dict()), repr(net.second)]
    net[1] = torch.nn.Tanh()
    seen.append(repr(net))
    del net[0]
    return [*seen, repr(net)]


def module_dict(torch):
    nn = torch.nn
    d = nn.ModuleDict({"b": nn.ReLU(), "a": nn.Linear(1, 1)})
    d["c"] = nn.Tanh()
    d.update([("z", nn.Tanh()), ["y", nn.ReLU()]])
    d.update(OrderedDict(z=nn.Mish()))
    d.update(nn.ModuleDict({"m": nn.SiLU()}))
    seen = [repr(d), len(d), list(d), list(d.keys()), "a" in d, "x" in d, list(d.state_dict())]
    seen += [[k, repr(v)] for k, v in d.items()] + [repr(v) for v in d.values()]
    seen.append(repr(d.pop("a")))
    del d["b"]
    for bad in (
        lambda: d["q"], lambda: d.pop("q"), lambda: d.update(3), lambda: d.update([3]),
        lambda: d.update([(1, 2, 3)]), lambda: d.__setitem__("k", 3), lambda: d.__delitem__("q"),
        lambda: d.__setitem__("keys", nn.ReLU()), lambda: d.__setitem__("a.b", nn.ReLU()),
        lambda: d.__setitem__(1, nn.ReLU()), lambda: d(1),
    ):  # fmt: skip
        try:
            bad()
        except Exception as error:
            seen.append(builtin_name(error))
        else:
            seen.append("fine")
    d.clear()
    return [*seen, repr(d)]


def parameter_list(torch):
    p = torch.nn.ParameterList([torch.ones(2, 3), torch.nn.Parameter(torch.zeros(1)), 7])
    p.append(torch.tensor(1.0, dtype=torch.float64))
    p += ["text", None]
    seen = [repr(p), len(p), [type(v).__name__ for v in p], list(p.state_dict())]
    seen += [repr(p[1:4]), repr(p[-1]), p[0], sum(1 for _ in p.parameters())]
    p[1] = torch.ones(4)
    seen.append(repr(p))
    for bad in (
        lambda: p[9], lambda: p.extend(3), lambda: p.extend(torch.ones(2)),
        lambda: p.__setitem__(-9, 1), lambda: p.__setitem__(0, 5), lambda: p(1),
        lambda: p["0"],
    ):  # fmt: skip
        try:
            bad()
        except Exception as error:
            seen.append(builtin_name(error))
    return [*seen, repr(torch.nn.ParameterList()), [n for n in dir(p) if n.isdigit()]]


def parameter_dict(torch):
    make = torch.nn.ParameterDict
    p = make({"b": torch.ones(2, 3), "a": torch.nn.Parameter(torch.zeros(1)), "c": 7})
    p["d"] = torch.tensor(1.0, dtype=torch.float64)
    p.update(OrderedDict(z=torch.ones(1), y=torch.ones(2)))
    p.update([("k", torch.ones(1))])
    seen = [repr(p), len(p), list(p), list(reversed(p)), list(p.keys()), list(p.state_dict())]
    seen += [[k, type(v).__name__] for k, v in p.items()] + [len(list(p.values()))]
    seen += ["a" in p, p.get("none"), p.get("c"), p.setdefault("c", 1), p.setdefault("new", 1)]
    seen += [p.pop("c"), p.popitem(), list(p), list(p.copy()), repr(p | make({"q": 1}))]
    seen += [repr({"q": 1} | p) if hasattr(dict, "none") else "", repr(make.fromkeys(p, "xy", 3))]
    p |= {"r": torch.ones(1)}
    seen += [list(p), list(make([("k", 1)]))]
    for bad in (
        lambda: p["q"], lambda: p[3], lambda: make().__setitem__(3, 1), lambda: p.update(3),
        lambda: p.update([3]), lambda: p.update([(1, 2, 3)]), lambda: p.pop("q"), lambda: p(1),
        lambda: make().popitem(), lambda: p.__delitem__("q"),
    ):  # fmt: skip
        try:
            bad()
        except Exception as error:
            seen.append(builtin_name(error))
    del p["r"]
    p.clear()
    return [*seen, repr(p), len(list(p.parameters()))]


def runs(torch):
    nn = torch.nn
    block = [nn.Sequential(nn.Linear(1, 1), nn.ReLU()) for _ in range(3)]
    return repr(nn.ModuleList([nn.ReLU(), *block, nn.ReLU(), nn.ReLU(), nn.ModuleList()]))


SCRIPTS = {
    "Sequential": numbered("Sequential", *BOTH, *SEQUENTIAL),
    "ModuleList": numbered("ModuleList", *BOTH, *MODULE_LIST),
    "Sequential by name": named,
    "ModuleList runs": runs,
    "ModuleDict": module_dict,
    "ParameterList": parameter_list,
    "ParameterDict": parameter_dict,
    "empty": lambda torch: [
        repr(getattr(torch.nn, name)())
        for name in ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict")
    ],
    "Sequential of what": lambda torch: torch.nn.Sequential(3),
    "Sequential call": lambda torch: torch.nn.Sequential(*layers(torch, 1))(torch.ones(2, 1)),
    "Sequential dict": lambda torch: torch.nn.Sequential({"a": torch.nn.ReLU()}),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", SCRIPTS)
def test_containers_do_as_pytorchs(parity, name):
    parity(SCRIPTS[name])


def test_what_a_container_holds_is_trained():
    holders = nn.ModuleDict({"list": nn.ModuleList(layers(rushlight, 2))})
    holders["numbers"] = nn.ParameterList([rushlight.ones(2)])
    assert [n for n, _ in holders.named_parameters()] == [
        "list.0.weight", "list.0.bias", "list.1.weight", "list.1.bias", "numbers.0",
    ]  # fmt: skip
    assert holders.eval()["list"][0].training is False


def test_adding_a_list_to_itself_ends():
    both = nn.ModuleList([nn.ReLU()])
    both += both
    assert len(both) == 2
