"""Files of weights as e-c-k-e-r/vall-e lays them out, with random content, and an independent forward pass of them."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional

CODEBOOKS, SIZE, SYMBOLS, LANGUAGES = 8, 1024, 40, 6
FIXTURES = next(
    (path / "shared" / "upstream" for path in Path(__file__).resolve().parents if (path / "shared/upstream").is_dir()),
    Path("missing"),
)
"""Numbers that the original program computed; absent on a user's machine."""


def symbol_map():
    """Return strings of a table with merges: `ab` and `abc` are pieces, and `A` is an alias of `a`."""
    names = ["<unk>", "<bos>", "</eos>", "<mask>", " ", *"abcdefghijklmnopqrstuvwxyz.,", "ab", "abc", "ːɹ"]
    strings = {name: number for number, name in enumerate(names)}
    return strings | {"A": strings["a"], "ː": strings["y"], "ɹ": strings["r"]}


@dataclass
class Weights:
    """A small random model in the other project's names."""

    width: int = 16
    layers: int = 2
    heads: int = 2
    experimental: dict = field(default_factory=dict)
    seed: int = 0
    codebooks: int = CODEBOOKS

    def __post_init__(self):
        generator = torch.Generator().manual_seed(self.seed)

        def draw(*shape, scale=1.0):
            return torch.randn(*shape, generator=generator) * scale

        width, tensors = self.width, {"sep": draw(self.width), "dropout_token": draw(self.width)}
        rows = {"text": SYMBOLS, "langs": LANGUAGES, "tasks": 9, "len": 11, "tones": 1, "rvq_l": self.codebooks}
        tensors |= {f"{name}_emb.weight": draw(count, width) for name, count in rows.items()}
        for number in range(self.codebooks):
            tensors[f"proms_emb.embeddings.{number}.weight"] = draw(SIZE, width)
        for number in range(self.codebooks + 1):
            entries = SIZE + (number in (0, self.codebooks))
            tensors[f"resps_emb.embeddings.{number}.weight"] = draw(entries, width)
        for layer in range(self.layers):
            for name, shape in {
                "self_attn.q_proj": (width, width),
                "self_attn.k_proj": (width, width),
                "self_attn.v_proj": (width, width),
                "self_attn.o_proj": (width, width),
                "mlp.gate_proj": (4 * width, width),
                "mlp.up_proj": (4 * width, width),
                "mlp.down_proj": (width, 4 * width),
            }.items():
                tensors[f"model.layers.{layer}.{name}.weight"] = draw(*shape, scale=width**-0.5)
            for name in ("input_layernorm", "post_attention_layernorm"):
                tensors[f"model.layers.{layer}.{name}.weight"] = 1 + draw(width, scale=0.1)
        tensors["model.norm.weight"] = 1 + draw(width, scale=0.1)
        sizes = [SIZE + 1, *[SIZE] * self.codebooks, SYMBOLS, 11]
        for number, outputs in enumerate(sizes):
            tensors[f"classifiers.proj.{number}.weight"] = draw(outputs, width)
            tensors[f"classifiers.proj.{number}.bias"] = draw(outputs)
        self.tensors = tensors
        flags = {"audio_embedding_sums": True, "unified_position_ids": False, "split_classifiers": True}
        self.config = {
            "name": "ar+nar-len",
            "version": 5,
            "size": {"dim": width, "heads": self.heads, "layers": self.layers},
            "arch_type": "llama",
            "capabilities": ["ar", "nar", "len"],
            "experimental": flags | {"noncausal_masks": True} | self.experimental,
        }

    def write(self, path: Path, metadata: bool = True) -> Path:
        """Write the file; its metadata are JSON texts."""
        content = {"config": self.config, "userdata": {"symmap": symbol_map()}, "stats": {"global_step": 7}}
        texts = {name: json.dumps(value) for name, value in content.items()}
        save_file(self.tensors, path, texts if metadata else None)
        return path

    def table(self, name, ids):
        """Embed ids by a table."""
        return self.tensors[f"{name}.weight"][torch.as_tensor(ids)]

    def prompt(self, codes, codebooks):
        """Sum codebooks of prompt codes [T, K]."""
        return sum(self.table(f"proms_emb.embeddings.{k}", codes[:, k]) for k in codebooks)

    def response(self, codes, tables):
        """Sum codes [T, K] by (codebook, table)."""
        return sum(self.table(f"resps_emb.embeddings.{table}", codes[:, k]) for k, table in tables)

    def logits(self, segments, head, *, is_causal, restarts=True):
        """Compute the logits of every slot of a row of segments [n, width], joined by separators."""
        pieces, positions = [], []
        for number, segment in enumerate(segments):
            is_last = number == len(segments) - 1
            pieces += [segment] if is_last else [segment, self.tensors["sep"][None]]
            positions += range(len(segment) + (not is_last))
        x = torch.cat(pieces)
        where = torch.tensor(positions if restarts else range(len(x)), dtype=torch.float32)
        for layer in range(self.layers):
            x = self._layer(x, f"model.layers.{layer}", where, is_causal)
        hidden = self._norm(x, "model.norm")
        return functional.linear(hidden, self.tensors[f"classifiers.proj.{head}.weight"], self._bias(head))

    def _bias(self, head):
        return self.tensors.get(f"classifiers.proj.{head}.bias")

    def _norm(self, x, name):
        return x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * self.tensors[f"{name}.weight"]

    def _layer(self, x, name, positions, is_causal):
        size = self.width // self.heads
        angles = positions[:, None] * 10_000 ** (-torch.arange(0, size, 2) / size)
        angles = torch.cat([angles, angles], 1)

        def project(kind):
            y = self._norm(x, f"{name}.input_layernorm") @ self.tensors[f"{name}.self_attn.{kind}_proj.weight"].T
            return y.view(len(x), self.heads, size).transpose(0, 1)

        def rotate(y):
            half = torch.cat([-y[..., size // 2 :], y[..., : size // 2]], -1)
            return y * angles.cos() + half * angles.sin()

        scores = rotate(project("q")) @ rotate(project("k")).transpose(1, 2) / size**0.5
        if is_causal:
            scores = scores.masked_fill(torch.ones(len(x), len(x)).triu(1).bool(), -torch.inf)
        mixed = (scores.softmax(-1) @ project("v")).transpose(0, 1).reshape(len(x), -1)
        x = x + mixed @ self.tensors[f"{name}.self_attn.o_proj.weight"].T
        y = self._norm(x, f"{name}.post_attention_layernorm")
        gate = functional.gelu(y @ self.tensors[f"{name}.mlp.gate_proj.weight"].T)
        return x + (gate * (y @ self.tensors[f"{name}.mlp.up_proj.weight"].T)) @ (
            self.tensors[f"{name}.mlp.down_proj.weight"].T
        )
