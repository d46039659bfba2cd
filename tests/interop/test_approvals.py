"""A request waits; the webhook carries the link; somebody opens it, signs in, and says yes; the request goes on."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import queue
import subprocess
import threading

from conftest import CACHE, HERE, nginx_front

KEY = os.urandom(32)


class Receiver(http.server.BaseHTTPRequestHandler):
    """What docs/approvals.md tells receivers to do."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        good = any(hmac.compare_digest(one, expected) for one in self.headers["webhook-signature"].split())
        self.send_response(204 if good else 401)
        self.end_headers()
        if good:
            self.server.told.put(json.loads(body))

    def log_message(self, *_):
        pass


class Model(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"an answer")

    def log_message(self, *_):
        pass


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.told = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.server_address[1]


def test_a_waiting_request_goes_on_after_a_yes_on_the_page(world, processes, tmp_path):
    front = tmp_path / "front"
    front.mkdir()
    port = nginx_front(processes, front, serve(Model)[1])
    receiver, hook = serve(Receiver)
    world.identity = ('[[identity]]\nkind = "dev"\nusers = [{ name = "alice", groups = ["ml-engineers"] }, '
                      '{ name = "bob", groups = ["risk-leads"] }]\n'
                      f'[approvals]\nwebhooks = [{{ url = "http://127.0.0.1:{hook}/", secret = {{ env = "HOOK" }} }}]\n')
    world.model("fraud", f"https://localhost:{port}", ca=f'"{front}/model-ca.pem"')
    world.policy('@id("jit") @approvers("risk-leads") @lasts("1h") permit(principal in Group::"ml-engineers", '
                 'action == Action::"invoke", resource == Model::"fraud") when { context.approved };')
    world.gateway(env={"HOOK": "whsec_" + base64.b64encode(KEY).decode()})
    alice = world.laptop()
    alice.login("alice")
    _, ready = alice.connect("fraud", "--port", "0")
    curl = subprocess.Popen(["curl", "-sS", "-d", "x", f"{ready['url']}/v1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        told = receiver.told.get(timeout=30)
        assert (told["type"], told["data"]["requester"], told["data"]["model"]) == ("approval.requested", "alice", "fraud")
        assert curl.poll() is None
        shown = json.loads(subprocess.run(
            ["node", str(HERE / "approver.mjs"), told["data"]["url"], "bob", "Approve"], check=True, capture_output=True,
            timeout=60, env={**os.environ, "NODE_MODULES": str(CACHE / "node" / "node_modules")}).stdout)
        assert "alice asks to use fraud" in shown["before"] and "a member of risk-leads" in shown["before"]
        assert "approved by bob" in shown["after"] and shown["url"] == f"{world.url}/console/approvals"
        assert shown["lowest"] >= 44 and shown["narrow"] and shown["complaints"] == []
        out, err = curl.communicate(timeout=30)
        assert out == b"an answer", (out, err)
        assert receiver.told.get(timeout=30)["type"] == "approval.approved"
    finally:
        curl.kill()
