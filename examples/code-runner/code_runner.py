#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP service that runs snippets of code that nobody trusts: no network, no privileges, a
read-only root, limits on time, memory, processes and output.

    code_runner.py <data root> <image> [--port n] [--parallel n] -- <command> [<argument>...]

    code_runner.py /srv/boxes python --port 8000 -- python3 -
    curl --data-binary 'print(6 * 7)' http://127.0.0.1:8000/

The snippet is the command's stdin. The answer: {"output", "errors", "exit_code", "end", "milliseconds"},
where `end` is "exited", "timeout", "oom", "output_limit" or "signal".
"""

import argparse
import http.server
import json
import threading
import time

import minibox

MAX_SNIPPET = 256 << 10
LIMITS = {
    "network": "none", "user": "65534:65534", "read_only": True, "cap_drop": ["ALL"],
    "memory": 64, "memory_swap": 64, "pids_limit": 32, "timeout": 10, "tmpfs": {"/tmp": "size=16m"},
}
MAX_OUTPUT = 64 << 10


class Runner:
    def __init__(self, engine, image, command, parallel):
        self.engine = engine
        self.image = image
        self.command = command
        self.slots = threading.BoundedSemaphore(parallel)

    def run(self, snippet):
        with self.slots:
            begin = time.monotonic()
            done = self.engine.run(self.image, self.command, input=snippet, limit=MAX_OUTPUT, **LIMITS)
            took = time.monotonic() - begin
        return {"output": done.stdout.decode("utf-8", "replace"),
                "errors": done.stderr.decode("utf-8", "replace"),
                "exit_code": done.returncode, "end": done.end, "milliseconds": round(took * 1000, 2)}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    runner = None

    def do_POST(self):
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            return self.answer(411, {"error": "Content-Length is missing"})
        if not 0 <= length <= MAX_SNIPPET:
            self.close_connection = True
            return self.answer(413, {"error": f"at most {MAX_SNIPPET} bytes"})
        try:
            return self.answer(200, self.runner.run(self.rfile.read(length)))
        except minibox.MiniBoxError as error:
            return self.answer(500, {"error": str(error), "reason": error.reason})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root")
    parser.add_argument("image")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--parallel", type=int, default=16)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    with minibox.Engine(arguments.root) as engine:
        Handler.runner = Runner(engine, arguments.image, arguments.command, arguments.parallel)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
        server.request_queue_size = 128
        print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
