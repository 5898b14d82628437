"""Presets of the form by name. Only values that differ from the defaults are listed."""

from __future__ import annotations

from ...core.types import JsonObject

# A preset does not change the URL in the form: only the user knows it.
PRESETS: dict[str, JsonObject] = {
    "Text to text": {"task": "text-to-text"},
    "Image and text to text": {"task": "image-text-to-text", "scenarios": ["I(512,512)"]},
    "Text to embeddings": {"task": "text-to-embeddings", "scenarios": ["E(128)"]},
    "Baseten: OpenAI-compatible": {
        "endpoint": {"model": "Qwen3-30B-A3B-Instruct-2507-FP8"},
        "tokenizer": "Qwen/Qwen3-30B-A3B-Instruct-2507",
        "concurrency": [8],
        "request_params": {"temperature": 0.7},
    },
    "Baseten: simple prompt": {
        "endpoint": {"model": "Mistral-7B-v0.1", "request_format": "prompt"},
        "tokenizer": "mistralai/Mistral-7B-v0.1",
        "scenarios": ["N(100,100)/(100,100)"],
        "concurrency": [1],
        "request_params": {"temperature": 0.7},
    },
    "Baseten: not streamed": {
        "endpoint": {"model": "test-model", "request_format": "prompt", "stream": False},
        "request_params": {"temperature": 0.7},
    },
    "Baseten: images": {
        "endpoint": {"model": "vision-model"},
        "task": "image-text-to-text",
        "scenarios": ["dataset"],
        "dataset": "/path/to/images",
        "max_requests": 50,
    },
}
