"""Recordings opened by hand with Debian's age and zstd, and HAR files read by PyPI's haralyzer: nothing of hoopctl's own making."""

import http.server
import json
import subprocess
import threading
import urllib.request

from conftest import Machine, python, wait_until

MAIL = "bob@example.test"
ASKED = {"messages": [{"role": "user", "content": f"write to {MAIL}"}], "stream": True}


def model():
    """Streams three events; returns its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for word in ["I wrote", " to bob@exa", "mple.test."]:
                event = {"choices": [{"index": 0, "delta": {"content": word}}]}
                self.chunk(f"data: {json.dumps(event)}\n\n".encode())
            self.chunk(b"data: [DONE]\n\n")
            self.chunk(b"")

        def chunk(self, data):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def opened(recording, identity):
    """The entries of a recording, by the recipe of docs/recordings.md."""
    script = """
set -euo pipefail
start=$(( $(head -n 1 "$1" | wc -c) )); size=$(wc -c < "$1")
while [ "$start" -lt "$size" ]; do
  length=$(( 0x$(tail -c +$((start + 9)) "$1" | head -c 4 | od -An -tx1 | tr -d ' ') ))
  tail -c +$((start + 50)) "$1" | head -c "$length" | age -d -i "$2" | zstd -dc | tail -n +2
  start=$((start + 49 + length + 32))
done
"""
    run = subprocess.run(["bash", "-c", script, "bash", recording, identity], capture_output=True, text=True)
    # `head` closes the pipe before `tail` is through with a longer file.
    assert run.returncode in (0, 141), run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_foreign_tools_read_recordings_and_har_files(world, tmp_path):
    machine, identity = Machine(world.etc), tmp_path / "auditor.txt"
    made = subprocess.run(["age-keygen", "-o", identity], capture_output=True, text=True, check=True)
    recipient = made.stderr.split()[-1]
    world.policy('permit(principal, action in [Action::"list", Action::"invoke", Action::"replay"], resource);')
    world.identity = Machine.IDENTITY + f'[storage]\nrecipients = ["{recipient}"]\n'
    world.model("chat", model(), tls='"relaxed"', record='"full"', mask='{ entities = ["default"] }')
    world.gateway()
    laptop = world.laptop(HOOPCTL_WORKLOAD_TOKEN=machine.token())
    laptop.run("login", world.url, "--ca-file", str(world.state / "ca.pem"))
    _, told = laptop.connect("chat")
    request = urllib.request.Request(f"{told['url']}/v1/chat/completions", data=json.dumps(ASKED).encode(),
                                     headers={"content-type": "application/json", "authorization": "Bearer sk-local"})
    answer = urllib.request.urlopen(request).read().decode()
    assert "[EMAIL]" in answer and MAIL not in answer

    def exchange():
        sessions = laptop.json("sessions", "list")["sessions"]
        shown = sessions and laptop.json("sessions", "show", sessions[0]["session"])["exchanges"]
        return shown and shown[0]["exchange"]

    name = wait_until("the exchange is in the log", exchange)
    sealed = tmp_path / "one.rec"
    laptop.run("sessions", "export", name, "--sealed", "--to", str(sealed))
    assert MAIL.encode() not in sealed.read_bytes() and b"EMAIL" not in sealed.read_bytes()
    entries = opened(sealed, identity)
    said = lambda side: "".join(e["body"]["bytes"] for e in entries if e.get("body", {}).get("from") == side)
    assert said("model") == answer, "what the caller received, to the byte"
    assert "write to [EMAIL]" in said("caller"), "the question is masked, though the model got it as it is"
    assert entries[0]["opened"]["exchange"] == name and entries[-1]["ended"]["outcome"] == "complete"
    assert "sk-local" not in json.dumps(entries)

    har = tmp_path / "one.har"
    laptop.run("sessions", "export", name, "--format", "har", "--identity", str(identity), "--to", str(har))
    program = """
import json, sys
from haralyzer import HarParser
[page] = HarParser(json.load(open(sys.argv[1]))).pages
[entry] = page.entries
print(json.dumps([entry.request.method, entry.request.url, entry.response.status, entry.response.mimeType, entry.response.text, entry.time]))
"""
    read = subprocess.run([python("har"), "-c", program, har], capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
    method, url, status, kind, text, time = json.loads(read.stdout)
    assert (method, status, kind, text) == ("POST", 200, "text/event-stream", answer)
    assert url.endswith("/v1/chat/completions") and time > 0
