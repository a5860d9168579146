"""A local stand-in of the Hugging Face hub: the requests of `huggingface_hub` that upload and download a folder."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit


class Hub(ThreadingHTTPServer):
    """Repositories by kind and name: files by their paths; large files by their hash; requests in order."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def commit_id(self, repository: str) -> str:
        """Return the hash of a repository's present content."""
        content = sorted((path, hashlib.sha1(data).hexdigest()) for path, data in self.repositories[repository].items())
        return hashlib.sha1(json.dumps(content).encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def _body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, content, status=200):
        self._send(json.dumps(content).encode(), {"Content-Type": "application/json"}, status)

    def _send(self, data, headers, status=200):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _parts(self):
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.requests.append(f"{self.command} /{path}")
        return path.split("/")

    def do_POST(self):
        body = self._body()
        match self._parts():
            case ["api", "repos", "create"]:
                given = json.loads(body)
                name = f"{given.get('organization') or 'user'}/{given['name']}"
                kind = f"{given.get('type', 'model')}s"
                self.server.repositories.setdefault(f"{kind}/{name}", {})
                prefix = "" if kind == "models" else f"{kind}/"
                self._json({"url": f"{self.server.url}/{prefix}{name}", "name": name, "id": name})
            case ["api", "validate-yaml"]:
                self._json({"errors": [], "warnings": []})
            case ["api", _, _, _, "preupload", _]:
                files = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith((".safetensors", ".parquet")) else "regular",
                        "shouldIgnore": False,
                        "oid": None,
                    }
                    for file in json.loads(body)["files"]
                ]
                self._json({"files": files})
            case [*_, "info", "lfs", "objects", "batch"]:
                objects = [
                    one | {"actions": {"upload": {"href": f"{self.server.url}/large/{one['oid']}"}}}
                    for one in json.loads(body)["objects"]
                ]
                self._json({"transfer": "basic", "objects": objects})
            case ["api", kind, user, name, "commit", _]:
                self._commit(f"{kind}/{user}/{name}", [json.loads(line) for line in body.splitlines()])
            case _:
                self._json({"error": "unknown"}, 404)

    def _commit(self, repository, lines):
        files = self.server.repositories[repository]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
        commit = self.server.commit_id(repository)
        address = repository.removeprefix("models/")
        self._json({"success": True, "commitOid": commit, "commitUrl": f"{self.server.url}/{address}/commit/{commit}"})

    def do_PUT(self):
        [_, oid] = self._parts()
        data = self._body()
        is_whole = hashlib.sha256(data).hexdigest() == oid
        if is_whole:
            self.server.large[oid] = data
        self._send(b"", {}, 200 if is_whole else 400)

    def do_GET(self):
        parts = self._parts()
        match parts:
            case ["api", kind, user, name, "revision", _]:
                repository = f"{kind}/{user}/{name}"
                if repository not in self.server.repositories:
                    self._send(b"", {"X-Error-Code": "RepoNotFound"}, 404)
                    return
                siblings = [{"rfilename": path} for path in self.server.repositories[repository]]
                commit = self.server.commit_id(repository)
                self._json({"id": f"{user}/{name}", "sha": commit, "siblings": siblings, "private": True, "tags": []})
            case ["api", kind, user, name, "tree", *_]:
                files = self.server.repositories[f"{kind}/{user}/{name}"]
                self._json(
                    [
                        {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                        for path, data in files.items()
                    ]
                )
            case ["datasets", user, name, "resolve", _, *path]:
                self._file(f"datasets/{user}/{name}", "/".join(path))
            case [user, name, "resolve", _, *path]:
                self._file(f"models/{user}/{name}", "/".join(path))
            case _:
                self._json({"error": "unknown"}, 404)

    do_HEAD = do_GET  # noqa: N815 - http.server calls it by this name

    def _file(self, repository, path):
        data = self.server.repositories[repository].get(path)
        if data is None:
            self._send(b"", {"X-Error-Code": "EntryNotFound"}, 404)
            return
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": self.server.commit_id(repository)}
        self._send(data, headers)


@contextmanager
def serve_hub() -> Iterator[Hub]:
    """Serve an empty hub on a free port."""
    hub = Hub()
    thread = Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
