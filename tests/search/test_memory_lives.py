"""Memory that tensors share: resized, set, viewed as other dtypes, copied, pickled; as in PyTorch."""

import copy
import io
import pickle

import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import SEED, attempt, close, search

torch = pytest.importorskip("torch")


EVENTS = table("""
b = a[1:] | b = a.view(-1) | b = a.T | b = a.t() | b = a.flatten() | b = a.reshape(2, -1) | b = a.contiguous() | b = a.clone()
b = a.as_strided((2, 2), (1, 2), 1) | b = a.as_strided((3,), (2,)) | b = a.view(T.int32) | b = a.view(T.uint8) | b = a.view(T.float32)
b = a.detach() | b = a.data | b = a.unfold(0, 2, 1) | b = a[..., None] | b = a.diagonal() | b = a.unsqueeze(0)
b = a.select(0, 0) | b = a.narrow(0, 1, 1) | b = a.squeeze() | b = a.permute(*range(a.ndim)[::-1]) | b = a.real | b = a.to(T.float64)
b = a.to(a.dtype) | b = a.to(a.dtype, copy=True) | b = T.from_numpy(a.numpy()) | b = T.as_tensor(a) | b = T.asarray(a.numpy())
b = T.frombuffer(bytearray(16), dtype=T.float32) | b = T.tensor(a.tolist()) | b = copy.deepcopy(a) | b = copy.copy(a) | b = pickle.loads(pickle.dumps(a))
a, b = b, a | a, b = copy.deepcopy((a, b)) | a, b = saved((a, b)) | a = T.arange(6.0) | a = T.arange(8.0).reshape(2, 4)
a = T.zeros(3, 2) | a = T.arange(12.0).reshape(3, 2, 2) | b = T.ones(2) | a = T.ones(4) | b = a.untyped_storage() and a | a = T.arange(4).float()
a.fill_(7) | a.mul_(2) | a[0] = 9 | b.zero_() | b.copy_(b.flip(0)) | a.add_(b.sum()) | b[...] = 3 | a.data.fill_(5) | a.numpy()[...] = 4
a.resize_(2) | a.resize_(1, 2) | a.set_(b) | a.set_(b.untyped_storage(), 0, (2,), (1,))
a.data = b | a.data = b.clone() | a.t_() | a.squeeze_() | a.unsqueeze_(0) | a.transpose_(0, -1) | a.swapdims_(0, -1) | a.as_strided_((2,), (1,))
a.untyped_storage().fill_(0) | a.storage_offset()
seen.append(a.is_contiguous()) | seen.append(a.numel() and a.untyped_storage().nbytes()) | seen.append(T.equal(a, b))
seen.append(a.data_ptr() == b.data_ptr())
seen.append(a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()) | seen.append(a.element_size() * a.nelement()) | seen.append(a.storage_offset())
seen.append(len(a)) | seen.append(a.nbytes)
""")


class Life:
    """The names that events use, in one framework."""

    def __init__(self, framework):
        self.T = framework
        a = framework.arange(6.0).reshape(2, 3)
        self.names = {"T": framework, "a": a, "b": a[1], "copy": copy, "pickle": pickle}
        self.names |= {"seen": [], "saved": self.saved}

    def saved(self, pair):
        file = io.BytesIO()
        self.T.save(pair, file)
        file.seek(0)
        return self.T.load(file)

    def happen(self, event):
        return attempt(event, self.names)

    def look(self):
        a, b = self.names["a"], self.names["b"]
        found = [self.names["seen"]]
        for t in (a, b):
            steps = [s for n, s in zip(t.shape, t.stride(), strict=True) if n > 1]
            steps = steps if t.numel() else []
            memory = t.untyped_storage()
            found.append((tuple(t.shape), steps, t.storage_offset(), str(t.dtype), t.tolist()))
            found.append(memory.nbytes() if t.numel() else None)
        shares = a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
        found.append(shares if a.numel() and b.numel() else None)
        return found


def difference(_, events):
    """The first event after which the frameworks differ, and how; or None."""
    ours, theirs = Life(rushlight), Life(torch)
    for event in events:
        a, b = ours.happen(event), theirs.happen(event)
        if (a is None) != (b is None):
            return event, a, b
        a, b = ours.look(), theirs.look()
        if not close(a, b):
            return event, a, b
    return None


def draw(choose):
    return None, choose.choices(EVENTS, k=choose.randint(2, 12))


def test_some_lives():
    search(draw, difference, 60, 7)


@pytest.mark.search
def test_many_lives():
    search(draw, difference, 5000, SEED)
