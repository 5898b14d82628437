"""A preview of a configuration before anything is sent: the body of its first request."""

from __future__ import annotations

import json

import orjson

from ...config.plan import levels_of
from ...config.run_config import RunConfig
from ...core.secrets import redact
from ...core.types import JsonObject
from ...workload import datasets
from ...workload.conversations import ConversationSampler
from ...workload.sampler import Sampler
from ...workload.tokenizer import load_tokenizer


def first_body(config: RunConfig) -> str:
    """The JSON body of a request of the first scenario, as the engine builds it, indented, with secrets as ***; for conversations
    it is a first turn. The words differ from those of a run, because each run has its own salt."""
    scenario, tokenizer = levels_of(config)[0].scenario, load_tokenizer(config.tokenizer)
    entries, salt = datasets.load(config), config.salt or "preview"
    maker: ConversationSampler | Sampler
    if entries is not None and entries.conversations and scenario.needs_data:
        own: JsonObject = {"salt": salt, "stream": "0", "params": entries.params}
        maker = ConversationSampler(config, scenario, entries.conversations, tokenizer.count, **own)
    else:
        maker = Sampler(config, scenario, tokenizer, salt=salt, stream="0", entries=entries)
    return json.dumps(redact(orjson.loads(maker.request("").body)), indent=2, ensure_ascii=False)
