"""The quick test of whether integers are in range agrees with the plain comparisons."""

import numpy as np

from rushlight.ops.core.range_checks import within

DTYPES = ["int8", "uint8", "int16", "int32", "int64", "uint64"]
ENDS = [-(2**63), -300, -3, -1, 0, 1, 5, 300, 2**62, 2**63 - 1, 2**63, 2**64, np.inf]


def test_within_agrees_with_comparisons():
    random = np.random.default_rng(0)
    for dtype in DTYPES:
        info = np.iinfo(dtype)
        numbers = [n for n in (info.min, -4, -1, 0, 1, 4, 6, info.max) if info.min <= n <= info.max]
        for size in (0, 1, 2, 5):
            for _ in range(60):
                x = np.array(random.choice(np.array(numbers, object), size), dtype)
                low, high = random.choice(ENDS[:7]), random.choice(ENDS)
                want = all(low <= n <= high for n in x.tolist())
                assert within(x, low, high) == want, (x, low, high)
