"""What a bucket's service answers when it does not do what it was asked, in words for a person."""

from __future__ import annotations

import re

from lightgpt.checkpoint.faults import BucketFault

_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_STATUS = re.compile(r"non-2xx status code: (\d{3}[ \w]*)")
_RIGHTS = "Give the key the rights to list, read, write and delete below the prefix."
_KEY = "Put a key that is valid into the Secret (or the variables) that names it: a running trainer reads it again within a minute."
_ACTIONS = {
    "NoSuchBucket": "Create the bucket, or name another in storage.s3.",
    "AccessDenied": _RIGHTS,
    "InvalidAccessKeyId": _KEY,
    "SignatureDoesNotMatch": _KEY,
    "ExpiredToken": _KEY,
    "TokenRefreshRequired": _KEY,
    "InvalidToken": _KEY,
    "RequestTimeTooSkewed": "Set the machine's clock: it differs from the service's by more than the service bears.",
    "PermanentRedirect": "Name the bucket's own region and endpoint in storage.s3.",
    "AuthorizationHeaderMalformed": "Name the bucket's own region in storage.s3.",
    "SlowDown": "The service asks for fewer requests; the next save tries again.",
    "QuotaExceeded": "Free some space in the bucket or raise its quota.",
}


def code_of(error: BaseException) -> str:
    """The service's own word for what is wrong, such as NoSuchBucket; empty when it said none."""
    match = _CODE.search(str(error))
    return match.group(1) if match else ""


def bucket_fault(where: str, verb: str, error: BaseException) -> BucketFault:
    """The fault for an operation that failed; nothing of a key or a signature gets into it."""
    code = code_of(error)
    status = _STATUS.search(str(error))
    if code:
        said = f"the service says {code}"
    elif status:
        said = f"the service says {status.group(1).strip()}"
    else:
        said = "no answer from the service"
    action = _ACTIONS.get(code, "")
    if not code and not status:
        action = "See that the endpoint is right and can be reached from here; the next save tries again."
    return BucketFault(where, f"cannot {verb}: {said}", code=code, action=action)
