"""Backups in a bucket, on a server that speaks the S3 protocol over loopback."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.agent.seed import seed
from hotdash_pipelines.operations.backup.files import DATA, BackupError, list_backups
from hotdash_pipelines.operations.backup.prune import prune
from hotdash_pipelines.operations.backup.run import create_backup
from hotdash_pipelines.operations.backup.verify import verify_decode, verify_quick
from hotdash_pipelines.storage import StoreError, open_store
from hotdash_pipelines.storage.bucket import S3Store
from hotdash_pipelines.warehouse.postgres import connect
from tests.backup_copies import add_copy

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3

    for name, value in {
        "ACCESS_KEY_ID": "a",
        "SECRET_ACCESS_KEY": "very-secret",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return boto3.client("s3", endpoint_url=endpoint)


@pytest.fixture
def store(client: Any, endpoint: str, request: pytest.FixtureRequest) -> S3Store:
    bucket = f"backups-{abs(hash(request.node.name))}"
    client.create_bucket(Bucket=bucket)
    opened = open_store(f"s3://{bucket}/of/this/shop", endpoint, "HOTDASH_BACKUP_URL")
    assert isinstance(opened, S3Store)
    return opened


def test_a_backup_goes_to_a_bucket_and_every_bit_of_it_counts(
    warehouse_url: str, store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(warehouse_url, autocommit=True) as conn:
        seed(conn, NOW)
    add = S3Store.add

    def add_damaged(self: S3Store, path: str, source: Path) -> None:
        if path.endswith(DATA):
            damaged = bytearray(source.read_bytes())
            damaged[len(damaged) // 2] ^= 4
            source = tmp_path / "damaged"
            source.write_bytes(damaged)
        add(self, path, source)

    with monkeypatch.context() as patched:
        patched.setattr(S3Store, "add", add_damaged)
        with pytest.raises(BackupError, match="sha256 differs"):
            create_backup(warehouse_url, store, now=NOW, scratch=tmp_path / "scratch")
    assert store.list("") == []

    made = create_backup(warehouse_url, store, now=NOW, scratch=tmp_path / "scratch", key="k")
    assert made.location.startswith("s3://")
    assert verify_decode(store, made.id, "k") == verify_quick(store, made.id, "k") == made.manifest
    assert [one.state for one in list_backups(store, "k")] == ["valid"]
    content = bytearray(store.read(f"{made.id}/{DATA}"))
    content[100] ^= 1
    store.write(f"{made.id}/{DATA}", bytes(content))
    for verify in (verify_quick, verify_decode):
        with pytest.raises(BackupError, match="sha256 differs"):
            verify(store, made.id, "k")


def test_pruning_leaves_what_another_machine_may_be_writing(store: S3Store, client: Any) -> None:
    ids = [add_copy(store, day) for day in range(3)]
    old, young = f"{NOW - timedelta(days=2):%Y%m%dT%H%M%SZ}-0000000a", f"{NOW:%Y%m%dT%H%M%SZ}-0000000b"
    bucket, _, prefix = store.uri("").removeprefix("s3://").partition("/")
    for backup_id in (old, young):
        store.write(f"{backup_id}/{DATA}", b"half")
    in_parts = f"{NOW - timedelta(days=3):%Y%m%dT%H%M%SZ}-0000000c"
    client.create_multipart_upload(Bucket=bucket, Key=f"{prefix}{in_parts}/{DATA}")
    done = prune(store, 2, now=NOW)
    assert done.removed == ids[:1]
    assert done.swept == [in_parts, old]
    assert {one.id: one.state for one in list_backups(store)} == {
        ids[1]: "valid",
        ids[2]: "valid",
        young: "unfinished",
    }
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


@pytest.mark.usefixtures("client")
def test_a_bucket_that_fails_is_told_in_one_line_without_its_secret(
    warehouse_url: str, tmp_path: Path, endpoint: str
) -> None:
    missing = open_store("s3://no-such-bucket/x", endpoint, "HOTDASH_BACKUP_URL")
    with pytest.raises(StoreError, match="HOTDASH_BACKUP_URL") as caught:
        create_backup(warehouse_url, missing, now=NOW, scratch=tmp_path / "scratch")
    assert "\n" not in str(caught.value)
    assert "very-secret" not in str(caught.value)
