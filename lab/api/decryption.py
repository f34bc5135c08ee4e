"""What a read of SSM parameters asks of KMS: a customer's key decrypts only for whom it is allowed, AWS's own for all.

Source: https://docs.aws.amazon.com/systems-manager/latest/userguide/secure-string-parameter-kms-encryption.html
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from moto.ssm.models import SimpleSystemManagerBackend, ssm_backends

from lab import settings
from lab.api.policies import Context
from lab.api.resources import parameter_arn

PARAMETER_ARN: Final = "kms:encryptioncontext:parameter_arn"
"""The condition key, in lower case, by which Parameter Store tells KMS what it decrypts."""


def decryptions(service: str, region: str, parameters: Mapping[str, Any]) -> Iterator[tuple[str, Context]]:
    """Yield the key, as ARN, of each SecureString that a call wants in plain, and what KMS is told of it.

    Of keys of the account: AWS's own lets the whole account in.
    """
    if service != "ssm" or not parameters.get("WithDecryption"):
        return
    backend: SimpleSystemManagerBackend = ssm_backends[settings.ACCOUNT_ID][region]
    for name in (parameters.get("Name"), *(parameters.get("Names") or ())):
        parameter = backend.get_parameter(str(name)) if name else None
        if parameter is not None and str(parameter.keyid).startswith("arn:"):
            yield str(parameter.keyid), {PARAMETER_ARN: parameter_arn(region, parameter.name)}
