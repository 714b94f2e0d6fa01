#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_rpc_frames and fuzz_agent_replies into corpus/, next to this file."""
import os
import struct

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
REQUEST, RESPONSE, DATA = 1, 2, 3
CLOSED, OPEN, NO_DATA = 1, 2, 4


def varint(n):
    n &= (1 << 64) - 1
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def blob(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def frame(stream, kind, flags, payload=b"", length=None):
    return struct.pack(">IIBB", len(payload) if length is None else length, stream, kind, flags) + payload


def request(method, payload=b"", timeout=0, fds=None, service="S"):
    out = blob(1, service) + blob(2, method) + (blob(3, payload) if payload else b"")
    if timeout:
        out += number(4, timeout)
    if fds is not None:
        out += blob(5, blob(1, "hull-fds") + blob(2, fds))
    return out


def response(code=0, text="", payload=b""):
    status = (number(1, code) if code else b"") + (blob(2, text) if text else b"")
    return blob(1, status) + (blob(2, payload) if payload else b"")


REF = blob(1, "web")
STDIO = number(2, 1) + blob(3, "hello") + number(5, 65536)
PROCESS = number(1, 7) + number(2, 1) + number(3, 0) + blob(4, "root") + number(5, 99) + blob(8, "sleep 1") + blob(9, "x")


def call(stream, *args, flags=0, **kwargs):
    return frame(stream, REQUEST, flags, request(*args, **kwargs))


def to_server():
    chat = call(1, "C", REF, flags=OPEN)
    data = frame(1, DATA, 0, STDIO)
    half = frame(1, DATA, CLOSED | NO_DATA)
    yield "echo", call(1, "E", REF)
    yield "echo-go", call(1, "E", REF, flags=CLOSED)
    yield "echo-empty", call(1, "E")
    yield "echo-many", b"".join(call(i, "E", REF) for i in range(1, 21, 2))
    yield "hold", call(1, "H", STDIO)
    yield "hold-many", b"".join(call(i, "H", STDIO) for i in range(1, 21, 2))
    yield "hold-timeout", call(1, "H", STDIO, timeout=1) + call(3, "E", REF)
    yield "negative-timeout", call(1, "H", STDIO, timeout=-1)
    yield "endless-timeout", call(1, "H", STDIO, timeout=(1 << 63) - 1)
    yield "fds", call(1, "E", REF, fds="3")
    yield "fds-bad", call(1, "E", REF, fds="-1") + call(3, "E", REF, fds="99999999999999999999")
    yield "no-service", call(1, "E", REF, service="T")
    yield "no-method", call(1, "F", REF)
    yield "bad-message", call(1, "E", b"\xff")
    yield "bad-request", frame(1, REQUEST, 0, b"\xff\xff")
    yield "empty-request", frame(1, REQUEST, 0)
    yield "stream", chat + data + half
    yield "stream-no-end", chat + data * 3
    yield "stream-closed-request", call(1, "C", REF, flags=CLOSED)
    yield "stream-data-and-close", chat + frame(1, DATA, CLOSED, STDIO) + data
    yield "stream-empty-message", chat + frame(1, DATA, 0)
    yield "stream-bad-message", chat + frame(1, DATA, 0, b"\xff") + data
    yield "stream-unary", call(1, "E", REF, flags=OPEN) + data + half
    yield "two-streams", chat + call(3, "C", REF, flags=OPEN) + data + frame(3, DATA, 0, STDIO) + half
    yield "data-without-stream", data
    yield "data-after-end", chat + half + data
    yield "response-to-server", frame(1, RESPONSE, 0, response())
    yield "even-id", call(2, "E", REF)
    yield "id-zero", call(0, "E", REF)
    yield "id-twice", call(1, "E", REF) * 2
    yield "id-falls", call(5, "E", REF) + call(3, "E", REF)
    yield "id-highest", call(0xFFFFFFFF, "E", REF) + call(1, "E", REF)
    yield "unknown-type", frame(1, 4, 0, b"future") + call(1, "E", REF)
    yield "unknown-flags", call(1, "E", REF, flags=0xF8)
    yield "oversized", frame(1, REQUEST, 0, b"x" * 100, length=(4 << 20) + 1)
    yield "oversized-small", call(1, "E", blob(1, "x" * 200)) + call(3, "E", REF)
    yield "oversized-data", chat + frame(1, DATA, 0, blob(3, b"x" * 200)) + data
    yield "no-ttrpc", b"GET / HTTP/1.1\r\n\r\n"
    yield "cut-header", call(1, "E", REF)[:7]
    yield "cut-payload", call(1, "E", REF)[:-2]


def to_client():
    yield "answers", b"".join(frame(i, RESPONSE, 0, response(payload=p))
                              for i, p in ((1, REF), (3, STDIO), (5, blob(1, PROCESS) * 3)))
    yield "answers-out-of-order", frame(5, RESPONSE, 0, response()) + frame(1, RESPONSE, 0, response(payload=REF))
    yield "errors", b"".join(frame(i, RESPONSE, 0, response(c, "no \x1b[31m")) for i, c in ((1, 5), (3, 16), (5, -1)))
    yield "empty-answer", frame(1, RESPONSE, 0)
    yield "bad-answer", frame(1, RESPONSE, 0, b"\xff") + frame(3, RESPONSE, 0, response(payload=b"\xff"))
    yield "answer-twice", frame(1, RESPONSE, 0, response(payload=REF)) * 2
    yield "data-for-call", frame(1, DATA, 0, STDIO)
    yield "request-to-client", frame(1, REQUEST, 0, request("E", REF))
    yield "stream-data", frame(7, DATA, 0, STDIO) * 2
    yield "stream-end", frame(7, DATA, 0, STDIO) + frame(7, RESPONSE, 0, response(9, "over"))
    yield "stream-half-close", frame(7, DATA, CLOSED | NO_DATA) + frame(7, RESPONSE, 0, response())
    yield "stream-both-closed", frame(9, DATA, 0, STDIO) + frame(9, DATA, CLOSED | NO_DATA)
    yield "stream-answer", frame(7, RESPONSE, 0, response(payload=STDIO))
    yield "stream-bad", frame(7, DATA, 0, b"\xff") + frame(9, RESPONSE, 0, b"\xff")
    yield "unknown-id", frame(99, RESPONSE, 0, response()) + frame(2, DATA, 0, STDIO)
    yield "oversized", frame(1, RESPONSE, 0, b"x" * 50, length=5 << 20)
    yield "bomb", frame(5, RESPONSE, 0, response(payload=b"\x0a\x00" * 1000))


def answers():
    ref = [("info", 0, blob(1, "0.1") + blob(2, "6.1") + number(4, 1 << 30) + number(7, 2) + blob(10, "a") + blob(10, "b")),
           ("started", 2, number(1, 42)), ("exit", 9, number(1, 137) + number(2, 9) + number(3, 1) + number(4, 10 ** 18)),
           ("processes", 12, blob(1, PROCESS) * 4), ("stdio", 13, STDIO), ("empty", 1, b"")]
    for name, method, message in ref:
        for kind in range(4):
            yield f"{name}-{kind}", b"\x01" + bytes([method, kind]) + struct.pack("<H", len(message)) + message
    every = b"".join(bytes([m, 0]) + struct.pack("<H", 0) for m in range(15))
    yield "all-empty", b"\x01" + every
    yield "bomb", b"\x01" + bytes([12, 0]) + struct.pack("<H", 8000) + b"\x0a\x00" * 4000
    yield "raw", b"\x00" + frame(1, RESPONSE, 0, response(payload=ref[0][2])) + frame(27, DATA, 0, STDIO)
    yield "raw-garbage", b"\x00" + b"HTTP/1.1 400 Bad Request\r\n"


def write(directory, name, data):
    path = os.path.join(CORPUS, directory)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), "wb") as f:
        f.write(data)


def main():
    for name, data in to_server():
        write("rpc_frames", f"server-{name}", b"\x00\x00" + data)
        if "oversized" in name or "many" in name:
            write("rpc_frames", f"server-small-{name}", b"\x02\x00" + data)
    for name, data in to_client():
        write("rpc_frames", f"client-{name}", b"\x01\x00" + data)
    write("rpc_frames", "server-stream-by-bytes", b"\x00\x01" + dict(to_server())["stream"])
    write("rpc_frames", "client-answers-by-bytes", b"\x01\x01" + dict(to_client())["answers"])
    for name, data in answers():
        write("agent_replies", name, data)


main()
