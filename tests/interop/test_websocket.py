"""WebSocket conformance: what a client sees of every case through the tunnel is what it sees of the server itself."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import ws_cases
from conftest import HERE, Machine, answers, free_port, make_ca, python, wait_until

# Cases that servers fail with these codes (RFC 6455 §7.4.1); the rest are told by the comparison.
CODES = {"3 rsv 2": 1002, "5 unmasked": 1002, "5.9 continuation of nothing": 1002, "6 bad c0af": 1007, "7.3.2 close of one byte": 1002,
         "7.7 close 4999": 4999, "7.9 close 1005": 1002, "9 more than 16 MiB": 1009, "1.1 text 125": 1000}


@pytest.mark.parametrize("flavour", ["websockets", "autobahn"])
def test_every_case_looks_the_same_through_the_tunnel(world, flavour):
    make_ca(world.folder)
    port, plain = free_port(), free_port()
    server = world.processes.start("echo", [python("websocket"), str(HERE / "ws_echo.py"), flavour, str(port), str(plain),
                                            str(world.folder / "model.pem"), str(world.folder / "model.key")])
    wait_until("the server answers", lambda: server.poll() is not None or answers(port))
    machine = Machine(world.etc)
    world.identity = Machine.IDENTITY
    world.model("live", f"https://localhost:{port}", dialect='"openai"', ca=f'"{world.folder}/model-ca.pem"')
    world.gateway()
    laptop = world.laptop(HOOPCTL_WORKLOAD_TOKEN=machine.token())
    laptop.run("login", world.url, "--ca-file", str(world.state / "ca.pem"))
    line = laptop.connect("live")[1]

    # Without TLS: what is written and read at once, as a client here does, is no matter for one TLS socket of Python's.
    def direct():
        return socket.create_connection(("127.0.0.1", plain))

    def tunnel():
        return socket.create_connection(("127.0.0.1", line["port"]))

    # Autobahn's server is pure Python: the largest messages are the other one's.
    heavy = lambda sent: flavour == "autobahn" and len(sent) > ws_cases.MIB // 2
    chosen = [case for case in ws_cases.cases() if not heavy(case[1])]
    began = time.monotonic()

    def both(case):
        name, sent, compress = case
        return name, *(ws_cases.see(dial, host, sent, compress)
                       for dial, host in ((direct, f"127.0.0.1:{plain}"), (tunnel, f"127.0.0.1:{line['port']}")))

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(both, chosen))
    differ = [(name, there, here) for name, there, here in seen if there != here]
    assert not differ, f"{len(differ)} of {len(seen)} cases differ, the first: {differ[:3]}"
    assert len(seen) > 200
    # Autobahn's server answers every good close with 1000.
    codes = CODES if flavour == "websockets" else {**CODES, "7.7 close 4999": 1000}
    for name, there, _ in seen:
        if code := codes.get(name):
            assert there[1][-1][2][:2] == code.to_bytes(2), (name, there)
    print(f"{len(seen)} cases with {flavour} in {time.monotonic() - began:.1f} s")
    events = laptop.json("audit", "query", "--model", "live", "--limit", "1000")["events"]
    assert len(events) == len(seen)
    assert {event["response"]["status"] for event in events} == {101}, json.dumps(events[:3])
