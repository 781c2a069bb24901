"""What a call gives under one framework, and how two outcomes differ."""

import random
import warnings

import numpy as np
import pytest

import rushlight

__all__ = ["faults", "look"]

#: Relative and absolute tolerance. Initial parameters are drawn, and have a tolerance of their own.
_TOLERANCE = {np.dtype(np.float32): 3e-4, np.dtype(np.complex64): 3e-4}
_INITIAL = 1e-6


def _tensors(found, kind):
    """The tensors in a result, in the order that they have in it."""
    if isinstance(found, kind):
        return [found]
    if isinstance(found, (tuple, list)):
        return [t for part in found for t in _tensors(part, kind)]
    return []


def _array(t):
    return None if t is None else t.numpy(force=True).copy()


def _weighted(torch, outputs):
    """The sum of all elements of ``outputs`` that have a history, each with another weight."""
    total = 0.0
    for i, out in enumerate(outputs):
        if out.requires_grad:
            parts = torch.view_as_real(out) if out.is_complex() else out
            weights = np.random.default_rng(i).standard_normal(tuple(parts.shape))
            total = total + (parts * torch.from_numpy(np.asarray(weights)).to(parts.dtype)).sum()
    return total


def _load(torch, module, outcome):
    """Give ``module`` the initial parameters and buffers of ``outcome``."""
    start = "initial "
    arrays = {n.removeprefix(start): a for n, a in outcome.items() if n.startswith(start)}
    module.load_state_dict({n: torch.from_numpy(a.copy()) for n, a in arrays.items()}, strict=False)


def _outcome(torch, call, seed, initial=None, compiled=False):
    """Numbers and properties by name: of the module, its outputs and the gradients.

    ``initial`` is another outcome, whose initial parameters and buffers the module is given: drawn
    normal numbers may differ in the last bit. Where the call or its gradient raises, the only entry
    is the error.
    """
    torch.manual_seed(seed)
    found = {}
    try:
        function = call.function(torch)
        module = function if call.settings is not None else None
        if module is not None:
            found["repr"] = repr(module)
            found |= {f"initial {name}": _array(t) for name, t in module.state_dict().items()}
            _load(torch, module, initial or {})
        args, named, leaves = call.made(torch)
        if compiled and module is None:
            run = torch.compile(lambda *args, **named: function(*args, **named))
        else:
            run = torch.compile(module) if compiled else function
        result = run(*args, **named)
        outputs = _tensors(result, torch.Tensor)
        total = _weighted(torch, outputs)
        if isinstance(total, torch.Tensor):
            total.backward()
    except Exception as error:
        return {"raises": error}
    found["outputs"] = len(outputs) if outputs else repr(result)
    for i, out in enumerate(outputs):
        found[f"output {i}"] = _array(out)
        found[f"output {i}: dtype, requires_grad"] = str(out.dtype)[-8:], out.requires_grad
        # Strides of dims of size 1 are a known difference, and so are those of compiled calls.
        if out.numel() and not compiled:
            strides = zip(out.stride(), out.shape, strict=True)
            found[f"output {i}: strides"] = [stride for stride, n in strides if n > 1]
    found |= {f"gradient of input {i}": _array(leaf.grad) for i, leaf in enumerate(leaves)}
    if module is not None:
        found |= {f"gradient of {n}": _array(p.grad) for n, p in module.named_parameters()}
        found |= {f"{n} afterwards": _array(b) for n, b in module.named_buffers()}
    return found


def _difference(name, a, b):
    """How the entry ``name`` of two outcomes differs; None if it does not."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{name}: {a.dtype} {a.shape} and {b.dtype} {b.shape}"
        tolerance = _INITIAL if name.startswith("initial") else _TOLERANCE.get(a.dtype, 1e-8)
        if np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True):
            return None
        wrong = ~np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        place = tuple(np.argwhere(wrong)[0].tolist())
        return f"{name}: {wrong.sum()} of {a.size} elements, at {place} {a[place]} and {b[place]}"
    same = type(a) is type(b) and a == b
    return None if same else f"{name}: {a} and {b}"


def _differences(one, other, strides):
    """How two outcomes differ, an entry a line; a call that raises in both does not."""
    if "raises" in one and "raises" in other:
        return []
    if "raises" in one or "raises" in other:
        return [_difference("raises", repr(one.get("raises")), repr(other.get("raises")))]
    found = []
    for name in dict.fromkeys([*one, *other]):
        if name.endswith("strides") and not (strides and name in one and name in other):
            continue
        found.append(_difference(name, one.get(name), other.get(name)))
    return [line for line in found if line]


def faults(draw_call, seeds, free_strides=()):
    """What differs between PyTorch, rushlight, and compiled rushlight for the calls of ``seeds``.

    ``draw_call(seed)`` gives the call. Calls of the names in ``free_strides`` may lie in memory in
    any way.
    """
    peer = pytest.importorskip("torch")
    found = []
    for seed in seeds:
        call = draw_call(seed)
        strides = call.name not in free_strides
        theirs = _outcome(peer, call, seed)
        ours = _outcome(rushlight, call, seed, theirs)
        lines = _differences(theirs, ours, strides)
        names = "PyTorch and rushlight have"
        if not lines and "raises" not in ours and seed % 2:
            compiled = _outcome(rushlight, call, seed, theirs, compiled=True)
            lines = _differences(ours, compiled, strides)
            names = "the eager and the compiled call have"
        if lines:
            source = f"torch.manual_seed({seed}); {call!r}"
            found.append("\n    ".join([f"seed {seed}:", source, f"{names}:", *lines[:8]]))
    return found


def look(draw_call, count, free_strides=()):
    """Fail with what differs for ``count`` new seeds."""
    first = random.randrange(1 << 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = faults(draw_call, range(first, first + count), free_strides)
    assert not found, "\n\n".join([f"{len(found)} of {count} calls differ:", *found[:20]])
