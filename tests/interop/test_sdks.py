"""Unmodified SDKs through `connect`: their answers, and what the audit event tells of each."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from conftest import HERE, Machine, answers, free_port, make_ca, python, wait_until

TEXT = "Hello, world"

# Environment, script, and what the events of its exchanges tell, in order:
# path, requested model, stream, input, tokens (input, output), estimated.
SDKS = {
    "openai2": ("openai2", """
import openai
client = openai.OpenAI(base_url=URL + "/v1", api_key="x", max_retries=0)
ask = dict(model="mock-1", messages=[{"role": "user", "content": "hi there"}])
assert client.chat.completions.create(**ask).choices[0].message.content == TEXT
assert "".join(c.choices[0].delta.content or "" for c in client.chat.completions.create(stream=True, **ask)) == TEXT
assert client.responses.create(model="mock-2", input="hi again").output_text == TEXT
events = list(client.responses.create(model="mock-2", input="hi again", stream=True))
assert events[-1].response.output_text == TEXT, events
assert client.embeddings.create(model="mock-3", input=["a", "b"], encoding_format="float").data[0].embedding == [0.5, -0.5]
assert client.audio.transcriptions.create(model="mock-4", file=("a.wav", bytes(range(256)) * 300)).text.endswith(" bytes")
""", [
        ("/v1/chat/completions", "mock-1", False, "hi there", (5, 3), False),
        ("/v1/chat/completions", "mock-1", True, "hi there", None, True),
        ("/v1/responses", "mock-2", False, "hi again", (6, 3), False),
        ("/v1/responses", "mock-2", True, "hi again", (6, 3), False),
        ("/v1/embeddings", "mock-3", False, "a\nb", (2, 0), False),
        ("/v1/audio/transcriptions", None, None, None, None, None),
    ]),
    "openai3": ("openai3", """
import openai
client = openai.OpenAI(base_url=URL + "/v1", api_key="x", max_retries=0)
ask = dict(model="mock-1", messages=[{"role": "user", "content": "hi there"}], stream=True)
chunks = list(client.chat.completions.create(stream_options={"include_usage": True}, **ask))
assert chunks[-1].usage.total_tokens == 8
assert client.responses.create(model="mock-2", input=[{"role": "user", "content": "hi list"}]).output_text == TEXT
""", [
        ("/v1/chat/completions", "mock-1", True, "hi there", (5, 3), False),
        ("/v1/responses", "mock-2", False, "hi list", (6, 3), False),
    ]),
    "anthropic": ("sdks", """
import anthropic
client = anthropic.Anthropic(base_url=URL, api_key="x", max_retries=0)
ask = dict(model="claude-mock", max_tokens=9, messages=[{"role": "user", "content": [{"type": "text", "text": "hi there"}]}])
assert client.messages.create(**ask).content[0].text == TEXT
with client.messages.stream(**ask) as stream:
    assert "".join(stream.text_stream) == TEXT
""", [
        ("/v1/messages", "claude-mock", False, "hi there", (7, 3), False),
        ("/v1/messages", "claude-mock", True, "hi there", (7, 3), False),
    ]),
    "langchain": ("sdks", """
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
chat = ChatOpenAI(base_url=URL + "/v1", api_key="x", model="mock-1", max_retries=0)
assert chat.invoke("hi there").content == TEXT
assert "".join(chunk.content for chunk in chat.stream("hi there")) == TEXT
""", [
        ("/v1/chat/completions", "mock-1", False, "hi there", (5, 3), False),
        ("/v1/chat/completions", "mock-1", True, "hi there", None, True),
    ]),
    "litellm": ("sdks", """
import os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
ask = dict(messages=[{"role": "user", "content": "hi there"}], api_key="x", num_retries=0)
assert litellm.completion(model="openai/gpt-4o-mini", api_base=URL + "/v1", **ask).choices[0].message.content == TEXT
chunks = litellm.completion(model="anthropic/claude-haiku-4-5", api_base=URL, stream=True, **ask)
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
""", [
        ("/v1/chat/completions", "gpt-4o-mini", False, "hi there", (5, 3), False),
        ("/v1/messages", "claude-haiku-4-5", True, "hi there", (7, 3), False),
    ]),
    "ollama": ("sdks", """
import ollama
client = ollama.Client(host=URL)
ask = dict(model="mock-o", messages=[{"role": "user", "content": "hi there"}])
assert client.chat(**ask).message.content == TEXT
assert "".join(part.message.content for part in client.chat(stream=True, **ask)) == TEXT
assert "".join(part.response for part in client.generate(model="mock-o", prompt="go on", stream=True)) == TEXT
assert client.embed(model="mock-o", input="vector").embeddings == [[0.5, -0.5]]
""", [
        ("/api/chat", "mock-o", False, "hi there", (8, 3), False),
        ("/api/chat", "mock-o", True, "hi there", (8, 3), False),
        ("/api/generate", "mock-o", True, "go on", (8, 3), False),
        ("/api/embed", "mock-o", False, "vector", (4, 0), False),
    ]),
    "genai": ("sdks", """
from google import genai
client = genai.Client(api_key="x", http_options={"base_url": URL, "api_version": "v1beta"})
assert client.models.generate_content(model="gemini-mock", contents="hi there").text == TEXT
parts = client.models.generate_content_stream(model="gemini-mock", contents="hi there")
assert "".join(part.text for part in parts) == TEXT
""", [
        ("/v1beta/models/gemini-mock:generateContent", "gemini-mock", False, "hi there", (9, 3), False),
        ("/v1beta/models/gemini-mock:streamGenerateContent", "gemini-mock", True, "hi there", (9, 3), False),
    ]),
}


def run(name, url):
    environment, script, _ = SDKS[name]
    env = {**os.environ, "NO_PROXY": "127.0.0.1"}
    return subprocess.run([python(environment), "-c", f"URL, TEXT = {url!r}, {TEXT!r}\n{script}"], env=env,
                          capture_output=True, timeout=300)


def test_each_sdk_gets_its_answers_and_the_audit_log_tells_them(world):
    make_ca(world.folder)
    port = free_port()
    world.processes.start("mock", ["python3", str(HERE / "mock_models.py"), str(port), str(world.folder / "model.pem"),
                                   str(world.folder / "model.key")])
    wait_until("the model answers", lambda: answers(port))
    machine = Machine(world.etc)
    world.identity = Machine.IDENTITY + '[audit]\ninput = "excerpt"\n'
    for name in SDKS:
        world.model(name, f"https://localhost:{port}", ca=f'"{world.folder}/model-ca.pem"')
    world.gateway()
    laptop = world.laptop(HOOPCTL_WORKLOAD_TOKEN=machine.token())
    laptop.run("login", world.url, "--ca-file", str(world.state / "ca.pem"))
    urls = {name: laptop.connect(name, name=f"connect-{name}")[1]["url"] for name in SDKS}
    with ThreadPoolExecutor(2) as pool:
        ran = dict(zip(SDKS, pool.map(lambda name: run(name, urls[name]), SDKS)))
    for name, done in ran.items():
        assert done.returncode == 0, (name, done.stderr.decode()[-3000:])
    for name, (_, _, expected) in SDKS.items():
        events = laptop.json("audit", "query", "--model", name)["events"]
        assert len(events) == len(expected), (name, events)
        for event, (path, model, stream, asked, tokens, estimated) in zip(events, expected):
            request, response = event["request"], event["response"]
            assert (request["path"], response["outcome"]) == (path, "complete"), (name, event)
            assert (request.get("requested_model"), request.get("stream"), request.get("input")) == (model, stream, asked), (name, event)
            told = response.get("tokens", {})
            if tokens:
                assert (told["input"], told["output"]) == tokens, (name, event)
            if estimated is not None:
                assert told.get("estimated", False) == estimated, (name, event)
            assert ("first_token_ms" in response) == bool(stream), (name, event)
    no_usage = laptop.json("audit", "query", "--model", "openai2")["events"][1]["response"]["tokens"]
    assert no_usage["output"] == 3, "three messages of the stream carry text"
