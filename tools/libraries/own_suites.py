"""The test suites of libraries that ``own_tests.py`` runs."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Suite:
    """Tests of a library: where they come from, which of them run, and which are left out."""

    library: str
    repository: str  #: owner and name on GitHub
    revision: str  #: a tag or a commit
    tests: str  #: files and folders that run
    files: str = ""  #: files and folders that are checked out; all without
    folder: str = "."  #: where pytest starts
    path: str = "."  #: folders of the checkout from which Python imports
    requires: str = ""  #: packages that pip installs, beside the library and ``own_tests.TOOLS``
    pattern: str = "test_*.py *_test.py *_tests.py"  #: names of files with tests
    left_out: dict[str, str] = field(default_factory=dict)  #: a part of tests' ids: the reason
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def distributions(self):
        """What pip installs."""
        return (self.library, *self.requires.split())


SUITES = [
    Suite(
        "accelerate", "huggingface/accelerate", "v1.14.0",
        "tests/test_accelerator.py tests/test_big_modeling.py tests/test_data_loader.py "
        "tests/test_grad_sync.py tests/test_hooks.py tests/test_kwargs_handlers.py "
        "tests/test_memory_utils.py tests/test_modeling_utils.py tests/test_offload.py "
        "tests/test_optimizer.py tests/test_scheduler.py tests/test_utils.py",
        path="src .",
        left_out={
            "cpu_multi": "several processes that talk by gloo",
            "SchedulerTester": "several processes that talk by gloo",
        },
    ),
    Suite(
        "botorch", "pytorch/botorch", "e390e135c",
        "test/posteriors test/sampling test/models test/optim test/utils test/acquisition",
        left_out={"TestGetSampler::test_get_sampler": "factors a matrix of 22,000 × 22,000"},
    ),
    Suite("captum", "pytorch/captum", "faac0877", "tests"),
    Suite(
        "diffusers", "huggingface/diffusers", "v0.40.0",
        "tests/schedulers tests/models/unets tests/models/autoencoders", path="src .",
        requires="httpx accelerate transformers",
    ),
    Suite(
        "e3nn", "e3nn/e3nn", "0.6.0", "tests",
        left_out={"test_jit.py::test_compilation": "expects torch.jit.script to refuse Python"},
    ),
    Suite(
        "einops", "arogozhnikov/einops", "v0.8.2", "einops/tests",
        environment={"EINOPS_TEST_BACKENDS": "numpy,torch"},
    ),
    Suite("geoopt", "geoopt/geoopt", "v0.5.1", "tests"),
    Suite(
        "gpytorch", "cornellius-gp/gpytorch", "v1.15.2",
        "test/constraints test/distributions test/functions test/kernels test/likelihoods "
        "test/means test/metrics test/mlls test/models test/optim test/priors test/utils "
        "test/variational",
    ),
    Suite("higher", "facebookresearch/higher", "v0.2.1", "tests", files="higher tests"),
    Suite(
        "kornia", "kornia/kornia", "v0.9.0rc1",
        "tests/core tests/color tests/enhance tests/filters tests/losses tests/morphology "
        "tests/metrics tests/geometry tests/augmentation",
        left_out={
            "[ColorJiggle]": "exports a branch on values",
            "[RandomSolarize]": "exports a branch on values",
        },
    ),
    Suite("laplace-torch", "aleximmer/Laplace", "0.2.2.2", "tests"),
    Suite("linear_operator", "cornellius-gp/linear_operator", "v0.6.1", "test"),
    Suite("nflows", "bayesiains/nflows", "v0.14", "tests", requires="torchtestcase"),
    Suite("normflows", "VincentStimper/normalizing-flows", "v1.7.3", "normflows"),
    Suite(
        "opacus", "pytorch/opacus", "4d0ebc84", "opacus/tests",
        left_out={"ExpandedWeights": "torch.nn.utils._per_sample_grad is missing"},
    ),
    Suite("opt_einsum", "dgasmith/opt_einsum", "v3.4.0", "opt_einsum/tests"),
    Suite(
        "peft", "huggingface/peft", "v0.20.0",
        "tests/test_custom_models.py tests/test_initialization.py tests/test_mapping.py",
        path="src .",
    ),
    Suite(
        "pyro-ppl", "pyro-ppl/pyro", "ff6ae1c95",
        "tests/ops tests/nn tests/poutine tests/params tests/optim tests/test_primitives.py "
        "tests/infer/reparam tests/infer/mcmc tests/infer tests/distributions",
    ),
    Suite(
        "pytorch-ignite", "pytorch/ignite", "v0.5.5",
        "tests/ignite/base tests/ignite/engine tests/ignite/handlers tests/ignite/metrics",
    ),
    Suite(
        "pytorch-optimizer", "kozistr/pytorch_optimizer", "v3.9.0", "tests",
        left_out={"test_bf16_optimizers[ApolloDQN": "diverges or not by one rounding of bfloat16"},
    ),
    Suite("pytorch-tabnet", "dreamquark-ai/tabnet", "v4.1.0", "tests"),
    Suite(
        "safetensors", "huggingface/safetensors", "24b0b28",
        "tests/test_simple.py tests/test_handle.py tests/test_threadable.py "
        "tests/test_multithreaded.py tests/test_pread_backend.py tests/test_pt_comparison.py "
        "tests/test_pt_model.py",
        files="bindings/python/tests", folder="bindings/python", path="",
    ),
    Suite(
        "segmentation-models-pytorch", "qubvel-org/segmentation_models.pytorch", "v0.5.0",
        "tests/test_losses.py tests/test_preprocessing.py tests/base tests/models/test_unet.py "
        "tests/models/test_fpn.py",
    ),
    Suite(
        "skorch", "skorch-dev/skorch", "v1.4.0", "skorch/tests", files="skorch pyproject.toml",
        requires="matplotlib pandas flaky",
    ),
    Suite("stable-baselines3", "DLR-RM/stable-baselines3", "v2.8.0", "tests"),
    Suite(
        "tensordict", "pytorch/tensordict", "v0.14.0",
        "test/nn test/tensorclass test/tensordict test/utils", files="test pytest.ini", path="",
        left_out={
            "test_vmap_write_lazystack": "writes one sample of a vmap into an argument's list",
            "test_unbatched_vmap": "copies one sample of a vmap after it",
            "consolidate_njt": "looks into PyTorch's nested tensors",
            "test_functional_functorch": "expects functorch to warn that it will go",
        },
    ),
    Suite(
        "timm", "huggingface/pytorch-image-models", "v1.0.28",
        "tests/test_layers.py tests/test_layers_pool.py tests/test_optim.py "
        "tests/test_scheduler.py tests/test_utils.py",
    ),
    Suite("torch-optimizer", "jettify/pytorch-optimizer", "v0.3.0", "tests"),
    Suite(
        "torch_geometric", "pyg-team/pytorch_geometric", "2.8.0",
        "test/utils test/nn/norm test/nn/dense test/nn/aggr test/nn/conv test/nn/pool "
        "test/transforms test/data test/nn/models",
        left_out={
            "test_get_embeddings_hetero": "copies the inside of torch.fx's Tracer",
        },
    ),
    Suite("torchdiffeq", "rtqichen/torchdiffeq", "657943a", "tests", files="tests torchdiffeq",
          path=". tests"),
    Suite("torchinfo", "TylerYep/torchinfo", "5c4164f", "tests"),
    Suite(
        "torchmetrics", "Lightning-AI/torchmetrics", "v1.9.0",
        "bases wrappers pairwise regression nominal retrieval clustering",
        folder="tests/unittests", path="src tests", requires="cachier",
    ),
    Suite("torchopt", "metaopt/torchopt", "v0.7.3", "tests", files="tests", path=""),
    Suite(
        "torchquad", "esa/torchquad", "v0.5.0", "tests",
        left_out={"test_is_compiling": "expects torch.jit.trace to record"},
    ),
    Suite("torchsde", "google-research/torchsde", "v0.2.6", "tests"),
    Suite("vector-quantize-pytorch", "lucidrains/vector-quantize-pytorch", "1.27.21", "tests"),
    Suite("x-transformers", "lucidrains/x-transformers", "2.16.1", "tests"),
    Suite("zuko", "probabilists/zuko", "1.6.0", "tests"),
]  # fmt: skip
