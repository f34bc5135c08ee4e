"""Debian's public parameters: names of the images of a release, among them the newest.

Source: https://wiki.debian.org/Cloud/AmazonEC2Image (SSM parameters)
"""

from datetime import UTC, datetime
from typing import Final

from moto.ssm.models import Parameter, ParameterDict

from lab.api.corrections import corrects
from lab.api.images import BUILDS, CODENAMES, image_id

PREFIX: Final = "/aws/service/debian/release"


class PublicParameterDict(ParameterDict):
    """A region's parameters, with those that Debian publishes below `/aws/service/debian`."""

    def __init__(self, account_id: str, region_name: str) -> None:
        super().__init__(account_id, region_name)
        self._debian_loaded = False

    @corrects(
        "AWS and its partners publish parameters below /aws/service that every account can read.",
        "systems-manager/latest/userguide/parameter-store-public-parameters.html",
    )
    def _check_loading_status(self, key: str) -> None:
        if str(key or "").startswith("/aws/service/debian") and not self._debian_loaded:
            self._debian_loaded = True
            self._load_debian()
        super()._check_loading_status(key)

    def _load_debian(self) -> None:
        for release, builds in BUILDS.items():
            for name in (str(release), CODENAMES[release]):
                for build in builds:
                    self._publish(f"{PREFIX}/{name}/{build}/amd64", release, build, version=1)
                self._publish(f"{PREFIX}/{name}/latest/amd64", release, builds[-1], version=len(builds))

    def _publish(self, name: str, release: int, build: str, *, version: int) -> None:
        parameter = Parameter(  # type: ignore[abstract]  # moto does the same
            account_id=self.account_id,
            name=name,
            value=image_id(self.region_name, release, build),
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=datetime.strptime(build[:8], "%Y%m%d").replace(tzinfo=UTC),
            version=version,
            data_type="aws:ec2:image",
            tier="Standard",
        )
        self[name].append(parameter)
