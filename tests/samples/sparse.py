"""The kernels of products and systems with sparse matrices, which are given as values, rows and columns."""

from tests.samples.sample import floats, sample

ROWS, COLUMNS, SIZE = [0, 0, 2, 1, 0], [1, 1, 0, 3, 2], (3, 4)


def _places(t):
    return t.tensor(ROWS), t.tensor(COLUMNS)


def _product(t, x, y):
    rows, columns = _places(t)
    if t.__name__ == "rushlight":
        from rushlight.sparse.products import product

        return product(x, y, rows, columns, size=SIZE)
    zeros = t.zeros(SIZE[0], y.shape[1], dtype=y.dtype)
    return zeros.index_add(0, rows, x[:, None] * y[columns])


def _sampled(t, x, y):
    rows, columns = _places(t)
    if t.__name__ == "rushlight":
        from rushlight.sparse.products import sampled

        return sampled(x, y, rows, columns)
    return (x[rows] * y[columns]).sum(1)


def _solved(t, x, y):
    # Entries (0, 0), (1, 1), (2, 2), (0, 2) and (2, 0) of a matrix that is far from singular.
    rows, columns = t.tensor([0, 1, 2, 0, 2]), t.tensor([0, 1, 2, 2, 0])
    x = x + t.tensor([9.0, 9.0, 9.0, 0.0, 0.0], dtype=x.dtype)
    if t.__name__ == "rushlight":
        from rushlight.sparse.systems import solved

        return solved(x, y, rows, columns)
    return t.linalg.solve(
        t.zeros(9, dtype=x.dtype).index_add(0, rows * 3 + columns, x).reshape(3, 3), y
    )


sample("sparse_solve", _solved, floats(5), floats(3, 2, seed=1), dtypes=("float64", "complex64"))
sample("sparse_product", _product, floats(5), floats(4, 2, seed=1), dtypes=("float64", "complex64"))
sample("sparse_sampled_product", _sampled, floats(3, 2), floats(4, 2, seed=1),
       dtypes=("float64", "complex64"))  # fmt: skip
