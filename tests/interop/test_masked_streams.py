"""Recorded streams through the gateway with their cuts: masked, well-formed, and the same text as when it is masked whole.
Data: tests/masking/dev-streams.jsonl.gz, synthetic."""

import collections
import json
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from conftest import HERE, Machine, answers, free_port, make_ca, python, wait_until
from replay_model import wires
from test_masking import documents, mask

WIRES = HERE.parent / "masking" / "dev-streams.jsonl.gz"
PATHS = {"anthropic": "/v1/messages", "openai_responses": "/v1/responses"}


def events(wire):
    """Every event's name and data; a stream that is not well-formed fails."""
    assert wire.endswith("\n\n"), "the last event is not ended"
    for block in wire.replace("\r\n", "\n").split("\n\n"):
        name, data = None, []
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            assert field in ("", "event", "data", "id", "retry"), line
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
        if data:
            yield name, "\n".join(data)


def chat(wire, kind):
    texts, arguments, ended = collections.defaultdict(str), "", set()
    *told, (_, last) = events(wire)
    assert last == "[DONE]"
    for _, data in told:
        for choice in json.loads(data)["choices"]:
            index, delta = choice["index"], choice["delta"]
            says = delta.get("content") or delta.get("tool_calls")
            assert not (says and index in ended), "text behind its finish_reason"
            texts[index] += delta.get("content") or ""
            arguments += "".join(call["function"].get("arguments", "") for call in delta.get("tool_calls") or [])
            if choice["finish_reason"]:
                ended.add(index)
    assert ended, "no finish_reason"
    if kind == "openai_tool":
        return [json.loads(arguments)["body"]]
    if kind == "openai_tool_nested":
        return [json.loads(json.loads(arguments)["payload"])["body"]]
    return [texts[index] for index in sorted(texts)]


def responses(wire):
    told = [json.loads(data) for _, data in events(wire)]
    numbers = [one["sequence_number"] for one in told]
    assert numbers == sorted(numbers)
    pick = lambda kind: [one for one in told if one["type"] == kind]
    text = "".join(one["delta"] for one in pick("response.output_text.delta"))
    assert [one["text"] for one in pick("response.output_text.done")] == [text], "the copies disagree"
    whole = [one["response"]["output"][0]["content"][0]["text"] for one in pick("response.completed")]
    assert whole == [text], "the copies disagree"
    return [text]


def messages(wire, kind):
    told = [(name, json.loads(data)) for name, data in events(wire) if name != "ping"]
    names = [name for name, _ in told]
    assert names[:2] == ["message_start", "content_block_start"] and names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    deltas = [one["delta"] for name, one in told if name == "content_block_delta"]
    text = "".join(delta.get("text", delta.get("partial_json", "")) for delta in deltas)
    return [json.loads(text)["body"] if kind == "anthropic_tool" else text]


def texts(wire, kind):
    if kind == "openai_json":
        return [json.loads(wire)["choices"][0]["message"]["content"]]
    if kind.startswith("anthropic"):
        return messages(wire, kind)
    return responses(wire) if kind == "openai_responses" else chat(wire, kind)


def path(kind):
    return PATHS.get(kind.split("_tool")[0], "/v1/chat/completions")


def replayed(world, tmp_path, processes):
    """A gateway in front of the replaying server; the base URL of a local port, and its laptop."""
    make_ca(tmp_path)
    port = free_port()
    processes.start("replay", [python("sdks"), str(HERE / "replay_model.py"), str(port), str(tmp_path / "model.pem"),
                               str(tmp_path / "model.key"), str(WIRES)])
    machine = Machine(world.etc)
    world.identity += machine.IDENTITY
    world.policy('@id("use") permit(principal, action, resource);')
    world.model("replay", f"https://localhost:{port}", ca=f'"{tmp_path / "model-ca.pem"}"', mask="{}")
    wait_until("the replaying server answers", lambda: answers(port))
    world.gateway()
    laptop = world.laptop(HOOPCTL_WORKLOAD_TOKEN=machine.token())
    laptop.run("login", world.url, "--ca-file", str(world.state / "ca.pem"))
    return laptop.connect("replay")[1]["url"], laptop


def test_every_form_of_stream_gives_the_text_that_is_masked_whole(world, tmp_path, processes):
    url, laptop = replayed(world, tmp_path, processes)
    recorded = dict(wires(WIRES))
    # Every format, and as many of its documents as take a quarter of a minute.
    chosen = {name: one for name, one in recorded.items() if int(one["id"][4:]) % 4 == 1}
    assert len({one["format"] for one in chosen.values()}) == 9
    whole = mask([document for document in documents() if any(document["id"] in (one["id"], one["id2"]) for one in chosen.values())])

    def ask(named):
        name, one = named
        request = urllib.request.Request(url + path(one["format"]), json.dumps({"model": name}).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return one, answer.read().decode()

    with ThreadPoolExecutor(4) as pool:
        for one, wire in pool.map(ask, chosen.items()):
            expected = [whole[each] for each in (one["id"], one["id2"]) if each]
            assert texts(wire, one["format"]) == expected, (one["format"], one["id"])
    event = laptop.json("audit", "query", "--model", "replay", "--limit", "1")["events"][0]
    assert sum(event["masked"].values()) > 0 and event["response"]["outcome"] == "complete", event


SDKS = {
    "openai2": """
client = openai.OpenAI(base_url=URL + "/v1", api_key="x", max_retries=0)
said = lambda name: client.chat.completions.create(model=name, messages=[{"role": "user", "content": "x"}], stream=True)
for name in NAMES["openai_chat"]:
    SEEN[name] = "".join(chunk.choices[0].delta.content or "" for chunk in said(name) if chunk.choices)
for name in NAMES["openai_tool"]:
    SEEN[name] = json.loads("".join(call.function.arguments or "" for chunk in said(name) if chunk.choices for call in chunk.choices[0].delta.tool_calls or []))["body"]
for name in NAMES["openai_responses"]:
    SEEN[name] = [e for e in client.responses.create(model=name, input="x", stream=True)][-1].response.output_text
""",
    "sdks": """
client = anthropic.Anthropic(base_url=URL, api_key="x", max_retries=0)
for kind in ("anthropic", "anthropic_tool"):
    for name in NAMES[kind]:
        with client.messages.stream(model=name, max_tokens=9, messages=[{"role": "user", "content": "x"}]) as stream:
            block = stream.get_final_message().content[0]
        SEEN[name] = block.text if kind == "anthropic" else block.input["body"]
""",
}


def test_the_libraries_of_openai_and_anthropic_read_masked_streams(world, tmp_path, processes):
    url, _ = replayed(world, tmp_path, processes)
    names = collections.defaultdict(list)
    for name, one in wires(WIRES):
        if len(names[one["format"]]) < 3:
            names[one["format"]].append(name)
    seen = {}
    for environment, script in SDKS.items():
        module = "openai" if environment == "openai2" else "anthropic"
        script = f"import json, {module}\nURL, NAMES, SEEN = {url!r}, {dict(names)!r}, {{}}\n{script}\nprint(json.dumps(SEEN))"
        done = subprocess.run([python(environment), "-c", script], capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        seen |= json.loads(done.stdout)
    ids = {name.split(":")[1] for name in seen}
    whole = mask([document for document in documents() if document["id"] in ids])
    assert len(seen) == 15
    for name, text in seen.items():
        assert text == whole[name.split(":")[1]], name
