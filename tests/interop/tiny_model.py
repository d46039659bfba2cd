"""Writes a tiny llama model with random weights (2 layers, 64 dimensions, byte-level vocabulary): enough for a real
server to run, and its answers are broken UTF-8, which is a good test. Usage: tiny_model.py OUT.gguf"""

import sys

import gguf
import numpy as np

LAYERS, WIDTH, HEADS, FEED, CONTEXT = 2, 64, 4, 128, 2048
random = np.random.default_rng(0)


def vocabulary():
    """GPT-2's byte alphabet, a few merges, and four control tokens."""
    bytes_ = [*range(33, 127), *range(161, 173), *range(174, 256)]
    chars = list(bytes_)
    for byte in range(256):
        if byte not in bytes_:
            chars.append(256 + len(bytes_) - 188)
            bytes_.append(byte)
    tokens = [chr(char) for _, char in sorted(zip(bytes_, chars))]
    pairs = [("t", "h"), ("th", "e"), ("i", "n"), ("a", "n"), ("e", "r"), ("\u0120", "t")]
    tokens += [a + b for a, b in pairs]
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    control = ["<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"]
    return tokens + control, kinds + [gguf.TokenType.CONTROL] * len(control), [f"{a} {b}" for a, b in pairs]


def tensor(*shape):
    return (random.normal(size=shape) * 0.2).astype(np.float32)


def main(path):
    tokens, kinds, merges = vocabulary()
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("tiny-random")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(FEED)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens)
    out.add_token_types(kinds)
    out.add_token_merges(merges)
    out.add_bos_token_id(tokens.index("<|bos|>"))
    out.add_eos_token_id(tokens.index("<|eos|>"))
    out.add_add_bos_token(True)
    out.add_chat_template(
        "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    )
    out.add_tensor("token_embd.weight", tensor(len(tokens), WIDTH))
    out.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    out.add_tensor("output.weight", tensor(len(tokens), WIDTH))
    for layer in range(LAYERS):
        prefix = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"{prefix}{norm}.weight", np.ones(WIDTH, np.float32))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out.add_tensor(f"{prefix}{part}.weight", tensor(WIDTH, WIDTH))
        out.add_tensor(f"{prefix}ffn_gate.weight", tensor(FEED, WIDTH))
        out.add_tensor(f"{prefix}ffn_up.weight", tensor(FEED, WIDTH))
        out.add_tensor(f"{prefix}ffn_down.weight", tensor(WIDTH, FEED))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


main(sys.argv[1])
