"""What a job author imports, nothing else."""

from boto3.dynamodb.conditions import Attr, Key

from reindexer.items import Skip
from reindexer.jobs.changes import Delete, Update
from reindexer.jobs.conditions import Condition, Name
from reindexer.jobs.job import Params

__all__ = ["Attr", "Condition", "Delete", "Key", "Name", "Params", "Skip", "Update"]
