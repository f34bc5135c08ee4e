"""Identify the caller of a request and check its rights.

Any long-term key (the lab's `test`) is the administrator. Credentials that STS issued for a role are checked as on AWS:
token, expiry, SigV4 signature and its date, and the role's own policies.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.request import Request
from moto.core.utils import utcnow
from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend, Policy, iam_backends
from moto.sts.models import AssumedRole, sts_backends

from lab import settings
from lab.api.errors import ApiError
from lab.api.policies import Context, is_allowed

ADMINISTRATOR: Final = "administrator"
_PARTITION: Final = "aws"
_DATE: Final = "%Y%m%dT%H%M%SZ"
_MOST_SKEW: Final = timedelta(minutes=5)
_NOTHING: Final = '{"Statement": []}'


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The parts of an Authorization header.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
    """

    access_key_id: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_scope(authorization: str) -> Scope:
    """Read an `AWS4-HMAC-SHA256` header. Raises ApiError: MissingAuthenticationToken, IncompleteSignature."""
    if not authorization.startswith("AWS4-HMAC-SHA256"):
        raise ApiError(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
    parts = dict(part.strip().split("=", 1) for part in authorization[16:].split(",") if "=" in part)
    try:
        access_key_id, _, region, service, _ = parts["Credential"].split("/")
        return Scope(
            access_key_id=access_key_id,
            region=region,
            service=service.lower(),
            signed_headers=tuple(parts["SignedHeaders"].split(";")),
            signature=parts["Signature"],
        )
    except (KeyError, ValueError) as error:
        raise ApiError(400, "IncompleteSignature", f"Authorization header is incomplete: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Need:
    """One right that a call requires."""

    action: str
    """With its service, e.g. `ssm:GetParameter`."""
    resource: str
    """An ARN, or `*` for an action without a resource."""
    context: Context
    """Condition keys in addition to those of every request."""


def authorize(request: Request, scope: Scope, needs: Iterable[Need]) -> str:
    """Return the principal (`administrator` or the session's ARN), or raise ApiError when it lacks a right.

    `needs` are read only for a principal that is not the administrator; the first is the call itself.
    """
    if not scope.access_key_id.startswith("ASIA"):
        return ADMINISTRATOR
    session = _session(request, scope)
    _require_signature(request, scope, session)
    _require_date(request, scope)
    documents, boundary = list(_role_policies(session)), list(_boundary(session))
    common = {"aws:requestedregion": scope.region, "aws:principalaccount": settings.ACCOUNT_ID}
    caller = {"aws:sourceip": request.remote_addr} if request.remote_addr else {}
    for need in needs:
        if need.action == "sts:GetCallerIdentity":  # AWS always allows it
            continue
        # Parameter Store calls KMS for the caller, but from an address of AWS.
        source = {} if need.action == "kms:Decrypt" else caller
        request_details = (need.action, need.resource, {**common, **source, **need.context})
        # A boundary grants no rights itself: the policies and the boundary must both allow the action.
        if not is_allowed(documents, *request_details) or (boundary and not is_allowed(boundary, *request_details)):
            raise _denied(scope.service, session.arn, need.action, need.resource)
    return session.arn


def _session(request: Request, scope: Scope) -> AssumedRole:
    session = sts_backends[settings.ACCOUNT_ID][_PARTITION].get_assumed_role_from_access_key(scope.access_key_id)
    token = request.headers.get("X-Amz-Security-Token", "")
    if session is None or not compare_digest(token.encode(), session.session_token.encode()):
        if scope.service == "ec2":
            raise ApiError(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
        status, code = (400, "UnrecognizedClientException") if scope.service == "ssm" else (403, "InvalidClientTokenId")
        raise ApiError(status, code, "The security token included in the request is invalid.")
    if session.expiration <= utcnow():
        code = {"ec2": "RequestExpired", "ssm": "ExpiredTokenException"}.get(scope.service, "ExpiredToken")
        raise ApiError(403, code, "The security token included in the request is expired")
    return session


def _require_signature(request: Request, scope: Scope, session: AssumedRole) -> None:
    headers = {name: request.headers.get(name, "") for name in scope.signed_headers}
    signed = AWSRequest(method=request.method, url=request.raw_url, data=request.get_data(), headers=headers)
    signed.context["timestamp"] = request.headers.get("X-Amz-Date", "")
    credentials = Credentials(session.access_key_id, session.secret_access_key, session.session_token)
    signer = SigV4Auth(credentials, scope.service, scope.region)
    expected = signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed)
    if not compare_digest(expected, scope.signature):
        code = {"ec2": "AuthFailure", "ssm": "InvalidSignatureException"}.get(scope.service, "SignatureDoesNotMatch")
        raise ApiError(
            403,
            code,
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
        )


def _require_date(request: Request, scope: Scope) -> None:
    """Refuse a request whose signature is more than five minutes older or younger than now.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-signing.html
    """
    date, now = request.headers["X-Amz-Date"], utcnow()
    skew = datetime.strptime(date, _DATE) - now
    if abs(skew) <= _MOST_SKEW:
        return
    if skew < timedelta():
        limit, sign, words = now - _MOST_SKEW, "-", "Signature expired: {} is now earlier than"
    else:
        limit, sign, words = now + _MOST_SKEW, "+", "Signature not yet current: {} is still later than"
    code = {"ec2": "RequestExpired", "ssm": "InvalidSignatureException"}.get(scope.service, "SignatureDoesNotMatch")
    raise ApiError(403, code, f"{words.format(date)} {limit:{_DATE}} ({now:{_DATE}} {sign} 5 min.)")


def _role_policies(session: AssumedRole) -> Iterator[str]:
    iam: IAMBackend = iam_backends[settings.ACCOUNT_ID][_PARTITION]
    try:
        role = iam.get_role_by_arn(session.role_arn)
    except NotFoundException:
        return
    yield from role.policies.values()
    for policy in role.managed_policies.values():
        yield _default_document(policy)


def _boundary(session: AssumedRole) -> Iterator[str]:
    """Yield the document of the role's permissions boundary; a missing policy counts as one that allows nothing."""
    iam: IAMBackend = iam_backends[settings.ACCOUNT_ID][_PARTITION]
    try:
        arn = iam.get_role_by_arn(session.role_arn).permissions_boundary_arn
    except NotFoundException:
        return
    if arn:
        policy = iam.managed_policies.get(arn)
        yield _default_document(policy) if policy is not None else _NOTHING


def _default_document(policy: Policy) -> str:
    return next(version.document for version in policy.versions if version.is_default)


def _denied(service: str, principal: str, action: str, resource: str) -> ApiError:
    where = "" if resource == "*" else f" on resource: {resource}"
    reason = f"because no identity-based policy allows the {action} action"
    sentence = f"User: {principal} is not authorized to perform: {action}{where} {reason}"
    if service == "ec2":
        return ApiError(403, "UnauthorizedOperation", f"You are not authorized to perform this operation. {sentence}")
    if service == "ssm":
        return ApiError(400, "AccessDeniedException", sentence)
    return ApiError(403, "AccessDenied", sentence)
