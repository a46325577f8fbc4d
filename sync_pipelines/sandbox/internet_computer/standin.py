"""A replica of the Internet Computer with a ledger canister, to run tests and demos against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from starlette.types import ASGIApp

from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.hosted import KeyInPath
from sync_pipelines.sandbox.internet_computer.admin import administered
from sync_pipelines.sandbox.internet_computer.application import replica_application
from sync_pipelines.sandbox.internet_computer.ledger_canister import CHUNK, LedgerCanister
from sync_pipelines.sandbox.internet_computer.ledger_world import LedgerWorld
from sync_pipelines.sandbox.internet_computer.replica import Replica
from sync_pipelines.sandbox.internet_computer.subnet import Subnet
from sync_pipelines.sandbox.internet_computer.token_canister import ArchiveCanister, TokenCanister
from sync_pipelines.sandbox.internet_computer.token_ledger import TokenLedger
from sync_pipelines.sandbox.request_log import RequestLog
from sync_pipelines.sandbox.server import serve


class InternetComputerStandIn:
    """A strict stand-in of a replica that hosts the Decent Cloud canister, and a plain token on demand.

    Arguments:
        world: the ledger; three blocks of made-up traffic without it.
        chunk: most bytes of one ``data_fetch``; the real canister's unless a test wants blocks cut to pieces.
        delegated: the subnet's key is not the root key, as on all subnets but one.
        key: serves below ``/<key>`` only, as providers of hosted nodes do.

    Attributes:
        world: the ledger's state; tests read it directly and change it by its methods.
        canister: its methods.
        replica: rejects, clock, signatures, hooks, and the log of queries.
        token, archive: the canisters of :meth:`with_token`.
        faults: switchable HTTP faults in front of the replica.
        app: the ASGI application with request log and faults.
    """

    def __init__(
        self, world: LedgerWorld | None = None, *, chunk: int = CHUNK, delegated: bool = False, key: str = ""
    ) -> None:
        self.world = world if world is not None else LedgerWorld.grown(3)
        self.canister = LedgerCanister(self.world, chunk=chunk)
        self.replica = Replica([self.canister], Subnet(delegated=delegated))
        self.token: TokenCanister | None = None
        self.archive: ArchiveCanister | None = None
        self.faults = FaultInjector(replica_application(self.replica))
        hosted = KeyInPath(RequestLog(self.faults, self.replica.requests), key)
        self.app: ASGIApp = administered(hosted, self.replica, self.canister)

    def with_token(self, ledger: TokenLedger, *, archived: int = 0, page: int = 100) -> InternetComputerStandIn:
        """Host a plain token as well.

        Arguments:
            archived: how many of its first blocks an archive serves.
            page: most blocks of one answer.
        """
        self.archive = ArchiveCanister(ledger, archived, page=page) if archived else None
        self.token = TokenCanister(ledger, [self.archive] if self.archive else [], page=page)
        self.token.certify = self.replica.certificate
        self.replica.add(self.token)
        if self.archive:
            self.replica.add(self.archive)
        return self

    @contextlib.contextmanager
    def running(self, *, port: int = 0, certificate: tuple[Path, Path] | None = None) -> Iterator[str]:
        """Serve on loopback; gives the base URL.

        Arguments:
            port: TCP port; 0 lets the system choose a free one.
            certificate: files of a certificate chain and its key, to serve over TLS.
        """
        if certificate is None:
            with serve(self.app, port=port) as url:
                yield url
        else:
            chain, key = certificate
            with serve(self.app, port=port, ssl_certfile=str(chain), ssl_keyfile=str(key)) as url:
                yield url.replace("http://", "https://", 1)
