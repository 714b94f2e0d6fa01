# SPDX-License-Identifier: Apache-2.0
"""Files: fio and many small files (bench_files.c) in a container's rootfs and volume, in a guest that has the same virtiofsd and nothing
else, and under runc."""
import json
import os
import shutil
import statistics
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
START_TIMEOUT_S = 5
PLACES = ("bare QEMU", "hull, rootfs", "hull, volume", "runc")
# What engines give: without CAP_FSETID every write asks the host to clear set-user-ID bits.
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP",
                "CAP_SYS_CHROOT", "CAP_KILL"]
KINDS = {"write-128k": ("write 128 KiB, MiB/s", 1024), "read-128k": ("read 128 KiB, MiB/s", 1024), "randread-4k": ("random reads of 4 KiB/s", 1),
         "randwrite-4k": ("random writes of 4 KiB/s", 1), "create": ("small files created/s", 1), "stat": ("looked at/s", 1), "unlink": ("removed/s", 1)}


class Files:
    def __init__(self, bench):
        self.bench, self.found = bench, {}
        self.bundle, self.volume = bench.work + "/files", bench.work + "/volume"
        self.rootfs = self.bundle + "/rootfs"

    def prepare(self):
        """A rootfs with fio and what it is linked with, and an initramfs whose init is bench_files."""
        bench = self.bench
        os.makedirs(self.rootfs + "/data")
        os.mkdir(self.volume)
        bench.must(["tar", "-C", self.rootfs, "-xf", bench.prefix + "/share/hull/try-rootfs.tar"])
        bench.must(["cc", "-O2", "-static", "-o", bench.work + "/bench-files", HERE + "/bench_files.c"])
        self.initrd = bench.append_to_initrd("bench-files", "files.img")
        shutil.copy(bench.work + "/bench-files", self.rootfs)
        for word in ["/usr/bin/fio"] + bench.must(["ldd", "/usr/bin/fio"]).split():
            if word.startswith("/"):
                os.makedirs(self.rootfs + os.path.dirname(word), exist_ok=True)
                shutil.copy(word, self.rootfs + word)
        bench.must(bench.hull + ["spec", "-b", self.bundle])

    def note(self, where, text):
        for line in text.splitlines():
            words = line.split()
            if len(words) == 3 and words[0] == "bench" and words[1] in KINDS:
                self.found.setdefault(words[1], {}).setdefault(where, []).append(float(words[2]))

    def configure(self, args):
        with open(self.bundle + "/config.json") as f:
            config = json.load(f)
        config["process"].update(terminal=False, args=["/bench-files"] + args,
                                 capabilities=dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES))
        config["root"]["readonly"] = False
        config["mounts"] = [m for m in config["mounts"] if m["destination"] != "/vol"]
        config["mounts"].append({"type": "bind", "source": self.volume, "destination": "/vol", "options": ["rbind"]})
        with open(self.bundle + "/config.json", "w") as f:
            json.dump(config, f)

    def virtiofsd(self, socket):
        """With Hull's options, and none of the bench's own capabilities missing that Hull's has not."""
        daemon = subprocess.Popen([self.bench.env["vm"]["virtiofsd"], "--socket-path=" + socket, "-f", "-o", "source=" + self.rootfs, "-o",
                                   "log_level=warn,cache=auto,timeout=1,no_flock,no_posix_lock,xattr,posix_acl,killpriv_v2",
                                   "--rlimit-nofile=4096", "--thread-pool-size=0"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not os.path.exists(socket):
            if daemon.poll() is not None or time.monotonic() > deadline:
                daemon.kill()
                raise SystemExit("bench: virtiofsd did not start: " + daemon.communicate()[1].decode(errors="replace"))
            time.sleep(0.02)
        return daemon

    def bare(self):
        vm, guest = self.bench.env["vm"], self.bench.env["guest"]
        socket, memory = self.bench.work + "/fs.sock", "%dM" % (vm["defaultMemoryBytes"] >> 20)
        accel = "tcg,thread=multi,tb-size=256" if vm["accelerator"] == "tcg" else vm["accelerator"]
        daemon = self.virtiofsd(socket)
        try:
            text = self.bench.must([
                vm["vmm"], "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35,memory-backend=mem",
                "-accel", accel, "-cpu", "host" if vm["accelerator"] == "kvm" else "max,erms=off,fsrm=off",
                "-m", memory, "-object", "memory-backend-memfd,id=mem,share=on,size=" + memory, "-smp", str(vm["defaultVcpus"]),
                "-kernel", guest["kernel"], "-initrd", self.initrd, "-append", guest["commandLine"] + " rdinit=/bench-files",
                "-device", "virtio-serial-pci", "-chardev", "stdio,id=console", "-device", "virtconsole,chardev=console",
                "-chardev", "socket,id=fs,path=" + socket, "-device", "vhost-user-fs-pci,chardev=fs,queue-size=1024,tag=bench"])
            if "bench over" not in text:
                raise SystemExit("bench: files in a bare guest: " + text)
            self.note("bare QEMU", text)
        finally:
            daemon.kill()
            daemon.communicate()
            if os.path.exists(socket):
                os.unlink(socket)

    def container(self, where, argv, args):
        self.configure(args)
        self.note(where, self.bench.must(argv + ["run", "--bundle", self.bundle, "f0"]))

    def once(self):
        # Debian's kernel has virtiofs in a module, which nobody loads in a bare guest.
        if self.bench.env["guest"]["flavour"] == "tuned":
            self.bare()
        self.container("hull, rootfs", self.bench.hull, ["/data"])
        self.container("hull, volume", self.bench.hull, ["/vol"])
        self.container("runc", self.bench.runc, ["/vol", "cached"])
        print(".", end="", flush=True)


def measure(bench):
    files = Files(bench)
    files.prepare()
    for _ in range(bench.runs):
        files.once()
    print()
    rows = ["### Files", "", "| | %s | rootfs : bare | volume : bare |" % " | ".join(PLACES), "|---|" + "---|" * (len(PLACES) + 2)]
    for kind, (title, unit) in KINDS.items():
        found = files.found[kind]
        med = {where: statistics.median(values) for where, values in found.items()}
        cells = ["%.0f" % (med[w] / unit) if w in med else "" for w in PLACES]
        for where in ("hull, rootfs", "hull, volume"):
            cells.append("%.2f" % statistics.median(a / b for a, b in zip(found[where], found["bare QEMU"])) if "bare QEMU" in med else "")
        rows.append("| %s | %s |" % (title, " | ".join(cells)))
    return "\n".join(rows)
