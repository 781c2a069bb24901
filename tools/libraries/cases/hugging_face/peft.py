"""Adapters of a small Llama: LoRA and 18 other methods train, are saved, loaded and merged."""

requires = ["peft", "jinja2"]


def run():
    """Losses of each method's training, logits after loading and merging; mixtures of adapters."""
    import tempfile

    import peft
    import torch
    import transformers

    q, qv = ["q_proj"], ["q_proj", "v_proj"]
    prompt = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 4}
    methods = {
        "LoRA": peft.LoraConfig(r=4, target_modules=qv, lora_dropout=0.1),
        "DoRA": peft.LoraConfig(r=4, target_modules=qv, use_dora=True, init_lora_weights=False),
        "rsLoRA": peft.LoraConfig(r=4, target_modules="all-linear", use_rslora=True),
        "AdaLoRA": peft.AdaLoraConfig(target_modules=qv, init_r=6, target_r=4, total_step=10),
        "IA3": peft.IA3Config(target_modules=qv, feedforward_modules=[]),
        "LoHa": peft.LoHaConfig(r=2, target_modules=qv, init_weights=False),
        "LoKr": peft.LoKrConfig(r=2, target_modules=qv, init_weights=False),
        "OFT": peft.OFTConfig(r=0, oft_block_size=8, target_modules=qv, init_weights=False),
        "BOFT": peft.BOFTConfig(boft_block_size=4, target_modules=qv, init_weights=False),
        "VeRA": peft.VeraConfig(r=4, target_modules=q, init_weights=False),
        "HRA": peft.HRAConfig(r=4, target_modules=qv, init_weights=False),
        "FourierFT": peft.FourierFTConfig(n_frequency=10, target_modules=qv, init_weights=False),
        "VB-LoRA": peft.VBLoRAConfig(
            target_modules=q, num_vectors=8, vector_length=16, topk=2, r=2
        ),
        "LayerNorm": peft.LNTuningConfig(target_modules=["input_layernorm"]),
        "MiSS": peft.MissConfig(r=4, target_modules=qv, init_weights=False),
        "RandLoRA": peft.RandLoraConfig(r=4, target_modules=q, init_weights=False),
        "prompt": peft.PromptTuningConfig(**prompt),
        "prefix": peft.PrefixTuningConfig(**prompt),
        "P-tuning": peft.PromptEncoderConfig(**prompt, encoder_hidden_size=16),
    }

    def llama():
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=99, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config)

    ids = torch.randint(3, 99, (2, 7))
    results = {}
    for name, config in methods.items():
        model = peft.get_peft_model(llama(), config).train()
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, 1e-2)
        losses = []
        for _ in range(3):
            loss = model(input_ids=ids, labels=ids).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
            logits = model(input_ids=ids).logits
            model.save_pretrained(folder)
            again = peft.PeftModel.from_pretrained(llama(), folder).eval()(input_ids=ids).logits
            results[name] = {
                "losses": losses,
                "logits": logits,
                "loaded": torch.allclose(again, logits, atol=1e-4),
                "numbers that are trained": sum(p.numel() for p in trained),
            }
            if "num_virtual_tokens" not in config.to_dict():
                results[name]["merged"] = model.merge_and_unload()(ids).logits

    config = peft.LoraConfig(r=4, target_modules=qv, init_lora_weights=False)
    model = peft.get_peft_model(llama(), config)
    model.add_adapter("other", config)
    for kind in ("linear", "svd", "cat"):
        model.add_weighted_adapter(["default", "other"], [0.5, 0.7], kind, combination_type=kind)
        model.set_adapter(kind)
        results[f"mixed: {kind}"] = model(ids).logits
    with model.disable_adapter():
        results["without adapters"] = model(ids).logits
    results["generated"] = model.generate(input_ids=ids, max_new_tokens=4, do_sample=False)
    return results
