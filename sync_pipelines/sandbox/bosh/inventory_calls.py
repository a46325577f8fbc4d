"""``/releases``, ``/stemcells`` and ``/configs``: worked out from what is deployed."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sync_pipelines.sandbox.bosh.calls import Answer, Call, json_answer


def releases(call: Call) -> Answer:
    """Return the releases with their versions."""
    call.caller.need_any_read()
    found: dict[str, set[str]] = {}
    for deployment in call.world.deployments.values():
        for name, version in deployment.releases:
            found.setdefault(name, set()).add(version)
    rows = [
        {"name": name, "release_versions": [_release_version(name, version) for version in sorted(versions)]}
        for name, versions in sorted(found.items())
    ]
    return json_answer(rows)


def stemcells(call: Call) -> Answer:
    """Return the stemcells with the deployments that use them."""
    call.caller.need_any_read()
    users: dict[tuple[str, str], list[str]] = {}
    for deployment in call.world.deployments.values():
        for stemcell in deployment.stemcells:
            users.setdefault(stemcell, []).append(deployment.name)
    rows = [
        {
            "name": name,
            "operating_system": "-".join(name.split("-")[-2:]),
            "version": version,
            "cid": f"stemcell-{uuid5(NAMESPACE_URL, f'{name}/{version}')}",
            "cpi": "",
            "deployments": [{"name": user} for user in used_by],
            "api_version": 3,
            "id": number,
        }
        for number, ((name, version), used_by) in enumerate(sorted(users.items()), start=1)
    ]
    return json_answer(rows)


def configs(call: Call) -> Answer:
    """Return configs, newest first; of each type and name only the present one unless ``latest=false``."""
    call.caller.need_any_read()
    rows: list[dict[str, Any]] = call.world.configs
    for name in ("type", "name"):
        if name in call.query:
            rows = [row for row in rows if row[name] == call.query[name]]
    if call.query.get("latest") != "false":
        rows = [row for row in rows if row["current"]]
    return json_answer(rows)


def _release_version(name: str, version: str) -> dict[str, Any]:
    return {
        "version": version,
        "commit_hash": hashlib.sha256(f"{name}/{version}".encode()).hexdigest()[:8],
        "uncommitted_changes": False,
        "currently_deployed": True,
        "job_names": [],
    }
