"""The KMS decryptions that a read of SSM parameters requires.

A customer's key decrypts only for principals that may use it; AWS's own key decrypts for the whole account.

Source: https://docs.aws.amazon.com/systems-manager/latest/userguide/secure-string-parameter-kms-encryption.html
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from moto.ssm.models import SimpleSystemManagerBackend, ssm_backends

from lab import settings
from lab.api.policies import Context
from lab.api.resources import parameter_arn

PARAMETER_ARN: Final = "kms:encryptioncontext:parameter_arn"
"""The condition key, in lower case, with which Parameter Store names the parameter to KMS."""


def decryptions(service: str, region: str, parameters: Mapping[str, Any]) -> Iterator[tuple[str, Context]]:
    """Yield the key's ARN and the condition keys of each decryption that a call requires.

    AWS's own key is left out, because the whole account may use it.
    """
    if service != "ssm" or not parameters.get("WithDecryption"):
        return
    backend: SimpleSystemManagerBackend = ssm_backends[settings.ACCOUNT_ID][region]
    for name in (parameters.get("Name"), *(parameters.get("Names") or ())):
        parameter = backend.get_parameter(str(name)) if name else None
        if parameter is not None and str(parameter.keyid).startswith("arn:"):
            yield str(parameter.keyid), {PARAMETER_ARN: parameter_arn(region, parameter.name)}
