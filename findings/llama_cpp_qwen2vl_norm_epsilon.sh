#!/usr/bin/env bash
# llama.cpp of xllamacpp 2026.10.11549: models of the architecture qwen2vl are normalized without the epsilon of their file.
#
# The key `attention.layer_norm_rms_epsilon` is accepted and has no effect: two files with 1e-6 and 0.1 give the same
# probabilities, while those of qwen2 differ. Small vectors are so normalized to another length than in torch, and
# logits differ where nothing else does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xllamacpp==2026.10.11549 gguf==0.19.0
"$folder/venv/bin/python" - "$folder" 2> "$folder/log" <<'PYTHON' || { tail -n 20 "$folder/log"; exit 1; }
import sys
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

WIDTH, INNER, VOCABULARY, EPSILONS = 64, 128, 300, (1e-6, 0.1)


def write(path, architecture, epsilon):
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(epsilon)
    if architecture == "qwen2vl":
        writer.add_rope_dimension_sections([8, 4, 4, 0])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    letters = [chr(33 + index) for index in range(94)]
    writer.add_token_list([*letters, *(f"token{index}" for index in range(VOCABULARY - 95)), "<end>"])
    writer.add_token_types([1] * (VOCABULARY - 1) + [3])
    writer.add_token_merges(["! !"])
    writer.add_bos_token_id(VOCABULARY - 1)
    writer.add_eos_token_id(VOCABULARY - 1)
    shapes = {
        "token_embd": (VOCABULARY, WIDTH),
        "output": (VOCABULARY, WIDTH),
        **{f"blk.0.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")},
        "blk.0.ffn_gate": (INNER, WIDTH),
        "blk.0.ffn_up": (INNER, WIDTH),
        "blk.0.ffn_down": (WIDTH, INNER),
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", (random.standard_normal(shape) * 0.02).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    for name in ("q", "k", "v"):
        writer.add_tensor(f"blk.0.attn_{name}.bias", np.zeros(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def likeliest(path):
    options = xllamacpp.CommonParams()
    options.model.path, options.n_ctx, options.n_parallel, options.cpuparams.n_threads = str(path), 128, 1, 1
    answer = xllamacpp.Server(options).handle_completions(
        {"prompt": "abc", "max_tokens": 1, "logprobs": 3, "temperature": 0}
    )
    found = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return [(one["id"], round(one["logprob"], 5)) for one in found[:3]]


print("xllamacpp", version("xllamacpp"), flush=True)
differ = {}
for architecture in ("qwen2", "qwen2vl"):
    found = []
    for epsilon in EPSILONS:
        path = Path(sys.argv[1]) / f"{architecture}-{epsilon}.gguf"
        write(path, architecture, epsilon)
        found.append(likeliest(path))
        print(architecture, "epsilon", epsilon, "likeliest tokens", found[-1], flush=True)
    differ[architecture] = found[0] != found[1]
assert differ == {"qwen2": True, "qwen2vl": False}, f"epsilon has another effect now: {differ}"
PYTHON
