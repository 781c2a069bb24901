"""Decoders of text (GPT-2, Llama, Mixtral, Mamba and twelve more): loss, gradients, generation."""

requires = ["transformers"]

GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
GROUPED = {**SIZES, "num_key_value_heads": 2}
KINDS = {
    "GPT2": GPT,
    "GPTJ": {**GPT, "rotary_dim": 4},
    "GPTNeoX": SIZES,
    "OPT": {**SIZES, "ffn_dim": 37, "word_embed_proj_dim": 32},
    "Bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "Falcon": SIZES,
    "Llama": GROUPED,
    "Mistral": {**GROUPED, "sliding_window": 4},
    "Mixtral": {**GROUPED, "num_local_experts": 4},
    "Qwen2": GROUPED,
    "Qwen3": {**GROUPED, "head_dim": 8},
    "Gemma": {**GROUPED, "head_dim": 8},
    "Gemma2": {**GROUPED, "head_dim": 8, "sliding_window": 4},
    "Phi": SIZES,
    "Phi3": GROUPED,
    "Mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
    "Mamba2": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 8,
        "num_heads": 8,
        "head_dim": 8,
        "n_groups": 1,
        "chunk_size": 4,
    },
}


def run():
    """For each kind: loss, one gradient, logits with padding, greedy and sampled tokens."""
    import torch
    import transformers

    results = {}
    ids = torch.randint(3, 99, (2, 8))
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    for name, sizes in KINDS.items():
        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(
            vocab_size=99, pad_token_id=0, bos_token_id=1, eos_token_id=2, **sizes
        )
        model = transformers.AutoModelForCausalLM.from_config(config)
        loss = model(ids, attention_mask=mask, labels=ids).loss
        loss.backward()
        gradient = model.get_input_embeddings().weight.grad
        model.eval()
        settings = {"attention_mask": mask, "max_new_tokens": 8, "pad_token_id": 0}
        with torch.no_grad():
            logits = model(ids, attention_mask=mask).logits
        results[name] = {
            "loss": loss,
            "gradient": gradient,
            "logits": logits,
            "greedy": model.generate(ids, do_sample=False, **settings),
            "sampled": model.generate(ids, do_sample=True, top_k=20, temperature=0.9, **settings),
        }
        if "Mamba" not in name:
            results[name]["beams"] = model.generate(ids, num_beams=3, do_sample=False, **settings)
    return results
