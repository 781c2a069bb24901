"""Methods of tensors, storages and modules that few programs call."""

import warnings

import pytest

import rushlight as torch

DTYPES = [
    "float",
    "double",
    "half",
    "bfloat16",
    "int",
    "long",
    "short",
    "char",
    "byte",
    "bool",
    "complex_float",
    "complex_double",
    "float8_e4m3fn",
    "float8_e5m2",
]


def outcome(call):
    """What ``call()`` gives, as lists, or the class of its error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = call()
            return found.tolist() if hasattr(found, "tolist") else found
    except Exception as error:
        return "RuntimeError" if isinstance(error, RuntimeError) else type(error).__name__


@pytest.mark.parity
def test_storages_are_cast_and_read_as_pytorchs():
    peer = pytest.importorskip("torch")
    content = bytes([0, 1, 2, 255, 7, 128, 64, 3])

    def bytes_of(library):
        return library.tensor([*content], dtype=library.uint8).untyped_storage()

    for name in DTYPES:
        assert outcome(getattr(bytes_of(torch), name)) == outcome(getattr(bytes_of(peer), name))
        assert outcome(lambda name=name: str(getattr(bytes_of(torch), name)().dtype)) == outcome(
            lambda name=name: str(getattr(bytes_of(peer), name)().dtype)
        )
    kinds = ["uint8", "int16", "int32", "int64", "float32", "complex64", "bool", "float16"]
    for kind in kinds:
        for order in ("big", "little", "native", None, "odd"):
            for count, offset in ((-1, 0), (1, 0), (1, 4), (3, 0), (9, 0)):

                def read(library, kind=kind, order=order, count=count, offset=offset):
                    given = () if order is None else (order,)
                    return library.UntypedStorage.from_buffer(
                        content, *given, count=count, offset=offset, dtype=getattr(library, kind)
                    )

                ours, theirs = outcome(lambda: read(torch)), outcome(lambda: read(peer))
                assert ours == theirs, (kind, order, count, offset)

        def swapped(library, kind=kind):
            storage = bytes_of(library)
            storage.byteswap(getattr(library, kind))
            return storage

        assert outcome(lambda: swapped(torch)) == outcome(lambda: swapped(peer)), kind
    for library in (torch, peer):
        with pytest.raises(RuntimeError, match="not a multiple of 8"):
            library.UntypedStorage(9).byteswap(library.int64)
        with pytest.raises(RuntimeError, match="cannot be None"):
            library.UntypedStorage.from_buffer(content)
        storage = bytes_of(library)
        assert storage.to(device="cpu") is storage and len(storage.new()) == 0
        assert storage.get_device() == -1 or library is peer


def test_a_storage_moves_its_tensor_to_shared_memory():
    x = torch.arange(3.0)
    storage = x.untyped_storage()
    assert storage.share_memory_() is storage and storage.is_shared() and x.is_shared()
    x[0] = 5
    assert storage.float().size() == 12 and x.untyped_storage() == storage
    alone = torch.UntypedStorage([1, 2])
    assert alone.share_memory_().is_shared() and alone.tolist() == [1, 2]


@pytest.mark.parity
def test_map2():
    peer = pytest.importorskip("torch")

    def call(library, shape, dtype="float32", grad=False):
        x = library.arange(4.0).reshape(2, 2).requires_grad_(grad)
        y = library.ones(shape, dtype=getattr(library, dtype))
        return x.map2_(y, library.full((2, 1), 3.0), lambda a, b, c: a + b * c)

    for case in (((2, 2),), ((2,),), ((3,),), ((2,), "float64"), ((2,), "float32", True)):
        assert outcome(lambda case=case: call(torch, *case)) == outcome(
            lambda case=case: call(peer, *case)
        ), case


def test_methods_that_do_little():
    x, y = torch.zeros(2), torch.ones(2)
    loaded = x.module_load(y)
    assert loaded is not x and loaded.tolist() == x.tolist() == [1, 1]
    assert x.module_load(y, assign=True).data_ptr() == y.data_ptr()
    with pytest.raises(NotImplementedError, match="record_stream"):
        x.record_stream(torch.Stream("cpu"))
    with pytest.raises(RuntimeError, match=r"reinforce\(\) was removed"):
        x.reinforce(1)
    assert x.storage_type() is torch.FloatStorage and not x.is_maia and not x.is_distributed()
    assert x._typed_storage().tolist() == [1, 1] and x.bool()._is_all_true()


def test_the_inside_of_modules():
    layer = torch.nn.Linear(2, 2)
    x = torch.ones(1, 2)
    layer.register_forward_hook(lambda module, args, out: out * 2)
    assert torch.equal(layer._wrapped_call_impl(x), 2 * layer._slow_forward(x))
    replica = layer._replicate_for_data_parallel()
    assert not replica._parameters and replica._is_replica and layer._parameters
    replica.weight, replica.bias = torch.eye(2), torch.zeros(2)
    assert torch.equal(replica.forward(x), x) and not torch.equal(layer.weight, torch.eye(2))
    layer.register_full_backward_hook(len)
    layer.register_full_backward_pre_hook(len)
    assert layer._get_backward_hooks() == ([len], []) and layer._get_backward_pre_hooks() == [len]
    assert layer.T_destination.__name__ == "T_destination"
