# SPDX-License-Identifier: Apache-2.0
"""Layers of a Llama on CUDA, end to end: one token at a time with a KV cache, long prompts, training steps; ATen's time against Carat's
in one process, and the share of the calls to ATen's operators that Carat serves. Prints a table."""

import contextlib
import statistics
import sys
import time

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import carat

BF16 = torch.bfloat16


def build(layers, hidden, inner, heads, vocabulary=32000):
    import transformers

    config = transformers.LlamaConfig(vocab_size=vocabulary, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
                                      num_key_value_heads=heads, max_position_embeddings=4096, bos_token_id=None, eos_token_id=None, pad_token_id=None)
    with torch.device("cuda"):
        return transformers.LlamaForCausalLM(config).to(BF16)


def tokens(*shape):
    return torch.randint(0, 32000, shape, device="cuda")


def decode():
    """32 tokens after a prompt of 512, one at a time."""
    from transformers import DynamicCache

    model, prompt, steps = build(4, 4096, 11008, 32).eval(), tokens(1, 512), tokens(32, 1, 1)

    @torch.no_grad()
    def run():
        cache = DynamicCache()
        model(input_ids=prompt, past_key_values=cache, use_cache=True)
        for token in steps:
            model(input_ids=token, past_key_values=cache, use_cache=True)
    return run


def prefill():
    model, prompt = build(4, 4096, 11008, 32).eval(), tokens(4, 2048)

    @torch.no_grad()
    def run():
        model(input_ids=prompt, use_cache=False, logits_to_keep=1)
    return run


def training(**options):
    def make():
        model, batch = build(8, 1024, 2816, 16).train(), tokens(8, 512)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, **options)

        def run():
            loss = model(input_ids=batch, labels=batch, use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        return run
    return make


CASES = {
    "decode, batch 1, 4 layers of 7B": decode,
    "prefill 4x2048, 4 layers of 7B": prefill,
    "training 8x512, 150M, AdamW fused": training(fused=True),
    "training 8x512, 150M, AdamW foreach": training(foreach=True),
}


class Counted(TorchDispatchMode):
    """Calls to operators that compute something."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls += not function.is_view
        return function(*args, **(kwargs or {}))


def milliseconds(run):
    """From the first call to the end of the device's work, and what of it the device was given."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    host = time.perf_counter() - start
    torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3, host * 1e3


def measure(make, rounds):
    run = make()
    scopes = {"aten": contextlib.nullcontext, "carat": carat.use}
    times = {name: [] for name in scopes}
    for _ in range(2):
        for scope in scopes.values():
            with scope():
                run()
    for _ in range(rounds):
        for name, scope in scopes.items():
            with scope():
                times[name].append(milliseconds(run))
    with Counted() as counted:
        run()
    carat.stats(reset=True)
    with carat.use():
        run()
    stats = carat.stats()
    calls = sum(stat.calls for stat in stats.values())
    best = {name: [statistics.median(column) for column in zip(*pairs)] for name, pairs in times.items()}
    return best, calls / max(counted.calls, 1), stats


def main():
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print(f"{'case':38s} {'ATen ms':>9s} {'Carat ms':>9s} {'ratio':>6s} {'host ATen':>10s} {'host Carat':>10s} {'served':>7s}")
    for name, make in CASES.items():
        if len(sys.argv) > 1 and not any(word in name for word in sys.argv[1:]):
            continue
        best, share, stats = measure(make, 10)
        (theirs, host), (mine, my_host) = best["aten"], best["carat"]
        print(f"{name:38s} {theirs:9.2f} {mine:9.2f} {theirs / mine:6.2f} {host:10.2f} {my_host:10.2f} {share:7.2f}", flush=True)
        aside = sorted(((count, reason, op) for op, stat in stats.items() for reason, count in stat.reasons.items()), reverse=True)
        print("    left to ATen: " + "; ".join(f"{op} ({reason}) {count}" for count, reason, op in aside[:8]))
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
