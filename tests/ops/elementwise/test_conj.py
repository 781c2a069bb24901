"""A conjugate follows what it was made of, and refuses writes: never a silent copy."""

import copy
import io
import pickle

import pytest

import rushlight as torch


def numbers():
    return torch.tensor([[1 + 2j, 3 - 1j], [1j, 2 + 2j]])


#: Ways to look at the elements of a conjugate. Each must see the last write to its base.
LOOKS = {
    "tolist": lambda y: y.tolist(),
    "item": lambda y: [[y[i, j].item() for j in range(2)] for i in range(2)],
    "index": lambda y: [y[0].tolist(), y[1].tolist()],
    "iterate": lambda y: [t.tolist() for t in y],
    "unbind": lambda y: [t.tolist() for t in y.unbind()],
    "sum": lambda y: (y + 0).tolist(),
    "matmul": lambda y: (torch.eye(2, dtype=y.dtype) @ y).tolist(),
    "cat": lambda y: torch.cat([y, y])[:2].tolist(),
    "parts": lambda y: torch.complex(y.real, y.imag).tolist(),
    "clone": lambda y: y.clone().tolist(),
    "resolve": lambda y: y.resolve_conj().numpy().tolist(),
    "force": lambda y: y.numpy(force=True).tolist(),
    "detach": lambda y: y.detach().tolist(),
    "data": lambda y: y.data.tolist(),
    "contiguous": lambda y: y.contiguous().tolist(),
    "turned": lambda y: y.t().t().tolist(),
    "reshape": lambda y: y.reshape(-1).reshape(2, 2).tolist(),
    "to": lambda y: y.to(torch.complex128).tolist(),
    "copy_": lambda y: torch.zeros(2, 2, dtype=y.dtype).copy_(y).tolist(),
    "out": lambda y: torch.add(y, 0, out=torch.zeros(2, 2, dtype=y.dtype)).tolist(),
    "deepcopy": lambda y: copy.deepcopy(y).tolist(),
    "pickle": lambda y: pickle.loads(pickle.dumps(y)).tolist(),
    "printed": lambda y: eval(str(y).replace("tensor", "").replace("\n", "").replace("+-", "-")),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("made", ["conj", "H", "adjoint"])
def test_a_conjugate_follows_its_base(look, made):
    x = numbers()
    y = x.conj() if made == "conj" else (x.H if made == "H" else x.adjoint()).t()
    early = y[0]
    for factor in (1, 2, 3):
        x.mul_(factor)
        assert LOOKS[look](y) == x.resolve_conj().numpy().conj().tolist()
        assert early.tolist() == y.tolist()[0]


def test_saving_writes_the_numbers_of_now():
    x, file = numbers(), io.BytesIO()
    y = x.conj()
    x.mul_(2)
    torch.save(y, file)
    file.seek(0)
    assert torch.load(file).tolist() == y.tolist()


WRITES = {
    "mul_": lambda y: y.mul_(2),
    "fill_": lambda y: y.fill_(2),
    "zero_": lambda y: y.zero_(),
    "copy_": lambda y: y.copy_(numbers()),
    "setitem": lambda y: y.__setitem__(0, 1),
    "row": lambda y: y[0].zero_(),
    "imag": lambda y: y.imag.zero_(),
    "out": lambda y: torch.add(numbers(), 1, out=y),
    "smaller out": lambda y: torch.add(numbers()[0], 1, out=y),
    "resize_": lambda y: y.resize_(3),
    "detach": lambda y: y.detach().mul_(2),
    "normal_": lambda y: y.normal_(),
    "index_fill_": lambda y: y.index_fill_(0, torch.tensor([0]), 1),
    "masked_fill_": lambda y: y.masked_fill_(y.real > 0, 1),
}


@pytest.mark.filterwarnings("ignore:.*resized")
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_to_a_conjugate_raises_and_changes_nothing(write, grad):
    x = numbers()
    y = x.conj()
    with torch.set_grad_enabled(grad), pytest.raises(RuntimeError, match="conjugate made by"):
        WRITES[write](y)
    assert x.tolist() == numbers().tolist() and y.tolist() == x.conj_physical().tolist()


def test_what_shares_memory_is_written_through():
    x = numbers()
    x.conj().real.zero_()
    x.conj().conj().imag.mul_(2)
    assert x.tolist() == [[4j, -2j], [2j, 4j]]


def test_flags():
    x = numbers()
    y = x.conj()
    flags = lambda *ts: [t.is_conj() for t in ts]
    assert flags(y, y[0], y.t(), y.detach(), x.H, x.mH, x.adjoint()) == [True] * 7
    assert flags(x, y.conj(), y.clone(), y + 0, y.resolve_conj(), x.conj_physical()) == [False] * 6
    assert y.imag.is_neg() and not y.real.is_neg() and not y.imag.resolve_neg().is_neg()
    assert y.resolve_conj() is not y and x.resolve_conj() is x


def test_no_memory_is_handed_out():
    y = numbers().conj()
    with pytest.raises(RuntimeError, match=r"conjugate bit set. Use tensor.resolve_conj\(\).numpy"):
        y.numpy()
    with pytest.raises(RuntimeError, match=r"negative bit set. Use tensor.resolve_neg\(\).numpy"):
        y.imag.numpy()


def test_gradients_through_a_written_base():
    x = numbers().requires_grad_()
    w = x * 1
    y = w.conj()
    w.mul_(2)
    (y * y).real.sum().backward()
    assert x.grad.tolist() == (8 * numbers().conj_physical()).tolist()
    z = y * y
    w.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.real.sum().backward()


def test_a_compiled_conjugate_follows_its_base(monkeypatch):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")

    @torch.compile(fullgraph=True)
    def inside(x):
        w = x * 1
        y = w.conj()
        w.mul_(2)
        return y * 1, y

    x = numbers()
    y = x.conj()

    @torch.compile(fullgraph=True)
    def outside(x):
        x.mul_(2)
        return y * 1

    for _ in range(3):
        want = (2 * x.conj_physical()).tolist()
        assert [t.tolist() for t in inside(x)] == [want, want]
        assert outside(x).tolist() == want == y.tolist()


def test_a_conjugate_as_an_argument_runs_eagerly(monkeypatch):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")

    def both(x, y):
        x.mul_(2)
        return y * 1

    compiled = torch.compile(both)
    compiled(numbers(), numbers())
    x = numbers()
    y = x.conj()
    with pytest.warns(UserWarning, match="resolve_conj"):
        first = compiled(x, y)
    assert first.tolist() == (2 * numbers().conj_physical()).tolist()
    assert compiled(x, y).tolist() == (4 * numbers().conj_physical()).tolist() == y.tolist()


def test_polar_of_a_negative_modulus_and_a_written_angle():
    size = torch.tensor([-1.0, 2.0], dtype=torch.float64, requires_grad=True)
    angle = torch.tensor([0.5, 1.0], dtype=torch.float64, requires_grad=True)
    found = torch.polar(size, angle)
    angle.detach().zero_()  # only the result is saved
    torch.view_as_real(found).sum().backward()
    cos, sin = angle.new_tensor([0.5, 1.0]).cos(), angle.new_tensor([0.5, 1.0]).sin()
    sign = angle.new_tensor([-1.0, 1.0])  # PyTorch's, which takes the modulus for positive
    assert torch.allclose(size.grad, sign * (cos + sin))
    assert torch.allclose(angle.grad, size.detach() * (cos - sin))
