#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an OCI archive with one layer and a name to stdout: make_cri_image.py LAYER_TAR NAME [ENTRYPOINT...]"""
import hashlib
import io
import json
import sys
import tarfile

layer = open(sys.argv[1], "rb").read()
files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}


def blob(data, media):
    digest = hashlib.sha256(data).hexdigest()
    files["blobs/sha256/" + digest] = data
    return {"mediaType": "application/vnd.oci.image." + media, "digest": "sha256:" + digest, "size": len(data)}


packed = blob(layer, "layer.v1.tar")
config = json.dumps({
    "architecture": "amd64", "os": "linux",
    "config": {"Env": ["PATH=/bin:/sbin", "FROM_IMAGE=yes"], "Entrypoint": sys.argv[3:] or None, "Cmd": None if sys.argv[3:] else ["sh"]},
    "rootfs": {"type": "layers", "diff_ids": [packed["digest"]]},
}).encode()
manifest = blob(json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": blob(config, "config.v1+json"), "layers": [packed],
}).encode(), "manifest.v1+json")
manifest["annotations"] = {"io.containerd.image.name": sys.argv[2], "org.opencontainers.image.ref.name": sys.argv[2]}
files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
    for name, data in files.items():
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
