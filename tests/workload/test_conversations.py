"""Lists of messages -> turns, and the history that each turn sends."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.config.scenarios import parse_scenario
from basetenkit.core.errors import DataError
from basetenkit.workload import datasets
from basetenkit.workload.conversations import Conversation, ConversationSampler, Turn, question, turns_of
from basetenkit.workload.speakers import messages_of

from ..making import config


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


TALK = [said("system", "Brief."), said("user", "one"), said("assistant", "theirs"), said("user", "two")]
TURNS = (Turn((TALK[0], TALK[1]), "theirs"), Turn((TALK[3],)))


def speaker_of(scenario: str, talks: Sequence[Conversation], salt: str = "s", **more: Any) -> ConversationSampler:
    share = more.pop("share", (0, 1))
    settings: dict[str, Any] = {"salt": salt, "stream": "x", "share": share}
    return ConversationSampler(config(scenarios=scenario, **more), parse_scenario(scenario), talks, len, **settings)


def talks_of(*rows: Any) -> Sequence[Conversation]:
    entries = datasets.load(config(dataset=pl.DataFrame({"messages": list(rows)}), scenarios="dataset"))
    assert entries is not None
    return entries.conversations


def test_a_list_is_cut_at_the_users_messages() -> None:
    more = [said("assistant", "Hello."), said("user", "a"), said("user", "b"), said("assistant", "z")]
    first, second = talks_of(TALK, more)
    assert first == TURNS
    assert second == (Turn((more[0], more[1])), Turn((more[2],), "z"))


def test_share_gpt_names_the_parts_otherwise() -> None:
    rows = [[{"from": "human", "value": "one"}, {"from": "gpt", "value": "theirs"}, {"from": "human", "value": "two"}]]
    (found,) = talks_of(*rows)
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


@pytest.mark.parametrize(("history_from", "heard"), [("model", "mine"), ("dataset", "theirs")])
def test_the_history_holds_the_answers_that_were_chosen(history_from: str, heard: str) -> None:
    speaker = speaker_of("dataset", [TURNS], history_from=history_from)
    request = speaker.request("r")
    talk = speaker.begun.popleft()
    assert json.loads(request.body)["messages"] == TALK[:2]
    speaker.add_response(talk, "mine")
    second = speaker.next_request(talk)
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
    speaker.add_response(talk, "mine")
    second = speaker.next_request(talk)
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


CALL: dict[str, Any] = {
    "id": "k1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"town":"Turin"}'},
}
TOOLS = [
    said("user", "Rain in Turin?"),
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "k1", "content": "none"},
    said("assistant", "No."),
    said("user", "And tomorrow?"),
]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize(("history_from", "heard"), [("dataset", "No."), ("model", "mine")])
def test_a_history_with_tool_calls_is_sent_as_it_is(history_from: str, heard: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / f"h.{form}"
    if form == "parquet":
        pl.DataFrame({"messages": [TOOLS]}).write_parquet(path)
    else:
        path.write_text(json.dumps({"messages": TOOLS}))
    entries = datasets.load(config(dataset=path, scenarios="dataset"))
    assert entries is not None
    speaker = speaker_of("dataset", entries.conversations, history_from=history_from)
    bodies = [json.loads(speaker.request("r").body)["messages"]]
    talk = speaker.begun.popleft()
    for _ in range(2):
        speaker.add_response(talk, "mine")
        bodies.append(json.loads(speaker.next_request(talk).body)["messages"])
    assert bodies[0] == TOOLS[:1]
    assert bodies[1] == TOOLS[:3], "the call belongs to its result, whoever answers"
    assert bodies[2] == [*TOOLS[:3], said("assistant", heard), TOOLS[4]]
    words = [m["content"] or "" for m in bodies[2]] + ["weather", CALL["function"]["arguments"]]
    assert talk.tokens == len("".join(words))


def test_several_results_of_tools_are_one_question() -> None:
    results = [{"role": "tool", "tool_call_id": f"k{i}", "content": "x"} for i in (1, 2)]
    calls = {"role": "assistant", "content": None, "tool_calls": [CALL | {"id": f"k{i}"} for i in (1, 2)]}
    turns = turns_of([said("user", "a"), calls, *results])
    assert turns == (Turn((said("user", "a"),), call=calls), Turn(tuple(results)))


def test_a_whole_request_is_one_turn_and_rd_marks_its_first_question() -> None:
    talk = turns_of(messages_of(TALK, set()), whole=True)
    assert (len(talk), question(talk)) == (1, "one")
    body = json.loads(speaker_of("RD", [talk]).request("r").body)["messages"]
    assert body[0] == TALK[0]
    assert re.fullmatch(r"\[NONCE-[0-9a-f]{12}\] one", body[1]["content"])
    assert body[2:] == TALK[2:]


def test_the_parameters_of_a_row_go_with_each_of_its_turns() -> None:
    params = {"max_tokens": 7, "temperature": 0, "tools": [{"type": "function"}]}
    speaker = ConversationSampler(
        config(), parse_scenario("dataset"), [TURNS], len, salt="s", stream="x", params=[params]
    )
    first = speaker.request("r")
    talk = speaker.begun.popleft()
    speaker.add_response(talk, "mine")
    for request in (first, speaker.next_request(talk)):
        body = json.loads(request.body)
        assert {key: body[key] for key in params} == params
        assert request.output_tokens_target == 7


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([said("system", "x")], "nothing is asked"),
        ([said("robot", "x")], "the speaker 'robot' is unknown and does not answer a user"),
        ([said("user", " ")], "a user's message has no text"),
        ([], "nothing is asked"),
        ([said("assistant", "and so on")], "nothing is asked"),
    ],
)
def test_a_row_that_is_no_conversation_is_left_out_and_told(messages: list[Any], sentence: str) -> None:
    frame = pl.DataFrame({"messages": [TALK, messages, messages]})
    entries = datasets.load(config(dataset=frame, scenarios="dataset"))
    assert entries is not None
    assert (list(entries.conversations), entries.account.left_out) == ([TURNS], 2)
    assert entries.account.why == f"{sentence} (rows 2 and 3)"
    with pytest.raises(DataError, match=r"none of the 2 rows of column 'messages' of the frame can be sent") as caught:
        datasets.load(config(dataset=frame.tail(2), scenarios="dataset"))
    assert sentence in str(caught.value)


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
