"""Lists of messages -> turns, and what stands in the history that a turn sends."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.errors import DataError
from basetenkit.scenario import parse_scenario
from basetenkit.workload import datasets
from basetenkit.workload.conversations import Conversation, Speaker, Turn, read_column

from ..making import config


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


TALK = [said("system", "Brief."), said("user", "one"), said("assistant", "theirs"), said("user", "two")]
TURNS = (Turn((TALK[0], TALK[1]), "theirs"), Turn((TALK[3],)))


def speaker_of(scenario: str, talks: Sequence[Conversation], salt: str = "s", **more: Any) -> Speaker:
    share = more.pop("share", (0, 1))
    settings: dict[str, Any] = {"salt": salt, "stream": "x", "share": share}
    return Speaker(config(scenarios=scenario, **more), parse_scenario(scenario), talks, len, **settings)


def test_a_list_is_cut_at_the_users_messages() -> None:
    more = [said("assistant", "Hello."), said("user", "a"), said("user", "b"), said("assistant", "z")]
    first, second = read_column(pl.Series("messages", [TALK, more]), "the frame")
    assert first == TURNS
    assert second == (Turn((more[0], more[1])), Turn((more[2],), "z"))


def test_share_gpt_names_the_parts_otherwise() -> None:
    rows = [[{"from": "human", "value": "one"}, {"from": "gpt", "value": "theirs"}, {"from": "human", "value": "two"}]]
    (found,) = read_column(pl.Series("conversations", rows), "the frame")
    assert found == (Turn((said("user", "one"),), "theirs"), Turn((said("user", "two"),)))


@pytest.mark.parametrize("kind", ["lists", "jsonl", "parquet", "described"])
def test_each_form_of_file_gives_its_conversations(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"talks.{'parquet' if kind == 'parquet' else 'jsonl'}"
    if kind == "parquet":
        pl.DataFrame({"messages": [TALK]}).write_parquet(path)
    else:
        row: Any = TALK if kind == "lists" else {"mine" if kind == "described" else "messages": TALK}
        path.write_text(json.dumps(row) + "\n")
    source = {"source": {"type": "file", "path": str(path)}, "messages_column": "mine"}
    entries = datasets.load(config(dataset=source if kind == "described" else path, scenarios="dataset"))
    assert entries is not None
    assert (list(entries.conversations), entries.prompts) == ([TURNS], ["one"])


@pytest.mark.parametrize(("answers", "heard"), [("model", "mine"), ("dataset", "theirs")])
def test_the_history_holds_the_answers_that_were_chosen(answers: str, heard: str) -> None:
    speaker = speaker_of("dataset", [TURNS], answers=answers)
    request = speaker.request("r")
    talk = speaker.begun.popleft()
    assert json.loads(request.body)["messages"] == TALK[:2]
    speaker.hear(talk, "mine")
    second = speaker.say(talk)
    assert json.loads(second.body)["messages"] == [*TALK[:2], said("assistant", heard), TALK[3]]
    assert (second.turn, second.input_tokens_client) == (2, len("Brief." + "one" + heard + "two"))
    assert list(json.loads(second.body)) == list(json.loads(request.body)), "the payload's order of keys"


def test_rd_marks_the_first_question_and_the_mark_stays_in_the_history() -> None:
    speaker = speaker_of("RD(7)", [TURNS])
    request = speaker.request("r")
    talk = speaker.begun.popleft()
    system, asked = json.loads(request.body)["messages"]
    assert system == TALK[0]
    mark = asked["content"].removesuffix("one")
    assert re.fullmatch(r"\[NONCE-[0-9a-f]{12}\] ", mark)
    speaker.hear(talk, "mine")
    second = speaker.say(talk)
    body = json.loads(second.body)
    assert body["messages"] == [system, asked, said("assistant", "mine"), TALK[3]]
    assert (body["max_tokens"], body["ignore_eos"], second.output_tokens_target) == (7, True, 7)
    assert (second.scenario, second.input_tokens_client) == ("RD(7)", len("Brief." + mark + "one" + "mine" + "two"))


def test_rdc_sends_what_the_data_set_says() -> None:
    body = json.loads(speaker_of("RDC", [TURNS]).request("r").body)
    assert body["messages"] == TALK[:2]
    assert not {"max_tokens", "ignore_eos"} & body.keys()


def test_rd_sends_every_conversation_once_and_shares_its_marks_with_no_other_sender() -> None:
    talks = [(Turn((said("user", f"talk {i}"),)),) for i in range(6)]

    def asked(n: int, **apart: Any) -> list[str]:
        speaker = speaker_of("RD", talks, **apart)
        return [json.loads(speaker.request("").body)["messages"][0]["content"] for _ in range(n)]

    first, second = asked(3, share=(0, 2)), asked(3, share=(1, 2))
    assert sorted(text.split("] ")[1] for text in first + second) == [f"talk {i}" for i in range(6)]
    everything = [*first, *second, *asked(6), *asked(6, salt="t")]
    assert len({text.split("] ")[0] for text in everything}) == 18


def test_senders_share_one_order_of_conversations() -> None:
    talks = [tuple(Turn((said("user", f"{i}"),)) for _ in range(i + 1)) for i in range(5)]

    def drawn(n: int, **share: Any) -> list[tuple[int, bytes]]:
        speaker = speaker_of("dataset", talks, **share)
        bodies = [speaker.request("").body for _ in range(n)]
        return list(zip((talk.first for talk in speaker.begun), bodies, strict=True))

    alone, first, second = drawn(8), drawn(4, share=(0, 2)), drawn(4, share=(1, 2))
    assert sorted(first + second) == alone


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([said("system", "x")], "has no message of the user; give it at least one"),
        ([said("robot", "x")], "a message of role 'robot'; roles can be user, assistant"),
        ([said("user", " ")], "a message without text"),
        ([], "has no message of the user"),
    ],
)
def test_a_row_that_is_no_conversation_is_told(messages: list[Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        read_column(pl.Series("messages", [TALK, messages]), "the frame")
    assert "row 2 of column 'messages' of the frame" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"endpoint": bk.Endpoint(url="http://127.0.0.1:9/", request_format="prompt")}, "use request_format='chat'"),
        ({"request_params": {"messages": []}}, "leave those out"),
        ({"task": "text-to-embeddings"}, "use task='text-to-text'"),
    ],
)
def test_what_cannot_hold_a_conversation_is_told(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        datasets.load(config(dataset=pl.DataFrame({"messages": [TALK]}), scenarios="dataset", **fields))


def test_prompts_of_a_length_can_be_made_of_conversations_in_any_format() -> None:
    endpoint = bk.Endpoint(url="http://127.0.0.1:9/", request_format="prompt")
    frame = pl.DataFrame({"messages": [TALK]})
    entries = datasets.load(config(dataset=frame, scenarios="D(10,5)", endpoint=endpoint))
    assert entries is not None
    assert entries.texts == ["Brief.", "one", "theirs", "two"]
