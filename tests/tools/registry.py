# SPDX-License-Identifier: Apache-2.0
"""A registry of one image, for clients that can only pull: serves an OCI layout at 127.0.0.1:PORT as /v2/t. Usage: registry.py LAYOUT PORT"""
import http.server
import json
import os
import sys

layout, port = sys.argv[1], int(sys.argv[2])
manifest = json.load(open(f"{layout}/index.json"))["manifests"][0]["digest"]


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rsplit("/", 1)[-1]
        digest = name if name.startswith("sha256:") else manifest
        path = f"{layout}/blobs/sha256/{os.path.basename(digest[7:])}"
        if self.path.rstrip("/") == "/v2":
            data, kind = b"{}", "application/json"
        elif os.path.exists(path):
            data = open(path, "rb").read()
            kind = "application/vnd.oci.image.manifest.v1+json" if "/manifests/" in self.path else "application/octet-stream"
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Registry).serve_forever()
