"""Eager kernels over rows of any length: one code for many shapes, compared with NumPy."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.run import row_functions

# name → (function of tensors, function of arrays, the dims of each operand's shape)
FUNCTIONS = {
    "sums": (lambda x: x.sum(2), lambda x: x.sum(2), ["ncw"]),
    "squares": (
        lambda x, m: ((x - m) * (x - m)).sum(2),
        lambda x, m: ((x - m) ** 2).sum(2),
        ["ncw", "c1"],
    ),
    "products": (
        lambda x, h, m: (h * (x - m)).sum(2),
        lambda x, h, m: (h * (x - m)).sum(2),
        ["ncw", "ncw", "c1"],
    ),
    "scaled": (
        lambda x, m, s, y: (x - m) * s + y,
        lambda x, m, s, y: (x - m) * s + y,
        ["ncw", "c1", "c1", "cw"],
    ),
    "column": (lambda x, y: x * y, lambda x, y: x * y, ["ncw", "nc1"]),
    "images": (lambda x, y: x * y, lambda x, y: x * y, ["ncw", "n11"]),
    "softmax": (
        lambda x: x.softmax(1),
        lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
        ["nw"],
    ),
    "largest": (lambda x, y: (x + y).amax(1), lambda x, y: (x + y).max(1), ["nw", "w"]),
    "places": (lambda x: x.argmax(1), lambda x: x.argmax(1), ["nw"]),
    "sorted": (lambda x: x.cumsum(1), lambda x: x.cumsum(1), ["nw"]),
    "centred": (
        lambda x: x - x.mean(1, keepdim=True),
        lambda x: x - x.mean(1, keepdims=True),
        ["nw"],
    ),
}
SIZES = {"n": (1, 2, 3, 17), "c": (1, 2, 3, 16, 33)}
WIDTHS = (1, 2, 3, 8, 16, 17, 31, 49, 64, 65, 100, 128, 196, 257, 784, 1000, 2048, 4096, 5000)


def _checked(rng, name, sizes, dtype=np.float32):
    function, on_arrays, dims = FUNCTIONS[name]
    shapes = [tuple([sizes.get(d, 1) for d in own]) for own in dims]
    values = [
        Abstract((row_functions.ROWS, *shape[1:]) if own[0] == "n" else shape, np.dtype(dtype))
        for own, shape in zip(dims, shapes, strict=True)
    ]
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    try:
        stream = row_functions.Stream(function, values)
    except NotImplementedError:
        return None
    work = stream.work(sizes["n"])
    (found,) = stream(work, arrays)
    expected = on_arrays(*[x.astype(np.float64) for x in arrays])
    np.testing.assert_allclose(
        found, expected, rtol=1e-4, atol=1e-5 * sizes["w"], err_msg=f"{name} of {shapes}"
    )
    return stream


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_of_random_lengths(name):
    rng = np.random.default_rng(len(name))
    served = 0
    for _ in range(12):
        sizes = {d: int(rng.choice(some)) for d, some in SIZES.items()}
        width = int(rng.choice(WIDTHS)) if rng.random() < 0.7 else int(rng.integers(1, 900))
        served += _checked(rng, name, {**sizes, "w": width}) is not None
    assert served > 4


def test_rows_of_many_lengths_share_code():
    rng = np.random.default_rng(0)
    libraries = [
        _checked(rng, name, {"n": 3, "c": channels, "w": width}).library
        for name in ("sums", "products", "scaled")
        for channels, width in ((16, 1024), (24, 4096), (72, 256), (7, 3072))
        if name != "sums" or width < 4096
    ]
    assert len(set(map(id, libraries))) == 3


def test_the_key_has_all_that_the_code_depends_on(monkeypatch):
    """Kernels with one key have one text."""
    texts: dict = {}
    made = row_functions.load, row_functions.cache.object_code

    def noted(key, module):
        text = str(module())
        assert texts.setdefault(key, text) == text
        return made[1](key, module)

    monkeypatch.setattr(row_functions.cache, "object_code", noted)
    rng = np.random.default_rng(1)
    shared = 0
    for name in FUNCTIONS:
        for n, c, w in ((2, 3, 129), (3, 16, 190), (2, 5, 192), (3, 7, 320), (3, 8, 1 << 14)):
            monkeypatch.setattr(row_functions, "_libraries", {})
            before = len(texts)
            stream = _checked(rng, name, {"n": n, "c": c, "w": w})
            shared += bool(stream and stream.sizes) and len(texts) == before
    assert shared > 4
