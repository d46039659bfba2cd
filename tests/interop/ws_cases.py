"""WebSocket cases after the list of the Autobahn test suite, as raw frames, and what a client sees of each."""

import base64
import contextlib
import os
import struct
import threading
import zlib

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MIB = 1024 * 1024


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True):
    """A client's frame (RFC 6455 §5.2), however wrong."""
    length = len(payload)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", length)
    # A mask of zeros is a mask; other masks are tried in cases of their own.
    return head + (b"\0\0\0\0" if masked else b"") + payload


def remasked(opcode, payload, mask):
    head = frame(opcode, payload)
    start = len(head) - len(payload)
    return head[:start - 4] + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def close(code=1000, reason=b""):
    return frame(CLOSE, struct.pack("!H", code) + reason)


def pieces(opcode, payload, size):
    parts = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
    return b"".join(frame(opcode if at == 0 else 0, part, fin=at == len(parts) - 1) for at, part in enumerate(parts))


def deflated(data):
    """permessage-deflate without context (RFC 7692 §7.2.1)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    return packed


GOOD_UTF8 = ["κόσμε", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\uffff", "\U00010000", "\ud7ff", "\ue000", "\ufffd", "\U0010ffff",
             "\ufffe", "\U0001fffe", "Hello-µ@ßöäüàá-UTF-8!!"]
BAD_UTF8 = [b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",
            b"\xf7\xbf\xbf\xbf", b"\xf4\x90\x80\x80", b"\x80", b"\xbf", b"\x80\xbf\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
            b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xc0\x80", b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xbf\xbf",
            b"\xed\xa0\x80\xed\xb0\x80", b"\xfe", b"\xff", b"\xe1", b"\xce\xba\xe1\xbd", b"\xf0\x90\x80", b"\xf0\x90"]


def cases():
    """Name, bytes after the handshake, whether compression is offered."""
    yield from basics()
    yield from wrong_frames()
    yield from fragments()
    yield from utf8()
    yield from closes()
    yield from limits()
    yield from compressed()


def basics():
    for kind, opcode, fill in (("1.1 text", TEXT, b"*"), ("1.2 binary", BINARY, b"\xfe")):
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536):
            yield f"{kind} {size}", frame(opcode, fill * size) + close(), False
        for size in (1, 997, 40_000):
            yield f"{kind} 65536 in frames of {size}", pieces(opcode, fill * 65536 if size > 1 else fill * 300, size) + close(), False
        for mask in (b"\x01\x02\x03\x04", b"\xff\xff\xff\xff", b"\x00\x80\x00\x80"):
            yield f"{kind} masked {mask.hex()}", remasked(opcode, fill * 200, mask) + close(), False
    for size in (0, 5, 125):
        yield f"2 ping {size}", frame(PING, b"\xfe" * size) + close(), False
    yield "2.5 ping 126", frame(PING, b"\xfe" * 126), False
    yield "2.7 unsolicited pong", frame(PONG) + close(), False
    yield "2.9 pong then ping", frame(PONG, b"unsolicited") + frame(PING, b"p") + close(), False
    yield "2.10 ten pings", b"".join(frame(PING, b"payload-%d" % at) for at in range(10)) + close(), False


def wrong_frames():
    for rsv in range(1, 8):
        yield f"3 rsv {rsv}", frame(TEXT, b"x", rsv=rsv) + frame(PING), False
    for rsv in (1, 4):
        yield f"3 rsv {rsv} on a ping", frame(PING, b"x", rsv=rsv), False
        yield f"3 rsv {rsv} on a close", frame(CLOSE, b"\x03\xe8", rsv=rsv), False
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"reserved"):
            yield f"4 opcode {opcode} {len(payload)}", frame(opcode, payload) + frame(PING), False
    yield "5 unmasked", frame(TEXT, b"unmasked", masked=False), False
    yield "length of 63 bits", b"\x82\xff" + b"\x80" + b"\0" * 7 + b"\0\0\0\0", False
    yield "length not the shortest", b"\x81\xfe\x00\x02\0\0\0\0hi" + close(), False


def fragments():
    yield "5.1 ping in two", frame(PING, b"a", fin=False) + frame(0, b"b"), False
    yield "5.2 pong in two", frame(PONG, b"a", fin=False) + frame(0, b"b"), False
    yield "5.3 text in two", pieces(TEXT, b"fragment1fragment2", 9) + close(), False
    ping = frame(PING, b"ping payload")
    yield "5.6 ping between", frame(TEXT, b"fragment1", fin=False) + ping + frame(0, b"fragment2") + close(), False
    yield "5.9 continuation of nothing", frame(0, b"x") + frame(TEXT, b"y"), False
    yield "5.10 open continuation of nothing", frame(0, b"x", fin=False) + frame(TEXT, b"y"), False
    yield "5.18 text in text", frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), False
    many = frame(TEXT, b"1", fin=False) + ping + frame(0, b"2", fin=False) + ping + frame(0, b"3", fin=False) + ping
    yield "5.19 pings between five", many + frame(0, b"4", fin=False) + frame(0, b"5") + close(), False
    yield "5 empty fragments", frame(TEXT, fin=False) + frame(0, fin=False) + frame(0) + close(), False
    yield "5 binary in two", pieces(BINARY, b"\x00\xff" * 9, 9) + close(), False
    yield "5 close between", frame(TEXT, b"a", fin=False) + close() + frame(0, b"b"), False


def utf8():
    for text in GOOD_UTF8:
        payload = text.encode("utf-8")
        yield f"6 good {payload.hex()}", frame(TEXT, payload) + close(), False
        yield f"6 good {payload.hex()} byte by byte", pieces(TEXT, payload, 1) + close(), False
    for payload in BAD_UTF8:
        yield f"6 bad {payload.hex()}", frame(TEXT, payload) + close(), False
        yield f"6 bad {payload.hex()} byte by byte", pieces(TEXT, payload, 1) + close(), False
        yield f"6 bad {payload.hex()} as binary", frame(BINARY, payload) + close(), False


def closes():
    yield "7.1.1 close after a message", frame(TEXT, b"hello") + close(), False
    yield "7.1.2 two closes", close() + close(), False
    yield "7.1.3 ping after close", close() + frame(PING), False
    yield "7.1.4 text after close", close() + frame(TEXT, b"late"), False
    yield "7.1.6 much, then close", frame(TEXT, b"*" * 262_144) + frame(TEXT, b"hello") + close(), False
    yield "7.3.1 empty close", frame(CLOSE), False
    yield "7.3.2 close of one byte", frame(CLOSE, b"a"), False
    yield "7.3.4 close with a reason", close(1000, b"Hello World!"), False
    yield "7.3.5 longest reason", close(1000, b"*" * 123), False
    yield "7.3.6 reason too long", close(1000, b"*" * 124), False
    yield "7.5.1 reason of bad UTF-8", close(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"), False
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield f"7.7 close {code}", close(code), False
    for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535):
        yield f"7.9 close {code}", close(code), False


def limits():
    for kind, opcode in (("text", TEXT), ("binary", BINARY)):
        yield f"9 {kind} of 1 MiB", frame(opcode, b"*" * MIB) + close(), False
    yield "9 binary of 4 MiB in frames of 64 KiB", pieces(BINARY, os.urandom(4 * MIB), 65536) + close(), False
    yield "9 binary of 16 MiB", frame(BINARY, b"*" * 16 * MIB) + close(), False
    yield "9 more than 16 MiB", b"\x82\xff" + struct.pack("!Q", 16 * MIB + 1) + b"\0\0\0\0" + b"*" * 1000, False
    yield "9 many small", b"".join(frame(TEXT, b"%d" % at) for at in range(1000)) + close(), False


def compressed():
    for text in (b"", b"hello", b"{\"AutobahnPython\": 0.6.0}" * 40, b"*" * 65536):
        packed = deflated(text)
        yield f"12 compressed {len(text)}", frame(TEXT, packed, rsv=4) + close(), True
        yield f"12 not compressed {len(text)}", frame(TEXT, text) + close(), True
        half = len(packed) // 2 or 1
        split = frame(TEXT, packed[:half], fin=False, rsv=4) + frame(0, packed[half:])
        yield f"12 compressed {len(text)} in two", split + close(), True
    yield "12 compressed binary", frame(BINARY, deflated(bytes(range(256)) * 64), rsv=4) + close(), True
    yield "13 rsv1 on a continuation", frame(TEXT, deflated(b"hello")[:3], fin=False, rsv=4) + frame(0, b"x", rsv=4), True
    yield "13 no deflate at all", frame(TEXT, b"\xff\xff\xff\xff", rsv=4), True
    yield "13 compressed, not offered", frame(TEXT, deflated(b"hello"), rsv=4), False


def see(dial, host, sent, compress):
    """All that comes back after the handshake, and how it ends. A last close is said when everything before it has been answered."""
    with dial() as line:
        line.settimeout(60)
        extension = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n" if compress else ""
        key = base64.b64encode(b"0123456789abcdef").decode()
        line.sendall(f"GET /v1/realtime HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n".encode())
        seen = b""
        while b"\r\n\r\n" not in seen:
            data = line.recv(65536)
            if not data:
                return seen, "ended in the handshake"
            seen += data
        head, seen = seen.split(b"\r\n\r\n", 1)
        names = dict(row.lower().split(b": ", 1) for row in head.split(b"\r\n")[1:])
        shown = [head.split(b"\r\n")[0][:12], names.get(b"sec-websocket-accept"), names.get(b"sec-websocket-extensions")]
        body, last = (sent[:-len(close())], close()) if sent.endswith(close()) else (sent, b"")
        heard = Heard(seen)
        writer = threading.Thread(target=write, args=(line, body))
        writer.start()
        replies = asked(body) if last else 0
        while heard.replies < replies and not heard.closed and heard.more(line):
            pass
        writer.join()
        while not last and not heard.closed and heard.more(line):
            pass
        # Either the client says it first, or it answers.
        write(line, close())
        while heard.more(line):
            pass
        return shown, heard.frames, heard.rest


def write(line, data):
    with contextlib.suppress(OSError):
        line.sendall(data)


def asked(data):
    """How many answers a client's frames ask for: pings and ends of messages."""
    answers = 0
    while len(data) >= 2:
        opcode, length, start = data[0] & 15, *extent(data)
        answers += bool(data[0] & 0x80) and opcode not in (CLOSE, PONG)
        data = data[start + length + 4:]
    return answers


def extent(data):
    """Length of a frame's payload, and where what follows the length begins."""
    length = data[1] & 0x7F
    if length < 126:
        return length, 2
    return (struct.unpack("!H", data[2:4])[0], 4) if length == 126 else (struct.unpack("!Q", data[2:10])[0], 10)


class Heard:
    """What a server says: first byte, length and payload of each frame, of long ones a digest."""

    def __init__(self, data):
        self.rest, self.frames, self.replies, self.closed = bytearray(data), [], 0, False

    def more(self, line):
        """Waits for more; false when there is none. A server that closes with bytes unread resets: an end like any other."""
        try:
            data = line.recv(262_144)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        self.rest += data
        while len(self.rest) >= 2 and len(self.rest) >= {126: 4, 127: 10}.get(self.rest[1] & 0x7F, 2):
            length, start = extent(self.rest)
            if len(self.rest) < start + length:
                break
            payload = bytes(self.rest[start:start + length])
            self.frames.append((hex(self.rest[0]), length, payload if length < 200 else zlib.crc32(payload)))
            self.closed |= self.rest[0] & 15 == CLOSE
            self.replies += bool(self.rest[0] & 0x80)
            del self.rest[:start + length]
        return bool(data)
