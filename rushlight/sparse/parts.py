"""The parts of a sparse tensor: values, indices, and the numbers of its dims."""

from rushlight.ops.tensor.memory_format import sparse_coo
from rushlight.shapes import flag
from rushlight.sparse.container import BY_ROW, RULES, in_words, rule
from rushlight.sparse.conversion import count, require_coo


@rule
def values(self):
    if self.form is sparse_coo and not self.merged:
        raise RuntimeError(
            "Cannot get values on an uncoalesced tensor, please call .coalesce() first"
        )
    return self.stored.view_as(self.stored)


@rule
def _values(self):
    require_coo("_values", self)
    return self.stored.detach()


@rule
def indices(self):
    require_coo("indices", self)
    if not self.merged:
        raise RuntimeError(
            "Cannot get indices on an uncoalesced tensor, please call .coalesce() first"
        )
    return self.pattern[0]


@rule
def _indices(self):
    require_coo("_indices", self)
    return self.pattern[0]


def _index_getter(name, i, rows):
    def get(self):
        if self.form is sparse_coo or (self.form in BY_ROW) is not rows:
            kind = "row" if rows else "column"
            raise RuntimeError(
                f"{name} expected sparse {kind} compressed tensor layout but got "
                f"{in_words(self.form)}"
            )
        return self.pattern[i]

    rule(get, name=name)


for _name, _i, _rows in (("crow_indices", 0, True), ("col_indices", 1, True),
                         ("ccol_indices", 0, False), ("row_indices", 1, False)):  # fmt: skip
    _index_getter(_name, _i, _rows)


@rule
def is_coalesced(self):
    require_coo("is_coalesced", self)
    return self.merged


@rule
def _coalesced_(self, coalesced):
    require_coo("_coalesced_", self)
    self.merged = flag(coalesced, "_coalesced_", "coalesced")
    return self


@rule
def _nnz(self):
    return self.pattern[-1].shape[-1]


@rule
def sparse_dim(self):
    return count(self) if self.form is sparse_coo else 2


@rule
def dense_dim(self):
    batch = 0 if self.form is sparse_coo else self.pattern[0].ndim - 1
    return len(self.sizes) - RULES["sparse_dim"](self) - batch
