"""Why a job parked itself, in plain words: what is broken, what DynamoDB said, and what fixes it."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from reindexer.models import Fault

_RENEW = ("the worker's AWS credentials are not valid any more", "renew them, then resume")
_ALLOW = ("access is denied", "give the worker that permission again, then resume")
_GONE = ("the table is gone", "bring it back as it was and resume, or cancel the job")
_LEDGER = ("the ledger cannot be written", "repair that, then resume")
_RESCAN = 'resume with another scan ({"rescan": true})'

#: Error code → (what is broken, what fixes it).
_WORDS = {
    "AccessDeniedException": _ALLOW,
    "AccessDenied": _ALLOW,
    "KMSAccessDeniedException": ("the table's encryption key may not be used", "allow it, then resume"),
    "KMSDisabledException": ("the table's encryption key is switched off", "switch it on, then resume"),
    "ExpiredTokenException": _RENEW,
    "ExpiredToken": _RENEW,
    "UnrecognizedClientException": _RENEW,
    "ResourceNotFoundException": _GONE,
    "ResourceNotFound": _GONE,
    "TableNotFoundException": _GONE,
    "StreamTrimmed": ("changes were deleted from the stream before they were read", _RESCAN),
    "StreamShardGone": ("a shard of the stream is gone", _RESCAN),
    "StreamHole": ("a part of the stream cannot be found", _RESCAN),
    "StreamReplaced": ("the stream was replaced", _RESCAN),
    "StreamDisabled": ("the stream is switched off", f"switch it on again and {_RESCAN}"),
    "StreamGone": ("the stream is gone", f"switch it on again and {_RESCAN}"),
    "TableReplaced": ("the table was replaced", "cancel this job and start a new one for the new table"),
    "LockLost": ("the job does not hold its lock any more", "cancel it; start it again once the lock is free"),
    "CodeChanged": (
        "the job's code changed",
        'resume with that code to go on with it ({"code": "…"}), or bring the old file back and resume',
    ),
    "JobMissing": ("the worker cannot run the job", "give it the job's file, restart it, then resume"),
    "JobHangs": ("the job's function hangs", "restart the worker with a better one, then resume"),
    "QueryFailed": ("the job's query fails", "repair it, restart the workers, then resume with the new code"),
    "ClockWrong": ("a worker's clock is wrong", "set it, by NTP for example, then resume"),
    "LedgerDenied": _LEDGER,
    "LedgerMissing": _LEDGER,
    "LedgerUnusable": _LEDGER,
    "LedgerUnavailable": _LEDGER,
}
#: Errors of whoever gives out credentials, by class. Of a call to STS or SSO the code names the call and a dot.
_CREDENTIALS = (
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "MetadataRetrievalError"),
    *("TokenRetrievalError", "SSOError", "SSOTokenLoadError", "UnauthorizedSSOTokenError", "NoAuthTokenError"),
    *("LoginError", "LoginTokenLoadError", "LoginRefreshRequired", "LoginRefreshTokenExpired"),
)
_UNKNOWN = ("something around the records is broken", "repair it, then resume")


def in_plain_words(fault: Fault) -> str:
    """One sentence; the code stays in it, for those who search for it."""
    of_credentials = fault.code in _CREDENTIALS or "." in fault.code
    broken, remedy = _WORDS.get(fault.code, _RENEW if of_credentials else _UNKNOWN)
    return f"{broken}: {fault.message.rstrip('. ')} ({fault.code}); {remedy}"
