"""torch.utils.data.datapipes: pipelines of both libraries give the same samples and errors."""

import io
import pickle
import random
import warnings

import pytest

import rushlight as torch
from rushlight.utils.data import DataLoader, IterDataPipe
from rushlight.utils.data.datapipes.iter import IterableWrapper
from rushlight.utils.data.datapipes.map import SequenceWrapper
from rushlight.utils.data.datapipes.utils.common import StreamWrapper
from rushlight.utils.data.graph_settings import apply_sharding


def half(n):
    return n // 2


def is_even(n):
    return n % 2 == 0


def third(n):
    return n % 3


def third_or_none(n):
    return n % 3 if n % 4 else None


def pair(n):
    return (n, -n, {"n": n})


def plus(a, b):
    return a + b


#: Steps of streams of ints, which give streams of ints: (a step of a library's pipe, of numbers).
INTS = [
    lambda p, a, b: p.map(half),
    lambda p, a, b: p.filter(is_even),
    lambda p, a, b: p.batch(a, drop_last=bool(b % 2)).unbatch(),
    lambda p, a, b: p.shuffle(buffer_size=a).set_seed(b),
    lambda p, a, b: p.shuffle(),
    lambda p, a, b: p.groupby(third, group_size=a, buffer_size=a + b).unbatch(),
    lambda p, a, b: p.demux(3, third)[b % 3],
    lambda p, a, b: p.demux(3, third_or_none, drop_none=True)[b % 3],
    lambda p, a, b: p.fork(2, copy="deep")[b % 2],
    lambda p, a, b: p.map(pair).map(plus, [0, 1]).map(half, 0, -1).map(lambda t: t[0] + t[-1]),
    lambda p, a, b: p.map(pair).filter(is_even, 0).map(lambda t: t[0]),
    lambda p, a, b: p.batch(2).batch(2).unbatch(-1),
    lambda p, a, b: (lambda q: q[0].zip(q[1]).map(lambda t: t[0]))(p.fork(2)),
    lambda p, a, b: (lambda q: q[0].mux(q[1]))(p.fork(2)),
    lambda p, a, b: (lambda q: q[0].concat(q[1]))(p.fork(2)),
    lambda p, a, b: apply_to(p, a, b),
]


def apply_to(p, a, b):
    p = p.sharding_filter()
    p.apply_sharding(a + 1, b % (a + 1))
    return p


def outcome(call):
    """What ``call()`` gives, or the class of its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call()
        except Exception as error:
            return type(error).__name__


def twice(pipe):
    """Two passes, the second of which begins after some samples of another one."""
    found = list(pipe)
    begun = iter(pipe)
    some = [sample for sample, _ in zip(begun, range(2), strict=False)]
    again = list(pipe)
    return found, some, again, outcome(lambda: next(begun)), outcome(lambda: len(pipe))


@pytest.mark.parity
def test_random_pipelines():
    peer = pytest.importorskip("torch")
    theirs_wrapper = peer.utils.data.datapipes.iter.IterableWrapper
    chance = random.Random(7)
    for n in range(150):
        steps = [(chance.choice(INTS), chance.randint(1, 4), chance.randint(0, 5))
                 for _ in range(chance.randint(1, 4))]  # fmt: skip
        size = chance.choice([0, 1, 5, 12])

        def made(wrapper, library, steps=steps, size=size, n=n):
            library.manual_seed(n)
            pipe = wrapper(range(size))
            for step, a, b in steps:
                pipe = step(pipe, a, b)
            return twice(pipe)

        ours = outcome(lambda made=made: made(IterableWrapper, torch))
        theirs = outcome(lambda made=made: made(theirs_wrapper, peer))
        assert ours == theirs, (n, size, [(INTS.index(s), a, b) for s, a, b in steps])


@pytest.mark.parity
def test_random_pipelines_of_maps():
    peer = pytest.importorskip("torch")
    theirs_wrapper = peer.utils.data.datapipes.map.SequenceWrapper
    chance = random.Random(8)
    steps = [
        lambda p, a: p.map(half), lambda p, a: p.map(), lambda p, a: p.concat(p.map(half)),
        lambda p, a: p.zip(p).map(lambda t: t[0]), lambda p, a: p.batch(a).map(lambda t: t[0]),
    ]  # fmt: skip
    for n in range(60):
        drawn = [(chance.choice(steps), chance.randint(1, 3)) for _ in range(chance.randint(1, 4))]
        size, last = chance.choice([0, 1, 7]), chance.random() < 0.5

        def made(wrapper, library, drawn=drawn, size=size, last=last, n=n):
            library.manual_seed(n)
            pipe = wrapper(list(range(size)))
            for step, a in drawn:
                pipe = step(pipe, a)
            pipe = pipe.shuffle() if last else pipe
            picked = [outcome(lambda i=i: pipe[i]) for i in range(-1, 9)] if not last else []
            return len(pipe), picked, list(pipe), list(pipe)

        assert outcome(lambda made=made: made(SequenceWrapper, torch)) == outcome(
            lambda made=made: made(theirs_wrapper, peer)
        ), n


@pytest.mark.parity
@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_read_pipes(workers):
    peer = pytest.importorskip("torch")

    def read(library, shuffle, sharded):
        library.manual_seed(5)
        pipe = library.utils.data.datapipes.iter.IterableWrapper(range(11)).shuffle()
        pipe = pipe.sharding_filter() if sharded else pipe
        loader = library.utils.data.DataLoader(pipe, 3, shuffle=shuffle, num_workers=workers)
        passes = [[batch.tolist() for batch in loader] for _ in range(2)]
        return passes, library.rand(1).item(), len(loader)

    for shuffle in (None, True, False):
        for sharded in (True, False):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert read(torch, shuffle, sharded) == read(peer, shuffle, sharded)


def test_workers_that_stay_shuffle_anew():
    pipe = IterableWrapper(range(8)).shuffle().sharding_filter()
    loader = DataLoader(pipe, None, num_workers=2, persistent_workers=True)
    first, second = [[*loader] for _ in range(2)]
    assert sorted(first) == sorted(second) == [*range(8)] and first != second
    with pytest.warns(UserWarning, match="does not contain a `Shuffler`"):
        assert sorted(DataLoader(IterableWrapper(range(4)), None, shuffle=True)) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="sampler"):
        DataLoader(pipe, sampler=[1])
    maps = SequenceWrapper([5, 6, 7])
    assert [b.tolist() for b in DataLoader(maps, 2)] == [[5, 6], [7]]


def test_one_iterator_at_a_time():
    pipe = IterableWrapper(range(3))
    first, second = iter(pipe), iter(pipe)
    next(first)
    assert next(second) == 0
    with pytest.raises(RuntimeError, match="another iterator has been created from the same"):
        next(first)
    one, two = IterableWrapper(range(3)).fork(2)
    older = iter(one)
    next(older)
    with pytest.warns(UserWarning, match="not exhausted"):
        next(iter(one))
    with pytest.raises(RuntimeError, match="ChildDataPipes"):
        next(older)
    assert [*two] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError, match="thrown by __iter__ of MapperIterDataPipe"):
        list(IterableWrapper([0]).map((1).__truediv__))


def test_pickles():
    pipe = IterableWrapper(range(9)).shuffle().set_seed(3).batch(2)
    assert [*pickle.loads(pickle.dumps(pipe))] == [*pipe]
    left, _ = IterableWrapper(range(4)).fork(2)
    next(iter(left))
    with pytest.warns(UserWarning, match="not exhausted"):
        assert [*pickle.loads(pickle.dumps(left))] == [0, 1, 2, 3]


def test_refusals():
    pipe = IterableWrapper([1])
    for call, kind, text in (
        (lambda: pipe.map(5), TypeError, "callable function is expected"),
        (lambda: pipe.map(plus), ValueError, "positional parameters, but 1"),
        (lambda: pipe.map(half, output_col=1), ValueError, "must be None"),
        (lambda: list(pipe.filter(half)), ValueError, "Boolean output"),
        (lambda: pipe.batch(0), AssertionError, "larger than 0"),
        (lambda: pipe.fork(0), ValueError, "larger than 0"),
        (lambda: pipe.fork(2, copy="odd"), ValueError, "Unknown copy"),
        (lambda: pipe.zip([1]), TypeError, "required to be `IterDataPipe`"),
        (lambda: pipe.collate({}), NotImplementedError, "torcharrow"),
        (lambda: list(pipe.unbatch()), IndexError, "exceeds the depth"),
        (lambda: pipe.no_such_step, AttributeError, "no attribute 'no_such_step'"),
        (lambda: apply_sharding(pipe.sharding_filter().sharding_filter(), 2, 0), RuntimeError,
         "Sharding twice"),
        (lambda: IterDataPipe.register_datapipe_as_function("map", IterableWrapper), Exception,
         "already taken"),
    ):  # fmt: skip
        with pytest.raises(kind, match=text):
            call()


def test_decorators():
    data = torch.utils.data

    @data.non_deterministic(lambda source, mixed: mixed)
    class Mixed(IterDataPipe):
        def __init__(self, source, mixed):
            self.source = source

        def __iter__(self):
            return iter(self.source)

    assert list(Mixed([1, 2], True)) == [1, 2]
    with data.guaranteed_datapipes_determinism():
        assert list(Mixed([1], False)) == [1]
        with pytest.raises(TypeError, match="Mixed is non-deterministic"):
            Mixed([1], True)

    class Words(IterDataPipe):
        @data.runtime_validation
        def __iter__(self) -> "__import__('typing').Iterator[tuple[str, int]]":
            yield ("a", "b")

    with pytest.raises(RuntimeError, match="Expected an instance as subtype of"):
        list(Words())
    with data.runtime_validation_disabled():
        assert list(Words()) == [("a", "b")]

    @data.argument_validation
    def first(pipe: IterDataPipe):
        return next(iter(pipe))

    with pytest.raises(TypeError, match="Expected argument 'pipe' as a IterDataPipe"):
        first([1])


def test_files(tmp_path):
    for name in ("b.txt", "a.txt", "c.bin"):
        (tmp_path / name).write_text(name)
    paths = torch.utils.data.datapipes.iter.FileLister(str(tmp_path), "*.txt")
    read = [(path[-5:], text) for path, text in paths.open_files().read_from_stream()]
    assert read == [("a.txt", "a.txt"), ("b.txt", "b.txt")]
    inner = io.StringIO("x")
    outer = StreamWrapper(io.StringIO("y"))
    child = StreamWrapper(inner, outer, "child")
    outer.autoclose()
    assert not outer.closed and "child" in repr(child)
    child.close()
    assert outer.closed and inner.closed
