"""linear of a few very long rows, which inner products compute."""

import numpy as np

import rushlight as torch


def test_few_long_rows_give_the_products_of_all_pairs():
    rng = np.random.default_rng(0)
    x, w, bias = rng.normal(size=(2, 300001)), rng.normal(size=(3, 300001)), rng.normal(size=3)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        given = [torch.tensor(a, dtype=dtype) for a in (x, w, bias)]
        found = torch.nn.functional.linear(*given)
        assert found.dtype is dtype and found.is_contiguous()
        wanted = [[float(np.sum(a * b)) for b in w] for a in x] + bias
        scale = 300001**0.5
        np.testing.assert_allclose(found.numpy() / scale, wanted / scale, atol=tolerance)
