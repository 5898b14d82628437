from __future__ import annotations

import gzip
from pathlib import Path

from scripts.make_tokenizer import files, texts


def test_files_are_found_in_order_without_tests_and_other_kinds(tmp_path: Path) -> None:
    for name in ("b.md", "a.py", "c.bin", "d.txt.gz", "tests/e.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in files(tmp_path)] == ["a.py", "b.md", "d.txt.gz"]
    assert list(files(tmp_path / "c.bin")) == [tmp_path / "c.bin"]


def test_texts_stop_at_the_limit_and_pass_over_what_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"plain")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"packed"))
    (tmp_path / "d.txt").write_bytes(b"x" * 50)
    paths = sorted(tmp_path.iterdir())
    assert list(texts(iter(paths), limit=1000)) == ["plain", "packed", "x" * 50]
    assert list(texts(iter(paths), limit=1000, largest=40)) == ["plain", "packed"]
    assert list(texts(iter(paths), limit=11)) == ["plain", "packed"]
