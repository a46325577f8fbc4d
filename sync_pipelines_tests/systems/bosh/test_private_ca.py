from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.sandbox.server import serve
from sync_pipelines_tests.systems.bosh.director import Director, info, reply, token

CERTIFICATES = Path(__file__).parent / "tls"
CA = CERTIFICATES / "ca.pem"


@pytest.fixture
def secure() -> Iterator[Director]:
    """A Director behind TLS, whose certificate is of a private CA."""
    director = Director()
    director.answers("/info", info())
    director.answers("/deployments", reply([]))
    certificate, key = CERTIFICATES / "server.pem", CERTIFICATES / "server-key.pem"
    with serve(director, ssl_certfile=certificate, ssl_keyfile=key) as url:
        director.url = url.replace("http:", "https:")
        yield director


@pytest.mark.parametrize("ca", [str(CA), CA.read_text()], ids=["path", "text"])
def test_a_director_is_trusted_by_its_private_ca(secure: Director, ca: str) -> None:
    assert secure.talk(lambda client: client.deployments(), ca=ca).entries == ()


def test_the_uaa_is_trusted_by_the_same_ca(secure: Director) -> None:
    secure.answers("/info", info("uaa", secure.url))
    secure.answers("/oauth/token", token())
    assert secure.talk(lambda client: client.deployments(), ca=str(CA)).scope.identity == "bosh.read"


def test_without_the_ca_nothing_is_sent(secure: Director) -> None:
    failed = secure.refused(lambda client: client.deployments())
    assert (failed.kind, "not trusted" in failed.message) == (FailureKind.TRANSIENT, True)
    assert secure.paths == []


def test_no_secret_leaves_a_secure_director_for_an_open_uaa(secure: Director) -> None:
    secure.answers("/info", info("uaa", secure.url.replace("https:", "http:")))
    assert secure.refused(lambda client: client.deployments(), ca=str(CA)).kind is FailureKind.PERMANENT
    assert secure.paths == ["/info"]
