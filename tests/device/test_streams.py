"""Streams, on a stand-in for NVIDIA's driver.

Its streams run their work as late as they may, and its default stream at once. So what lacks a wait
finds other values.
"""

import pytest

import rushlight as T
from rushlight.backend.native import llvm_works

pytestmark = pytest.mark.skipif(not llvm_works(), reason="kernels need llvmlite")


def test_work_goes_to_the_current_stream(fresh):
    driver = fresh()
    x = T.ones(4, device="cuda")
    side = T.cuda.Stream()
    side.wait_stream(T.cuda.current_stream())
    assert T.cuda.current_stream() == T.cuda.default_stream() != side
    with T.cuda.stream(side):
        assert T.cuda.current_stream() == side
        assert T.cuda.current_stream().cuda_stream == side.cuda_stream != 0
        y = x * 2
    assert T.cuda.current_stream() == T.cuda.default_stream()
    assert not side.query()  # asking moves it on
    assert side.query()
    assert y.tolist() == [2.0] * 4
    assert "cuStreamCreateWithPriority" in driver.calls
    with side:
        assert T.cuda.current_stream() == side
    T.cuda.set_stream(side)
    assert T.cuda.current_stream() == side
    T.cuda.set_stream(T.cuda.default_stream())
    assert repr(T.cuda.default_stream()) == "<torch.cuda.Stream device=cuda:0 cuda_stream=0x0>"


def test_a_stream_without_a_wait_is_not_waited_for(fresh):
    """The stand-in would find a forgotten wait."""
    fresh()
    x, side = T.zeros(4, device="cuda"), T.cuda.Stream()
    with T.cuda.stream(side):
        x.add_(1)
    assert x.tolist() == [0.0] * 4
    T.cuda.current_stream().wait_stream(side)
    assert x.tolist() == [1.0] * 4


def test_events_order_streams(fresh):
    fresh()
    x = T.zeros(4, device="cuda")
    one, two = T.cuda.Stream(), T.cuda.Stream(priority=-1)
    assert two.priority == -1
    with T.cuda.stream(one):
        x.add_(1)
        done = one.record_event()
        x.add_(1)
    with T.cuda.stream(two):
        done.wait()
        y = x * 10
    two.synchronize()
    assert y.tolist() == [10.0] * 4
    two.wait_event(one.record_event())
    with T.cuda.stream(two):
        z = x * 10
    two.synchronize()
    assert z.tolist() == [20.0] * 4
    start, end = [T.cuda.Event(enable_timing=True) for _ in range(2)]
    start.record(one)
    end.record(two)
    assert end.query() in (False, True)
    assert start.elapsed_time(end) > -1e6
    T.cuda.synchronize()
    assert end.query()
    with pytest.raises(ValueError, match="enable_timing=True"):
        start.elapsed_time(T.cuda.Event())


def test_memory_belongs_to_the_stream_that_allocated_it(fresh):
    fresh()
    side = T.cuda.Stream()
    x = T.full((300,), 3.0, device="cuda")
    side.wait_stream(T.cuda.current_stream())
    with T.cuda.stream(side):
        y = T.full((300,), 5.0, device="cuda") * 1
    del y  # still to be computed
    z = T.full((300,), 7.0, device="cuda")  # other memory
    T.cuda.synchronize()
    assert z.eq(7).all()
    assert x.eq(3).all()


@pytest.mark.parametrize("recorded", [True, False])
def test_record_stream(fresh, recorded):
    fresh()
    side = T.cuda.Stream()
    x = T.full((300,), 3.0, device="cuda")
    side.wait_stream(T.cuda.current_stream())
    with T.cuda.stream(side):
        y = x * 2
    if recorded:
        x.record_stream(side)
    del x
    z = T.full((300,), 7.0, device="cuda")
    assert z.eq(7).all()
    side.synchronize()
    assert y.eq(6 if recorded else 14).all()  # without, the memory is used again too early
    if recorded:
        used = T.cuda.memory_reserved()
        w = T.full((300,), 7.0, device="cuda")  # the kept memory is free now
        assert T.cuda.memory_reserved() == used
        del w


def test_streams_of_two_devices(fresh):
    fresh(count=2)
    side = T.cuda.Stream("cuda:1")
    with T.cuda.stream(side):
        assert T.cuda.current_device() == 1
        y = T.full((3,), 4.0, device="cuda")
        assert T.cuda.current_stream("cuda:0") == T.cuda.default_stream("cuda:0")
    assert T.cuda.current_device() == 0
    T.cuda.current_stream("cuda:1").wait_stream(side)
    assert y.tolist() == [4.0] * 3


def test_streams_are_given_out_in_turn(fresh):
    driver = fresh()
    made = [T.cuda.Stream() for _ in range(40)]
    assert len({s.stream_id for s in made}) == 32
    assert made[0] == made[32]
    assert hash(made[0]) == hash(made[32])
    assert driver.calls.count("cuStreamCreateWithPriority") == 32


def test_replays_on_a_stream(fresh):
    fresh()
    x, g, side = T.ones(3, device="cuda"), T.cuda.CUDAGraph(), T.cuda.Stream()
    with T.cuda.graph(g):
        y = x * 2.123
    side.wait_stream(T.cuda.current_stream())
    with T.cuda.stream(side):
        g.replay()
        z = y + 1
    side.synchronize()
    assert z.tolist() == pytest.approx([3.123] * 3)


def test_pinned_copies_are_read_before_they_change(fresh):
    fresh()
    near, side = T.ones(3).pin_memory(), T.cuda.Stream()
    with T.cuda.stream(side):
        far = near.to("cuda")
    near.fill_(9)
    side.synchronize()
    assert far.tolist() == [1.0] * 3


# Copies between devices -------------------------------------------------------------------


def test_copies_between_devices_leave_the_host_out(fresh, monkeypatch):
    driver = fresh(count=2)
    assert T.cuda.can_device_access_peer(0, 1)
    assert not T.cuda.can_device_access_peer(1, "cuda:1")
    with pytest.raises(AssertionError, match="Invalid peer device id"):
        T.cuda.can_device_access_peer(0, 2)
    whole = T.arange(24.0).reshape(4, 6)
    x = whole.to("cuda:0")
    y = T.zeros(6, 4, device="cuda:1")
    views = lambda t: (t, t.t(), t[1:3], t[:, 2], t[::2, 1:3], t[0, 0], t[:0], t.expand(2, 4, 6))
    wanted = [*views(whole)]
    driver.calls.clear()
    found = [v.to("cuda:1") for v in views(x)]
    y.copy_(x.t())
    assert not {"cuMemcpyDtoHAsync_v2", "cuMemcpyHtoDAsync_v2"} & {*driver.calls}
    assert "cuMemcpyPeerAsync" in driver.calls
    for a, b, v in zip(found, wanted, views(x), strict=True):
        assert a.device == T.device("cuda:1")
        assert T.equal(a.cpu(), b)
        assert a.stride() == T.clone(v).stride()
    assert T.equal(y.cpu(), whole.t())


def test_copies_between_devices_follow_both_streams(fresh):
    fresh(count=2)
    here, there = T.cuda.Stream("cuda:0"), T.cuda.Stream("cuda:1")
    with T.cuda.stream(there), T.cuda.stream(here):
        x = T.full((3,), 2.0, device="cuda:0") * 3
        y = x.to("cuda:1")
        x.zero_()
        z = y + 1
    there.synchronize()
    assert z.tolist() == [7.0] * 3
    loss = (T.ones(3, device="cuda:0", requires_grad=True) * 2).to("cuda:1").sum()
    loss.backward()  # gradients pass between the devices
