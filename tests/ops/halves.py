"""Functions whose kernels in PyTorch keep float32 inside where the tensors have half precision.

``error`` measures results and gradients against float64, in halves of an ulp: the rounding of the
result itself is 1.
"""

# A table: one case a line.
# fmt: off

import numpy as np

__all__ = ["CASES", "DTYPES", "UNTRACED", "allowed", "errors"]

_rng = np.random.default_rng(0)


def A(*shape, scale=1.0):
    """Normal numbers."""
    return (_rng.standard_normal(shape) * scale).astype("f4")


def F(t):
    """``nn.functional`` of the framework."""
    return t.nn.functional


cls = _rng.integers(0, 50, (64,))
CASES = {
'sdpa':(lambda T,q,k,v:F(T).scaled_dot_product_attention(q,k,v),[A(2,4,33,32),A(2,4,40,32),A(2,4,40,32)]),
'sdpa_causal':(lambda T,q,k,v:F(T).scaled_dot_product_attention(q,k,v,is_causal=True),[A(2,4,33,32),A(2,4,33,32),A(2,4,33,32)]),
'sdpa_mask':(lambda T,q,k,v,m:F(T).scaled_dot_product_attention(q,k,v,attn_mask=m),[A(2,4,33,32),A(2,4,33,32),A(2,4,33,32),A(33,33)]),
'sdpa_big':(lambda T,q,k,v:F(T).scaled_dot_product_attention(q,k,v),[A(2,4,33,32,scale=3),A(2,4,40,32,scale=3),A(2,4,40,32)]),
'softmax':(lambda T,x:F(T).softmax(x,-1),[A(64,50)]),
'softmax0':(lambda T,x:F(T).softmax(x,0),[A(64,50)]),
'log_softmax':(lambda T,x:F(T).log_softmax(x,-1),[A(64,50)]),
'softmin':(lambda T,x:F(T).softmin(x,-1),[A(64,50)]),
'layer_norm':(lambda T,x,w,b:F(T).layer_norm(x,(50,),w,b),[A(64,50),A(50),A(50)]),
'rms_norm_eps':(lambda T,x,w:F(T).rms_norm(x,(50,),w,1e-5),[A(64,50),A(50)]),
'group_norm':(lambda T,x,w,b:F(T).group_norm(x,5,w,b),[A(6,50,7),A(50),A(50)]),
'batch_norm':(lambda T,x,w,b:F(T).batch_norm(x,None,None,w,b,True),[A(64,50),A(50),A(50)]),
'batch_norm4':(lambda T,x,w,b:F(T).batch_norm(x,None,None,w,b,True),[A(6,50,5,5),A(50),A(50)]),
'batch_norm_eval':(lambda T,x,w,b,m,v:F(T).batch_norm(x,m.detach(),v.detach().abs()+.5,w,b,False),[A(64,50),A(50),A(50),A(50),A(50)]),
'instance_norm':(lambda T,x,w,b:F(T).instance_norm(x,None,None,w,b),[A(6,50,9),A(50),A(50)]),
'local_response_norm':(lambda T,x:F(T).local_response_norm(x,3),[A(6,10,9)]),
'normalize':(lambda T,x:F(T).normalize(x),[A(64,50)]),
'cosine_similarity':(lambda T,x,y:F(T).cosine_similarity(x,y),[A(64,50),A(64,50)]),
'pairwise_distance':(lambda T,x,y:F(T).pairwise_distance(x,y),[A(64,50),A(64,50)]),
'cross_entropy':(lambda T,x:F(T).cross_entropy(x,T.tensor(cls),reduction='none'),[A(64,50)]),
'cross_entropy_mean':(lambda T,x:F(T).cross_entropy(x,T.tensor(cls)),[A(64,50)]),
'cross_entropy_ls':(lambda T,x:F(T).cross_entropy(x,T.tensor(cls),label_smoothing=.1,reduction='none'),[A(64,50)]),
'cross_entropy_ls_mean':(lambda T,x:F(T).cross_entropy(x,T.tensor(cls),label_smoothing=.1),[A(64,50)]),
'cross_entropy_p':(lambda T,x,y:F(T).cross_entropy(x,F(T).softmax(y,-1),reduction='none'),[A(64,50),A(64,50)]),
'nll':(lambda T,x:F(T).nll_loss(x,T.tensor(cls)),[A(64,50)]),
'mse':(lambda T,x,y:F(T).mse_loss(x,y),[A(64,50),A(64,50)]),
'mse_n':(lambda T,x,y:F(T).mse_loss(x,y,reduction='none'),[A(64,50),A(64,50)]),
'l1':(lambda T,x,y:F(T).l1_loss(x,y),[A(64,50),A(64,50)]),
'smooth_l1':(lambda T,x,y:F(T).smooth_l1_loss(x,y),[A(64,50),A(64,50)]),
'huber':(lambda T,x,y:F(T).huber_loss(x,y,delta=.5),[A(64,50),A(64,50)]),
'bce':(lambda T,x,y:F(T).binary_cross_entropy(T.sigmoid(x),T.sigmoid(y)),[A(64,50),A(64,50)]),
'bcel':(lambda T,x,y:F(T).binary_cross_entropy_with_logits(x,T.sigmoid(y)),[A(64,50),A(64,50)]),
'bcel_n':(lambda T,x,y:F(T).binary_cross_entropy_with_logits(x,T.sigmoid(y),reduction='none'),[A(64,50),A(64,50)]),
'kl':(lambda T,x,y:F(T).kl_div(x,T.sigmoid(y),reduction='batchmean'),[A(64,50),A(64,50)]),
'kl_n':(lambda T,x,y:F(T).kl_div(x,T.sigmoid(y),reduction='none'),[A(64,50),A(64,50)]),
'poisson':(lambda T,x,y:F(T).poisson_nll_loss(x,T.sigmoid(y)),[A(64,50),A(64,50)]),
'gnll':(lambda T,x,y,v:F(T).gaussian_nll_loss(x,y,v.abs()+1),[A(64,50),A(64,50),A(64,50)]),
'triplet':(lambda T,x,y,z:F(T).triplet_margin_loss(x,y,z,reduction='none'),[A(64,50),A(64,50),A(64,50)]),
'cosine_embedding':(lambda T,x,y:F(T).cosine_embedding_loss(x,y,T.tensor(cls%2*2-1),reduction='none'),[A(64,50),A(64,50)]),
'glu':(lambda T,x:F(T).glu(x),[A(64,50)]),
'linear':(lambda T,x,w,b:F(T).linear(x,w,b),[A(64,50),A(30,50),A(30)]),
'bilinear':(lambda T,x,y,w,b:F(T).bilinear(x,y,w,b),[A(8,10),A(8,12),A(6,10,12),A(6)]),
'conv1':(lambda T,x,w,b:F(T).conv1d(x,w,b),[A(3,8,20),A(6,8,3),A(6)]),
'conv2':(lambda T,x,w,b:F(T).conv2d(x,w,b,padding=1),[A(3,8,10,10),A(6,8,3,3),A(6)]),
'convt2':(lambda T,x,w,b:F(T).conv_transpose2d(x,w,b),[A(3,8,10,10),A(8,6,3,3),A(6)]),
'avg_pool2':(lambda T,x:F(T).avg_pool2d(x,3),[A(3,8,12,12)]),
'adaptive':(lambda T,x:F(T).adaptive_avg_pool2d(x,3),[A(3,8,12,12)]),
'lp_pool':(lambda T,x:F(T).lp_pool2d(x.abs(),2,3),[A(3,8,12,12)]),
'interp':(lambda T,x:F(T).interpolate(x,scale_factor=2,mode='bilinear'),[A(3,8,6,6)]),
'bicubic':(lambda T,x:F(T).interpolate(x,scale_factor=2,mode='bicubic'),[A(3,8,6,6)]),
'grid_sample':(lambda T,x,g:F(T).grid_sample(x,T.tanh(g),align_corners=False),[A(3,8,6,6),A(3,5,5,2)]),
'embedding_bag':(lambda T,w:F(T).embedding_bag(T.tensor(cls.reshape(8,8)),w,mode='mean'),[A(50,16)]),
'embedding_bag_sum':(lambda T,w:F(T).embedding_bag(T.tensor(cls.reshape(8,8)),w,mode='sum'),[A(50,16)]),
'prelu':(lambda T,x,w:F(T).prelu(x,w),[A(64,50),A(50)]),
'logsumexp':(lambda T,x:T.logsumexp(x,1),[A(64,50)]),
'mean':(lambda T,x:x.mean(1),[A(64,500)]),'sum':(lambda T,x:x.sum(1),[A(64,500)]),'prod':(lambda T,x:x.prod(1),[A(64,20)]),
'std':(lambda T,x:x.std(1),[A(64,500)]),'var':(lambda T,x:x.var(1),[A(64,500)]),'norm':(lambda T,x:x.norm(dim=1),[A(64,500)]),'norm3':(lambda T,x:T.linalg.vector_norm(x,3,dim=1),[A(64,500)]),
'cumsum':(lambda T,x:x.cumsum(1),[A(64,100)]),'cumprod':(lambda T,x:x.cumprod(1),[A(64,10)]),'logcumsumexp':(lambda T,x:x.logcumsumexp(1),[A(64,100)]),
'matmul':(lambda T,x,y:x@y,[A(64,50),A(50,30)]),'bmm':(lambda T,x,y:x@y,[A(4,64,50),A(4,50,30)]),'addmm':(lambda T,b,x,y:T.addmm(b,x,y),[A(30),A(64,50),A(50,30)]),'addmm2':(lambda T,b,x,y:T.addmm(b,x,y,beta=.5,alpha=2),[A(64,30),A(64,50),A(50,30)]),'baddbmm':(lambda T,b,x,y:T.baddbmm(b,x,y,beta=.5,alpha=.3),[A(4,64,30),A(4,64,50),A(4,50,30)]),
'einsum':(lambda T,x,y:T.einsum('bij,bjk->ik',x,y),[A(4,64,50),A(4,50,30)]),'mv':(lambda T,x,y:x@y,[A(64,50),A(50)]),'dot':(lambda T,x,y:x@y,[A(500),A(500)]),
'addcmul':(lambda T,x,y,z:T.addcmul(x,y,z,value=.3),[A(64,50)]*3),'addcdiv':(lambda T,x,y,z:T.addcdiv(x,y,z.abs()+1,value=.3),[A(64,50)]*3),'lerp':(lambda T,x,y:T.lerp(x,y,.3),[A(64,50),A(64,50)]),
'softplus':(lambda T,x:F(T).softplus(x),[A(64,50)]),'softsign':(lambda T,x:F(T).softsign(x),[A(64,50)]),'tanhshrink':(lambda T,x:F(T).tanhshrink(x),[A(64,50)]),'celu':(lambda T,x:F(T).celu(x),[A(64,50)]),'mish':(lambda T,x:F(T).mish(x),[A(64,50)]),'gelu':(lambda T,x:F(T).gelu(x),[A(64,50)]),'gelut':(lambda T,x:F(T).gelu(x,approximate='tanh'),[A(64,50)]),'hardswish':(lambda T,x:F(T).hardswish(x),[A(64,50)]),'selu':(lambda T,x:F(T).selu(x),[A(64,50)]),'silu':(lambda T,x:F(T).silu(x),[A(64,50)]),'logsigmoid':(lambda T,x:F(T).logsigmoid(x),[A(64,50)]),'relu6':(lambda T,x:F(T).relu6(x),[A(64,50)]),'hardsigmoid':(lambda T,x:F(T).hardsigmoid(x),[A(64,50)]),
'logit':(lambda T,x:T.logit(T.sigmoid(x)),[A(64,50)]),'sinc':(lambda T,x:T.sinc(x),[A(64,50)]),'polygamma':(lambda T,x:T.polygamma(1,x.abs()+1),[A(64,50)]),'mvlgamma':(lambda T,x:T.mvlgamma(x.abs()+3,2),[A(64,50)]),'xlogy':(lambda T,x,y:T.xlogy(x,y.abs()),[A(64,50),A(64,50)]),'logaddexp':(lambda T,x,y:T.logaddexp(x,y),[A(64,50),A(64,50)]),'hypot':(lambda T,x,y:T.hypot(x,y),[A(64,50),A(64,50)]),'atan2':(lambda T,x,y:T.atan2(x,y),[A(64,50),A(64,50)]),'deg2rad':(lambda T,x:T.deg2rad(x),[A(64,50)]),
}
def cell(kind,n):
    def f(T,x,h,*w):
        m=getattr(T.nn,kind)(10,n); m.to(x.dtype)
        with T.no_grad():
            for p,q in zip(m.parameters(),w): p.copy_(q.detach())
        for (name,p),q in zip(list(m.named_parameters()),w):
            pass
        hh=(h,h) if 'LSTM' in kind else h
        o=T.func.functional_call(m,{k:v for (k,_),v in zip(m.named_parameters(),w)},(x,hh)) if False else m(x,hh)
        return o[0] if isinstance(o,tuple) else o
    g={'LSTM':4,'GRU':3,'RNN':1}[kind.replace('Cell','')]
    h=A(4,n) if 'Cell' in kind else A(1,4,n)
    x=A(4,10) if 'Cell' in kind else A(7,4,10)
    return f,[x,h,A(g*n,10,scale=.3),A(g*n,n,scale=.3),A(g*n,scale=.3),A(g*n,scale=.3)]
for k in ('LSTM','GRU','RNN','LSTMCell','GRUCell','RNNCell'): CASES[k]=cell(k,8)
def mha(T,x,w,b,o,ob):
    return F(T).multi_head_attention_forward(x,x,x,32,4,w,b,None,None,False,0.,o,ob,need_weights=False)[0]
def mhaw(T,x,w,b,o,ob):
    return F(T).multi_head_attention_forward(x,x,x,32,4,w,b,None,None,False,0.,o,ob)[0]
M=[A(20,3,32),A(96,32,scale=.2),A(96,scale=.2),A(32,32,scale=.2),A(32,scale=.2)]
CASES['mha']=(mha,M); CASES['mha_w']=(mhaw,M)
CASES['mha_weights']=(lambda T,x,w,b,o,ob:F(T).multi_head_attention_forward(x,x,x,32,4,w,b,None,None,False,0.,o,ob)[1],M)
#: The halves of an ulp of each dtype, relative to the number.
DTYPES = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
#: Cases that make a module, which a compiled function cannot keep.
UNTRACED = {"LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"}


def _double(t):
    return t.detach().double().numpy()


def _answers(framework, call, inputs, half, dtype):
    """The result and the gradients as float64, computed in ``dtype`` on inputs rounded to ``half``."""
    xs = [framework.from_numpy(a.copy()).to(getattr(framework, half)) for a in inputs]
    xs = [x.to(getattr(framework, dtype)).requires_grad_() for x in xs]
    framework.manual_seed(0)
    out = call(*xs)
    seed = np.random.default_rng(3).uniform(0.5, 1.5, tuple(out.shape))
    seed = framework.from_numpy(np.asarray(seed)).to(getattr(framework, half)).to(out.dtype)
    gradients = framework.autograd.grad(out, xs, seed, allow_unused=True)
    return [_double(t) for t in (out, *gradients) if t is not None]


def _error(got, want, half):
    """The largest error, in halves of an ulp; of numbers near 0 relative to the typical one."""
    size = np.maximum(np.abs(want), np.sqrt((want**2).mean()) / 4 + 1e-30)
    return float(np.max(np.abs(got - want) / (size * DTYPES[half])))


def errors(framework, name, half, wrap=lambda call: call):
    """The errors of the result and of each gradient of a case in the dtype ``half``."""
    function, inputs = CASES[name]
    call = lambda *xs: function(framework, *xs)
    want = _answers(framework, call, inputs, half, "float64")
    got = _answers(framework, wrap(call), inputs, half, half)
    return [round(_error(g, w, half), 2) for g, w in zip(got, want, strict=True)]


def allowed(error):
    """The error that is allowed where PyTorch has ``error``: rounding once, or about as much."""
    return max(1.9, 2.0 * error)
