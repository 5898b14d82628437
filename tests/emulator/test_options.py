from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import EmulatorError
from basetenkit.emulator.__main__ import arguments, parser
from basetenkit.emulator.options import FAILURES, Options


def test_what_serve_is_given_comes_out_of_the_command_line_as_it_was() -> None:
    given: dict[str, Any] = {
        "ttft_ms": 7.5,
        "usage": False,
        "stamp_frames": True,
        "form": "string",
        "api_key": "k",
        "dimension": 3,
    }
    fail = {"http_500": 0.25, "reset": 0.5}
    args = vars(parser().parse_args(arguments(port=0, fail=fail, **given)))
    assert args["port"] == 0
    made = Options(**{k: v for k, v in args.items() if k in Options.__dataclass_fields__})
    assert made == Options(**given, fail=fail)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tokens_per_chunk": 0}, "tokens_per_chunk is 0; it must be at least 1"),
        ({"dimension": -2}, "dimension is -2; it must be at least 1"),
        ({"ttft_ms": -1.0}, "ttft_ms is -1; it must be at least 0"),
        ({"itl_ms": float("nan")}, "itl_ms is nan; it must be at least 0"),
        ({"fail": {"reset": 1.5}}, "the share of reset is 1.5; it must be from 0 to 1"),
        ({"fail": {"reset": 0.6, "stall": 0.6}}, "add up to 1.2; together they are at most 1"),
    ],
)
def test_a_number_that_cannot_be_is_told(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Options(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ttf_ms": 3}, "the emulator has no option 'ttf_ms'; it has api_key,"),
        ({"ttf_ms": 3, "tls": True}, "the emulator has no option 'ttf_ms'"),
        ({"ttft_ms": "soon"}, "invalid float value: 'soon'"),
        ({"form": "poem"}, "invalid choice: 'poem'"),
        ({"tokens_per_chunk": 0}, "did not start: tokens_per_chunk is 0; it must be at least 1"),
        ({"fail": {"http_418": 1}}, f"there is no failure 'http_418'; there are {', '.join(FAILURES)}"),
        ({"fail": {"reset": "often"}}, "needs a share from 0 to 1, e.g. reset:0.05"),
        ({"port": 70_000}, "cannot listen on 127.0.0.1:70000"),
    ],
)
def test_serve_says_in_one_sentence_why_it_does_not_start(options: dict[str, Any], words: str) -> None:
    with pytest.raises(EmulatorError) as caught:
        bk.emulator.serve(**options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_help_names_every_option() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "basetenkit.emulator", "--help"], capture_output=True, text=True, check=True
    )
    for name in Options.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in done.stdout


def test_a_certificate_that_is_not_there_is_told() -> None:
    command = [sys.executable, "-m", "basetenkit.emulator", "--port", "0", "--certfile", "/no/such.pem"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stderr == "the certificate /no/such.pem cannot be used: No such file or directory\n"
