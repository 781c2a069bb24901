"""What random programs are made of: a table of lines with slots in braces, by kinds.

The first slot is a value of a kind: {x} any, {r} real, {n} no bool, {i} integers, {b} bool, {f} float,
{c} complex, {g} float or complex, {w} to write to, {u} to write to and without a gradient, {m} to write to and no bool, {a} left of an augmented assignment. {y} and {z} broadcast with it; the other slots are methods of
``Slots``, or text that has to do with the first value's dims. "a, b = " marks two results.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    weight: int
    table: str
    exact: bool = False
    writes: bool = False
    casts: bool = False
    dynamic: bool = False
    lines: list = field(default_factory=list, compare=False)

    def __post_init__(self):
        self.lines.extend(filter(None, map(str.strip, self.table.split("|"))))


UNARY = Kind(
    7,
    """
{g}.exp() | {g}.sin() | {g}.cos() | {g}.tanh() | {g}.sigmoid() | {g}.log() | {g}.sqrt() | {g}.rsqrt() | {g}.reciprocal()
| {f}.log1p() | {f}.expm1() | {f}.erf() | {f}.erfc() | {f}.atan() | {f}.asinh() | {f}.exp2() | {f}.log2() | {f}.log10()
| {n}.square() | {n}.abs() | -{n} | {n}.sign() | {f}.relu() | F.relu6({f}) | F.gelu({f}) | F.gelu({f}, approximate='tanh')
| F.silu({f}) | F.mish({f}) | F.softplus({f}) | F.softplus({f}, beta=2.) | F.hardtanh({f}) | F.hardswish({f}) | F.hardsigmoid({f})
| F.leaky_relu({f}, 0.1) | F.elu({f}) | F.selu({f}) | F.celu({f}, 0.5) | F.logsigmoid({f}) | F.softsign({f})
| F.hardshrink({f}) | F.softshrink({f}) | F.threshold({f}, 0.1, 2.) | {r}.floor() | {r}.ceil() | {r}.round() | {f}.trunc()
| {f}.frac() | {f}.nan_to_num() | {f}.sinc() | {f}.lgamma() | {f}.tan() | {f}.sinh() | {f}.cosh() | {f}.acos() | {f}.asin()
| {f}.atanh() | {f}.acosh() | {f}.logit(0.01) | {f}.round(decimals=1) | {n}.positive() | {f}.deg2rad() | {f}.erfinv()
| {n} ** 2 | {n} ** 3 | {f} ** 0.5 | {f} ** -1 | 2 ** {f} | {n}.sgn() | {f}.detach().digamma() | {i}.exp() | {b}.sin() | {i}.sqrt()
| {n}.clamp({si}) | {f}.clamp(-0.5, 0.75) | {r}.clip(max={si}) | F.glu({f}, {d}) | F.rrelu({f}) | {f}.i0() | F.prelu({f}, {new1})
""",
)
BINARY = Kind(
    9,
    """
{x} + {y} | {n} - {y} | {x} * {y} | {x} / {y} | {x} + {s} | {n} - {s} | {s} - {n} | {x} * {s} | {n} / {s} | {s} / {g}
| T.add({x}, {y}, alpha={si}) | T.sub({n}, {y}, alpha={si}) | T.sub({f}, {y}, alpha={s}) | T.rsub({n}, {y})
| T.maximum({r}, {y}) | T.minimum({r}, {y}) | T.fmax({r}, {y}) | T.fmin({r}, {y}) | T.atan2({f}, {y}) | T.hypot({f}, {y})
| T.fmod({r}, {y}) | T.remainder({r}, {y}) | {r} % {s} | {r} // {y} | {r} // {si} | T.div({r}, {y}, rounding_mode='trunc')
| T.div({r}, {y}, rounding_mode='floor') | T.lerp({f}, {same}, {s}) | T.lerp({f}, {same}, {same2}) | T.addcmul({f}, {y}, {z}, value={s})
| T.addcdiv({f}, {y}, {z}, value={s}) | {n} ** {y} | {i} ** 2 | T.copysign({r}, {same}.nan_to_num()) | T.xlogy({r}, {y}) | T.logaddexp({f}, {same})
| T.logaddexp2({f}, {same}) | T.float_power({r}, 2) | T.clamp({r}, min={y}) | T.clamp({r}, {y}, {z}) | T.true_divide({r}, {y})
| T.ldexp({f}, {same}) | T.gcd({i} // 2, {y} // 2) | T.lcm({i}, {y}) | T.special.xlog1py({f}, {y}) | T.nextafter({f}, {same}) | {f}.mul({y}).add({z})
| T.heaviside({f}, {same}) | {x} + 0.5 * {y} | T.where({mask}, {x}, {y}) | T.where({mask}, {x}, {s}) | T.where({mask}, {s}, {x})
| T.dist({f}, {y}) | F.mse_loss({f}, {same}, reduction={red}) | F.l1_loss({f}, {same}, reduction={red})
| F.smooth_l1_loss({f}, {same}, reduction={red}) | F.huber_loss({f}, {same}, delta=0.7) | F.kl_div({f}, {same}, reduction={red})
| F.binary_cross_entropy_with_logits({f}, {same}) | F.soft_margin_loss({f}, {same}.detach()) | F.poisson_nll_loss({f}, {same})
| F.cross_entropy({f2}, {classes}, reduction={red}) | F.nll_loss({f2}, {classes}, reduction={red}) | F.cosine_similarity({f}, {same}, {d})
| F.cross_entropy({f2}, {classes}, label_smoothing=0.1) | F.margin_ranking_loss({f}, {same}, {same2}) | F.gaussian_nll_loss({f}, {same}, {same2}.abs())
""",
)
LOGIC = Kind(
    5,
    """
{r} > {y} | {r} <= {y} | {x} == {y} | {x} != {y} | {r} >= {s} | {r} < {s} | ({r} > 0) & ({y} != 0) | T.bitwise_or({b}, {mask}) | {b} ^ {mask}
| ~{b} | {i} & {y} | T.bitwise_or({i}, {y}) | ~{i} | {i} ^ {y} | {i} << 1 | {i} >> 1 | {x}.logical_not() | {x}.logical_and({y}) | {x}.logical_xor({y})
| {x}.isnan() | {g}.isfinite() | {g}.isinf() | T.isclose({f}, {same}) | {f}.nan_to_num().signbit() | {x}.bool() | T.eq({x}, {si})
| {b} + {b} | {b} * {y} | {mask}.float() | {mask}.long() | {b}.sum({d}) | {x}.logical_or({y}) | T.isin({r}.contiguous(), {y}.contiguous()) | {f}.isneginf()
""",
)
CONVERSIONS = Kind(
    4,
    """
{x}.to({t}) | {x}.to({ft}) | {x}.to({t}) | {x}.float() | {x}.double() | {x}.long() | {x}.half() | {x}.bfloat16() | {x}.int() | {x}.short()
| {x}.char() | {x}.byte() | {x}.type_as({y}) | {x}.to({y}) | {x}.to({t}).to({ft}) | {x}.clone() | {x}.to({t}, copy=True)
| {x}.cfloat() | {x}.cdouble() | {x}.to({y}.dtype)
""",
    casts=True,
)
COMPLEX = Kind(
    4,
    """
T.view_as_real({c}) | T.view_as_complex({last2}) | {c}.real | {c}.imag | {c}.conj().resolve_conj() | {c}.conj().resolve_conj() * {y} | {c}.conj().resolve_conj().mT | {c}.angle() | {c}.abs()
| T.complex({f}, {same}) | T.polar({f}, {same}) | {c} * {y} | {c}.exp() | {c}.sum({d}) | {c}.resolve_conj() | {c}.cumsum({d}) | {c} @ {c}.mT
| {c}.mean() | T.view_as_real({c}).sum(-1) | {c}.conj().resolve_conj().imag | {c} == {y} | {c} + 2j | {c} / {y} | {c}.prod({d}) | {f} * 1j | {c}.sgn()
| T.view_as_real({c} * {y}) | T.view_as_complex({last2}) * {c} | {c}.H.resolve_conj() | {c}.mH.resolve_conj() | {c}.conj_physical() | {c}.neg().conj().resolve_conj() | {c}.square()
""",
)
REDUCTIONS = Kind(
    8,
    """
{x}.sum() | {x}.sum({ds}, keepdim={k}) | {x}.sum({d}, dtype={ft}) | {g}.mean({ds}, keepdim={k}) | {g}.mean() | {x}.prod({d}, keepdim={k})
| {x}.prod() | {r}.amax({ds}, keepdim={k}) | {r}.amin({ds}, keepdim={k}) | {r}.max() | {r}.min() | a, b = {r}.max({d}, keepdim={k})
| a, b = {r}.min({d}, keepdim={k}) | {r}.argmax({d}, keepdim={k}) | {r}.argmin({d}) | {r}.argmax() | {x}.any({d}, keepdim={k}) | {x}.all({d})
| {x}.any() | {x}.all() | {g}.var({ds}, keepdim={k}) | {g}.std({ds}, correction=0) | {g}.var() | a, b = T.var_mean({f}, {d}) | a, b = T.std_mean({f}, {ds})
| {f}.logsumexp({ds}, keepdim={k}) | {g}.norm() | {g}.norm(dim={d}, keepdim={k}) | {f}.norm(1, {d}) | {f}.norm(float('inf'), {d})
| {f}.norm(3., {d}) | {r}.nansum({d}) | {f}.nanmean({d}) | {x}.count_nonzero({d}) | a, b = {r}.aminmax(dim={d}, keepdim={k}) | {r}.quantile(0.3)
| {f}.quantile(0.5, {d}) | a, b = {r}.median({d}) | {r}.median() | {r}.mode({d}).values | a, b = {r}.kthvalue(1, {d}) | a, b = {r}.nanmedian({d})
| T.trapezoid({f}, dim={d}) | {r}.cov() | {f2}.corrcoef() | {f}.renorm(2, {d}, 1.) | T.linalg.vector_norm({g}, 2, {ds}) | {f2}.trace()
| T.linalg.norm({f}) | F.normalize({f}, dim={d}) | {r}.float().histc(4, -1, 1) | T.cdist({f2}, {f2}) | F.pairwise_distance({f}, {same} + 1)
""",
)
SCANS = Kind(
    5,
    """
{x}.cumsum({d}) | {x}.cumprod({d}) | a, b = {r}.cummax({d}) | a, b = {r}.cummin({d}) | {f}.logcumsumexp({d}) | {f}.softmax({d}) | {f}.log_softmax({d})
| F.softmin({f}, {d}) | {f}.softmax({d}, dtype={ft}) | a, b = {r}.sort({d}, stable=True) | a, b = {r}.sort({d}, descending={k}, stable=True)
| {r}.argsort(dim={d}, stable=True) | a, b = {r}.topk(1, {d}) | {x}.diff(dim={d}) | {x}.flip({ds}) | {x}.roll({si}, {d}) | {x}.roll({si})
| F.layer_norm({f}, {lastdims}) | F.layer_norm({f}, {lastdim}, {newlast}, {newlast}) | F.rms_norm({f}, {lastdim}) | F.rms_norm({f}, {lastdim}, {newlast})
| F.group_norm({f3}, 1) | F.batch_norm({f2}, None, None, training=True) | F.instance_norm({f3}) | F.local_response_norm({f3}, 2)
| T.cumulative_trapezoid({f}, dim={d}) | {f}.cumsum({d}).flip({d}) | {x}.cumsum({d}, dtype={ft}) | T.gradient({f}, dim={d})[0]
""",
)
PRODUCTS = Kind(
    5,
    """
{g} @ {newmat} | {newleft} @ {g2} | F.linear({f}, {newlinear}) | {x2} @ {x2}.mT | T.mm({g2}.flatten(1), {g2}.flatten(1).t()) | T.outer({x}.reshape(-1), {y}.reshape(-1))
| T.einsum('...i,...i->...', {x}, {same}) | T.einsum('...ij->...ji', {x2}) | T.einsum('...ij,...kj->...ik', {x2}, {x2}) | T.einsum('...ii->...i', {square})
| T.dot({x}.reshape(-1), {x}.reshape(-1)) | T.mv({x2}.flatten(1), {x2}.flatten(1)[0]) | T.bmm({f3}.flatten(2), {f3}.flatten(2).mT)
| T.addmm({f2}.flatten(1), {f2}.flatten(1), {f2}.flatten(1).mT @ {f2}.flatten(1), beta=0.5, alpha=2) | T.kron({x}.clone(), {y}.clone()) | T.tensordot({f}, {same}, {ndim})
| F.scaled_dot_product_attention({f3}, {f3}, {f3}) | F.scaled_dot_product_attention({f3}, {f3}, {f3}, is_causal=True) | {f2}.mT @ {f2} | T.inner({x}, {same})
| T.vdot({g}.reshape(-1), {g}.reshape(-1)) | T.linalg.multi_dot([{f2}.flatten(1), {f2}.flatten(1).T, {f2}.flatten(1)]) | T.cross({f}, {same}, {d}) | T.linalg.matrix_power({square}, 2)
| F.linear({f}, {newlinear}, {s}) | T.chain_matmul({f2}.flatten(1), {f2}.flatten(1).T) | T.vander({f}.detach().reshape(-1)[:4]) | T.linalg.vecdot({g}, {same})
""",
)
WINDOWS = Kind(
    4,
    """
F.conv2d({image}, {newconv}, stride={step}, padding={pad}) | F.conv2d({image}, {newconv}, {newbias}, dilation={step}) | F.conv1d({line}, {newconv1}, padding={pad})
| F.conv_transpose1d({line}, {newtrans1}, stride={step}) | F.conv_transpose2d({image}, {newtrans}, stride={step}, padding={pad}) | F.conv2d({image}, {newdepth}, groups={channels})
| F.max_pool2d({image}, {step}) | F.max_pool2d({image}, 2, {step}, {pad}, ceil_mode={k}) | F.avg_pool2d({image}, {step}) | F.avg_pool2d({image}, 2, 1, {pad}, count_include_pad={k})
| F.max_pool1d({line}, 2, {step}) | F.avg_pool1d({line}, 2, {step}) | F.adaptive_avg_pool2d({image}, {step}) | F.adaptive_max_pool2d({image}, {step}) | F.adaptive_avg_pool1d({line}, 3)
| F.lp_pool2d({image}, 2, 2) | F.unfold({image}, 2, padding={pad}) | F.fold({f}.reshape(1, {numel}, 1), 1, 1) | F.interpolate({image}, scale_factor=2) | F.pixel_shuffle({image}, 1)
| F.interpolate({image}, size=5, mode='bilinear', align_corners={k}) | F.interpolate({line}, size=3, mode='linear') | F.pad({x}, (1, 2)) | F.pad({x}, (0, 1), value={si}) | F.pad({x2}, (1, -1, 0, 2))
| F.pad({image}, (1, 0, 0, 1), mode='reflect') | F.pad({image}, (1, 1, 1, 0), mode='replicate') | F.pad({line}, (1, 1), mode='circular') | a, b = F.max_pool2d({image}, 2, 1, return_indices=True)
| F.pixel_unshuffle({image}, {step}) | F.channel_shuffle({image}, 1) | F.avg_pool3d({image}[None], 1) | F.max_pool3d({image}[None], (1, {step}, 1)) | F.pad({x}, (0, 0))
| F.conv3d({image}[None], {newconv3}) | F.interpolate({image}, size=3, mode='bicubic') | F.grid_sample({image}, {newgrid}, align_corners={k})
""",
)
INDEXING = Kind(
    8,
    """
{x}[{index}] | {x}[{index}] | {x}[{advanced}] | {x}[{advanced}] | {x}.index_select({d}, {along}) | {x}.gather({d}, {places}) | {x}.scatter({d}, {places}, {x})
| {x}.scatter({d}, {places}, {si}) | {n}.scatter_add({d}, {places}, {n}) | {x}.index_add({d}, {all}, {x}) | {n}.index_add({d}, {all}, {n}, alpha=2) | {x}.index_copy({d}, {once}, {x})
| {x}.index_fill({d}, {along}, {si}) | {x}.take({flat}) | {x}.take_along_dim({places}, {d}) | {x}.masked_fill({mask}, {si}) | {x}.masked_scatter({mask}, {x})
| {x}.index_put(({all0},), {x}) | {n}.index_put(({all0},), {n}, accumulate=True) | F.embedding({any}.long().abs() % {dim0}, {f2}.flatten(1)) | F.one_hot({i}.long().abs() % 5, 5)
| {f}.scatter_reduce({d}, {places}, {f}, {how}, include_self={k}) | {f}.scatter_reduce({d}, {places}, {f}, {how2}) | {f}.index_reduce({d}, {all}, {f}, {how3}) | {r}.clone().select_scatter({r}.select({d}, 0), {d}, -1)
| {r}.clone().slice_scatter({r}.narrow({d}, 0, 1), {d}, {size} - 1) | {x2}.clone().diagonal_scatter({x2}.diagonal()) | T.searchsorted({f}.sort(-1).values, {f}) | T.bucketize({r}, T.tensor([-0.3, 0.2, 0.7]))
| F.embedding_bag({all0}[None], {f2}.flatten(1), mode={bag}) | {x}.repeat_interleave(2, {d}) | {x}.tril() | {x2}.triu(1) | {x}.diag_embed() | {x}.reshape(-1).diag() | {x2}.rot90()
""",
    exact=True,
)
JOINS = Kind(
    4,
    """
T.cat([{x}, {same}], {d}) | T.cat([{x}, {part}, {x}], {d}) | T.stack([{x}, {same}], {d}) | T.stack([{x}, {x}, {same}], -1) | T.hstack([{x}, {same}]) | T.vstack([{x}, {same}])
| T.dstack([{x}, {same}]) | {x}.repeat({repeats}) | T.tile({x}, (2,)) | T.block_diag({x2}.flatten(1), {x2}.flatten(1)) | T.zeros_like({x}) | T.ones_like({x}, dtype={t})
| T.full_like({x}, {si}) | {x}.new_zeros({shape}) | {x}.new_full((2, 3), {si}) | T.arange({size}, dtype={ft}) | T.eye({size}) | T.broadcast_tensors({x}, {y})[1] | T.meshgrid({x}.reshape(-1), {y}.reshape(-1), indexing='ij')[0]
| T.linspace(-1, 1, {size}, dtype={ft}) | T.cat([{x}, {same}.to({ft})], {d}) | T.column_stack([{x}, {same}]) | T.tensor([1, 0, 2])[{si}] | T.combinations({x}.reshape(-1)[:4])
| T.cartesian_prod({x}.reshape(-1)[:3], {x}.reshape(-1)[:2]) | T.cat([{x}, {same}], {d}, out=T.empty(0).to({x}.dtype)) | T.empty_like({x}).copy_({x}) | T.cat([{x}.reshape(-1), {y}.reshape(-1)]) | T.cat([{x}[:0], {x}]) | T.atleast_3d({x})
""",
    exact=True,
)
VIEWS = Kind(
    12,
    """
{x}.reshape(-1) | {x}.view({viewshape}) | {x}.reshape({viewshape}) | {x}.t() | {x2}.mT | {x}.permute({perm}) | {x}.permute({perm}) | {x}.transpose({d}, {d2}) | {x}.movedim({d}, {d2})
| {x}.expand({expand}) | {x}.expand({expand}) | {x}.unfold({d}, {window}, {step}) | {x}.unfold({d}, {window}, 1) | {x2}.diagonal() | {x2}.diagonal({si}, {d}, {d2}) | {x}.as_strided({strided}) | {x}.as_strided({strided})
| {x}.detach() | {x}.data | {x}.chunk(2, {d})[0] | {x}.chunk(3, {d})[-1] | {x}.split(2, {d})[-1] | a, b = {x}.tensor_split(2, {d}) | a, b = {x}.split([1, {size} - 1], {d}) | {x}.unbind({d})[-1]
| {x}.narrow({d}, {narrow}) | {x}.select({d}, {at}) | {x}.squeeze() | {x}.squeeze({d}) | {x}.unsqueeze({d}) | {x}[{index}] | {x}[{index}] | {x}[..., {at} % {lastsize}:] | {x}[::2] | {x}[:, 1:] | {x}[None] | {x}[...]
| {x}.flatten({d}) | {x}.flatten() | {x}.unflatten({d}, (1, -1)) | {x}.contiguous() | {x}.swapaxes({d}, {d2}) | {x}.view_as({x}) | {x}.ravel() | {x}.broadcast_to({expand}) | {x}.expand_as({y}) | {x}.real | {x}.hsplit(1)[0]
| {x}.view(-1, {lastsize}) | T.atleast_2d({x}) | {x}.reshape({x}.shape[::-1]) | {i}.detach().view({bits}) | {f}.detach().nan_to_num().view({bits}) | {x}.squeeze({ds}) | {x}.T | {x}.alias_copy() | {x}.view_as_real() | T.view_as_real({c}) | {c}.imag | {x}.positive() | {x}.reshape({x}.shape)
""",
    exact=True,
)
WRITES = Kind(
    10,
    """
{w}.add_({fit}) | {w}.mul_({fit}) | {w}.sub_({fit}, alpha={si}) | {w}.div_({fit}) | {w}.neg_() | {w}.tanh_() | {w}.exp_() | {w}.clamp_(min={si}) | {w}.sigmoid_() | {a} += {fit} | {a} *= {s} | {a} -= {fit}
| {w}.lerp_({fit}, 0.25) | {w}.addcmul_({fit}, {fit}, value=-0.5) | {w}.addcdiv_({fit}, {fit}) | {w}.relu_() | {w}.sqrt_() | {w}.abs_() | {w}.pow_(2) | {w}.square_() | {m}.cumsum_({d}) | {w}.floor_() | {w}.round_()
| {u}.logical_not_() | {u}.bitwise_not_() | {w}.maximum_({fit}) | {w}.remainder_(3) | {w}.fmod_({fit}) | {w}.data.mul_({s}) | {w}.detach().add_({fit}) | with T.no_grad(): {w}.mul_({s}) | with T.no_grad(): {w}.add_({fit})
| T.add({m}, {fit}, out={m}) | T.mul({m}, 2, out={m}) | T.exp({w}, out={w}) | {w}.add_({w}) | {w}.mul_({w}.detach()) | F.relu({w}, inplace=True) | {m}.cumprod_({d}) | {w}.addmm_({apart}, {apart}) | {w}.xlogy_({fit})
| {w}.index_add_({d}, {all}, {own}) | {w}.scatter_add_({d}, {places}, {own}) | {w}.baddbmm_({apart3}, {apart3}) | {u}.logical_and_({plain}) | {a} ^= {fit} | {u}.eq_({plain}) | {u}.gt_({plain}) | {w}.atan2_({fit}) | {w}.copysign_({fit})
""",
    writes=True,
)
MOVES = Kind(
    10,
    """
{w}.copy_({fit}) | {w}.copy_({fit}) | {w}.zero_() | {w}.fill_({si}) | {w}.fill_({scalar}) | {w}[{index}] = {si} | {w}[{index}] = {scalar} | {w}[{index}] = {w}[{index}] | {w}[...] = {fit} | {w}[{advanced}] = {si} | {w}[{advanced}] = {w}[{advanced}]
| {w}[{mask}] = {si} | {w}[{mask}] = {scalar} | {w}.masked_fill_({mask}, {si}) | {w}.masked_fill_({mask}, {scalar}) | {w}.index_fill_({d}, {along}, {si}) | {w}.index_copy_({d}, {once}, {own}) | {w}.scatter_({d}, {places}, {si})
| {w}.scatter_({d}, {places}, {own}) | {w}.masked_scatter_({mask}.clone(), {w}.clone()) | {w}.put_({flat}, {flat}.to({w}.dtype)) | {a}.index_put_(({all0},), {a}.clone()) | {w}.tril_() | {w}.triu_(1) | {w}.fill_diagonal_({si})
| {w}.data.zero_() | {w}.detach().copy_({fit}) | {w}.detach()[{index}] = {si} | {w}.data[{index}] = {si} | with T.no_grad(): {w}.copy_({fit}) | {w}.copy_({w}.flip({d})) | {w}.copy_({w}.roll(1, {d}))
| {w}.real[...] = {si} | T.view_as_real({w}).zero_() | {w}.imag.fill_({si}) | {w}.diagonal().fill_({si}) | {w}.as_strided({strided}).fill_({si}) | {w}.detach_()
""",
    exact=True,
    writes=True,
    casts=True,
)
DYNAMIC = Kind(
    1,
    """
{x}[{mask}] | {x}.masked_select({mask}) | {x}.nonzero() | {r}.unique() | a, b = {r}.unique(return_counts=True) | {i}.reshape(-1).abs().bincount() | {x}.argwhere() | {x}[{b}] | T.where({x})[0] | {r}.unique_consecutive()
| {x}[{mask}].sum() | {r}.repeat_interleave({along}, 0)
""",
    exact=True,
    dynamic=True,
)
TURNS = Kind(
    1,
    """
{w}.t_() | {w}.squeeze_() | {w}.unsqueeze_({d}) | {w}.transpose_({d}, {d2}) | {w}.swapaxes_({d}, {d2}) | {w}.as_strided_({strided}) | {w}.squeeze_({d})
""",
    exact=True,
    writes=True,
    dynamic=True,
)
# fmt: off
KINDS = [UNARY, BINARY, LOGIC, CONVERSIONS, COMPLEX, REDUCTIONS, SCANS, PRODUCTS, WINDOWS, INDEXING, JOINS, VIEWS,
         WRITES, MOVES, TURNS, DYNAMIC]
# fmt: on
WEIGHTS = [k.weight for k in KINDS]

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
RARE = ("uint16", "uint32", "uint64")
COMPLEXES = ("complex64", "complex128")
DTYPES = (*FLOATS, *INTEGERS, *RARE, *COMPLEXES, "bool")
COMMON = (
    "float32",
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "uint8",
    "int8",
    "bool",
    "complex64",
)
#: Parts of lines whose results have many more elements than their operands, or numbers of a size
#: that depends on the order of the work.
GROWS = (
    ".diag",
    "outer",
    "kron",
    "meshgrid",
    "one_hot",
    "cdist",
    "vander",
    "block_diag",
    "combinations",
    "cartesian",
    "eye(",
    "cov(",
    "corrcoef",
    ".mT",
    "tensordot",
    "repeat",
    "isin",
    "prod(",
    "histc(",
    "}.norm(",
    "linalg.norm(",
    "vector_norm(",
)
#: Parts of lines whose results with nan, infinity or huge numbers depend on the order of the work.
TAME = (
    "_mean(",
    "searchsorted",
    "prod",
    "var",
    "std",
    "cov",
    "corrcoef",
    "_norm(",
    "kron",
    "digamma",
    "histc",
    "embedding_bag",
    "isin",
    "quantile",
    "grid_sample",
    "interpolate",
    "F.gelu({f})",
    "F.conv",
    "F.relu6(",
    "F.hardtanh(",
    "elu({f}",
    "shrink(",
    "hardswish(",
    "tensordot(",
    "F.celu(",
    "T.remainder(",
    "T.fmod(",
    "** 0.5",
    ".fmod_(",
)
#: Parts of lines for which PyTorch reads beyond a value's memory if its elements share places.
BEYOND = ("median({d}",)
#: Parts of lines that divide by a deviation: where all numbers are equal it is rounding alone.
CENTRED = ("layer_norm(", "group_norm(", "batch_norm(", "instance_norm(")
#: Views through which lines write.
LOOKS = ["[{index}]", "[{index}]", ".t()", ".permute({perm})", ".reshape(-1)", ".view(-1)", ".select({d}, {at})", ".narrow({d}, {narrow})", ".transpose({d}, {d2})",
         ".detach()", ".data", ".unfold({d}, 1, {step})", ".diagonal()", "[...]", ".squeeze()", ".unsqueeze({d})", ".as_strided({strided})", ".chunk(2, {d})[-1]", ".flatten()"]  # fmt: skip
