"""AssumeRole: only for a role that exists and trusts the caller."""

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sts.models import AssumedRole, STSBackend

from lab import settings
from lab.api.corrections import corrects
from lab.api.errors import ApiError
from lab.api.policies import trusts


class TrustingBackend(STSBackend):
    """Temporary credentials for roles.

    The lab's metadata service calls AssumeRole for an instance, with the instance's id as session name, as EC2 does on
    AWS. A role must therefore trust either ec2.amazonaws.com or the account.
    """

    @corrects(
        "A role can be assumed only by the principals that its trust policy names.",
        "STS/latest/APIReference/API_AssumeRole.html",
    )
    def assume_role(
        self,
        region_name: str,
        role_session_name: str,
        role_arn: str,
        policy: str,
        duration: int,
        external_id: str,
    ) -> AssumedRole:
        caller = f"arn:aws:sts::{settings.ACCOUNT_ID}:user/administrator"
        denied = ApiError(
            403, "AccessDenied", f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
        )
        try:
            role = iam_backends[self.account_id][self.partition].get_role_by_arn(role_arn)
        except NotFoundException:
            raise denied from None
        account = (settings.ACCOUNT_ID, f"arn:aws:iam::{settings.ACCOUNT_ID}:root", "*")
        document = role.assume_role_policy_document
        if not (trusts(document, "Service", ["ec2.amazonaws.com"]) or trusts(document, "AWS", account)):
            raise denied
        return super().assume_role(region_name, role_session_name, role_arn, policy, duration, external_id)
