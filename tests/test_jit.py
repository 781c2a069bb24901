"""torch.jit passes programs through: what comes back is the Python that went in."""

import copy
import io
import pickle
import zipfile

import pytest

import rushlight as torch
from rushlight import jit, nn


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU())


@pytest.mark.parametrize("make", [jit.script, lambda m: jit.trace(m, torch.ones(2, 3))])
def test_a_scripted_module_is_its_twin(make):
    m = model().eval()
    s = make(m)
    assert isinstance(s, jit.ScriptModule) and isinstance(s, nn.Sequential) and s is not m
    assert repr(s) == repr(m) and s.original_name == "Sequential" and jit.script(s) is s
    assert s.state_dict().keys() == m.state_dict().keys() and s[0].weight is m[0].weight
    assert torch.equal(s(torch.ones(2, 3)), m(torch.ones(2, 3)))
    s.training = True
    assert not m.training


def test_copies_and_files_are_scripted_too():
    s = jit.script(model())
    x = torch.ones(2, 3)
    file = io.BytesIO()
    s.save(file, {"notes": "of mine"})
    file.seek(0)
    extra = {"notes": "", "none": "text"}
    loaded = jit.load(file, _extra_files=extra)
    assert extra == {"notes": b"of mine", "none": b""}
    for twin in (copy.deepcopy(s), pickle.loads(pickle.dumps(s)), loaded):
        assert isinstance(twin, jit.ScriptModule) and twin[0].weight is not s[0].weight
        assert torch.equal(twin(x), s(x))
    assert copy.copy(s)[0] is s[0]


def test_files_that_are_none():
    with pytest.raises(ValueError, match="does not exist"):
        jit.load("no_such_file")
    other = io.BytesIO()
    torch.save({"a": 1}, other)
    other.seek(0)
    with pytest.raises(RuntimeError, match=r"not written by torch\.jit\.save"):
        jit.load(other)
    script = io.BytesIO()
    with zipfile.ZipFile(script, "w") as archive:
        archive.writestr("m/constants.pkl", b"")
    with pytest.raises(RuntimeError, match="TorchScript"):
        jit.load(script)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_what_pytorch_scripted_is_refused(tmp_path):
    pt = pytest.importorskip("torch")
    pt.jit.trace(pt.nn.Linear(1, 1), pt.ones(1, 1)).save(str(tmp_path / "m.pt"))
    with pytest.raises(RuntimeError, match="TorchScript"):
        jit.load(tmp_path / "m.pt")


def test_decorators_and_functions_pass_through():
    def f(x: int):
        return x + 1

    for decorate in (jit.script, jit.ignore, jit.ignore(drop=True), jit.unused, jit.export,
                     jit.script_if_tracing, jit.script_method, jit.interface):  # fmt: skip
        assert decorate(f) is f
    assert jit.trace(f, 1) is f and jit.trace(f, example_kwarg_inputs={"x": 1}) is f
    assert not jit.is_scripting() and not jit.is_tracing()
    assert (
        jit.wait(jit.fork(f, 1)) == 2 and jit.fork(f, x=2).then(lambda g: g.wait() * 2).value() == 6
    )
    m = model()
    assert isinstance(jit.trace_module(m, {"forward": torch.ones(2, 3)}), jit.ScriptModule)
    bound = m.forward
    assert jit.trace(bound, torch.ones(2, 3)) is bound


def test_errors():
    with pytest.raises(RuntimeError, match="a function, a class or a Module"):
        jit.script(3)
    with pytest.raises(RuntimeError, match="example_kwarg_inputs should be a dict"):
        jit.trace(model())
    with pytest.raises(RuntimeError, match="in eval mode"):
        jit.freeze(jit.script(model()))
    with pytest.raises(RuntimeError, match="expects a ScriptModule"):
        jit.freeze(model())
    s = jit.script(model().eval())
    assert jit.freeze(s) is s and jit.optimize_for_inference(s) is s
    with pytest.raises(RuntimeError):
        jit.trace(model(), torch.ones(2, 4))
    with pytest.raises(NotImplementedError, match="TorchScript"):
        jit.CompilationUnit("def f(x): return x")


class Raises(nn.Module):
    def forward(self, x, error):
        raise error


def test_exceptions_of_scripted_modules():
    s = jit.script(nn.Sequential(Raises()))[0]
    s = jit.script(s)
    with pytest.raises(jit.Error, match="ValueError: no") as caught:
        s(torch.ones(1), ValueError("no"))
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(jit.Error, match="missing 1 required"):
        s(torch.ones(1))
    with pytest.raises(NotImplementedError):  # a RuntimeError, as are those of operations
        s(torch.ones(1), NotImplementedError("none"))
    with pytest.raises(RuntimeError, match=r"columns|features") as caught:
        jit.script(nn.Linear(3, 4))(torch.ones(2, 2))
    assert not isinstance(caught.value, jit.Error)


@pytest.mark.parametrize(
    "value, kind, want",
    [
        ([1, 2], list[int], True), ([1, "a"], list[int], False), ({"a": 1}, dict[str, int], True),
        ({"a": "b"}, dict[str, int], False), ((1, "a"), tuple[int, str], True), (1, int | str, True),
        ((1,), tuple[int, str], False), (1.0, int | str, False), (1, (str, int), True), (3, list[int], False),
    ],
)  # fmt: skip
def test_isinstance_looks_into_containers(value, kind, want):
    assert jit.isinstance(value, kind) is want


def test_overloads_leave_the_last_definition():
    class Net(nn.Module):
        @torch.jit._overload_method
        def forward(self, x: int) -> int: ...

        @torch.jit._overload_method
        def forward(self, x: float) -> float: ...  # noqa: F811

        def forward(self, x):  # noqa: F811
            return x * 2

    assert Net()(3) == 6
