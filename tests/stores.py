"""Stores of backups in tests: a folder, and an S3-compatible server that runs in this process."""

import json
import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from tests.factories import new_slug

_REGION = "eu-central-1"
BUCKET = "backups"
VARIABLES = {"AWS_ACCESS_KEY_ID": "who", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": _REGION}


@contextmanager
def s3_server() -> Generator[str]:
    """Run an S3 server with one bucket, and lend its URL."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        # What it has is in this process, and outlives the server of whoever came before.
        httpx.post(f"{url}/moto-api/reset").raise_for_status()
        client(url).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": _REGION})
        yield url
    finally:
        server.stop()


def client(url: str) -> "boto3.client.S3":
    """Return another client of an S3 server than ours."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=_REGION,
        aws_access_key_id=VARIABLES["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=VARIABLES["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def guarded(url: str, *, allowed: Sequence[str]) -> Generator[dict[str, str]]:
    """Let an S3 server check who signs what, and lend the variables of somebody who may do some things alone."""
    iam = boto3.client("iam", endpoint_url=url, region_name=_REGION, aws_access_key_id="x", aws_secret_access_key="x")
    user = new_slug()
    iam.create_user(UserName=user)
    statement = {"Effect": "Allow", "Action": list(allowed), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=user, PolicyName="limited", PolicyDocument=policy)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    httpx.post(f"{url}/moto-api/reset-auth", content=b"0").raise_for_status()
    try:
        yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    finally:
        httpx.post(f"{url}/moto-api/reset-auth", content=b"inf").raise_for_status()


def use(patch: pytest.MonkeyPatch, url: str) -> None:
    """Let this process and those that it starts talk to an S3 server."""
    for name, value in {**VARIABLES, "AWS_ENDPOINT_URL": url}.items():
        patch.setenv(name, value)
