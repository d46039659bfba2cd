"""The openai SDK, unmodified, 2.x and 3.x, through `connect` to llama.cpp's own server behind a TLS front."""

import json
import os
import ssl
import subprocess
import urllib.parse
import urllib.request

import pytest

from conftest import Machine, python

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


def test_an_unmodified_sdk_streams_over_direct_ingress(world, llama):
    port, tee, key = llama
    world.model("tiny", f"https://localhost:{port}", dialect='"openai"', ca=f'"{world.folder}/front/model-ca.pem"',
                credential='{ header = "authorization", value = { env = "TINY_KEY", prefix = "Bearer " } }')
    machine = Machine(world.etc)
    world.identity = Machine.IDENTITY
    world.gateway(env={"TINY_KEY": key})
    ca = str(world.state / "ca.pem")
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": machine.token(),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}
    trusted = ssl.create_default_context(cafile=ca)
    with urllib.request.urlopen(world.url + "/oauth2/token", urllib.parse.urlencode(form).encode(), context=trusted) as answer:
        token = json.load(answer)["access_token"]

    env = {**os.environ, "OPENAI_BASE_URL": world.url + "/models/tiny/v1", "OPENAI_API_KEY": token, "SSL_CERT_FILE": ca}
    done = subprocess.run([python("openai3"), "-c", SCRIPT], env=env, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    shown, pieces, model = done.stdout.decode().split()
    assert int(pieces) > 10 and model == "tiny-random"
    assert token.encode() not in bytes(tee.there), "the model saw the caller's token"

    env["OPENAI_API_KEY"] = "nonsense"
    refused = subprocess.run([python("openai3"), "-c", SCRIPT], env=env, capture_output=True, timeout=120)
    assert b"AuthenticationError" in refused.stderr and b"not one of this gateway" in refused.stderr


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
