"""Tokenizers: the small embedded one, one from a local file or folder, or one from the hub.

A tokenizer.json is used directly, by the `tokenizers` library: transformers builds some tokenizers from other files, and in one
case counted 4% differently from the tokenizer.json in the same folder; its import also takes ten times as long. Only a
tokenizer without a tokenizer.json is loaded with AutoTokenizer.

Only text is counted: no special tokens are added, text that looks like one (`<|im_end|>` in a prompt) counts as text, and
truncation or padding in a tokenizer.json are switched off.
"""

from __future__ import annotations

import os
import re
import socket
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

from ..core.errors import TokenizerError
from .pieces import pieces_of

EMBEDDED = "embedded"
_EMBEDDED_FILE = Path(__file__).parent / "data" / "tokenizer.json"
_LONGEST_HUB_ID = 96
_KNOWN_TEXTS = (
    "the water of the river is cold today",
    "вода в реке сегодня холодная",
    "今天 河水 很冷",
    "اليوم ماء النهر بارد",
)
_POINTER = b"version https://git-lfs"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


class _Backend(Protocol):
    def encode(self, text: str) -> list[int]: ...
    def lengths(self, texts: Sequence[str]) -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def ends(self, text: str) -> list[int] | None: ...
    def learn(self, text: str) -> None: ...


class _Fast:
    """The `tokenizers` library's own object, made to count text as text."""

    def __init__(self, inner: Any) -> None:
        inner.no_truncation()
        inner.no_padding()
        inner.encode_special_tokens = True
        self._inner = inner
        self._pieces = pieces_of(inner, self._by_library)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._inner.encode(text, add_special_tokens=False).ids
        return ids

    def lengths(self, texts: Sequence[str]) -> list[int]:
        if len(texts) == 1 and self._pieces is not None:
            return [self._pieces.length(texts[0])]
        return self._by_library(texts)

    def learn(self, text: str) -> None:
        if self._pieces is not None:
            self._pieces.length(text)

    def _by_library(self, texts: Sequence[str]) -> list[int]:
        # encode_batch_fast leaves out the offsets, which nobody here needs: a fifth to a third of the time.
        return [len(e) for e in self._inner.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self._inner.decode(list(ids), skip_special_tokens=False)
        return text

    def ends(self, text: str) -> list[int] | None:
        return [end for _, end in self._inner.encode(text, add_special_tokens=False).offsets]


class _Slow:
    """A tokenizer that transformers has only in Python."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._inner.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(self.encode(text)) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self._inner.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def ends(self, text: str) -> list[int] | None:
        return None

    def learn(self, text: str) -> None:
        """Nothing is counted by pieces here."""


class Tokenizer:
    """Counts text. `name` is what it was loaded by; `is_embedded` says that its counts are only near the model's."""

    def __init__(self, backend: _Backend, name: str, is_embedded: bool = False) -> None:
        self.name, self.is_embedded = name, is_embedded
        self._backend = backend

    def encode(self, text: str) -> list[int]:
        """The token ids of `text`, without special tokens."""
        return self._backend.encode(_sound(text))

    def count(self, text: str) -> int:
        """How many tokens `text` has."""
        return self._backend.lengths([_sound(text)])[0]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each of `texts` has; faster than one by one."""
        return self._backend.lengths([_sound(text) for text in texts])

    def learn(self, text: str) -> None:
        """Counts the pieces of `text` ahead, so that texts made of them are soon counted; changes no count."""
        self._backend.learn(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids. Encoding it again may give other ids."""
        return self._backend.decode(ids)

    def ends(self, text: str) -> list[int] | None:
        """The end of each token of `text`, in characters, ascending; None if the tokenizer does not report it."""
        return self._backend.ends(_sound(text))

    @property
    def is_slow(self) -> bool:
        """Whether it runs in Python, some hundred times slower than the others."""
        return isinstance(self._backend, _Slow)

    def __repr__(self) -> str:
        return f"Tokenizer({self.name!r})"


def load_tokenizer(name: str | None) -> Tokenizer:
    """The tokenizer `name`: None or "embedded", a tokenizer.json or a folder with one, or a hub id.

    A file or folder of that name goes before a hub id. TokenizerError, one sentence, if it cannot be loaded.
    """
    if name is None or name == EMBEDDED:
        return _embedded()
    path = Path(name).expanduser()
    is_file, is_folder = _kind_of(path) if name else (False, False)  # Path("") is the current folder
    if is_file:
        return _checked(Tokenizer(_from_file(path), name))
    if is_folder:
        json_file = path / "tokenizer.json"
        return _checked(Tokenizer(_from_file(json_file) if json_file.is_file() else _from_folder(path), name))
    if not _HUB_ID.fullmatch(name) or name.endswith(".json") or len(name) > _LONGEST_HUB_ID:
        raise TokenizerError(
            f"tokenizer {name[:_LONGEST_HUB_ID]!r}: there is no such file or folder, and it is not a hub id; give a "
            "tokenizer.json, a folder with one, a hub id such as 'Qwen/Qwen3-8B', or 'embedded'"
        )
    return _checked(Tokenizer(_from_hub(name), name))


def _kind_of(path: Path) -> tuple[bool, bool]:
    """Whether there is a file of this name, and whether a folder."""
    try:
        return path.is_file(), path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or has a NUL
        return False, False


def _checked(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer, if it has a vocabulary. Without one transformers makes tokenizers that count each text as 0 tokens, or
    each word as one unknown token. TokenizerError then."""
    if any(_gives_back(tokenizer, text) for text in _KNOWN_TEXTS):
        return tokenizer
    text = _KNOWN_TEXTS[0]
    raise TokenizerError(
        f"tokenizer {tokenizer.name!r}: it has no vocabulary that could count a text ({text!r} has {tokenizer.count(text)} tokens, "
        f"which read {tokenizer.decode(tokenizer.encode(text))[:40]!r}); fetch all its files again, the tokenizer.json at least"
    )


def _gives_back(tokenizer: Tokenizer, text: str) -> bool:
    """Whether at least half the words of a text are in what its tokens read."""
    read = _letters(tokenizer.decode(tokenizer.encode(text)))
    words = [_letters(word) for word in text.split()]
    return 2 * sum(word in read for word in words) >= len(words)


def _letters(text: str) -> str:
    """The letters of a text, without case, accents and the marks that vocabularies have for spaces and word parts."""
    plain = unicodedata.normalize("NFD", text.replace("</w>", "").replace("\u0120", "").casefold())
    return "".join(c for c in plain if c.isalnum())


@cache
def _embedded() -> Tokenizer:
    return Tokenizer(_from_file(_EMBEDDED_FILE), EMBEDDED, is_embedded=True)


def _sound(text: str) -> str:
    """`text` with its lone surrogates (a model can write half an emoji) replaced: no tokenizer takes them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _from_file(path: Path) -> _Backend:
    from tokenizers import Tokenizer as Inner

    try:
        return _Fast(Inner.from_file(str(path)))
    except Exception as error:  # the library raises bare Exceptions
        if is_pointer(path):
            raise TokenizerError(_pointer(path)) from None
        raise TokenizerError(
            f"tokenizer {str(path)!r}: the tokenizers library cannot read this tokenizer.json ({_first_line(error)})"
        ) from None


def is_pointer(path: Path) -> bool:
    """Whether a file is what Git LFS has in place of the file itself."""
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def _pointer(path: Path) -> str:
    return f"tokenizer {str(path)!r}: it is a Git LFS pointer and not the file itself; fetch that with `git lfs pull`"


def _from_folder(folder: Path) -> _Backend:
    """The tokenizer of a folder without a tokenizer.json."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    if pointers := [path for path in files if is_pointer(path)]:
        raise TokenizerError(_pointer(pointers[0]))
    return _from_auto(str(folder))


def _from_hub(name: str) -> _Backend:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError

    cached = try_to_load_from_cache(name, "tokenizer.json")
    if isinstance(cached, str):
        return _from_file(Path(cached))
    if is_offline():
        try:
            return _from_auto(name, local_files_only=True)
        except TokenizerError:
            raise _unreachable(name, "there is no network, and it is not in the local cache") from None
    try:
        path = hf_hub_download(name, "tokenizer.json")
    except EntryNotFoundError:  # the repository is there and has no tokenizer.json
        return _from_auto(name)
    except Exception as error:  # whatever the hub's client and its HTTP library raise: not found, gated, cut off
        raise _unreachable(name, _first_line(error)) from None
    return _from_file(Path(path))


def is_offline() -> bool:
    """Whether the hub cannot be asked. The hub's client would find out too, after 23 seconds of trying again."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return True
    host = urlsplit(constants.ENDPOINT).hostname
    if getproxies() or host is None:  # a proxy looks names up for us
        return False
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return True
    return False


def _from_auto(name: str, *, local_files_only: bool = False) -> _Backend:
    # Else it advises to install PyTorch, which counting does not need.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers import AutoTokenizer

    try:
        inner = AutoTokenizer.from_pretrained(name, trust_remote_code=False, local_files_only=local_files_only)
    except Exception as error:  # ImportError, OSError, ValueError, KeyError and others, by what is missing
        raise TokenizerError(
            f"tokenizer {name!r}: it has no tokenizer.json, and transformers cannot load it ({_first_line(error)})"
        ) from None
    fast = getattr(inner, "backend_tokenizer", None)
    return _Slow(inner) if fast is None else _Fast(fast)


def _unreachable(name: str, why: str) -> TokenizerError:
    return TokenizerError(
        f"tokenizer {name!r}: it is not a local file or folder, and the hub does not provide it ({why}); "
        "give a folder with its tokenizer.json, or 'embedded'"
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(" .:")[:200]
