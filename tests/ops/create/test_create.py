"""New tensors: from data, filled, ranges, joined and repeated, and the legacy constructors."""

import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from tests.ops.geometry import check, expressions, numbered
from tests.ops.parity import check_gradients

DATA = expressions(
    """
    1|2.5|True|1j|[1,2]|[1,2.5]|[True,2]|[1,2j]|[]|[[],[]]|()|(1,(2,))|[[1,2],[3]]|[1,[2]]|[[1],2]
    'a'|b'ab'|['a']|[None]|None|{}|{1:2}|{1,2}|object()|2**63|[2**63]|[2**63,-1]|-2**63|2**70
    range(3)|iter([1])|[range(2),(3,4)]|[[[1],[2]],[[3],[4,5]]]|[[1,2],None]|np.float32(2)
    np.float16(2)|np.float64(2)|np.int8(3)|np.bool_(True)|[np.float32(2)]|[np.int32(2)]
    [1,np.float32(2)]|[True,np.int8(2)]|np.ones(2)|np.ones((2,2),'f4')|np.array(3)
    np.ones(2)[::-1]|np.array([1],'>i4')|np.array(['a'])|np.array([object()])|np.ones(2,'u2')
    [np.ones(2),np.zeros(2)]|[np.ones(2),[3,4]]|np.ma.array([1.])|torch.ones(2)|torch.tensor(3)
    [torch.tensor(1.),2]|[torch.ones(2)]|[[torch.tensor(1)],[torch.tensor(2)]]|bytearray(b'ab')
    memoryview(bytearray(2))|float('nan')|[float('inf'),1]|[1e400]|1e40
    __import__('array').array('f',[1,2])|__import__('collections').deque([1,2])
    __import__('fractions').Fraction(1,2)
""",
    "|",
)

DTYPES = expressions("""
    torch.tensor(300,dtype=torch.uint8) torch.tensor([300],dtype=torch.uint8)
    torch.tensor(-1,dtype=torch.uint8) torch.tensor([-1,5],dtype=torch.uint8)
    torch.tensor(-300,dtype=torch.uint8) torch.tensor(1.7,dtype=torch.int32)
    torch.tensor([1.7,-1.7],dtype=torch.int64) torch.tensor(2,dtype=torch.bool)
    torch.tensor(float('nan'),dtype=torch.int64) torch.tensor(1j,dtype=torch.float32)
    torch.tensor([1j],dtype=torch.int64) torch.tensor(True,dtype=torch.complex64)
    torch.tensor(1e6,dtype=torch.half) torch.tensor([0.1,1e39],dtype=torch.bfloat16)
    torch.tensor(2**63,dtype=torch.uint64) torch.tensor(2**64,dtype=torch.float32)
    torch.tensor(np.array([300]),dtype=torch.uint8)
    torch.tensor(np.array([1.5,-1.5]),dtype=torch.uint8) torch.tensor(1,dtype='float32')
    torch.tensor() torch.tensor(1,2) torch.tensor(1,requires_grad=True)
    torch.tensor([1.],device='cuda') torch.tensor([1.],device='cpu').device.type
    torch.as_tensor([1,2],dtype=torch.float64) torch.as_tensor(np.ones(2))
    torch.as_tensor(np.ones(2),dtype=torch.float32) torch.as_tensor(np.ones(2)[::-1])
    torch.asarray([1],copy=False) torch.asarray(np.ones(2),copy=True)
    torch.asarray(torch.ones(2),dtype=torch.float64,copy=False)
    torch.asarray(torch.ones(2),requires_grad=True) torch.from_numpy([1])
    torch.from_numpy(np.float64(1)) torch.from_numpy(np.ones(2)[::-1])
    torch.from_numpy(np.array([1],'>i4')) torch.from_numpy(np.array([1+1j],'c8'))
    torch.frombuffer(bytearray(8),dtype=torch.int32)
    torch.frombuffer(bytearray(8),dtype=torch.int32,offset=4)
    torch.frombuffer(bytearray(7),dtype=torch.int32)
    torch.frombuffer(bytearray(8),dtype=torch.int16,count=2)
    torch.frombuffer(bytearray(8),dtype=torch.int16,count=9)
    torch.frombuffer(bytearray(8),dtype=torch.int32,offset=9)
""")

MADE = expressions("""
    torch.zeros(2,3) torch.zeros((2,3)) torch.zeros([2,3]) torch.zeros(size=(2,)) torch.zeros(())
    torch.zeros() torch.zeros(-1) torch.zeros(2.0) torch.zeros('a') torch.zeros((2,3),4)
    torch.zeros(True) torch.zeros(np.int64(2)) torch.zeros(torch.tensor(3))
    torch.zeros(2**40,2**40) torch.zeros(2**62) torch.zeros(2,dtype=torch.bool) torch.zeros(2,0)
    torch.ones(3,dtype=torch.complex64) torch.ones(2,dtype=torch.bfloat16)
    torch.ones(2,out=torch.zeros(2)) torch.ones(2,device='cuda')
    torch.ones(2,layout=torch.strided) torch.full((2,),3) torch.full((2,),True)
    torch.full((2,),1j) torch.full((),1.5) torch.full(2,1) torch.full((2,),1e40)
    torch.full((2,),300,dtype=torch.uint8) torch.full((2,),torch.tensor(3.))
    torch.full((2,),1,dtype=torch.bool) torch.full((2,),np.float32(2)) torch.full((2,),-0.0)
    torch.zeros_like(x) torch.ones_like(x,dtype=torch.int8) torch.full_like(x,7)
    torch.full_like(x.int(),1.5) torch.empty_like(x).shape torch.zeros_like(x.t()).stride()
    torch.ones_like(x.t()).stride() torch.empty_like(x.t()).stride()
    torch.zeros_like(x.t(),memory_format=torch.contiguous_format).stride() torch.empty(2,3).shape
    torch.empty_strided((2,3),(1,2)).stride() torch.empty_strided((2,3),(1,)) x.new_zeros(2,3)
    x.new_ones((2,)) x.int().new_full((2,),3.5) x.new_full((2,),3,dtype=torch.int64)
    x.new_empty(2,0) x.new_tensor([1,2]) x.int().new_tensor([1.5]) x.new([1,2]) x.new(2,0)
    torch.arange(5) torch.arange(1,5) torch.arange(1,5,2) torch.arange(5,1,-2)
    torch.arange(0.,1,0.1) torch.arange(1,2,0.3) torch.arange(0,5,0) torch.arange(5,0)
    torch.arange(True) torch.arange(5,dtype=torch.float16) torch.arange(2.5,5)
    torch.arange(2.5,dtype=torch.int64) torch.arange(1.5,4.9,1.9,dtype=torch.int32)
    torch.arange(torch.tensor(3)) torch.arange(end=3) torch.arange(float('nan'))
    torch.arange(3,requires_grad=True) torch.arange(0,2**53,2**50)
    torch.arange(-3,3,dtype=torch.uint8) torch.arange(0,1,1/3)
    torch.arange(1,0,-0.1,dtype=torch.float64) torch.arange(0,1000,0.01) torch.linspace(0,1,5)
    torch.linspace(0,1,1) torch.linspace(0,1,0) torch.linspace(0,1,-1) torch.linspace(0,1)
    torch.linspace(3,-3,7) torch.linspace(0,10,5,dtype=torch.int64) torch.linspace(0,1,101)
    torch.linspace(-1e6,1e6,1001) torch.linspace(0,1j,3) torch.linspace(0,1,7,dtype=torch.float64)
    torch.linspace(0,1,9,dtype=torch.float16) torch.linspace(torch.tensor(0.),1,3)
    torch.logspace(0,2,3) torch.logspace(-3,3,50) torch.logspace(0,3,4,base=2)
    torch.logspace(0,1,4,dtype=torch.float64) torch.eye(3) torch.eye(2,3) torch.eye(3,0)
    torch.eye(-1) torch.eye(2.) torch.eye(2,dtype=torch.bool) torch.tril(x) torch.triu(x,1)
    torch.tril(x,-1) torch.triu(x[0]) x.tril_(1) x.triu_() torch.diag(x) torch.diag(x[0])
    torch.diag(x[0],-1) torch.diag(x,1) torch.diag(x[None]) torch.diag(torch.tensor(1.))
    torch.diag(x,out=torch.empty(0)) x.fill_diagonal_(5) x[0].fill_diagonal_(1)
    torch.ones(7,2).fill_diagonal_(0,wrap=True) torch.ones(2,3,2).fill_diagonal_(0)
""")

JOINED = expressions("""
    torch.cat([x,x]) torch.cat((x,x),1) torch.cat([x,x],-1) torch.cat([]) torch.cat([x,3])
    torch.cat(x) torch.cat([x,x[0]]) torch.cat([x,torch.ones(0)]) torch.cat([torch.ones(0)])
    torch.cat([torch.ones(0)]*2,3)
    torch.cat([x,x[:,:2]]) torch.cat([x,x[:,:2]],1) torch.cat([x,x],2) torch.cat([x[0,0],x[0,0]])
    torch.cat([x,x.int()]) torch.cat([x.int(),x.byte()]) torch.cat([x,x.double()])
    torch.cat([x.half(),x.bfloat16()]) torch.cat([x,x],out=torch.empty(0))
    torch.concat([x,x],dim=1) torch.concatenate([x,x],axis=1) torch.stack([x,x],axis=1)
    x[None].squeeze(axis=0) torch.cat(tensors=[x,x]) torch.stack([x,x]) torch.stack([x,x],-1)
    torch.stack([x,x],1) torch.stack([x,x],4) torch.stack([]) torch.stack([x,x[0]])
    torch.stack([x,x.double()]) torch.hstack([x,x]) torch.hstack([x[0],x[0]])
    torch.hstack([x[0,0],x[0]]) torch.vstack([x,x]) torch.vstack([x[0],x]) torch.dstack([x,x])
    torch.column_stack([x[:,0],x]) torch.tile(x,(2,)) x.tile(2,1,2) x.repeat(2) x.repeat(2,3)
    x.repeat(1,2,0) x.repeat((2,1)) x.repeat(2,-1) x[0,0].repeat(3) x.repeat_interleave(2)
    x.repeat_interleave(2,1) x.repeat_interleave(torch.tensor([1,0,2]),0)
    x.repeat_interleave(torch.tensor([1,2])) x.repeat_interleave(-1)
    torch.repeat_interleave(torch.tensor([1,0,2])) torch.repeat_interleave(torch.tensor([1.]))
    x.repeat_interleave(torch.tensor(2))
    x.repeat_interleave(torch.tensor([1,2,3]),0,output_size=6) x.flip(0) x.flip(0,1) x.flip((1,))
    x.flip(0,0) x.flip(2) x.flip(()) x.flip() x.fliplr() x.flipud() x[0].fliplr() x.roll(1)
    x.roll(1,0) x.roll((1,-2),(0,1)) x.roll((1,2),0) x.roll(1,5) x.roll(-7,1)
    torch.meshgrid(x[0],x[1],indexing='ij') torch.meshgrid(x[0],x[1],indexing='xy')
    torch.meshgrid([x[0],x[0,0]],indexing='ij') torch.meshgrid(x[0],x[0],x[1],indexing='xy')
    torch.meshgrid(x,indexing='ij') torch.meshgrid(x[0],x[0],indexing='zz') torch.meshgrid()
    torch.meshgrid(x[0],x[0].int(),indexing='ij')
""")


def _x(t):
    return {"np": np, "x": numbered(t, (3, 4)) - 5}


@pytest.mark.parity
def test_data():
    for e in DATA:
        check(f"torch.tensor({e})", _x)
        check(f"torch.as_tensor({e})", _x)


@pytest.mark.parity
def test_dtypes_and_options():
    for e in DTYPES:
        check(e, _x)


@pytest.mark.parity
def test_filled_and_ranges():
    for e in MADE:
        check(e, _x)


@pytest.mark.parity
def test_joined_and_repeated():
    for e in JOINED:
        check(e, _x)


@pytest.mark.parity
def test_legacy_constructors():
    for e in expressions("""
        torch.Tensor(2,0) torch.Tensor([1,2]) torch.Tensor() torch.Tensor((2,3))
        torch.Tensor(torch.Size([0,2])) torch.Tensor(3.5) torch.Tensor(True) torch.Tensor(2.0,3)
        torch.Tensor(np.ones(2)) torch.Tensor(torch.tensor(3)) torch.Tensor([[1,2],[3]])
        torch.Tensor('ab') torch.Tensor(-1) torch.Tensor([1,2],device='cuda')
        torch.FloatTensor([1,2]) torch.FloatTensor(2,0) torch.LongTensor([1.7,2])
        torch.ByteTensor([300]) torch.BoolTensor([1,0]) torch.LongTensor([1j])
        torch.DoubleTensor(x) torch.FloatTensor(x) str(torch.HalfTensor(0).dtype)
        isinstance(x,torch.FloatTensor) isinstance(x,torch.LongTensor) isinstance(x,torch.Tensor)
        isinstance(3,torch.FloatTensor) str(torch.FloatTensor.dtype) torch.FloatTensor.is_cuda
        torch.FloatTensor.__name__ torch.FloatTensor.__module__
        issubclass(torch.FloatTensor,torch.Tensor) torch.IntTensor(np.array([1.5])) x.type()
        x.type(torch.LongTensor) x.type('torch.LongTensor') x.type('x') x.type(torch.int8)
    """):
        check(e, _x)


@pytest.mark.parity
def test_default_dtype():
    oracle = pytest.importorskip("torch")
    for t in (torch, oracle):
        for bad in (t.int32, t.complex64, "float32"):
            with pytest.raises(TypeError):
                t.set_default_dtype(bad)
    try:
        for t in (torch, oracle):
            t.set_default_dtype(t.float64)
        for e in expressions(
            "torch.tensor(1.5) torch.zeros(2) torch.Tensor([1]) torch.arange(1.5) torch.tensor(1j) torch.full((1,),2.) torch.linspace(0,1,3) torch.ones(1).int()*2.5"
        ):
            check(e, lambda t: {})
    finally:
        for t in (torch, oracle):
            t.set_default_dtype(t.float32)


@pytest.mark.parity
def test_gradients():
    x, y = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    for e in expressions("""
        torch.cat([x,x*2,y[None]]) torch.cat([x,x],1) torch.stack([x,x*x]) torch.stack([y,x[0]],1)
        torch.hstack([x,x]) torch.vstack([x,y]) x.repeat(2,1,2) x.tile(2) x.repeat_interleave(3,1)
        x.repeat_interleave(torch.tensor([2,1]),0) x.flip(0,1) x.roll(2) x.roll((1,1),(0,1))
        x.tril() x.triu(1) torch.diag(y,1) torch.diag(x)*2 torch.diag(x,1)*2
    """):
        check_gradients(e, x=x, y=y)
    check_gradients("torch.meshgrid(y, y * 2, indexing='xy')", y=y)


# Without PyTorch --------------------------------------------------------------------------


def test_ragged_data_is_refused_with_the_lengths():
    with pytest.raises(ValueError, match=r"length 2 at dim 1 \(got 1\)"):
        torch.tensor([[1, 2], [3]])
    with pytest.raises(TypeError, match=r"numpy\.object_"):
        torch.tensor(np.array([object()]))
    with pytest.raises(ValueError, match="Overflow"):
        torch.tensor([2**63])


def test_memory_is_shared_both_ways_or_not_at_all():
    a = np.zeros(3)
    t = torch.from_numpy(a)
    t.add_(1)
    a[0] = 5
    assert t.tolist() == [5, 1, 1] and a.tolist() == [5, 1, 1]
    assert torch.as_tensor(a).data_ptr() == t.data_ptr() != torch.tensor(a).data_ptr()


def test_read_only_arrays_warn_and_refuse_writes():
    a = np.zeros(3)
    a.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        t = torch.from_numpy(a)
    for write in (
        lambda: t.fill_(1),
        lambda: t.__setitem__(0, 1),
        lambda: t.add_(1),
        lambda: t.copy_(torch.ones(3)),
    ):
        with pytest.raises((RuntimeError, ValueError), match="read-only"):
            write()
    torch.tensor(a).add_(1)


@pytest.mark.parity
@pytest.mark.parametrize("form", ["channels_last", "contiguous_format", "preserve_format"])
@pytest.mark.parametrize(
    "name", ["empty", "empty_like", "ones_like", "rand_like", "randn_like", "randint_like"]
)
def test_memory_formats(name, form):
    peer, found = pytest.importorskip("torch"), []
    for t in (peer, torch):
        for turned in (False, True):
            x = t.zeros(2, 3, 4, 5)
            x = x.contiguous(memory_format=t.channels_last) if turned else x
            given = (2, 3, 4, 5) if name == "empty" else (x, 9) if name == "randint_like" else (x,)
            t.manual_seed(0)
            try:
                made = getattr(t, name)(*given, memory_format=getattr(t, form))
            except RuntimeError:  # empty has no format to preserve
                found.append(None)
                continue
            found += [made.stride(), None if "empty" in name else made.numpy()]
    half = len(found) // 2
    for want, got in zip(found[:half], found[half:], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6) if isinstance(got, np.ndarray) else None
        assert isinstance(got, np.ndarray) or got == want


@pytest.mark.parity
def test_spaced_numbers_at_random():
    peer, random = pytest.importorskip("torch"), np.random.default_rng()
    for _ in range(400):
        dtype = random.choice(["int8", "uint8", "int16", "int32", "int64", "float32", "float64"])
        (start, end), steps = random.uniform(-5, 12, 2), int(random.integers(0, 13))
        base = float(random.choice([2, 3, 10, 1.5, 7]))
        for name, args in (
            ("linspace", (start * 10, end * 10, steps)),
            ("logspace", (start / 4, end / 4, steps, base)),
        ):
            got, want = [_or_error(t, name, args, dtype) for t in (torch, peer)]
            what = f"{name}{args} in {dtype}"
            assert (got is None) == (want is None), what
            if want is not None:
                np.testing.assert_allclose(
                    got, want, rtol=1e-5 if dtype[0] == "f" else 0, err_msg=what
                )


@pytest.mark.parity
@pytest.mark.parametrize("ends", [(-1, 1), (0.1, 7.3), (3, -2.5), (0, 1e308)])
def test_float64_is_spaced_bit_for_bit_as_by_pytorch(ends):
    peer = pytest.importorskip("torch")
    for steps in range(65 if ends[1] < 1e300 else 3):
        got, want = [t.linspace(*ends, steps, dtype=t.float64).numpy() for t in (torch, peer)]
        assert np.array_equal(got, want), (ends, steps)


def test_huge_numbers_are_spaced():
    assert torch.linspace(0, 1e308, 101, dtype=torch.float64).isfinite().all()


def _or_error(t, name, args, dtype):
    try:
        return getattr(t, name)(*args, dtype=getattr(t, dtype)).numpy()
    except RuntimeError:  # an end is out of range
        return None


def test_options_that_are_refused():
    with pytest.raises(TypeError, match="memory_format"):
        torch.zeros(1, 2, 3, 4, memory_format=torch.channels_last)
    for dtype in (torch.complex64, torch.bool):
        with pytest.raises(NotImplementedError, match="arange"):
            torch.arange(3, dtype=dtype)
    with pytest.raises(RuntimeError, match="as_tuple"):
        torch.nonzero(torch.ones(2), out=torch.zeros(0, dtype=torch.int64), as_tuple=True)


def test_sizes_that_cannot_be():
    for call, text in [
        (lambda: torch.zeros(-1), "negative dimension -1"),
        (lambda: torch.zeros(2**40, 2**40), "overflow"),
        (lambda: torch.zeros(2**62), "overflow"),
        (lambda: torch.empty(2**45), "allocate"),
    ]:
        with pytest.raises(RuntimeError, match=text):
            call()


def test_arrays_and_tensors_stand_beside_sequences_and_numbers():
    x = torch.tensor([[1, 2], torch.tensor([1.5, 2.0]), np.array([3, 4])])
    assert x.tolist() == [[1, 2], [1.5, 2], [3, 4]] and x.dtype == torch.float32
    x = torch.tensor([[7, np.array(5)], [np.array(9), 0.5]])
    assert x.tolist() == [[7, 5], [9, 0.5]] and x.dtype == torch.float32
    assert torch.tensor([1, np.array(0.5)]).dtype == torch.float64
    for wrong in ([1, np.ones(1)], [[1], torch.tensor(1)], [np.array(1), [1]]):
        with pytest.raises(TypeError):
            torch.tensor(wrong)
    with pytest.raises(ValueError, match="expected sequence of length 2"):
        torch.tensor([[1, 2], torch.ones(3)])


def test_complex_numbers_as_bools():
    assert torch.tensor([1j, 0j, 1], dtype=torch.bool).tolist() == [True, False, True]


def test_asarray_reads_the_bytes_of_a_buffer():
    memory = bytearray(8)
    x = torch.asarray(memory, dtype=torch.int32)
    x.fill_(1)
    assert memory == b"\1\0\0\0\1\0\0\0"
    assert torch.asarray(memory, dtype=torch.int64, copy=True).fill_(0).item() == 0
    assert memory == b"\1\0\0\0\1\0\0\0"
    assert torch.asarray(bytearray(8)).dtype == torch.float32
    with pytest.raises(ValueError, match="multiple of element size"):
        torch.asarray(bytearray(7), dtype=torch.int32)
    with pytest.raises(RuntimeError, match="NumPy scalars"):
        torch.asarray(np.float32(1), copy=False)


@pytest.mark.parametrize("copy", [None, False, True])
def test_asarray_copies_an_array_without_dimensions(copy):
    number = np.array(1.0)
    torch.asarray(number, copy=copy).fill_(2)
    assert number == 1.0


def test_numbers_of_a_storage():
    x = torch.tensor([1.0, 2.0])
    for make in (torch.tensor, torch.as_tensor, torch.asarray):
        assert make(x.untyped_storage(), dtype=torch.float32).tolist() == [1, 2]
        assert make(x.storage()).tolist() == [1, 2]
        assert make(x.untyped_storage()).tolist() == [0x400000003F800000]
        with pytest.raises(RuntimeError, match="expected a storage"):
            make(x.storage(), dtype=torch.int32)
    torch.asarray(x.storage())[0] = 5
    torch.FloatTensor(x.storage())[1] = 6
    assert x.tolist() == [5, 6]


def test_complex_bounds_of_spaced_numbers():
    x = torch.logspace(1j, 2, 2)
    assert torch.allclose(x, torch.tensor([-0.66820151 + 0.74398034j, 100]))
    x = torch.logspace(1, 2, 3, dtype=torch.complex128, base=-2)
    assert torch.allclose(x, torch.tensor([-2, -(8**0.5) * 1j, 4], dtype=torch.complex128))
    for spaced in (torch.linspace, torch.logspace):
        with pytest.raises(RuntimeError, match="complex start or end"):
            spaced(1j, 2, 3, dtype=torch.float32)
    with pytest.raises(TypeError):
        torch.logspace(1, 2, 3, base=2j)


def test_full_of_a_complex_number_in_half_precision():
    torch.set_default_dtype(torch.float16)
    try:
        assert torch.full((1,), 1j).dtype == torch.complex64
    finally:
        torch.set_default_dtype(torch.float32)


def test_sizes_of_numpy_and_tensors():
    assert torch.ones(np.array(3), np.int64(4)).shape == (3, 4)
    assert torch.ones(3).narrow(0, np.array(1), 1).shape == (1,)
    assert torch.ones(1).new(size=(3, 4)).shape == (3, 4)
    assert all(type(n) is int for n in torch.Size([torch.tensor(2), np.int64(3), True]))
    for wrong in (torch.ones(2), [1.5], "12"):
        with pytest.raises(TypeError, match="size must be an int"):
            torch.Size(wrong)
    with pytest.raises(RuntimeError, match="overflowed"):
        torch.empty_strided((8, 8), (2**61, 1))


def test_tensors_of_one_grid_lie_on_one_device():
    with pytest.raises(RuntimeError, match="same device"):
        torch.meshgrid(torch.ones(3), torch.ones(3, device="meta"), indexing="ij")


@pytest.mark.filterwarnings("ignore:torch.range is deprecated")
def test_range_keeps_the_shape_of_out():
    x = torch.zeros(2, 3)
    torch.range(0, 3, out=x[:, 1:])
    assert x.tolist() == [[0, 0, 1], [0, 2, 3]]


def test_lists_and_sizes():
    sizes = [2]
    sizes += torch.Size([1])
    assert sizes == [2, 1] and type(sizes) is list
    assert type((2,) + torch.Size([1])) is torch.Size
    with pytest.raises(TypeError):
        [2] + torch.Size([1])


@pytest.mark.parity
@pytest.mark.parametrize(
    "size", [(2, "i1"), ("i1", 2), ("i1",), (1, "i2", "i0"), (["i1", 2],), (2, "f1"), (2, "two")]
)
def test_tensors_with_one_element_are_sizes(size):
    def outcome(torch):
        kinds = {"i0": torch.tensor(2), "i1": torch.tensor([2]), "i2": torch.tensor([[3]]),
                 "f1": torch.tensor([2.0]), "two": torch.tensor([2, 3])}  # fmt: skip
        of = lambda n: [of(m) for m in n] if isinstance(n, list) else kinds.get(n, n)
        found = []
        for call in (torch.empty, torch.zeros, torch.ones(1).new_ones, torch.ones(1, 1).repeat):
            try:
                found.append(tuple(call(*map(of, size)).shape))
            except (TypeError, RuntimeError) as error:
                found.append(isinstance(error, TypeError))
        return found

    assert outcome(torch) == outcome(pytest.importorskip("torch"))


@pytest.mark.parametrize(("dtype", "large"), [("float16", 1e6), ("bfloat16", 1e40)])
def test_numbers_that_overflow_half_precision_are_refused(dtype, large):
    d = getattr(torch, dtype)
    x, inf = torch.zeros(2, dtype=d), float("inf")
    for call in (
        lambda: torch.full((2,), -large, dtype=d), lambda: torch.full((0,), large, dtype=d),
        lambda: x.new_full((2,), large), lambda: torch.full((2,), large, out=x),
        lambda: torch.linspace(0, large, 3, dtype=d), lambda: torch.logspace(large, 0, 2, dtype=d),
        lambda: F.threshold(x, 5, large), lambda: F.hardtanh(x, -large, large),
        lambda: F.hardshrink(x, large),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=f"converted to type {dtype} without overflow"):
            call()
    with pytest.raises(RuntimeError, match="lambda must be in range"):
        F.softshrink(x, large)
    assert torch.full((), large, dtype=d) == inf
    assert torch.full((1,), inf, dtype=d) == inf
    assert torch.linspace(large, 0, 1, dtype=d) == inf
    assert F.threshold(x, min(large, 1e30), 5).tolist() == [5, 5]
    assert F.hardtanh(x, -inf, inf).tolist() == [0, 0]
