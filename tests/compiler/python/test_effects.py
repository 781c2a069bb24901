"""What a compiled call leaves behind besides values: hooks, modes, exceptions; and identity."""

import subprocess
import sys

import pytest

import rushlight as torch


def left_by(build):
    """What eager and compiled calls of what ``build()`` gives, (step, look), leave after three."""
    found = []
    for make in (lambda f: f, torch.compile):
        step, look = build()
        step = make(step)
        for _ in range(3):
            step(torch.arange(3.0))
        found.append(look())
    return found


def hook_on_a_parameter():
    w, seen = torch.ones(3, requires_grad=True), []
    w.register_hook(lambda g: seen.append(g) or g * 2)
    return lambda x: (x * w).sum().backward(), lambda: (w.grad.tolist(), [g.tolist() for g in seen])


def hook_put_by_the_step():
    w = torch.ones(3, requires_grad=True)

    def step(x):
        w.register_hook(lambda g: g * 2)
        (x * w).sum().backward()

    return step, lambda: w.grad.tolist()


def hook_removed_by_the_step():
    w, handles = torch.ones(3, requires_grad=True), []
    handles += [w.register_hook(lambda g: g * 2) for _ in range(3)]

    def step(x):
        handles.pop().remove()
        (x * w).sum().backward()

    return step, lambda: (w.grad.tolist(), len(handles))


def hook_after_accumulation():
    w, counts = torch.ones(3, requires_grad=True), [0]

    def count(p):
        counts[0] += 1

    def step(x):
        w.register_post_accumulate_grad_hook(count)
        (x * w).sum().backward()

    return step, lambda: (w.grad.tolist(), counts)


def hook_on_several():
    w, v = (torch.ones(3, requires_grad=True) for _ in range(2))
    seen = []
    torch.autograd.graph.register_multi_grad_hook([w, v], lambda gs: seen.append([*gs]))
    look = lambda: (w.grad.tolist(), [[g.tolist() for g in gs] for gs in seen])
    return lambda x: (x * w * v).sum().backward(), look


@pytest.mark.filterwarnings("ignore:torch.compile. running eagerly")
@pytest.mark.parametrize(
    "build",
    [hook_on_a_parameter, hook_put_by_the_step, hook_removed_by_the_step, hook_after_accumulation,
     hook_on_several],
)  # fmt: skip
def test_hooks_on_tensors(build):
    eager, compiled = left_by(build)
    assert compiled == eager


def test_a_mode_that_a_call_leaves():
    @torch.compile(fullgraph=True)
    def off(x):
        torch.set_grad_enabled(False)
        return x * 2

    for _ in range(3):
        torch.set_grad_enabled(True)
        off(torch.ones(2))
        left = torch.is_grad_enabled()
        torch.set_grad_enabled(True)
        assert not left


def test_identity():
    outer = torch.ones(2)
    same = torch.compile(lambda x, y: x + 1 if x is y else x - 1, fullgraph=True)
    known = torch.compile(lambda x: x + 1 if x is outer else x - 1, fullgraph=True)
    returned = torch.compile(lambda x: x, fullgraph=True)
    x = torch.ones(2)
    for _ in range(2):
        assert same(x, x.detach()).tolist() == [0, 0] and same(x, x).tolist() == [2, 2]
        assert known(torch.ones(2)).tolist() == [0, 0] and known(outer).tolist() == [2, 2]
        assert known(outer.detach()).tolist() == [0, 0] and returned(x) is x


def test_einops():
    pytest.importorskip("einops")
    code = """if True:
        import rushlight.as_torch, torch, einops
        from einops.layers.torch import Rearrange
        f = lambda x: einops.einsum(Rearrange('a (b c) -> b a c', b=2)(x),
                                    einops.repeat(x, 'a b -> r a b', r=2), 'k i j, k l m -> i m')
        x = torch.arange(12.0).reshape(2, 6)
        compiled = torch.compile(f, fullgraph=True)
        for _ in range(2):
            assert torch.equal(compiled(x), f(x))
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
