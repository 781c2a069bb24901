"""DistributedDataParallel, FSDP, meshes, DTensors and optimizers over one process."""

import copy

import pytest

import rushlight as torch
import rushlight.distributed as dist
from rushlight import nn
from rushlight.distributed import fsdp
from rushlight.distributed.fsdp.wrap import ModuleWrapPolicy, size_based_auto_wrap_policy
from rushlight.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def losses(model, params=None):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    x, found = torch.linspace(-1, 1, 15).view(5, 3), []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(x).float().pow(2).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        found.append(round(loss.item(), 5))
    return found


WRAPPERS = {
    "ddp": nn.parallel.DistributedDataParallel,
    "fsdp": lambda m: fsdp.FullyShardedDataParallel(m, auto_wrap_policy=ModuleWrapPolicy({nn.Linear})),
    "fully_shard": fsdp.fully_shard,
    "data parallel": nn.DataParallel,
}  # fmt: skip


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_model_trains_as_it_is(group, wrapper):
    from rushlight.distributed.checkpoint.state_dict import get_model_state_dict

    model = WRAPPERS[wrapper](small())
    assert losses(model) == losses(small())
    assert list(get_model_state_dict(model)) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_ddp_asks_for_what_it_needs(group):
    wrap = nn.parallel.DistributedDataParallel
    with pytest.raises(RuntimeError, match="requires a gradient"):
        wrap(nn.ReLU())
    with pytest.raises(ValueError, match="Leave device_ids out"):
        wrap(nn.Linear(1, 1), device_ids=[0])
    model = copy.deepcopy(wrap(nn.Linear(1, 1)))
    assert model.process_group is group
    dist.destroy_process_group()
    with pytest.raises(ValueError, match="init_process_group"):
        wrap(nn.Linear(1, 1))


def test_mixed_precision_computes_in_another_dtype(group):
    policy = fsdp.MixedPrecision(param_dtype=torch.bfloat16)
    model = fsdp.FullyShardedDataParallel(small(), mixed_precision=policy)
    out = model(torch.ones(1, 3))
    out.float().sum().backward()
    assert out.dtype is torch.bfloat16
    assert {(p.dtype, p.grad.dtype) for p in model.parameters()} == {(torch.float32,) * 2}
    rules = fsdp.MixedPrecisionPolicy(param_dtype=torch.bfloat16, output_dtype=torch.float32)
    module = fsdp.fully_shard(small(), mp_policy=rules)
    found = module(torch.ones(1, 3))
    assert found.dtype is torch.float32 and torch.equal(found, out.float())
    assert type(module).__name__ == "FSDPSequential" and isinstance(module, nn.Sequential)


def test_a_policy_by_size_wraps_the_large(group):
    def policy(**named):
        return size_based_auto_wrap_policy(**named, min_num_params=14)

    model = fsdp.FullyShardedDataParallel(small(), auto_wrap_policy=policy)
    kinds = [type(m).__name__ for m in model.module]
    assert kinds == ["FullyShardedDataParallel", "ReLU", "Linear"]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    wrapper = fsdp.FullyShardedDataParallel
    state = wrapper.optim_state_dict(model, optimizer)
    assert list(state["state"]) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    loaded = wrapper.optim_state_dict_to_load(model, optimizer, state)
    assert list(loaded["state"]) == [0, 1, 2, 3]


def test_meshes(group):
    mesh = dist.init_device_mesh("cpu", (1, 1), mesh_dim_names=("dp", "tp"))
    assert mesh.shape == (1, 1) and mesh["tp"].get_local_rank() == 0
    assert mesh["dp"].get_group() is group and mesh.get_coordinate() == (0, 0)
    assert mesh["dp"] != mesh["tp"] and mesh._flatten("all") is mesh["all"]
    with pytest.raises(KeyError, match="Valid mesh_dim_names"):
        mesh["pp"]
    with pytest.raises(RuntimeError, match="bigger than default world size 1"):
        dist.init_device_mesh("cpu", (2,))


def test_dtensors_compute_on_their_local_tensors(group):
    mesh = dist.init_device_mesh("cpu", (1,))
    x = distribute_tensor(torch.arange(6.0).view(3, 2), mesh, [Shard(0)])
    y = x * 2 + 1
    assert type(y) is DTensor and y.placements == (Shard(0),)
    assert y.full_tensor().tolist() == [[1, 3], [5, 7], [9, 11]]
    assert x.sum().placements == (Partial(),) and x.sum().item() == 15
    assert (x @ x.t()).full_tensor().tolist()[2] == [5, 23, 41]
    y.add_(1)
    y[0] = 0.0
    assert y.to_local().tolist() == [[0, 0], [6, 8], [10, 12]]
    assert x.redistribute(placements=[Replicate()]).placements == (Replicate(),)
    with pytest.raises(RuntimeError, match="got mixed"):
        x + torch.ones(3, 2)
    with pytest.raises(RuntimeError, match="internal use only"):
        x.redistribute(placements=[Partial()])


def test_gradients_of_dtensors(group):
    mesh = dist.init_device_mesh("cpu", (1,))
    leaf = torch.ones(3, requires_grad=True)
    (DTensor.from_local(leaf, mesh, [Shard(0)]) * 3).sum().backward()
    assert type(leaf.grad) is torch.Tensor and leaf.grad.tolist() == [3, 3, 3]
    x = distribute_tensor(torch.ones(3, requires_grad=True), mesh, [Shard(0)])
    (x * x).to_local().sum().backward()
    assert type(x.grad) is DTensor and x.grad.to_local().tolist() == [2, 2, 2]


def test_optimizers_train_modules_of_dtensors(group):
    from rushlight.distributed.tensor import distribute_module

    mesh = dist.init_device_mesh("cpu", (1,))
    model = distribute_module(
        small(), mesh,
        input_fn=lambda m, inputs, mesh: DTensor.from_local(inputs[0], mesh, [Shard(0)]),
        output_fn=lambda m, outputs, mesh: outputs.to_local(),
    )  # fmt: skip
    assert isinstance(model[0].weight, nn.Parameter) and type(model[0].weight) is DTensor
    assert losses(model) == losses(small())


def test_tensor_parallel_layers_are_those_of_one_process(group):
    from rushlight.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    mesh = dist.init_device_mesh("cpu", (1,))
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    assert losses(parallelize_module(small(), mesh, plan)) == losses(small())
    with pytest.warns(UserWarning, match="could not be resolved"):
        parallelize_module(small(), mesh, {"7": ColwiseParallel()})


def test_zero_redundancy_is_the_optimizer_itself(group):
    from rushlight.distributed.optim import ZeroRedundancyOptimizer

    ends = []
    for make in (
        lambda params: ZeroRedundancyOptimizer(params, torch.optim.Adam, lr=0.1),
        lambda params: torch.optim.Adam(params, lr=0.1),
    ):
        model = small()
        optimizer = make(model.parameters())
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).pow(2).sum().backward()
            optimizer.step()
            schedule.step()
        ends.append([p.tolist() for p in model.parameters()])
    assert ends[0] == ends[1]
    optimizer = ZeroRedundancyOptimizer(small().parameters(), torch.optim.Adam)
    with pytest.raises(RuntimeError, match="consolidate_state_dict"):
        optimizer.state_dict()


def test_parts_on_several_devices():
    parallel = nn.parallel
    parts = parallel.scatter({"x": torch.arange(4), "n": 1}, ["cpu", "cpu"])
    assert [p["x"].tolist() for p in parts] == [[0, 1], [2, 3]] and parts[1]["n"] == 1
    model = nn.Linear(2, 1)
    copies = parallel.replicate(model, ["cpu", "cpu"])
    outs = parallel.parallel_apply(copies, [torch.ones(1, 2), torch.ones(2, 2)])
    parallel.gather(outs, "cpu").sum().backward()
    assert model.bias.grad.item() == 3


def test_compiled_models(group):
    wanted = losses(small())
    assert losses(torch.compile(nn.parallel.DistributedDataParallel(small()))) == wanted
    assert losses(torch.compile(fsdp.FullyShardedDataParallel(small()))) == wanted
    assert losses(torch.compile(fsdp.fully_shard(small()))) == wanted


def test_functions_of_dtensors_run_eagerly_with_a_warning(group):
    mesh = dist.init_device_mesh("cpu", (1,))
    x = distribute_tensor(torch.ones(2), mesh, [Shard(0)])
    with pytest.warns(UserWarning, match="an argument is one of the DTensors"):
        assert torch.compile(lambda a: (a * 2).sum())(x).item() == 4


def test_a_compiled_step_has_collectives(group):
    @torch.compile
    def step(x):
        y = x * 2
        dist.all_reduce(y)
        found = [torch.zeros(2)]
        dist.all_gather(found, y)
        return found[0] + 1

    assert step(torch.ones(2)).tolist() == [3, 3]
    assert step(torch.full((2,), 3.0)).tolist() == [7, 7]
