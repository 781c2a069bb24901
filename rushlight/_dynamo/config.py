"""Settings of PyTorch's tracer that programs make; nothing reads them."""

from rushlight._dynamo.settings import patching

__all__ = ["patch"]

cache_size_limit = recompile_limit = 8
accumulated_cache_size_limit = accumulated_recompile_limit = 256
suppress_errors = verbose = capture_scalar_outputs = capture_dynamic_output_shape_ops = False
dynamic_shapes = automatic_dynamic_shapes = optimize_ddp = True
assume_static_by_default = inline_inbuilt_nn_modules = force_parameter_static_shapes = True
allow_unspec_int_on_nn_module = skip_fwd_side_effects_in_bwd_under_checkpoint = False
patch = patching(globals())
