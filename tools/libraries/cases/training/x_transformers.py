"""Train small transformers of many variants, and sample from them."""

requires = ["x-transformers"]


def run():
    """Return losses, scores and sampled tokens."""
    import torch
    from x_transformers import (
        AutoregressiveWrapper,
        ContinuousTransformerWrapper,
        Decoder,
        Encoder,
        TransformerWrapper,
        ViTransformerWrapper,
        XTransformer,
    )

    found = {}
    ids = torch.randint(0, 32, (2, 16))
    variants = {
        "rotary": {"rotary_pos_emb": True},
        "alibi": {"alibi_pos_bias": True},
        "relative": {"rel_pos_bias": True},
        "one key head": {"attn_one_kv_head": True},
        "GLU": {"ff_glu": True, "ff_swish": True},
        "RMS norm": {"use_rmsnorm": True},
        "query norm": {"attn_qk_norm": True},
        "talking heads": {"attn_pre_talking_heads": True},
        "memory": {"attn_num_mem_kv": 2},
        "sandwich": {"sandwich_norm": True},
    }
    for name, options in variants.items():
        torch.manual_seed(0)
        model = AutoregressiveWrapper(
            TransformerWrapper(
                num_tokens=32,
                max_seq_len=16,
                attn_layers=Decoder(dim=24, depth=2, heads=2, attn_dim_head=8, **options),
            )
        )
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        losses = []
        for _ in range(2):
            loss = model(ids)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found[name] = losses
    model.eval()
    found["greedy"] = model.generate(ids[:, :4], 6, temperature=0.0)
    found["sampled"] = model.generate(ids[:, :4], 6, filter_kwargs={"k": 5})
    torch.manual_seed(1)
    both = XTransformer(
        dim=16,
        enc_num_tokens=32,
        enc_depth=1,
        enc_heads=2,
        enc_max_seq_len=16,
        dec_num_tokens=32,
        dec_depth=1,
        dec_heads=2,
        dec_max_seq_len=16,
    )
    loss = both(ids, ids.flip(1), mask=torch.ones(2, 16, dtype=torch.bool))
    loss.backward()
    found["translation"] = loss
    image = ViTransformerWrapper(
        image_size=16, patch_size=8, num_classes=3, attn_layers=Encoder(dim=16, depth=1, heads=2)
    )
    found["image"] = image(torch.randn(2, 3, 16, 16))
    numbers = ContinuousTransformerWrapper(
        dim_in=3, dim_out=2, max_seq_len=8, attn_layers=Encoder(dim=16, depth=1, heads=2)
    )
    found["numbers"] = numbers(
        torch.randn(2, 8, 3), mask=torch.arange(8)[None] < torch.tensor([[8], [5]])
    )
    return found
