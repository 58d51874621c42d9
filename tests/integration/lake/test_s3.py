"""The lake in a bucket, on a server that speaks the S3 protocol over loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotdash_pipelines.lake.partition import (
    LakeCorruption,
    LakeError,
    folder_of,
    partitions,
    prune_pages,
    read_manifest,
    read_pages,
)
from hotdash_pipelines.storage import StoreError, open_store
from hotdash_pipelines.storage.bucket import S3Store
from tests.synthetic import FETCHED_AT, KEY, PROJECT, contract_of, read_table, synthetic, write

ORDERS = contract_of("shopify", "orders")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> S3Store:
    """A store under a prefix of a fresh bucket."""
    import boto3

    for name, value in {
        "ACCESS_KEY_ID": "test",
        "SECRET_ACCESS_KEY": "very-secret",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    bucket = f"lake-{abs(hash(request.node.name))}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=bucket)
    store = open_store(f"s3://{bucket}/some/prefix", endpoint)
    assert isinstance(store, S3Store)
    return store


def test_files_are_written_listed_and_deleted_below_the_prefix(store: S3Store) -> None:
    store.write("a/b/one", b"1")
    store.write("a/two", b"2")
    store.write("ab/three", b"3")
    assert store.read("a/b/one") == b"1"
    assert store.list("a") == ["a/b/one", "a/two"]
    assert store.list("") == ["a/b/one", "a/two", "ab/three"]
    assert store.exists("a/two")
    store.delete("a/two")
    store.delete("a/two")
    assert not store.exists("a/two")
    with pytest.raises(FileNotFoundError):
        store.read("a/two")
    assert store.uri("x").endswith("/some/prefix/x")


def test_a_listing_longer_than_one_page_is_complete(store: S3Store) -> None:
    for number in range(1001):
        store.write(f"many/{number:04}", b"")
    assert len(store.list("many")) == 1001


def test_a_partition_is_written_read_and_collected_as_in_a_folder(store: S3Store) -> None:
    tables = synthetic(ORDERS, 20, children={"order_lines": 2})
    write(store, ORDERS, synthetic(ORDERS, 20, salt=1))
    manifest = write(store, ORDERS, tables)
    assert read_manifest(store, ORDERS, PROJECT, KEY) == manifest
    assert read_manifest(store, ORDERS, PROJECT, "2025-03-02") is None
    for name, table in tables.items():
        assert read_table(store, ORDERS, manifest, name).equals(table)
    assert list(read_pages(store, ORDERS, manifest)) == [b'{"page": 1}']
    assert partitions(store, ORDERS, PROJECT) == [KEY]
    named = {entry.name for entry in manifest.files} | {manifest.pages_file, "manifest.json"}
    assert {path.rsplit("/", 1)[1] for path in store.list(folder_of(ORDERS, PROJECT, KEY))} == named
    assert prune_pages(store, ORDERS, PROJECT, FETCHED_AT.replace(year=2026)).keys == (KEY,)


def test_a_flipped_bit_in_the_bucket_is_found(store: S3Store) -> None:
    manifest = write(store, ORDERS, synthetic(ORDERS, 20))
    path = f"{folder_of(ORDERS, PROJECT, KEY)}/{manifest.files[0].name}"
    content = bytearray(store.read(path))
    content[100] ^= 1
    store.write(path, bytes(content))
    with pytest.raises(LakeCorruption, match=rf"shopify/orders {KEY}: s3://.*sha256 differs"):
        read_table(store, ORDERS, manifest, "orders")


def test_a_bucket_that_is_not_there_names_the_partition_and_the_setting(store: S3Store, endpoint: str) -> None:
    missing = open_store("s3://no-such-bucket/x", endpoint)
    with pytest.raises(LakeError, match=rf"shopify/orders {KEY}: .*NoSuchBucket.*HOTDASH_LAKE_URL") as caught:
        write(missing, ORDERS, synthetic(ORDERS, 1))
    assert "\n" not in str(caught.value)


def test_a_server_that_does_not_answer_is_one_line_without_credentials(store: S3Store) -> None:
    dead = open_store("s3://bucket/x", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match="cannot be used") as caught:
        dead.read("a")
    assert "\n" not in str(caught.value)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("part_bytes", [5 << 20, 64 << 20], ids=["in parts", "at once"])
def test_an_added_object_is_never_overwritten(
    store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_bytes: int
) -> None:
    monkeypatch.setattr("hotdash_pipelines.storage.bucket._PART_BYTES", part_bytes)
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 24_000)
    store.add("a/b", source)
    with pytest.raises(FileExistsError):
        store.add("a/b", source)
    # What another machine added between the look and the write is refused by the bucket itself.
    monkeypatch.setattr(S3Store, "exists", lambda *_: False)
    with pytest.raises(FileExistsError):
        store.add("a/b", source)
    store.fetch("a/b", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert store.size("a/b") == source.stat().st_size
