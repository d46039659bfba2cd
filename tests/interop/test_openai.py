"""The openai SDK, unmodified, 2.x and 3.x, through `connect` to llama.cpp's own server behind a TLS front."""

import json
import os
import subprocess
import urllib.request

import pytest

from conftest import python

SCRIPT = """
import openai, os
client = openai.OpenAI(max_retries=0)
ask = dict(model="tiny", messages=[{"role": "user", "content": "hello"}], max_tokens=24, temperature=0, seed=7)
whole = client.chat.completions.create(**ask).choices[0].message.content
pieces = [c.choices[0].delta.content or "" for c in client.chat.completions.create(stream=True, **ask) if c.choices]
print(openai.__version__)
print(len(pieces))
print(client.models.list().data[0].id)
assert "".join(pieces), "no text arrived"
"""


@pytest.mark.parametrize("version", ["openai2", "openai3"])
def test_an_unmodified_sdk_streams_and_not(world, llama, version):
    port, _, key = llama
    world.model("tiny", f"https://localhost:{port}", dialect='"openai"', ca=f'"{world.folder}/front/model-ca.pem"',
                credential='{ header = "authorization", value = { env = "TINY_KEY", prefix = "Bearer " } }')
    world.gateway(env={"TINY_KEY": key})
    laptop = world.laptop()
    laptop.login("alice")

    # The child gets the dialect's variables: nothing in the script names an address or a key.
    done = laptop.run("connect", "tiny", "--", python(version), "-c", SCRIPT)
    shown, pieces, model = done.stdout.decode().split()
    assert shown.startswith(version[-1] + ".") and int(pieces) > 10 and model == "tiny-random"
    assert key not in done.stdout.decode() + done.stderr.decode()

    events = laptop.json("audit", "query", "--model", "tiny")["events"]
    assert [e["response"]["outcome"] for e in events] == ["complete"] * 3
    for event in events:
        assert event["caller"]["groups"] == ["ml-users"]
        assert event["decision"]["verdict"] == "permit" and event["decision"]["policies"] == ["ml-users"]
        client, upstream = event["evidence"]["client"], event["evidence"]["upstream"]
        assert client["transport"] == "quic" and client["group"] == "X25519MLKEM768"
        assert upstream["tls"] == "TLSv1.3" and upstream["verified"] is True
    log = (world.folder / "gateway.log").read_text()
    assert key not in log and key not in json.dumps(events)


def test_what_the_server_wrote_arrives_byte_for_byte(world, llama):
    port, tee, key = llama
    world.model("tiny", f"https://localhost:{port}", ca=f'"{world.folder}/front/model-ca.pem"',
                credential='{ header = "authorization", value = { env = "TINY_KEY", prefix = "Bearer " } }')
    world.gateway(env={"TINY_KEY": key})
    laptop = world.laptop()
    laptop.login("alice")
    _, line = laptop.connect("tiny")
    ask = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 48, "stream": True,
                      "logprobs": True, "seed": 3})
    request = urllib.request.Request(line["url"] + "/v1/chat/completions", ask.encode(),
                                     {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        arrived = answer.read()
    assert b"data: [DONE]" in arrived
    assert arrived == dechunk(bytes(tee.back))


def dechunk(wire):
    """The body of the last chunked response in captured bytes."""
    rest = wire[wire.rindex(b"HTTP/1.1 200"):].split(b"\r\n\r\n", 1)[1]
    body = b""
    while True:
        size, rest = rest.split(b"\r\n", 1)
        length = int(size, 16)
        if not length:
            return body
        body, rest = body + rest[:length], rest[length + 2:]
