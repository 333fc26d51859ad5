"""What a job author imports, nothing else."""

from boto3.dynamodb.conditions import Attr, Key

from reindexer.changes import Delete, Update
from reindexer.conditions import Condition, Name
from reindexer.items import Skip
from reindexer.job import Params

__all__ = ["Attr", "Condition", "Delete", "Key", "Name", "Params", "Skip", "Update"]
