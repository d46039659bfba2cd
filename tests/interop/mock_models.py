"""A model server that answers as the published references of OpenAI, Anthropic, Ollama and Gemini say.
Usage: mock_models.py PORT CERTIFICATE KEY"""

import json
import re
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ["Hello", ", ", "world"]


def chat(model, ask):
    head = {"id": "c1", "created": 1, "model": model}
    if not ask.get("stream"):
        message = {"role": "assistant", "content": "".join(WORDS)}
        return {**head, "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}}
    chunk = lambda delta, end=None: {**head, "object": "chat.completion.chunk",
                                     "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
    yielded = [chunk({"role": "assistant", "content": ""}), *[chunk({"content": word}) for word in WORDS], chunk({}, "stop")]
    if (ask.get("stream_options") or {}).get("include_usage"):
        yielded.append({**chunk({}), "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}})
    return [(None, one) for one in yielded] + [(None, "[DONE]")]


def responses(model, ask):
    usage = {"input_tokens": 6, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 3,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 9}
    item = {"type": "message", "id": "m1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "".join(WORDS), "annotations": []}]}
    whole = {"id": "r1", "object": "response", "created_at": 1, "status": "completed", "error": None, "model": model,
             "output": [item], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage}
    if not ask.get("stream"):
        return whole
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    at = {"item_id": "m1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    events = [("response.created", {"response": begun}),
              ("response.output_item.added", {"output_index": 0, "item": {**item, "content": [], "status": "in_progress"}}),
              ("response.content_part.added", {**at, "part": part}),
              *[("response.output_text.delta", {**at, "delta": word, "logprobs": []}) for word in WORDS],
              ("response.completed", {"response": whole})]
    return [(name, {"type": name, "sequence_number": number, **event}) for number, (name, event) in enumerate(events)]


def messages(model, ask):
    whole = {"id": "m1", "type": "message", "role": "assistant", "model": model, "stop_reason": "end_turn",
             "stop_sequence": None, "content": [{"type": "text", "text": "".join(WORDS)}],
             "usage": {"input_tokens": 7, "output_tokens": 3}}
    if not ask.get("stream"):
        return whole
    begun = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": 7, "output_tokens": 1}}
    events = [("message_start", {"message": begun}),
              ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}), ("ping", {}),
              *[("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": word}}) for word in WORDS],
              ("content_block_stop", {"index": 0}),
              ("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 3}}),
              ("message_stop", {})]
    return [(name, {"type": name, **event}) for name, event in events]


def ollama(model, ask, word):
    head = {"model": model, "created_at": "2026-11-23T00:00:00Z"}
    end = {"done": True, "done_reason": "stop", "total_duration": 1, "load_duration": 1, "prompt_eval_count": 8,
           "prompt_eval_duration": 1, "eval_count": 3, "eval_duration": 1}
    if ask.get("stream", True):
        return [{**head, **word(one), "done": False} for one in WORDS] + [{**head, **word(""), **end}]
    return {**head, **word("".join(WORDS)), **end}


def gemini(method):
    piece = lambda text: {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}],
                          "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12},
                          "modelVersion": "gemini-mock"}
    if method == "streamGenerateContent":
        return [(None, piece(word)) for word in WORDS]
    return piece("".join(WORDS))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])) if "content-length" in self.headers else self.chunks()
        path = self.path.split("?")[0]
        if path == "/v1/audio/transcriptions":
            # Nothing of a form is understood; what came is told so that the test can compare.
            return self.whole({"text": f"{len(body)} bytes"})
        ask = json.loads(body)
        model = ask.get("model")
        vector = [0.5, -0.5]
        if named := re.fullmatch(r"/v1beta/models/([^:]+):(\w+)", path):
            if named[2].endswith("mbedContents"):
                return self.whole({"embeddings": [{"values": vector} for _ in ask["requests"]]})
            return self.answer(gemini(named[2]))
        self.answer({
            "/v1/chat/completions": lambda: chat(model, ask),
            "/v1/responses": lambda: responses(model, ask),
            "/v1/embeddings": lambda: {"object": "list", "model": model, "usage": {"prompt_tokens": 2, "total_tokens": 2},
                                       "data": [{"object": "embedding", "index": 0, "embedding": vector}]},
            "/v1/messages": lambda: messages(model, ask),
            "/api/chat": lambda: ollama(model, ask, lambda word: {"message": {"role": "assistant", "content": word}}),
            "/api/generate": lambda: ollama(model, ask, lambda word: {"response": word}),
            "/api/embed": lambda: {"model": model, "embeddings": [vector], "prompt_eval_count": 4},
        }[path]())

    def answer(self, told):
        if isinstance(told, dict):
            return self.whole(told)
        events = isinstance(told[0], tuple)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if events else "application/x-ndjson")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for one in told:
            if events:
                name, data = one
                data = data if isinstance(data, str) else json.dumps(data)
                line = (f"event: {name}\n" if name else "") + f"data: {data}\n\n"
            else:
                line = json.dumps(one) + "\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line.encode()))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def whole(self, told):
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port, certificate, key = sys.argv[1:]
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
