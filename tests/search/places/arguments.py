"""Arguments: numbers and objects among them, tensors that share memory, the order of keywords."""

from tests.search.places.place import ALL, Place


def _given(
    name, read, made="VALUE", changes=(), kinds=ALL, head="def f(x, given):", passed="GIVEN", **rest
):
    """An argument that is kept in the module's GIVEN."""
    return Place(
        f"argument: {name}", f"GIVEN = {made}", read, (f"GIVEN = {made}", *changes), kinds, head,
        declare="global GIVEN", arguments=passed, look="GIVEN", **rest,
    )  # fmt: skip


def _tensors(name, made, *changes, read="given"):
    return _given(name, read, made, changes, ("tensor",))


PLACES = [
    _given("value", "given"),
    _given("keyword", "given", passed="given=GIVEN"),
    _given("keywords", "rest['given']", head="def f(x, **rest):", passed="other=1, given=GIVEN", item=("rest", "'given'")),
    _given("star", "rest[0]", head="def f(x, *rest):", passed="GIVEN, 1", sequence="rest"),
    _given(
        "order of keywords", "[*rest.values()][0]", "{'a': VALUE, 'b': 1.5}", ("GIVEN = {'b': 1.5, 'a': VALUE}",),
        head="def f(x, **rest):", passed="**GIVEN",
    ),
    _given("list", "given[0]", "[VALUE, 1]", ("GIVEN[0] = VALUE", "GIVEN.append(VALUE)", "GIVEN.reverse()"), sequence="given"),
    _given("dict", "given['k']", "{'k': VALUE}", ("GIVEN['k'] = VALUE", "GIVEN['m'] = 1", "GIVEN.clear()"), item=("given", "'k'")),
    _given("nested", "given[0]['k']", "({'k': VALUE}, 1)", ("GIVEN[0]['k'] = VALUE",), item=("given[0]", "'k'")),
    _given("object", "given.k", "types.SimpleNamespace(k=VALUE)", ("GIVEN.k = VALUE", "del GIVEN.k"), attribute=("given", "k")),
    _given("lambda", "given()", "(lambda: VALUE)"),
    _given("partial", "given()", "functools.partial(identity, VALUE)"),
    _given("iterator", "next(given)", "iter([VALUE, VALUE, VALUE, VALUE])"),
    _given("set", "2.0 in given", "{VALUE}", ("GIVEN.add(2.0)", "GIVEN.clear()"), ("number",)),
    _given("NumPy array", "given[0]", "np.array([VALUE, 1.0])", ("GIVEN[0] = VALUE", "GIVEN[:] = 4.0"), ("number",), sequence="given"),
    _given("Module", "given(torch.ones(3))", "nn.Sequential(nn.ReLU(), nn.Dropout(1.0))", ("GIVEN.eval()", "GIVEN.append(nn.Tanh())", "GIVEN[0] = nn.Sigmoid()"), ("tensor",)),
    _given("class", "given.k", "type('Given', (), {'k': VALUE})", ("GIVEN.k = VALUE",), attribute=("given", "k")),
    _given("dtype", "given.itemsize", "torch.float32", ("GIVEN = torch.float64", "GIVEN = torch.int8"), ("number",)),
    _tensors("views of one tensor", "(lambda t: (t[:3], t[2:]))(torch.arange(5.0))", "GIVEN = torch.ones(3), torch.ones(3)", "GIVEN = (GIVEN[0], GIVEN[0])", read="given[0].add_(given[1])"),
    _tensors("two that are one", "(torch.ones(3),) * 2", "GIVEN = torch.ones(3), torch.ones(3)", "GIVEN = (GIVEN[1],) * 2", read="given[0].mul_(2) * given[1]"),
    _tensors("identity", "(torch.ones(3),) * 2", "GIVEN = torch.ones(3), torch.ones(3)", read="given[0] * (2 if given[0] is given[1] else 3)"),
    _tensors("identity with a tensor outside", "torch.ones(3)", "KEPT_ARGUMENT = GIVEN", read="given * (2 if given is globals().get('KEPT_ARGUMENT') else 3)"),
    _tensors("expanded", "torch.ones(1).expand(3)", "GIVEN = torch.ones(3)", "GIVEN = torch.ones(6)[::2]"),
    _tensors("requires grad", "torch.ones(3, requires_grad=True)", "GIVEN.requires_grad_(False)", "GIVEN.grad = torch.ones(3)"),
    _tensors("grad", "torch.ones(3, requires_grad=True)", "GIVEN.grad = torch.full((3,), 4.0)", "GIVEN.grad = None", read="(0 if given.grad is None else given.grad)"),
    _tensors("hook", "torch.ones(3, requires_grad=True)", "GIVEN.register_hook(lambda g: g * 3)"),
    _tensors("data", "torch.ones(3)", "GIVEN.data = torch.arange(3.0)", "GIVEN.data = torch.ones(1)", "GIVEN.fill_(5)", "GIVEN.data = torch.ones(3).double()"),
    _tensors("attribute of a tensor", "torch.ones(3)", "GIVEN.k = 4.0", read="given * getattr(given, 'k', 2.0)"),
    _tensors("subclass", "torch.ones(3)", "GIVEN = torch.nn.Parameter(torch.ones(3))", "GIVEN = type('Own', (torch.Tensor,), {})(torch.ones(3))", read="given * (2 if type(given) is torch.Tensor else 3)"),
    _tensors("list of tensors", "[torch.ones(3)]", "GIVEN.append(torch.ones(3))", "GIVEN[0] = torch.arange(3.0)", "GIVEN[:] = GIVEN * 2", read="sum(given)"),
    _tensors("dict of tensors", "{'a': torch.ones(3)}", "GIVEN['b'] = torch.ones(3)", "GIVEN['a'] = torch.arange(3.0)", read="sum(v * len(k) for k, v in given.items())"),
    _tensors("list that is written", "[torch.ones(3)]", "GIVEN = [torch.arange(3.0), torch.ones(3)]", read="(given.append(x.sum()), given[0])[1]"),
    _tensors("generator", "torch.Generator().manual_seed(3)", "GIVEN.manual_seed(7)", read="torch.rand(3, generator=given)"),
]  # fmt: skip
