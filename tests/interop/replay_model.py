"""A model server that replays recorded wires with their cuts: what is asked for names one, `FORMAT:ID`.
Usage: replay_model.py PORT CERTIFICATE KEY WIRES.jsonl.gz"""

import gzip
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def wires(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for one in map(json.loads, lines):
            yield f"{one['format']}:{one['id']}", one


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        ask = json.loads(self.rfile.read(int(self.headers["content-length"])))
        one = self.server.wires[ask["model"]]
        wire, cuts = one["wire"].encode(), [0, *one["cuts"]]
        self.send_response(200)
        self.send_header("content-type", "application/json" if one["format"].endswith("json") else "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for start, end in zip(cuts, [*cuts[1:], len(wire)]):
            if end > start:
                self.wfile.write(b"%x\r\n%s\r\n" % (end - start, wire[start:end]))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port, certificate, key, recorded = sys.argv[1:]
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.wires = dict(wires(recorded))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
