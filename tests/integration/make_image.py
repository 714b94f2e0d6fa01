#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes small images for 07-try.bats: make_image.py KIND OUT ROOTFS_TAR

KIND: oci-archive, oci-layout, docker-archive (two layers, a whiteout, a configuration), or evil-* (hostile root file systems).
"""
import hashlib
import io
import json
import os
import sys
import tarfile

kind, out, rootfs = sys.argv[1:]
SAY = ('echo "hello from the image as $(id -u):$(id -g) in $(pwd), GREETING=$GREETING, later=$(cat /later), '
       'gone=$([ -e /etc/group ] && echo yes || echo no)"')


def tar_bytes(entries):
    """entries: (name, kind, data) with kind file, dir, symlink, hardlink or device."""
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w") as tar:
        for name, what, data in entries:
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if what == "file":
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
                continue
            info.type = {"dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE,
                         "device": tarfile.BLKTYPE}[what]
            info.linkname = data if what in ("symlink", "hardlink") else ""
            if what == "device":
                info.devmajor, info.devminor = 8, 0
            tar.addfile(info)
    return buf.getvalue()


EVIL = {
    "evil-absolute": [("/var/tmp/hull-evil-canary", "file", b"x")],
    "evil-dotdot": [("../../hull-evil-canary", "file", b"x")],
    "evil-hardlink-out": [("passwd", "hardlink", "../../../../etc/passwd")],
    "evil-device": [("sda", "device", None)],
    "evil-symlink-parent": [("dir", "symlink", "../../../../../../var/tmp"), ("dir/../../hull-evil-canary", "file", b"x")],
}


def sha(data):
    return hashlib.sha256(data).hexdigest()


base = open(rootfs, "rb").read()
if kind in EVIL:
    with open(out, "wb") as f:
        f.write(tar_bytes([("./bin", "dir", None), ("./etc", "dir", None)] + EVIL[kind]))
    sys.exit(0)

layers = [base, tar_bytes([("later", "file", b"yes"), ("work", "dir", None), ("etc/.wh.group", "file", b"")])]
config = json.dumps({
    "architecture": "amd64", "os": "linux",
    "config": {"Env": ["PATH=/bin", "GREETING=hi"], "Entrypoint": ["sh", "-c"], "Cmd": [SAY], "WorkingDir": "/work", "User": "1000:1000"},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(layer) for layer in layers]},
}).encode()
files = {}
if kind == "docker-archive":
    names = []
    for layer in layers:
        names.append(sha(layer) + "/layer.tar")
        files[names[-1]] = layer
    files[sha(config) + ".json"] = config
    files["manifest.json"] = json.dumps([{"Config": sha(config) + ".json", "RepoTags": ["test:latest"], "Layers": names}]).encode()
else:
    def blob(data, media):
        files["blobs/sha256/" + sha(data)] = data
        return {"mediaType": media, "digest": "sha256:" + sha(data), "size": len(data)}

    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(layer, "application/vnd.oci.image.layer.v1.tar") for layer in layers],
    }).encode()
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [blob(manifest, "application/vnd.oci.image.manifest.v1+json")]}).encode()
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'

if kind == "oci-layout":
    for name, data in files.items():
        path = os.path.join(out, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
else:
    with open(out, "wb") as f:
        f.write(tar_bytes([(name, "file", data) for name, data in files.items()]))
