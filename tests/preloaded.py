"""What is imported, and read, before anything is forked from it; see `tests.forked`."""

from __future__ import annotations

import functools
import gc

import boto3
import botocore.loaders
from temporalio.worker._worker import load_default_build_id

import starter
import worker
from tests import cli

__all__ = ["cli", "starter", "worker"]

# Each process would hash the code of 2,000 modules, and read AWS's models for each of its clients: half of the
# CPU that a start takes. Neither opens a connection.
load_default_build_id()
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)
for _service in ("dynamodb", "dynamodbstreams"):
    boto3.session.Session().client(_service, region_name="us-east-1")

# Else the collector of each fork looks through all of it, and so copies its memory.
gc.collect()
gc.freeze()
