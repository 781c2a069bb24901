"""A small Llama generates in every way: caches, beams, samplers, assistants, watermarks."""

requires = ["transformers"]

SAMPLERS = [
    {"top_k": 10}, {"top_p": 0.8}, {"min_p": 0.1}, {"typical_p": 0.8}, {"temperature": 0.7},
    {"epsilon_cutoff": 1e-3}, {"eta_cutoff": 1e-3}, {"repetition_penalty": 1.3},
    {"no_repeat_ngram_size": 2}, {"bad_words_ids": [[5], [6, 7]]}, {"min_new_tokens": 3},
    {"suppress_tokens": [5, 6]}, {"sequence_bias": [[[5], 3.0]]}, {"guidance_scale": 1.5},
    {"exponential_decay_length_penalty": (3, 1.1)}, {"num_beams": 3},
]  # fmt: skip


class Streamed:
    """Keeps the tokens that ``generate`` hands over one by one."""

    def __init__(self):
        self.tokens = []

    def put(self, value):
        self.tokens.append(value.tolist())

    def end(self):
        self.tokens.append("end")


def run():
    """Tokens, scores and logits, which do not depend on the cache and the kind of attention."""
    import torch
    import transformers as t

    config = t.LlamaConfig(
        vocab_size=99, hidden_size=32, intermediate_size=37, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, max_position_embeddings=64,
    )  # fmt: skip
    model = t.LlamaForCausalLM(config).eval()
    assistant = t.LlamaForCausalLM(t.LlamaConfig(**{**config.to_dict(), "num_hidden_layers": 1}))
    ids = torch.randint(3, 99, (2, 7))
    mask = torch.ones_like(ids)
    mask[1, :3] = 0

    def generate(ids=ids, **settings):
        torch.manual_seed(3)
        settings.setdefault("do_sample", False)
        if len(ids) == 2:
            settings["attention_mask"] = mask
        return model.generate(ids, max_new_tokens=12, **settings)

    results = {"greedy": generate(), "without a cache": generate(use_cache=False)}
    results["static cache"] = generate(cache_implementation="static", disable_compile=True)
    for settings in SAMPLERS:
        results[str(settings)] = generate(do_sample=True, **settings)
    results["assisted"] = generate(ids[:1], assistant_model=assistant.eval())
    results["assisted, sampled"] = generate(ids[:1], assistant_model=assistant, do_sample=True)
    results["looked up in the prompt"] = generate(ids[:1], prompt_lookup_num_tokens=2)
    mark = t.WatermarkingConfig(greenlist_ratio=0.5, bias=2.0, seeding_scheme="lefthash")
    results["watermark"] = generate(watermarking_config=mark, do_sample=True)
    streamer = Streamed()
    generate(ids[:1], streamer=streamer)
    results["streamed"] = streamer.tokens
    beams = generate(
        num_beams=3, num_return_sequences=3, output_scores=True, return_dict_in_generate=True
    )
    results["beams"] = [beams.sequences, beams.sequences_scores, beams.beam_indices]
    results["transitions"] = model.compute_transition_scores(
        beams.sequences, beams.scores, beams.beam_indices
    )
    with torch.no_grad():
        for attention in ("eager", "sdpa"):
            model.set_attn_implementation(attention)
            results[attention] = model(ids, attention_mask=mask).logits
        model.set_attn_implementation("sdpa")
        cache = t.DynamicCache(config=config)
        model(ids, past_key_values=cache)
        cache.crop(-3)
        cache.batch_repeat_interleave(2)
        cache.reorder_cache(torch.tensor([1, 0, 3, 2]))
        results["cropped cache"] = model(ids.repeat(2, 1)[:, :2], past_key_values=cache).logits
    model.train()
    model.gradient_checkpointing_enable()
    loss = model(ids, attention_mask=mask, labels=ids).loss
    loss.backward()
    results["checkpointed"] = {"loss": loss, "gradient": model.lm_head.weight.grad}
    return results
