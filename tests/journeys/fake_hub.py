"""As much of the Hugging Face hub as a push needs: repositories, files kept by their content."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import yaml
from aiohttp import web


@web.middleware
async def _known(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    is_upload = request.path.startswith("/large/")  # its address is the permission
    if not is_upload and request.headers.get("Authorization") != "Bearer hf_known":
        return web.json_response({"error": "Invalid username or password."}, status=401)
    return await handler(request)


def _at(request: web.Request, path: str) -> str:
    return str(request.url.with_path(path))


class FakeHub:
    """A hub on this machine; `files` is what was committed to its one repository."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.commits = 0
        self.created: dict[str, Any] = {}
        self.is_private = True
        self._large: dict[str, bytes] = {}

    def application(self) -> web.Application:
        """The routes."""
        made = web.Application(client_max_size=1 << 24, middlewares=[_known])
        repository = "/api/datasets/{owner}/{name}"
        made.add_routes(
            [
                web.post("/api/repos/create", self._create),
                web.post("/api/validate-yaml", self._check),
                web.get(f"{repository}/{{what:.*}}", self._about),
                web.post(f"{repository}/paths-info/main", self._paths),
                web.get("/datasets/{owner}/{name}/resolve/{revision}/{path:.*}", self._file),
                web.get(repository, self._about),
                web.post(f"{repository}/preupload/main", self._announce),
                web.post("/datasets/{owner}/{name}/info/lfs/objects/batch", self._batch),
                web.put("/large/{oid}", self._keep),
                web.post(f"{repository}/commit/main", self._commit),
            ]
        )
        return made

    async def _create(self, request: web.Request) -> web.Response:
        self.created = await request.json()
        name = f"{self.created['organization']}/{self.created['name']}"
        return web.json_response(
            {"id": name, "url": str(request.url.with_path(f"/datasets/{name}"))}
        )

    async def _check(self, request: web.Request) -> web.Response:
        content = (await request.json())["content"]
        errors = [] if content.startswith("---\n") else [{"message": "no head"}]
        return web.json_response({"errors": errors, "warnings": []}, status=400 if errors else 200)

    async def _about(self, request: web.Request) -> web.Response:
        if "/tree/" in request.path:
            found = [
                {"type": "file", "path": path, "size": len(content), "oid": "b"}
                for path, content in self.files.items()
            ]
            return web.json_response(found)
        siblings = [{"rfilename": path} for path in self.files]
        card = self.files.get("README.md", b"---\n{}\n---\n").decode().split("---\n")
        return web.json_response(
            {
                "id": "team/mine",
                "sha": "a" * 40,
                "private": self.is_private,
                "siblings": siblings,
                "cardData": yaml.safe_load(card[1]),
            }
        )

    async def _paths(self, request: web.Request) -> web.Response:
        wanted = (await request.post()).getall("paths")
        return web.json_response(
            [
                {"type": "file", "path": path, "size": len(self.files[str(path)]), "oid": "b"}
                for path in wanted
                if str(path) in self.files
            ]
        )

    async def _file(self, request: web.Request) -> web.Response:
        content = self.files.get(request.match_info["path"])
        if content is None:
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        return web.Response(body=content, headers={"ETag": '"b"', "X-Repo-Commit": "a" * 40})

    async def _announce(self, request: web.Request) -> web.Response:
        found = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".parquet") else "regular",
                "shouldIgnore": False,
            }
            for file in (await request.json())["files"]
        ]
        return web.json_response({"files": found})

    async def _batch(self, request: web.Request) -> web.Response:
        objects = [
            {
                **each,
                "actions": {
                    "upload": {"href": str(request.url.with_path(f"/large/{each['oid']}"))}
                },
            }
            for each in (await request.json())["objects"]
        ]
        return web.json_response({"transfer": "basic", "objects": objects})

    async def _keep(self, request: web.Request) -> web.Response:
        self._large[request.match_info["oid"]] = await request.read()
        return web.Response()

    async def _commit(self, request: web.Request) -> web.Response:
        self.commits += 1
        for line in (await request.read()).splitlines():
            each = json.loads(line)
            match each["key"], each["value"]:
                case "file", value:
                    self.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile", value:
                    self.files[value["path"]] = self._large[value["oid"]]
                case "deletedFile", value:
                    del self.files[value["path"]]
                case _:
                    pass
        address = _at(request, f"/datasets/team/mine/commit/{'a' * 40}")
        return web.json_response({"commitUrl": address, "commitOid": "a" * 40, "success": True})
