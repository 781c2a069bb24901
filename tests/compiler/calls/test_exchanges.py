"""Inputs that get each other's old values, and copies of complex numbers: machine code, too."""

import warnings

import pytest

import rushlight as torch


def swap(a, b, c):
    before = a.clone()
    a.copy_(b)
    b.copy_(before)
    return a.sum()


def rotate(a, b, c):
    before = a.clone()
    a.copy_(b)
    b.copy_(c)
    c.copy_(before)


def turned(a, b, c):
    before = a.clone()
    a.copy_(b.flip(0))
    b.copy_(before.flip(0))
    c.copy_(before)


def parts(a, b, c):
    a[:2], b[:2] = b[:2].clone(), a[:2].clone()
    c.add_(a)


def shifted(a, b, c):
    a.copy_(b)
    b.copy_(c)
    c.mul_(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.int16])
@pytest.mark.parametrize("function", [swap, rotate, turned, parts, shifted])
def test_inputs_are_exchanged(function, dtype):
    eager = [torch.arange(12).view(3, 4).add(10 * i).to(dtype) for i in range(3)]
    compiled = [x.clone() for x in eager]
    call = torch.compile(function)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            function(*eager)
            call(*compiled)
    assert all(torch.equal(x, y) for x, y in zip(eager, compiled, strict=True))


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_complex_parameters_are_trained(name):
    def train(compiled):
        weights = [torch.nn.Parameter(torch.tensor([1 + 2j, -3j])) for _ in range(2)]
        optimizer = getattr(torch.optim, name)(weights, lr=0.1)

        def step():
            optimizer.zero_grad()
            loss = sum((w.abs() ** 2).sum() for w in weights)
            loss.backward()
            optimizer.step()
            return loss

        call = torch.compile(step) if compiled else step
        return [call().item() for _ in range(4)], weights[1].detach()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses, weight = train(True)
    expected, eager = train(False)
    assert losses == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(weight, eager, rtol=1e-5)
