"""The model that the Truss server of the tests holds: it answers in each of the shapes that Baseten's examples have."""

import json
import time

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
FORMS = ("text", "output", "response", "generated_text", "result")


def pieces(n):
    for i in range(n):
        yield WORDS[i % len(WORDS)] + " "
        time.sleep(0.005)


def messages(n):
    for piece in pieces(n):
        choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
        yield "data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice]}) + "\n\n"
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": n, "total_tokens": n + 7}}
    for message in (finish, usage):
        yield "data: " + json.dumps(message) + "\n\n"
    yield "data: [DONE]\n\n"


def dies_in_the_middle(n):
    for i, piece in enumerate(messages(n)):
        if i == 2:
            raise RuntimeError("the model failed")
        yield piece


class Model:
    def __init__(self, **_):
        pass

    def load(self):
        pass

    def predict(self, request):
        n, form = request.get("max_tokens") or 10, request.get("form", "output")
        if form == "soft_error":
            return {"status": "error", "data": None, "message": "the model is out of memory"}
        if form == "boom":
            raise ValueError("a detail that must not leak")
        if "messages" in request:
            if request.get("stream"):
                return dies_in_the_middle(n) if form == "dies" else messages(n)
            message = {"role": "assistant", "content": "".join(pieces(n))}
            usage = {"prompt_tokens": 7, "completion_tokens": n, "total_tokens": n + 7}
            return {"choices": [{"index": 0, "message": message, "finish_reason": "length"}], "usage": usage}
        if request.get("stream"):
            return pieces(n)
        text = "".join(pieces(n))
        return {form: text} if form in FORMS else text
