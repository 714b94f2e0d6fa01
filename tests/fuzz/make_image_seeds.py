#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_image.c: make_image_seeds.py DIRECTORY. The first byte is the choice made there."""
import gzip
import hashlib
import io
import json
import lzma
import os
import struct
import sys
import tarfile

ROOTFS, OCI, DOCKER, LAYERS, INDEX, MANIFEST, CONFIG, DOCKER_MANIFEST = range(8)


def tar(*members, fmt=tarfile.PAX_FORMAT):
    """(type, name, text) each; type as in tests/unit/image_make.h, or a dict of pax records behind them."""
    types = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE,
             "p": tarfile.FIFOTYPE, "c": tarfile.CHRTYPE}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as archive:
        for kind, name, text, *pax in members:
            info = tarfile.TarInfo(name)
            info.type = types[kind]
            info.mode = 0o4755
            info.uid, info.gid, info.mtime = 1000, 42, 7
            info.pax_headers = pax[0] if pax else {}
            if kind == "f":
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text))
            else:
                info.linkname = text.decode()
                archive.addfile(info)
    data = out.getvalue()
    # The padding to 10 KiB only makes a fuzzer slow.
    return data[:(len(data.rstrip(b"\0")) + 511) // 512 * 512 + 1024]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def oci_files(layer):
    blobs = {}

    def put(data, kind):
        blobs["blobs/sha256/" + sha256(data)] = data
        return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + sha256(data), "size": len(data)}
    config = put(b'{"architecture":"amd64","config":{"Cmd":["/a"]}}', "config.v1+json")
    manifest = json.dumps({"config": config, "layers": [put(layer, "layer.v1.tar+gzip")]}).encode()
    index = {"manifests": [{**put(manifest, "manifest.v1+json"), "platform": {"os": "linux", "architecture": "amd64"},
                            "annotations": {"org.opencontainers.image.ref.name": "a:b"}}]}
    return {**blobs, "oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}


def docker_files(layer):
    config = json.dumps({"config": {"Env": ["A=b"]}, "rootfs": {"diff_ids": ["sha256:" + sha256(layer)]}}).encode()
    name = sha256(config) + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["a:b"], "Layers": ["l/layer.tar"]}]).encode()
    return {name: config, "manifest.json": manifest, "data": layer}


def pack(files, *more):
    return tar(*[("f", name, data) for name, data in files.items()], *more)


def main(directory):
    lower = tar(("d", "./", b""), ("f", "usr/bin/sh", b"text" * 200), ("l", "bin", b"usr/bin"), ("h", "bin/ash", b"usr/bin/sh"),
                ("p", "fifo", b""), ("f", "n" * 150, b"", {"SCHILY.xattr.user.a": "b"}), ("f", "dir/a", b"1"))
    upper = tar(("f", "bin/ls", b"2"), ("f", "dir/.wh..wh..opq", b""), ("f", ".wh.fifo", b""), ("f", "dir/b", b"3"),
                ("d", "bin", b""))
    sparse = tar(("f", "sparse", b"2\n0\n4\n100\n0\n".ljust(512, b"\0") + b"data",
                  {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": "100"}))
    hostile = [tar(m) for m in (("f", "../up", b"x"), ("f", "/hull-escaped", b"x"), ("h", "h", b"/etc/passwd"),
                                ("c", "null", b""), ("h", "h", b"../canary"))]
    climbing = tar(("l", "up", b"../.."), ("f", "up/canary", b"x"), ("h", "c", b"up/canary"))
    docker = pack(docker_files(lower), ("l", "l/layer.tar", b"../data"))
    oci = oci_files(gzip.compress(lower, mtime=0))
    named = {f"hostile-{i}": (ROOTFS, data) for i, data in enumerate(hostile)}
    named.update({
        "rootfs": (ROOTFS, lower), "rootfs-gz": (ROOTFS, gzip.compress(lower, mtime=0)), "sparse": (ROOTFS, sparse),
        "rootfs-xz": (ROOTFS, lzma.compress(lower)), "climbing": (ROOTFS, climbing),
        "gnu": (ROOTFS, tar(("f", "n" * 150, b"x"), ("l", "l", b"t" * 150), fmt=tarfile.GNU_FORMAT)),
        "oci": (OCI, pack(oci)), "oci-gz": (OCI, gzip.compress(pack(oci), mtime=0)),
        "docker": (DOCKER, docker), "docker-gz": (DOCKER, gzip.compress(docker, mtime=0)),
        "layers": (LAYERS, struct.pack("<H", len(lower) // 512) + lower + upper),
        "index": (INDEX, oci["index.json"]),
        "manifest": (MANIFEST, next(v for v in oci.values() if b'"layers"' in v)),
        "config": (CONFIG, b'{"architecture":"amd64","config":{"Cmd":["/a"],"Env":["A=b"],"User":"u","WorkingDir":"/"}}'),
        "docker-manifest": (DOCKER_MANIFEST, docker_files(lower)["manifest.json"]),
    })
    os.makedirs(directory, exist_ok=True)
    for name, (choice, data) in named.items():
        with open(os.path.join(directory, name), "wb") as f:
            f.write(bytes([choice]) + data)


if __name__ == "__main__":
    main(sys.argv[1])
