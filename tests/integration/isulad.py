# SPDX-License-Identifier: Apache-2.0
"""Speaks to a shim as iSulad does. Usage: isulad.py SHIM ACTION ARGS…, one call of the Task service an action.

    start BUNDLE ID EXIT_FIFO_DIR      prints the address, as the shim does
    create ADDRESS BUNDLE ID           with FIFOs BUNDLE/in, out and err; prints the pid
    begin ADDRESS ID [EXEC]            Start
    exec ADDRESS ID EXEC WORDS…        adds an exec with FIFOs named after it in the current directory
    state|wait|delete ADDRESS ID [EXEC]
    kill ADDRESS ID SIGNAL
    pids|connect|shutdown|checkpoint ADDRESS ID
    update ADDRESS ID JSON             new limits
"""
import json
import os
import socket
import struct
import subprocess
import sys


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def decode(data):
    """The fields of a message: numbers to the last value of each."""
    fields, i = {}, 0

    def number():
        nonlocal i
        n = shift = 0
        while True:
            byte = data[i]
            i += 1
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n

    while i < len(data):
        key = number()
        if key & 7 == 0:
            fields[key >> 3] = number()
        else:
            n = number()
            fields[key >> 3] = data[i : i + n]
            i += n
    return fields


def call(address, method, payload):
    """One unary ttrpc call. Source: ttrpc PROTOCOL.md: length, stream id, type, flags; request and response."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(90)
    s.connect(address.removeprefix("unix://"))
    body = field(1, "containerd.task.v2.Task") + field(2, method) + field(3, payload)
    s.sendall(struct.pack(">IIBB", len(body), 1, 1, 0) + body)
    f = s.makefile("rb")
    length, _, kind, _ = struct.unpack(">IIBB", f.read(10))
    response = decode(f.read(length))
    assert kind == 2
    status = decode(response.get(1, b""))
    if status.get(1, 0):
        sys.exit(f"code {status[1]}: {status.get(2, b'').decode()}")
    return decode(response.get(2, b""))


def ref(args):
    return field(1, args[0]) + (field(2, args[1]) if len(args) > 1 else b"")


def main(shim, action, *args):
    if action == "start":
        bundle, name, fifo_dir = args
        env = {k: v for k, v in os.environ.items() if k in ("HULL_ROOT", "HULL_CONFIG", "PATH")}
        subprocess.run([shim, "--id", name, "--namespace", "isula", "start"], cwd=bundle, env={**env, "EXIT_FIFO_DIR": fifo_dir},
                       stdin=subprocess.DEVNULL, check=True)
        return
    address, args = args[0], args[1:]
    if action == "create":
        bundle, name = args
        stdio = [field(5 + i, f"{bundle}/{n}") for i, n in enumerate(("in", "out", "err"))]
        print(call(address, "Create", field(1, name) + field(2, bundle) + b"".join(stdio))[1])
    elif action == "begin":
        print(call(address, "Start", ref(args))[1])
    elif action == "exec":
        name, exec_id, words = args[0], args[1], args[2:]
        process = json.dumps({"args": words, "cwd": "/", "env": ["PATH=/bin:/usr/bin"], "user": {"uid": 0, "gid": 0}, "terminal": False})
        stdio = b"".join(field(4 + i, f"{os.getcwd()}/{exec_id}.{n}") for i, n in enumerate(("in", "out", "err")))
        call(address, "Exec", ref((name, exec_id)) + stdio + field(7, field(1, "") + field(2, process)))
    elif action == "state":
        print({1: "created", 2: "running", 3: "stopped", 4: "paused"}[call(address, "State", ref(args))[4]])
    elif action == "wait":
        print(call(address, "Wait", ref(args)).get(1, 0))
    elif action == "delete":
        print(call(address, "Delete", ref(args)).get(2, 0))
    elif action == "update":
        call(address, "Update", field(1, args[0]) + field(2, field(1, "") + field(2, args[1])))
    elif action == "pids":
        print(decode(call(address, "Pids", ref(args))[1])[1])
    elif action == "connect":
        print(call(address, "Connect", ref(args))[1])
    elif action == "checkpoint":
        call(address, "Checkpoint", ref(args) + field(2, "/nowhere"))
    elif action == "kill":
        call(address, "Kill", field(1, args[0]) + field(3, int(args[1])))
    elif action == "shutdown":
        call(address, "Shutdown", ref(args))
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
