"""Tensors to Python, NumPy and other libraries, conversions of dtype, storage, copies and pickles."""

import copy
import pickle

import numpy as np
import pytest

import rushlight as torch
from tests.ops.geometry import check, expressions, numbered

READ = expressions("""
    x.size() x.size(0) x.size(-1) x.size(5) x.dim() x.ndimension() x.numel() x.nelement()
    x.element_size() x.itemsize x.nbytes x.stride() x.stride(1) x.stride(3) x.storage_offset()
    x[1:].storage_offset() x.t().is_contiguous() x.is_contiguous() x.get_device()
    x.is_floating_point() x.is_complex() x.is_signed() torch.is_tensor(x) torch.is_tensor(3)
    torch.numel(x) torch.numel(3) torch.is_complex(x) torch.is_floating_point(3) len(x) len(s)
    x.item() s.item() x[0,0].item() x.tolist() s.tolist() float(x) int(s) float(s) complex(s)
    bool(s) bool(x) bool(x[:0]) [1,2,3][i] [1,2,3][s] hash(x)==hash(x) 1 in x 99 in x
    torch.tensor(2.) in x 'a' in x None in x [1] in x list(x) list(s) list(reversed(x)) f'{s:.2f}'
    f'{x:.2f}' f'{x}' f'{i:d}' str(s) repr(x.t()) iter(s) x.device.type str(x.layout) x.is_cuda
    x.untyped_storage().nbytes() x[1:].untyped_storage().nbytes() x.untyped_storage()[0]
    x.is_set_to(x) x.is_set_to(x.view(3,4)) x.is_set_to(x[1:]) x.is_shared() x.is_pinned()
    x.pin_memory() round(s) x.cpu() x.cuda() range(i) np.zeros(3)[i] range(5)[i] '%d'%i
    divmod(7,i) x.T.shape x.requires_grad x.is_leaf x.grad_fn x.grad x.output_nr abs(x) -x +x
    i.__index__() s.__index__()
""")

CONVERTED = expressions("""
    x.to(torch.int64) x.to('cpu') x.to('cpu',torch.int8) x.to(i) x.to(torch.device('cpu'))
    x.to(dtype=torch.float64) x.to(torch.int8,copy=True) x.to('cpu',torch.int8,True,True)
    x.to('cuda') x.to('xyz') x.to() x.to(torch.float32,memory_format=torch.preserve_format)
    x.to(torch.channels_last) x.to(memory_format=torch.channels_last) x.to(object())
    x.to(copy=True) x.float() x.double() x.half() x.bfloat16() x.long() x.int() x.short() x.byte()
    x.char() x.bool() x.cfloat() x.cdouble() x.type_as(i) x.type(torch.int16) z.to(torch.float32)
    z.bool() z.int() big.byte() big.char() big.short() big.int() big.long() big.bool() big.half()
    nan.bool() nan.half() x.numpy() z.numpy() x.bfloat16().numpy() g.numpy() g.numpy(force=True)
    np.asarray(x) np.asarray(g) np.array(x,dtype='f8') np.asarray(x.bool()) np.exp(x) np.exp(g)
    np.isnan(x) np.add(x,1) np.sqrt(s) np.add.reduce(x) np.concatenate([x,x]) np.stack([x,x])
    np.float64(2)*x x*np.float64(2) np.float32(2)*x x*np.float32(2) np.int64(2)*x x*np.int64(2)
    np.float32(2)*i i*np.float32(2) np.bool_(True)*x x*np.bool_(True) x*x.numpy() x/x.numpy() x.numpy()/x x.numpy()@x x@x.numpy().T x==x.numpy() x.numpy()==x
    x.numpy()*x x.numpy()+x x>x.numpy() x.half()*np.float64(2) np.float64(2)**x np.float64(2)<x
    x*[1] x+[1,2] x.clone() x.t().clone().stride() x.t().contiguous().stride()
    x.clone(memory_format=torch.contiguous_format)
    x.t().clone(memory_format=torch.contiguous_format).stride()
    c.contiguous(memory_format=torch.channels_last).stride()
    c.is_contiguous(memory_format=torch.channels_last)
    c.to(memory_format=torch.channels_last).is_contiguous(memory_format=torch.channels_last)
    c.clone(memory_format=torch.channels_last).stride() x.copy_(x+1) x.copy_(x[0]+1)
    x.copy_(x.double()) x.copy_(x[:,:2]) x.copy_(x[None]) x.copy_(3) x.copy_('a')
    x.int().copy_(x/2) x.copy_(z) x.fill_(2) x.fill_(torch.tensor(1.5)) x.fill_(x[0]) x.fill_('a')
    x.int().fill_(1.7) x.int().fill_(1e10) x.byte().fill_(-1) x.zero_() g.fill_(1) g.zero_()
    x.apply_(lambda_) x.map_(x,add_) g.apply_(lambda_)
    torch.zeros(1).expand(3).copy_(torch.ones(3)) str(torch.promote_types(torch.int8,torch.uint8))
    torch.can_cast(torch.float,torch.int) str(torch.result_type(i,1.5))
    str(torch.result_type(x,i)) torch.result_type('a',1) torch.promote_types(1,2)
    torch.finfo(torch.float16).max torch.finfo().eps torch.iinfo(torch.int16).min
    torch.finfo(torch.int8) torch.iinfo(torch.float32)
""")


def _values(t):
    return {
        "np": np,
        "x": numbered(t, (3, 4)) - 5,
        "s": t.tensor(2.5),
        "i": t.tensor(2),
        "z": t.tensor([[1 + 2j, 3, 0, 1j]] * 3),
        "big": t.tensor([-1.5, 300.0, 1e10, -1e10, 70000.0, -129.0]),
        "nan": t.tensor([float("nan"), float("inf"), 0.0, 65520.0]),
        "g": t.ones(2, requires_grad=True),
        "c": t.arange(36.0).reshape(1, 4, 3, 3),
        "lambda_": lambda v: v + 1,
        "add_": lambda v, w: v + 2 * w,
    }


@pytest.mark.parity
def test_what_can_be_read():
    for e in READ:
        check(e, _values)


@pytest.mark.parity
def test_conversions():
    for e in CONVERTED:
        check(e, _values)


@pytest.mark.parity
def test_every_pair_of_dtypes_converts_as_pytorch():
    oracle = pytest.importorskip("torch")
    values = np.concatenate(
        [np.random.default_rng(0).normal(0, s, 60) for s in (1, 100, 3e4)]
        + [[0, -0.0, 0.5, -0.5, 1, -1]]
    )
    names = expressions(
        "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128"
    )
    for a in names:
        for b in names:
            check(f"x.to(torch.{a}).to(torch.{b})", lambda t: {"x": t.tensor(values)})
    assert oracle


@pytest.mark.parity
def test_resize_and_set():
    for e in expressions("""
        x.resize_(3) x.resize_(2,2).stride() x.t().resize_(4,3).stride()
        x[1:].resize_(2).storage_offset() x.resize_((5,)) x.resize_(-1) x.resize_(0) g.resize_(1)
        (g*2).resize_(3) x.resize_as_(s) torch.from_numpy(np.zeros(3)).resize_(2)
        torch.from_numpy(np.zeros(3)).resize_(9) x.resize_(20)[:12] x[1:].resize_(12)[:8]
        x.resize_(20).untyped_storage().nbytes() x.set_(s) x.set_(i) x.set_()
        x.set_(x.untyped_storage()) x.set_(x.untyped_storage(),2,(2,),(3,))
        x.set_(x.untyped_storage(),0,(2,),(1,1)) x.set_(3) x.resize(4,3)
    """):
        check(e, _values)


def test_resize_keeps_the_storage_that_is_large_enough():
    x = torch.arange(6)
    part = x[2:]
    x.resize_(2)
    assert x.tolist() == [0, 1] and x.resize_(6).tolist() == [0, 1, 2, 3, 4, 5]
    x[2] = 9
    assert part.tolist() == [9, 3, 4, 5]
    x.resize_(100)
    assert x[:6].tolist() == [0, 1, 9, 3, 4, 5] and part.tolist() == [9, 3, 4, 5]


def test_numpy_shares_memory_and_asarray_copies_nothing():
    x = torch.zeros(3)
    x.numpy()[0] = 1
    np.asarray(x)[1] = 2
    assert x.tolist() == [1, 2, 0]
    with pytest.raises(RuntimeError, match="requires grad"):
        np.asarray(torch.ones(1, requires_grad=True))


def test_dlpack_both_ways():
    x = torch.arange(4.0)
    shared = np.from_dlpack(x)
    shared[0] = 5
    assert x[0] == 5
    back = torch.from_dlpack(shared)
    back[1] = 7
    assert x.tolist() == [5, 7, 2, 3]
    with pytest.raises(BufferError, match="require gradient"):
        np.from_dlpack(torch.ones(1, requires_grad=True))


@pytest.mark.parity
def test_dlpack_of_dtypes_that_numpy_lacks():
    for dtype in (torch.bfloat16, torch.float8_e5m2):
        for version in (None, (1, 0)):
            x = torch.ones(3, 2).to(dtype).t()
            y = torch.from_dlpack(x.__dlpack__(max_version=version))
            assert y.dtype == dtype and y.shape == (2, 3) and y.stride() == x.stride()
            y.zero_()
            assert not x.to(torch.float32).any()
    assert torch.asarray(torch.ones(1, dtype=torch.bfloat16).__dlpack__()).item() == 1
    with pytest.raises(BufferError, match="conjugate"):
        torch.from_dlpack(torch.ones(1, dtype=torch.complex64).conj())


def test_typed_storages():
    s = torch.FloatStorage([1, 2])
    assert s.tolist() == [1, 2] and s.type() == "torch.FloatStorage"
    assert isinstance(s, torch.FloatStorage) and isinstance(s, torch.TypedStorage)
    assert not isinstance(s.double(), torch.FloatStorage) and s.long().tolist() == [1, 2]
    x = torch.tensor([]).set_(s)
    x[0] = 5
    assert s[0] == 5
    assert torch.tensor([]).set_(s, 1, (1,), (1,)).tolist() == [2]
    with pytest.raises(RuntimeError, match="expected a storage of"):
        torch.tensor([], dtype=torch.float64).set_(s)
    assert torch.IntStorage.from_buffer(b"\1\0\0\0", "big").tolist() == [1 << 24]
    assert torch.IntStorage.from_buffer(b"\1\0\0\0", "little").tolist() == [1]
    assert torch.TypedStorage(3, dtype=torch.int8).nbytes() == 3
    assert torch.UntypedStorage(3, device="cpu").nbytes() == 3


def test_functions_for_elements_return_numbers():
    with pytest.raises(TypeError, match="must return a number"):
        torch.ones(2).apply_(str)
    with pytest.raises(TypeError, match="must return a number"):
        torch.ones(2).map_(torch.ones(2), lambda a, b: None)


def test_type_of_tensor_is_the_default_dtype():
    assert torch.ones(1, dtype=torch.int32).type(torch.Tensor).dtype == torch.float32


def test_dlpack_with_pytorch():
    oracle = pytest.importorskip("torch")
    for dtype in ("float32", "int64", "uint8", "complex64", "float16", "bool"):
        x = oracle.arange(4).to(getattr(oracle, dtype))
        mine = torch.from_dlpack(x)
        assert str(mine.dtype) == str(x.dtype) and mine.data_ptr() == x.data_ptr()
        assert oracle.from_dlpack(mine).data_ptr() == x.data_ptr()
        capsule = torch.utils.dlpack.to_dlpack(mine)
        assert oracle.utils.dlpack.from_dlpack(capsule).data_ptr() == x.data_ptr()
        capsule = oracle.utils.dlpack.to_dlpack(x)
        assert torch.utils.dlpack.from_dlpack(capsule).data_ptr() == x.data_ptr()
        with pytest.raises(RuntimeError, match="only once"):
            torch.from_dlpack(capsule)


def test_dlpack_options():
    x = torch.ones(2)
    assert torch.from_dlpack(x, copy=True).data_ptr() != x.data_ptr()
    assert torch.from_dlpack(x, copy=False, device="cpu").data_ptr() == x.data_ptr()
    with pytest.raises(RuntimeError, match="capsule"):
        torch.from_dlpack(3)
    with pytest.raises(TypeError, match="to_dlpack"):
        torch.utils.dlpack.to_dlpack(3)
    assert torch.utils.dlpack.DLDeviceType.kDLCPU == x.__dlpack_device__()[0]


def _pair():
    x = torch.arange(6.0).reshape(2, 3)
    return [x, x[1], x.t()]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_share_memory_among_themselves_only(duplicate):
    given = _pair()
    x, row, turned = duplicate(given)
    x.zero_()
    assert row.tolist() == [0, 0, 0] and turned.stride() == (1, 3) and row.storage_offset() == 3
    assert given[1].tolist() == [3, 4, 5]
    for t in (
        torch.ones(2, dtype=torch.bfloat16),
        torch.tensor(3),
        torch.zeros(0, 3),
        torch.from_numpy(np.arange(6)[::2]),
    ):
        found = duplicate(t)
        assert found.dtype is t.dtype and found.shape == t.shape and found.tolist() == t.tolist()
    leaf = torch.ones(2, requires_grad=True)
    leaf.note = "kept"
    again = duplicate(leaf)
    assert again.requires_grad and again.is_leaf and again.note == "kept"


def test_deepcopy_takes_the_gradient_along_and_refuses_what_was_computed():
    x = torch.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    y = copy.deepcopy(x)
    assert y.grad.tolist() == [3, 3] and y.grad is not x.grad
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)
    assert copy.copy(x).data_ptr() == x.data_ptr()


def test_subclasses_and_attributes_survive():
    class Mine(torch.Tensor):
        __torch_function__ = torch.tensor(0).__class__.__dict__["__torch_function__"]

    x = torch.ones(2)
    x.name = "weights"
    assert (
        copy.deepcopy(x).name
        == copy.copy(x).name
        == pickle.loads(pickle.dumps(x)).name
        == "weights"
    )


def test_storage():
    x = torch.zeros(4)
    s = x[1:].untyped_storage()
    assert s == x.untyped_storage() and s.nbytes() == len(s) == 16 and s.data_ptr() == x.data_ptr()
    s[3] = 0x40
    assert x[0] == 2.0
    assert "UntypedStorage" in repr(s) and s.tolist()[:4] == [0, 0, 0, 0x40]


def test_values_that_do_not_fit_are_refused_by_name():
    with pytest.raises(RuntimeError, match="int32 without overflow: 1"):
        torch.zeros(2, dtype=torch.int32).fill_(1e10)
    with pytest.raises(RuntimeError, match="2 elements cannot be converted to Scalar"):
        torch.ones(2).item()
    with pytest.raises(RuntimeError, match="more than one value is ambiguous"):
        bool(torch.ones(2))


def test_copy_of_a_number_converts_as_a_tensor_does():
    assert torch.zeros((), dtype=torch.uint8).copy_(300).item() == 44
    assert torch.zeros((), dtype=torch.uint32).copy_(-0.75).item() == 0
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.zeros((), dtype=torch.uint32).fill_(-0.75)


def test_resize_to_a_memory_format():
    x = torch.zeros(1).resize_(2, 3, 4, 5, memory_format=torch.channels_last)
    assert x.stride() == (60, 1, 15, 3) and x.untyped_storage().nbytes() == 480
    assert x.resize_(2, 3, 4, 5).stride() == (60, 1, 15, 3)  # the shape stays
    far = torch.zeros(1, device="meta").resize_(2, 3, 4, 5, memory_format=torch.channels_last)
    assert far.stride() == (60, 1, 15, 3)
    assert x.resize_(2, 3, 4, 5, memory_format=torch.contiguous_format).stride() == (60, 20, 5, 1)
    other = torch.zeros(1, 3, 2, 2).to(memory_format=torch.channels_last)
    assert x.resize_as_(other, memory_format=torch.preserve_format).stride() == other.stride()
    with pytest.raises(RuntimeError, match="rank 4"):
        x.resize_(2, 3, memory_format=torch.channels_last)


def test_set_to_a_typed_storage():
    x = torch.arange(4.0)
    y = torch.empty(0).set_(x.storage(), 1, (2,), (2,))
    assert y.tolist() == [1, 3] and y.data_ptr() == x[1:].data_ptr()


def test_the_gradient_of_a_leaf_has_the_shape_that_set_gave_it():
    p = torch.nn.Parameter(torch.ones(4))
    with torch.no_grad():
        p.set_(p[1:])
    torch.cat((p, p)).sum().backward()
    assert p.grad.tolist() == [2, 2, 2]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "?", "c8", "f2"])
def test_unpickled_numbers_have_the_dtype_of_short_paths(dtype):
    own = np.ones(1, dtype).dtype
    array = pickle.loads(pickle.dumps(np.ones((2, 3), dtype)))
    assert array.dtype is not own  # otherwise NumPy's pickles need no care any more
    x = torch.from_numpy(array)
    array[0, 0] = 0
    assert x[0, 0].item() == 0
    copied = pickle.loads(pickle.dumps(x.t()))
    assert copied.stride() == (1, 3)
    for found in (x, torch.tensor(array), torch.as_tensor(array[:, 1:]), copied):
        assert found._array.dtype is own


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_copies_of_another_dtypes_view_of_columns(copied):
    x = torch.arange(6.0).reshape(2, 3).t()
    x = x.clone()
    assert x.stride() == (1, 3)
    y, bits = copied((x, x.view(torch.int32)))
    assert y.stride() == bits.stride() == (1, 3)
    assert torch.equal(y, x) and torch.equal(bits, x.view(torch.int32))
    if copied is copy.deepcopy:
        assert bits.data_ptr() == y.data_ptr()


class Slotted(torch.Tensor):
    __slots__ = ("elem", "other")


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_copies_have_the_slots_of_a_class(copied):
    t = torch.Tensor._make_subclass(Slotted, torch.ones(2))
    t.elem, t.name_of = [1], "a"
    found = copied(t)
    assert type(found) is Slotted and found.elem == [1] and found.name_of == "a"
    assert not hasattr(found, "other")
    assert (found.elem is t.elem) is (copied is copy.copy)
