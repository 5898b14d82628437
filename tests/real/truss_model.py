"""The model that the Truss server of the tests holds: it answers in each of the shapes that Baseten's examples have, and
says of an image what it decoded."""

import base64
import hashlib
import io
import json
import struct
import time

from PIL import Image

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


def images_of(request):
    """The images of a chat request, each as the bytes in its data URL."""
    for message in request["messages"]:
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part.get("type") == "image_url":
                yield base64.b64decode(part["image_url"]["url"].partition(",")[2], validate=True)


def seen(data):
    """One image as it was decoded: format, size in pixels and bytes, and the colour that most of it has."""
    image = Image.open(io.BytesIO(data))
    image.load()
    few = image.convert("RGB").quantize(8)
    most = max(few.getcolors())[1]
    colour = few.getpalette()[3 * most : 3 * most + 3]
    return {"format": image.format, "width": image.width, "height": image.height, "bytes": len(data), "colour": colour}


def described(request):
    """The answer about the images of a chat request, streamed or whole; None if it has none."""
    found = [seen(data) for data in images_of(request)]
    if not found:
        return None
    texts = [json.dumps(one) + "\n" for one in found]
    usage = {"prompt_tokens": 7, "completion_tokens": len(found), "total_tokens": 7 + len(found)}
    if not request.get("stream"):
        message = {"role": "assistant", "content": "".join(texts)}
        return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    deltas = [{"index": 0, "delta": {"content": text}, "finish_reason": None} for text in texts]
    deltas.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    documents = [{"choices": [delta]} for delta in deltas] + [{"choices": [], "usage": usage}]
    whole = [json.dumps(document) for document in documents] + ["[DONE]"]
    return ("data: " + text + "\n\n" for text in whole)  # Truss streams a generator, and no other iterator


def embedded(request):
    """One vector an input, made of its hash; as base64 of 32-bit floats where that is asked for, and then the last first."""
    inputs = request["input"] if isinstance(request["input"], list) else [request["input"]]
    vectors = [struct.unpack("16h", hashlib.sha256(text.encode()).digest()) for text in inputs]
    data = [{"object": "embedding", "index": i, "embedding": list(map(float, v))} for i, v in enumerate(vectors)]
    if request.get("encoding_format") == "base64":
        for one in data:
            one["embedding"] = base64.b64encode(struct.pack("<16f", *one["embedding"])).decode()
        data.reverse()
    return {"object": "list", "data": data}


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
        if "input" in request:
            return embedded(request)
        if "messages" in request:
            if answer := described(request):
                return answer
            if request.get("stream"):
                return dies_in_the_middle(n) if form == "dies" else messages(n)
            message = {"role": "assistant", "content": "".join(pieces(n))}
            usage = {"prompt_tokens": 7, "completion_tokens": n, "total_tokens": n + 7}
            return {"choices": [{"index": 0, "message": message, "finish_reason": "length"}], "usage": usage}
        if request.get("stream"):
            return pieces(n)
        text = "".join(pieces(n))
        return {form: text} if form in FORMS else text
