"""ctc_loss by machine code, by NumPy and by PyTorch, for lengths and labels of every kind."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.ops.loss import ctc, ctc_loops


def drawn(seed):
    """Inputs that may be empty, too short for their labels, or without labels; some are packed."""
    rng = np.random.default_rng(seed)
    times, n, classes, most = (int(k) for k in rng.integers((1, 1, 2, 1), (9, 5, 6, 6)))
    dtype = (np.float32, np.float64)[seed % 2]
    logits = rng.standard_normal((times, n, classes)).astype(dtype)
    blank = int(rng.integers(classes))
    targets = (blank + rng.integers(1, classes, (n, most))) % classes  # no label is the blank
    inputs, lengths = rng.integers(0, times + 1, n), rng.integers(0, most + 1, n)
    if rng.random() < 0.5:
        targets = np.concatenate([row[:k] for row, k in zip(targets, lengths, strict=True)])
    options = {"blank": blank, "zero_infinity": bool(rng.random() < 0.5), "reduction": "none"}
    return (logits, targets, inputs, lengths), options


def losses(framework, arrays, options):
    """The losses and the gradient of the logits."""
    logits, *others = [framework.from_numpy(a) for a in arrays]
    logits.requires_grad_()
    found = framework.nn.functional.ctc_loss(logits.log_softmax(2), *others, **options)
    found.backward(framework.arange(1.0, len(found) + 1, dtype=found.dtype))
    return found.detach().numpy(), logits.grad.numpy()


@pytest.mark.parametrize("block", range(4))
def test_machine_code_gives_the_losses_and_gradients_of_numpy_and_pytorch(monkeypatch, block):
    pytorch = pytest.importorskip("torch")
    monkeypatch.setattr(ctc_loops, "_LEAST", 1)
    for seed in range(40 * block, 40 * block + 40):
        arrays, options = drawn(seed)
        looped = losses(torch, arrays, options)
        with monkeypatch.context() as m:
            m.setattr(ctc, "paths_by_loop", lambda *given: None)
            plain = losses(torch, arrays, options)
        theirs = losses(pytorch, arrays, options)
        tolerance = 1e-4 if arrays[0].dtype == np.float32 else 1e-10
        for a, b, c in zip(looped, plain, theirs, strict=True):
            np.testing.assert_allclose(a, b, tolerance, tolerance, err_msg=f"NumPy, seed {seed}")
            np.testing.assert_allclose(a, c, tolerance, tolerance, err_msg=f"PyTorch, seed {seed}")
