"""Calls of torch.distributed that both packages must answer alike: functions of (torch, dist)."""

import datetime

SOON = datetime.timedelta(milliseconds=50)
OPS = ["SUM", "AVG", "PRODUCT", "MIN", "MAX", "BAND", "BOR", "BXOR", "PREMUL_SUM"]
VALUES = {"float": [1.5, -2.0], "int": [3, 5], "bool": [True, False], "complex": [1 + 2j]}


def after(call):
    """The result of a call that writes into its last argument, and what it wrote."""

    def case(torch, dist):
        x = torch.arange(4.0)
        outputs = call(torch, dist, x)
        return outputs, x

    return case


def reduced(op, value):
    def case(torch, dist):
        x = torch.tensor(VALUES[value])
        return dist.all_reduce(x, getattr(dist.ReduceOp, op)), x

    return case


def on_store(make, call):
    def case(torch, dist):
        store = make(dist)
        store.set_timeout(SOON)
        store.set("a", "1")
        store.add("n", 5)
        return call(store)

    return case


def new(t, n=4, dtype=None):
    return t.zeros(n, dtype=dtype)


COLLECTIVES = {
    "gather all": lambda t, d, x: (o := [new(t)], d.all_gather(o, x)),
    "gather all, short": lambda t, d, x: d.all_gather([], x),
    "gather all, long": lambda t, d, x: d.all_gather([new(t)] * 2, x),
    "gather all, shape": lambda t, d, x: d.all_gather([t.zeros(2, 2)], x),
    "gather all, dtype": lambda t, d, x: d.all_gather([new(t, 4, t.int64)], x),
    "gather all, no list": lambda t, d, x: d.all_gather(new(t), x),
    "gather flat": lambda t, d, x: (o := new(t), d.all_gather_into_tensor(o, x)),
    "gather flat, size": lambda t, d, x: d.all_gather_into_tensor(new(t, 8), x),
    "gather flat, dims": lambda t, d, x: d.all_gather_into_tensor(t.zeros(1, 4), x),
    "reduce scatter": lambda t, d, x: (o := new(t), d.reduce_scatter(o, [x])),
    "reduce scatter, two": lambda t, d, x: d.reduce_scatter(new(t), [x, x]),
    "reduce scatter flat": lambda t, d, x: (o := new(t), d.reduce_scatter_tensor(o, x)),
    "reduce scatter flat, size": lambda t, d, x: d.reduce_scatter_tensor(new(t, 2), x),
    "scatter": lambda t, d, x: (o := new(t), d.scatter(o, [x])),
    "scatter, no list": lambda t, d, x: d.scatter(new(t), None, 0),
    "scatter, two": lambda t, d, x: d.scatter(new(t), [x, x], 0),
    "scatter, other source": lambda t, d, x: d.scatter(new(t), [x], 1),
    "gather": lambda t, d, x: (o := [new(t)], d.gather(x, o)),
    "gather, no list": lambda t, d, x: d.gather(x),
    "gather, other target": lambda t, d, x: d.gather(x, [new(t)], 1),
    "reduce": lambda t, d, x: d.reduce(x, 0),
    "reduce, no target": lambda t, d, x: d.reduce(x),
    "reduce, other target": lambda t, d, x: d.reduce(x, 1),
    "broadcast": lambda t, d, x: d.broadcast(x, group_src=0),
    "broadcast, both": lambda t, d, x: d.broadcast(x, 0, group_src=0),
    "broadcast, other source": lambda t, d, x: d.broadcast(x, 1),
    "to all": lambda t, d, x: (o := [new(t)], d.all_to_all(o, [x])),
    "to all, two": lambda t, d, x: d.all_to_all([new(t)] * 2, [x, x]),
    "to all flat": lambda t, d, x: (o := new(t), d.all_to_all_single(o, x, [4], [4])),
    "to all flat, sizes": lambda t, d, x: d.all_to_all_single(new(t), x, [3], [4]),
    "to all flat, two": lambda t, d, x: d.all_to_all_single(new(t), x, [2, 2], [2, 2]),
    "barriers": lambda t, d, x: (d.barrier(), d.monitored_barrier(), d.barrier(device_ids=[0])),
    "send to itself": lambda t, d, x: d.send(x, 0),
    "receive from itself": lambda t, d, x: d.recv(x, 0),
    "message to itself": lambda t, d, x: d.isend(x, 0),
    "message to nobody": lambda t, d, x: d.send(x),
    "another operation": lambda t, d, x: d.P2POp(d.all_reduce, x, 0),
    "no operations": lambda t, d, x: d.batch_isend_irecv([]),
    "objects": lambda t, d, x: (o := [None], d.all_gather_object(o, {"a": x})),
    "objects, no place": lambda t, d, x: d.all_gather_object([], 1),
    "object to one": lambda t, d, x: (o := [None], d.gather_object("x", o, 0)),
    "objects of one": lambda t, d, x: (o := [1, "a", None], d.broadcast_object_list(o)),
    "object of a list": lambda t, d, x: (o := [None], d.scatter_object_list(o, [5], 0)),
    "object, no list": lambda t, d, x: d.scatter_object_list([None], None, 0),
    "object, no place": lambda t, d, x: d.scatter_object_list([], [5], 0),
    "several": lambda t, d, x: d.all_reduce_coalesced([x, x + 1]),
    "no member": lambda t, d, x: (d.get_rank(-100), d.get_world_size(-100)),
    "no tensor": lambda t, d, x: d.all_reduce(3),
    "no group": lambda t, d, x: d.all_reduce(x, group="no such group"),
    "leaf": lambda t, d, x: d.all_reduce(t.ones(2, requires_grad=True)),
    "work": lambda t, d, x: _work(d.all_reduce(x, async_op=True)),
    "groups": lambda t, d, x: (d.new_group([0]).size(), d.new_group().rank(), d.get_backend()),
    "group of others": lambda t, d, x: d.new_group([1]),
    "group of too many": lambda t, d, x: d.new_group([0, 1]),
    "group of twins": lambda t, d, x: d.new_group([0, 0]),
    "group by an unknown backend": lambda t, d, x: d.new_group([0], backend="nope"),
    "subgroups": lambda t, d, x: [g.size() for g in d.new_subgroups(1)[1]],
    "subgroups of two": lambda t, d, x: d.new_subgroups(2),
    "subgroups of none": lambda t, d, x: d.new_subgroups_by_enumeration([]),
    "subgroups of twins": lambda t, d, x: d.new_subgroups_by_enumeration([[0], [0]]),
    "shrunk": lambda t, d, x: d.shrink_group([0]),
    "again": lambda t, d, x: d.init_process_group("gloo"),
    "what there is": lambda t, d, x: (
        d.get_backend_config(), d.get_process_group_ranks(None), d.is_gloo_available(),
        d.is_nccl_available(), d.is_mpi_available(), d.is_backend_available("nope"),
        d.is_torchelastic_launched(), str(d.default_pg_timeout), int(d.get_debug_level()),
        d.supports_complex(d.ReduceOp.SUM), d.supports_complex(d.ReduceOp.MAX),
        d.get_default_backend_for_device("cpu"), d.get_node_local_rank(3), d.Backend("GLOO"),
        d.Backend.backend_list, str(d.ReduceOp.SUM), hash(d.ReduceOp.MAX), repr(d.ReduceOp.MIN),
        str(d.BackendConfig(d.Backend("cpu:gloo,cuda:nccl"))),
    ),
    "no backend of a device": lambda t, d, x: d.get_default_backend_for_device("meta"),
    "backend of no text": lambda t, d, x: d.Backend(3),
    "device without backend": lambda t, d, x: d.BackendConfig(d.Backend("cpu:gloo,cuda")),
    "rank on the machine": lambda t, d, x: d.get_node_local_rank(),
}  # fmt: skip


def _work(work):
    before = work.wait(), work.is_completed(), work.result()
    return *before, work.get_future().then(lambda f: f.value()[0] * 2).wait()


STORES = {
    "hash": lambda d, folder: d.HashStore(),
    "file": lambda d, folder: d.FileStore(f"{folder}/{d.__name__}", 1),
    "tcp": lambda d, folder: d.TCPStore("127.0.0.1", 0, 1, True),
    "prefix": lambda d, folder: d.PrefixStore("p", d.HashStore()),
}
CALLS = {
    "get": lambda s: s.get("a"),
    "get a number": lambda s: s.get("n"),
    "get what is missing": lambda s: s.get("missing"),
    "wait": lambda s: s.wait(["a", "n"]),
    "wait for what is missing": lambda s: s.wait(["missing"], SOON),
    "set bytes": lambda s: (s.set("b", b"x"), s.get("b")),
    "set a number": lambda s: s.set("b", 1),
    "add": lambda s: (s.add("n", 1), s.add("n", -2), s.add("new", 3)),
    "check": lambda s: (s.check(["a"]), s.check(["a", "missing"])),
    "compare": lambda s: (s.compare_set("a", "1", "2"), s.compare_set("a", "1", "3"), s.get("a")),
    "compare what is missing": lambda s: (
        s.compare_set("x", "y", "z"),
        s.compare_set("x", "", "w"),
    ),
    "delete": lambda s: (s.delete_key("a"), s.check(["a"])),
    "append": lambda s: (s.append("a", "2"), s.get("a")),
    "several": lambda s: (s.multi_set(["c", "d"], ["3", "4"]), s.multi_get(["c", "d"])),
    "clone": lambda s: s.clone().get("a"),
    "timeout": lambda s: s.timeout,
    "extended": lambda s: s.has_extended_api(),
    "number": lambda s: s.num_keys(),
    "barrier": lambda s: s.barrier("b", 1),
    "queue": lambda s: (s.queue_push("q", "1"), s.queue_len("q"), s.queue_pop("q")),
    "empty queue": lambda s: s.queue_pop("q", False),
}
