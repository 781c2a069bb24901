"""torch.export: graphs of recorded calls, and what they compute."""

import pytest

import rushlight as torch
from rushlight import nn
from rushlight.errors import TraceError
from rushlight.export import Dim, export
from rushlight.export.sizes import Size, Unknown, corners, solve
from tests import conformance as c
from tests.test_conformance import by_operation, every


class Call(nn.Module):
    """A module that calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.bn = nn.BatchNorm1d(3)

    def forward(self, x, more=None):
        y = self.bn(self.linear(x)).relu()
        return {"flat": y.flatten(), "sum": [x + torch.ones(2), 3]}


def same(a, b):
    for x, y in zip(c.flat(a), c.flat(b), strict=True):
        if isinstance(x, torch.Tensor):
            assert x.dtype == y.dtype and x.shape == y.shape
            c.close(c.array(x), c.array(y), 1e-6, "exported")


#: Samples in which gradients stop on purpose, at detach() or in no_grad(): a graph does not say so.
UNTRACKED = {"gumbel_softmax-2", "embedding-4", "embedding_bag-29"}


@pytest.mark.slow
@by_operation(lambda s: s.trace)
def test_the_graph_computes_what_the_call_does(samples):
    every(samples, _same_as_eager)


def _same_as_eager(sample):
    given = c.tensors(torch, sample, None)
    model = Call(lambda *xs: sample.call(torch, *xs))
    torch.manual_seed(0)
    want = model(*given)
    program = export(model, tuple(c.tensors(torch, sample, None)))
    torch.manual_seed(0)
    same(program.module()(*c.tensors(torch, sample, None)), want)
    if sample.grad and sample.name not in UNTRACKED:
        torch.manual_seed(0)
        ours = c.gradients(torch, sample, call=lambda _, *xs: program.module()(*xs))
        torch.manual_seed(0)
        for got, wanted in zip(ours, c.gradients(torch, sample), strict=True):
            assert (got is None) == (wanted is None)
            if got is not None:
                c.close(c.array(got), c.array(wanted), 1e-5, "gradient of the exported graph")


PRINTED = """\
graph():
    %p_linear_weight : [num_users=1] = placeholder[target=p_linear_weight]
    %p_linear_bias : [num_users=1] = placeholder[target=p_linear_bias]
    %p_bn_weight : [num_users=1] = placeholder[target=p_bn_weight]
    %p_bn_bias : [num_users=1] = placeholder[target=p_bn_bias]
    %b_bn_running_mean : [num_users=1] = placeholder[target=b_bn_running_mean]
    %b_bn_running_var : [num_users=1] = placeholder[target=b_bn_running_var]
    %x : [num_users=2] = placeholder[target=x]
    %linear : [num_users=1] = call_function[target=linear](args = (%p_linear_bias, %x, %p_linear_weight), kwargs = {})
    %batch_norm_fixed : [num_users=1] = call_function[target=batch_norm_fixed](args = (%linear, %b_bn_running_mean, %b_bn_running_var, %p_bn_weight, %p_bn_bias), kwargs = {eps: 1e-05})
    %relu : [num_users=1] = call_function[target=relu](args = (%batch_norm_fixed,), kwargs = {})
    %view : [num_users=1] = call_function[target=view](args = (%relu,), kwargs = {shape: (3*batch,)})
    %full : [num_users=1] = call_function[target=full](args = (), kwargs = {shape: (2,), value: 1, dtype: torch.float32})
    %add : [num_users=1] = call_function[target=add](args = (%x, %full), kwargs = {})
    return (%view, %add, 3)"""


def test_printed_with_a_dim_that_changes():
    model = Net().eval()
    program = export(model, (torch.ones(4, 2),), dynamic_shapes={"x": {0: Dim("batch", min=2)}})
    assert str(program.graph) == PRINTED
    assert 'view: "f32[3*batch]" = view(relu, shape = (3*batch,))' in str(program)
    assert program.range_constraints == {"batch": (2, None)}
    signature = program.graph_signature
    assert signature.parameters == ("linear.weight", "linear.bias", "bn.weight", "bn.bias")
    assert signature.buffers == ("bn.running_mean", "bn.running_var")
    assert signature.user_inputs == ("x",) and signature.user_outputs == ("view", "add", "3")
    assert program.state_dict.keys() == model.state_dict().keys()
    m = program.module()
    assert (
        m.linear.weight is model.linear.weight
        and m.state_dict().keys() == model.state_dict().keys()
    )
    for n in (2, 3, 9):
        x = torch.randn(n, 2)
        same(m(x), model(x))
    with pytest.raises(RuntimeError, match=r"dim 0 of the argument \(1, 2\) is 1"):
        m(torch.ones(1, 2))
    with pytest.raises(RuntimeError, match="dim 1"):
        m(torch.ones(4, 3))
    with pytest.raises(TypeError, match=r"float64"):
        m(torch.ones(4, 2).double())
    with pytest.raises(TypeError, match="expected 1 arguments"):
        m(torch.ones(4, 2), torch.ones(4, 2))


def test_statistics_are_written_and_gradients_flow():
    model, x = Net(), torch.randn(4, 2)
    twin = Net()
    twin.load_state_dict(model.state_dict())
    program = export(model, (x,))
    assert set(program.graph_signature.buffers_to_mutate.values()) == {
        "bn.num_batches_tracked", "bn.running_mean", "bn.running_var"}  # fmt: skip
    assert int(model.bn.num_batches_tracked) == 0
    for net, run in ((model, program.module()), (twin, twin)):
        run(x)["flat"].square().sum().backward()
        assert int(net.bn.num_batches_tracked) == 1
    same(model.bn.running_var, twin.bn.running_var)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        c.close(c.array(p.grad), c.array(q.grad), 1e-5, "gradient")


def test_two_dims_through_a_transformer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    dims = ({0: Dim("n"), 1: Dim("l")},)
    m = export(model, (torch.randn(2, 5, 8),), dynamic_shapes=dims).module()
    for n, length in ((1, 1), (3, 7), (5, 2)):
        x = torch.randn(n, length, 8)
        same(m(x), model(x))


def test_arguments_of_any_form():
    f = Call(lambda xs, scale, named=None: xs[0] * scale + named["k"])
    x, y = torch.ones(2, 3), torch.ones(3)
    dims = {"named": {"k": {0: Dim.STATIC}}}
    program = export(f, ([x], 2.0), {"named": {"k": y}}, dynamic_shapes=dims)
    assert program.graph_signature.user_inputs == ("args_0_0", "named_k")
    same(program.module()([x], 2.0, named={"k": y}), f([x], 2.0, named={"k": y}))
    with pytest.raises(ValueError, match=r"exported with 2\.0, called with 3\.0"):
        program.module()([x], 3.0, named={"k": y})


def test_what_cannot_be_exported_says_why():
    with pytest.raises(TypeError, match="expected a Module"):
        export(lambda x: x, (torch.ones(1),))
    with pytest.raises(TypeError, match="args must be a tuple"):
        export(nn.ReLU(), torch.ones(1))
    with pytest.raises(TraceError, match=r"test_export\.py:\d+.*item"):
        export(Call(lambda x: x * x.sum().item()), (torch.ones(2),))
    kept = []
    with pytest.raises(TraceError, match="is kept outside, by a list"):
        export(Call(lambda x: kept.append(x + 1)), (torch.ones(2),))
    dims = ({0: Dim("n")},)
    with pytest.raises(TraceError, match="only whole numbers"):
        export(Call(lambda x: x * x.shape[0] ** 0.5), (torch.ones(2),), dynamic_shapes=dims)
    with pytest.raises(TraceError, match="other operations"):
        export(Call(lambda x: x + 1 if len(x) > 4 else x), (torch.ones(2),), dynamic_shapes=dims)
    m = export(Call(lambda x: x[: len(x) // 2]), (torch.ones(4),), dynamic_shapes=dims).module()
    with pytest.raises(TraceError, match="not a sum of products"):
        m(torch.ones(4))


@pytest.mark.parametrize(
    "rule, want",
    [
        (lambda n, m: 7, 7), (lambda n, m: n, Size({("n",): 1})),
        (lambda n, m: 3 * n * m - 2 * m + 5, Size({("n", "m"): 3, ("m",): -2, (): 5})),
    ],
)  # fmt: skip
def test_sizes_are_found_from_examples(rule, want):
    points = corners(["n", "m"])
    found = solve([rule(**p) for p in points], points, ["n", "m"])
    assert found == want
    assert type(solve([p["n"] // 2 for p in points], points, ["n", "m"])) is Unknown
    assert type(solve([p["n"] ** 2 for p in points], points, ["n", "m"])) is Unknown


@pytest.mark.parity
@pytest.mark.slow
def test_the_signature_is_pytorchs():
    pt = pytest.importorskip("torch")

    class Same(pt.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.bn = pt.nn.Linear(2, 3), pt.nn.BatchNorm1d(3)

        def forward(self, x):
            return self.bn(self.linear(x)).relu()

    class Ours(Net):
        def forward(self, x):
            return self.bn(self.linear(x)).relu()

    theirs = pt.export.export(Same().eval(), (pt.ones(4, 2),)).graph_signature
    ours = export(Ours().eval(), (torch.ones(4, 2),)).graph_signature
    assert ours.parameters == tuple(theirs.parameters) and ours.user_inputs == theirs.user_inputs
    assert set(ours.buffers) <= set(theirs.buffers)
    kinds = [s.kind.name for s in theirs.output_specs]
    assert [s.kind.name for s in ours.output_specs] == kinds


def test_programs_are_saved_and_loaded(tmp_path):
    torch.manual_seed(0)
    net = Net().eval()
    batch = Dim("batch")
    program = export(net, (torch.rand(4, 2),), dynamic_shapes={"x": {0: batch}})
    torch.export.save(program, tmp_path / "net.pt2", extra_files={"note": "hi"})
    notes = {"note": ""}
    loaded = torch.export.load(tmp_path / "net.pt2", extra_files=notes)
    assert notes == {"note": "hi"} and str(loaded) == str(program)
    for n in (4, 7):
        x = torch.rand(n, 2)
        torch.testing.assert_close(loaded.module()(x), program.module()(x))
    assert {*loaded.state_dict} == {*program.state_dict}
    assert isinstance(loaded.state_dict["linear.weight"], nn.Parameter)
    torch.save({"a": 1}, tmp_path / "other.pt")
    with pytest.raises(RuntimeError, match="no exported program"):
        torch.export.load(tmp_path / "other.pt")
    with pytest.raises(TypeError, match="must be an instance of 'ExportedProgram'"):
        torch.export.save(net, tmp_path / "net.pt2")


@pytest.mark.parametrize(
    "function, args",
    [
        (lambda x: {"a": x[1:, ::2], "b": [x.to(torch.float64), (x.sum(),)]}, (torch.rand(3, 4),)),
        (lambda x, n: x.reshape(2, -1).expand(n, 2, 6)[..., None], (torch.rand(3, 4), 3)),
        (lambda x: torch.where(x > 0.5, x, float("inf")).argmax(dim=0), (torch.rand(3, 4),)),
        (lambda x: x.split(2, dim=1)[1] + x.max(dim=1, keepdim=True)[0], (torch.rand(3, 4),)),
        (lambda xs: torch.cat(xs) @ torch.ones(4, 2), ([torch.rand(3, 4), torch.rand(1, 4)],)),
    ],
)
def test_operands_of_every_kind_are_saved(function, args, tmp_path):
    program = export(Call(function), args)
    torch.export.save(program, tmp_path / "p.pt2")
    loaded = torch.export.load(tmp_path / "p.pt2")
    torch.testing.assert_close(loaded.module()(*args), program.module()(*args))
    assert str(loaded.graph) == str(program.graph)


def test_one_tensor_may_be_several_arguments():
    x = torch.arange(4.0)
    program = export(Call(torch.sub), (x, x))
    assert len(program.graph_signature.user_inputs) == 2
    assert program.module()(x + 3, x).tolist() == [3, 3, 3, 3]
