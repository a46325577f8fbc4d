"""What is wanted of the Director for writing: the text of a manifest, and whether a deployment is there."""

from __future__ import annotations

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.deployments.confidence import look_at
from sync_pipelines.pipelines.deployments.manifest import text_digest
from sync_pipelines.pipelines.deployments.scan import DirectorScan
from sync_pipelines.systems.bosh import PEER, BoshClient, DeploymentGone


class DirectorTexts:
    """Gives out the text that this run compared, and asks the Director itself for everything else.

    Arguments:
        scan: has the texts that it read; told when what it knows is out of date.
    """

    def __init__(self, client: BoshClient, scan: DirectorScan) -> None:
        self._client = client
        self._scan = scan

    async def manifest(self, name: str, sha256: str) -> str:
        """Return the manifest of a deployment, which has exactly this digest. One that is kept is given out once.

        Raises:
            PeerError: (transient) the deployment was changed or deleted since it was read; or it cannot be asked.
        """
        if (kept := self._scan.texts.take(sha256)) is not None:
            return kept
        try:
            text = await self._client.manifest(name)
        except DeploymentGone:
            # Not "gone": that would be said of the instance in Vault.
            raise await self._out_of_date(name, "it was deleted since it was read") from None
        if text is None or text_digest(text) != sha256:
            raise await self._out_of_date(name, "it was changed since it was read")
        return text

    async def is_present(self, name: str) -> bool:
        """Say whether the Director has a deployment of this name now, or has its instance under another name."""
        instance_id = look_at(name, None, ()).named_id
        if instance_id is not None and any(
            seen.outcome.instance_id == instance_id for seen in self._scan.seen if seen.name != name
        ):
            return True
        return await self._client.is_present(name)

    async def _out_of_date(self, name: str, reason: str) -> PeerError:
        # Otherwise the next run would want the same old text.
        await self._scan.forget_cached([name])
        message = f"{reason}; the next run reads it anew"
        return PeerError(PEER, FailureKind.TRANSIENT, message, key=name, operation="GET /deployments/NAME")
