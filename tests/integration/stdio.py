#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What 04-stdio.bats cannot say in shell: timed pumps, stalled readers, terminals, descriptor flags.

Usage: stdio.py CASE COMMAND...     COMMAND is a `hull --root … run …` or `hull … exec …`. Exits 0 or says what is wrong.
"""
import array, fcntl, hashlib, os, pty, select, signal, socket, struct, subprocess, sys, termios, threading, time

DEADLINE_S = 120


def fail(text):
    print("wrong:", text)
    sys.exit(1)


def check(what, got, want):
    if got != want:
        fail(f"{what}: {str(got)[:300]!r}, expected {str(want)[:300]!r}")


# ---- pipes

def pump(command):
    """Sends STDIO_MB MiB through COMMAND (a cat) and compares what comes back."""
    megabytes = int(os.environ["STDIO_MB"])
    block = bytearray(os.urandom((1 << 20) + 1))       # no power of two, so that nothing repeats in step with a buffer
    total = megabytes << 20
    p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    sent, got = hashlib.sha256(), hashlib.sha256()

    def feed():
        left, n = total, 0
        while left:
            block[:8] = struct.pack("<Q", n)
            piece = block[:min(left, len(block))]
            p.stdin.write(piece)
            sent.update(piece)
            left -= len(piece)
            n += 1
        p.stdin.close()

    feeder = threading.Thread(target=feed, daemon=True)
    began = time.monotonic()
    feeder.start()
    count = 0
    while True:
        piece = os.read(p.stdout.fileno(), 1 << 20)
        if not piece:
            break
        if count == 0:
            began = time.monotonic()                    # the boot does not count
        got.update(piece)
        count += len(piece)
    took = time.monotonic() - began
    check("exit", p.wait(), 0)
    check("bytes", count, total)
    check("sha256", got.hexdigest(), sent.hexdigest())
    print(f"{megabytes} MiB there and back: {total / took / 1e6:.0f} MB/s")


def flags_of(fd):
    return fcntl.fcntl(fd, fcntl.F_GETFL)


def lend(kind, run):
    """Lends descriptors of a kind to a run, whose program echoes a line; O_NONBLOCK is looked at while it runs and afterwards."""
    if kind == "pipe":
        in_r, in_w = os.pipe()
        out_r, out_w = os.pipe()
    elif kind == "socket":
        a, b = socket.socketpair()
        c, d = socket.socketpair()
        in_r, in_w, out_r, out_w = a.detach(), b.detach(), c.detach(), d.detach()
    else:
        master, slave = pty.openpty()
        attrs = termios.tcgetattr(slave)
        attrs[3] &= ~(termios.ECHO | termios.ICANON)
        attrs[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, attrs)
        in_r, in_w, out_r, out_w = slave, master, os.dup(master), os.dup(slave)
    before = flags_of(in_r), flags_of(out_w)
    p = subprocess.Popen(run, stdin=in_r, stdout=out_w, stderr=out_w)
    os.write(in_w, b"hello\n")
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(out_r, 100)
    check(f"{kind}: echo", line, b"hello\n")
    check(f"{kind}: flags while it runs", (flags_of(in_r), flags_of(out_w)), before)
    os.write(in_w, b"end\n")
    check(f"{kind}: exit", p.wait(DEADLINE_S), 0)
    check(f"{kind}: flags afterwards", (flags_of(in_r), flags_of(out_w)), before)
    for fd in (in_r, in_w, out_r, out_w):
        os.close(fd)


def flags(command):
    for kind in ("pipe", "socket", "tty"):
        lend(kind, command)


def sockets(command):
    """stdin and stdout are one socket each, as inetd does it; the program is a cat."""
    theirs, ours = socket.socketpair()
    p = subprocess.Popen(command, stdin=theirs, stdout=theirs)
    theirs.close()
    data = os.urandom(3 << 20)
    threading.Thread(target=lambda: (ours.sendall(data), ours.shutdown(socket.SHUT_WR)), daemon=True).start()
    got = b""
    while piece := ours.recv(1 << 16):
        got += piece
    check("bytes through a socket", hashlib.sha256(got).digest(), hashlib.sha256(data).digest())
    check("exit", p.wait(DEADLINE_S), 0)


# ---- terminals

class Terminal:
    """A command on a terminal of its own, as its session's leader."""

    def __init__(self, command, rows=24, columns=80):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.p = subprocess.Popen(command, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
                                  preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def write(self, data):
        os.write(self.master, data)

    def expect(self, text, seconds=DEADLINE_S):
        """Reads until `text`, and forgets all up to it."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            if not select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
                fail(f"the terminal did not show {text!r} but {self.seen[-300:]!r}")
            self.seen += os.read(self.master, 1 << 16)
        before, _, self.seen = self.seen.partition(text)
        return before

    def end(self, code):
        try:
            got = self.p.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            fail("the command does not end")
        check("exit", got, code)
        check("terminal restored", termios.tcgetattr(self.slave), self.before)


def tty_size(command):
    t = Terminal(command, 33, 101)
    t.expect(b"size 33 101")
    t.resize(44, 77)                                   # SIGWINCH comes from the kernel
    t.expect(b"size 44 77")
    check("raw while it runs", bool(termios.tcgetattr(t.slave)[3] & termios.ICANON), False)
    t.write(b"q\n")
    t.end(0)


def tty_resize_during_boot(command):
    t = Terminal(command, 33, 101)
    time.sleep(0.2)
    t.resize(50, 60)
    t.expect(b"size 50 60")
    t.write(b"q\n")
    t.end(0)


def tty_keys(command):
    """A shell: Ctrl-C ends what runs in it, Ctrl-D ends it."""
    t = Terminal(command)
    t.expect(b"# ")
    # The shell switches the terminal's mode around a command: keys are sent when that runs.
    t.write(b"echo on-$((1+1)); cat; echo cat-$?\n")
    t.expect(b"on-2\r\n")
    t.write(b"typed\n")
    t.expect(b"typed\r\ntyped\r\n")
    t.write(b"\x03")
    t.expect(b"^C")
    t.expect(b"# ")
    t.write(b"echo on-$((2+2)); cat; echo cat-$?\n")
    t.expect(b"on-4\r\n")
    t.write(b"\x04")
    t.expect(b"cat-0\r\n")
    t.expect(b"# ")
    t.write(b"tty; test -t 0 && test -t 1 && test -t 2 && echo all-$((1+1))\n")
    t.expect(b"/dev/pts/0\r\n")
    t.expect(b"all-2\r\n")
    t.write(b"exit 7\n")
    t.end(7)


def tty_flood(command):
    """The program writes the lines 1 to N; N is in STDIO_LINES. A terminal sends CR LF."""
    n = int(os.environ["STDIO_LINES"])
    t = Terminal(command)
    began = 0
    want = b"".join(b"%d\r\n" % i for i in range(1, n + 1)) + b"end\r\n"
    while not t.seen.endswith(b"end\r\n"):
        if not select.select([t.master], [], [], DEADLINE_S)[0]:
            fail(f"{len(t.seen)} of {len(want)} bytes came, the last {t.seen[-100:]!r}")
        began = began or time.monotonic()
        t.seen += os.read(t.master, 1 << 16)
    took = time.monotonic() - began
    if t.seen != want:
        at = next(i for i in range(len(want)) if t.seen[i:i + 1] != want[i:i + 1])
        fail(f"{len(t.seen)} bytes instead of {len(want)}, differ at {at}: {t.seen[at - 20:at + 40]!r}")
    print(f"{len(want) / 1e6:.1f} MB through a terminal: {len(want) / took / 1e6:.1f} MB/s")
    t.end(0)


def tty_error(command):
    """The command fails; the terminal is as before."""
    t = Terminal(command)
    threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(t.master, 1 << 16), b"")], daemon=True).start()
    if t.p.wait(DEADLINE_S) == 0:
        fail("the command was to fail")
    check("terminal restored", termios.tcgetattr(t.slave), t.before)


def tty_lost(command):
    """The VM dies under the session; STDIO_PID is a command that prints what to kill."""
    t = Terminal(command)
    t.expect(b"ready")
    pid = int(subprocess.run(os.environ["STDIO_PID"], shell=True, capture_output=True, check=True).stdout)
    os.kill(pid, signal.SIGKILL)
    t.end(137)


# ---- a terminal that the engine keeps

def receive_master(listener):
    listener.settimeout(DEADLINE_S)
    conn, _ = listener.accept()
    fds = array.array("i")
    data, ancillary, _, _ = conn.recvmsg(100, socket.CMSG_LEN(4))
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[:4])
    check("descriptors on the console socket", len(fds), 1)
    return fds[0]


def console(command):
    """
    COMMAND is a create or exec -d with --console-socket $STDIO_SOCKET, $STDIO_START what starts it. The program says its size
    at SIGWINCH, echoes lines, and says "hup" into $STDIO_HUP (a file on the host) when it is hung up.
    """
    path = os.environ["STDIO_SOCKET"]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    t = Terminal.__new__(Terminal)
    t.master, t.seen = receive_master(listener), b""
    t.resize(21, 43)
    check("exit of the command", p.wait(DEADLINE_S), 0)
    if os.environ.get("STDIO_START"):
        subprocess.run(os.environ["STDIO_START"], shell=True, check=True)
    t.expect(b"size 21 43")
    t.resize(30, 50)
    t.expect(b"size 30 50")
    t.write(b"some line\n")
    t.expect(b"got some line")
    os.close(t.master)
    end = time.monotonic() + 20
    while not (os.path.exists(os.environ["STDIO_HUP"]) and "hup" in open(os.environ["STDIO_HUP"]).read()):
        if time.monotonic() > end:
            fail("the program was not told that its terminal is gone")
        time.sleep(0.05)


if __name__ == "__main__":
    cases = (pump, flags, sockets, tty_size, tty_resize_during_boot, tty_keys, tty_flood, tty_error, tty_lost, console)
    {case.__name__: case for case in cases}[sys.argv[1]](sys.argv[2:])
