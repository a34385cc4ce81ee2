"""No part of a password or a key is shown, whatever it is made of; all else is."""

import pytest

from stepdistill.common.urls import is_url, shown, text_without_secrets, without_secrets

HIDDEN = [
    ("https://u:p@host/v1", "https://host/v1"),
    ("https://u:p@ss@host/v1", "https://host/v1"),
    ("https://u:p/ss@host/v1", "https://host/v1"),
    ("https://u:p?ss@host/v1", "https://host/v1"),
    ("https://u:p#ss@host:80/v1", "https://host:80/v1"),
    ("https://u:p/s@s@host/v1?key=x", "https://host/v1"),
    ("https://u:p@s/s@host/v1?key=x@y", "https://host/v1"),
    ("https://key@host/rows.csv", "https://host/rows.csv"),
    ("https://host/rows.csv?token=a@b&x=/c", "https://host/rows.csv"),
    ("https://host/rows.csv#token=a", "https://host/rows.csv"),
    ("s3://key:secret/part@bucket/a.csv?versionId=1", "s3://bucket/a.csv"),
    ("zip://a.csv::https://u:p@ss@host/a.zip?sig=x", "zip://a.csv::https://host/a.zip"),
    ("zip://a.csv?x::https://u:p/ss@host/a.zip", "zip://a.csv::https://host/a.zip"),
    ("simplecache::s3://key:secret@bucket/a.csv", "simplecache::s3://bucket/a.csv"),
    ("zip://a.csv::simplecache::ftp://u:p@h/a.zip", "zip://a.csv::simplecache::ftp://h/a.zip"),
    ("http://u:p@[::1]:80/v1", "http://[::1]:80/v1"),
    ("https://host/then/https://u:p@other/x", "https://host/then/https://other/x"),
]
PLAIN = [
    "http://localhost:8000/v1",
    "http://[::1]:80/a@b",
    "http://[::ffff:10.0.0.1]/v1",
    "https://host:8000/npm/rows@1.2/train.csv",
    "hf://datasets/team/rows@main/data/train.parquet",
    "s3://bucket/rows#1@2.csv",
    "memory://rows.csv",
]


@pytest.mark.parametrize(("url", "left"), HIDDEN)
def test_secrets_are_left_out(url: str, left: str) -> None:
    assert is_url(url)
    assert without_secrets(url) == shown(url) == left
    assert text_without_secrets(f"no route to {url} today") == f"no route to {left} today"


@pytest.mark.parametrize("url", PLAIN)
def test_what_is_no_secret_stays(url: str) -> None:
    assert is_url(url)
    assert without_secrets(url) == shown(url) == url


@pytest.mark.parametrize(
    "name", ["rows.csv", "./a?b@c.csv", "C:/rows.csv", "a::b.csv", "http:/x", "hub:a/b", ""]
)
def test_a_path_is_no_url_and_stays(name: str) -> None:
    assert not is_url(name)
    assert shown(name) == name


@pytest.mark.parametrize("url", ["u:p@ss@host/v1", "u:p@host/v1?key=p"])
def test_without_a_scheme_there_is_a_secret_all_the_same(url: str) -> None:
    assert without_secrets(url) == "host/v1"
