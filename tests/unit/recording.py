"""A recording monitor in place of the engine: every registration of a component, options and secretness included.

Proves what the program asks for. Does not prove what a provider or AWS makes of it. Nothing to clean up.
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks, resource
from pulumi.runtime.proto import source_pb2

from components import VpnGatewayPair

# The SDK tells the engine from which line each resource comes. The recorder has no use for that, which takes a tenth of
# the tier's time.
resource._get_stack_trace = source_pb2.StackTrace

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the marker of Pulumi's wire format

HOST_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nhost\n-----END OPENSSH PRIVATE KEY-----\n"
PSK = "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip+oD3sYvW5x6="
PPK = "Gp8Qm2Xv5Rk7Tz1Bn4Lc9Wd3Hs6Fy+aZ0uEiJoKvMx4="


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One resource as the engine is asked to register it; secrets are unwrapped, their paths are in `secrets`."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]
    secrets: frozenset[str]
    provider: str
    """Name of the explicit provider; empty for the default one."""
    parent: str
    """Name of the parent."""
    depends_on: frozenset[str]
    """Names of everything it waits for, by option or by value."""
    request: Any


def _unwrap(value: Any, path: str, secrets: set[str]) -> Any:
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET_SIGNATURE:
            secrets.add(path)
            return _unwrap(value["value"], path, secrets)
        return {key: _unwrap(each, f"{path}.{key}".lstrip("."), secrets) for key, each in value.items()}
    if isinstance(value, list):
        return [_unwrap(each, f"{path}[{n}]", secrets) for n, each in enumerate(value)]
    return value


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def address_of(name: str) -> str:
    """Return the address that an Elastic IP of this name has. Two names practically never have the same address."""
    return ".".join(map(str, (52, *sha256(name.encode()).digest()[:3])))


def public_key_of(name: str) -> str:
    """Return the public half, as one line, of the key that is generated under this name."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + sha256(name.encode()).digest()
    return f"ssh-ed25519 {b64encode(blob).decode()}"


class _Cloud(mocks.Mocks):
    """Computed outputs, as a provider would give them."""

    def __init__(self) -> None:
        self.calls: list[mocks.MockCallArgs] = []
        self.answers: dict[str, Callable[[dict[str, Any]], Any]] = {}
        """Token of a look-up -> what it answers to its arguments."""
        self.regions: dict[str, str] = {}
        """Name of a provider -> its region."""
        self.images: dict[str, tuple[str, int]] = {}
        """Image -> its architecture and GiB; images that are not here are Debian's."""

    def call(self, args: mocks.MockCallArgs) -> Any:
        """Answer a look-up: of the region, of where an instance type is offered, of an image, or what the test says."""
        self.calls.append(args)
        region = self.regions.get(_name((args.provider or "").rpartition("::")[0]), "xx-test-1")
        if args.token in self.answers:
            return self.answers[args.token](args.args)
        look_up = args.token.rpartition(":")[2]
        if look_up == "getRegion":
            return {"id": region, "region": region}
        if look_up == "getInstanceTypeOfferings":
            return {"id": region, "locations": [f"{region}-wl1-xyz-wlz-1", *(f"{region}{letter}" for letter in "cba")]}
        wanted = {each["name"]: each["values"][0] for each in args.args["filters"]}
        image = wanted.get("image-id") or f"ami-of-{wanted['name'].removesuffix('-*')}"
        usual = ("arm64" if image.endswith(("arm64", "a64")) else "x86_64", 8)
        architecture, size = self.images.get(image, usual)
        root = {"deviceName": "/dev/xvda", "ebs": {"volume_size": str(size)}}
        return {
            "id": image,
            "architecture": architecture,
            "rootDeviceName": "/dev/xvda",
            "blockDeviceMappings": [{"deviceName": "/dev/xvdb", "ebs": {}}, root],
        }

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Answer a registration."""
        name = args.name
        if args.typ == "pulumi:providers:aws":
            self.regions[name] = args.inputs["region"]
        computed: dict[str, dict[str, Any]] = {
            "aws:ec2/eip:Eip": {"publicIp": address_of(name), "allocationId": f"{name}-allocation"},
            "aws:ec2/keyPair:KeyPair": {"keyName": f"{name}-1234567"},
            "aws:ec2/networkInterface:NetworkInterface": {
                "arn": f"arn:aws:ec2:xx-test-1:123456789012:network-interface/{name}-id",
                "privateIp": (args.inputs.get("privateIps") or [""])[0],
            },
            "aws:ssm/parameter:Parameter": {
                "arn": f"arn:aws:ssm:xx-test-1:123456789012:parameter/{name}-1234567",
                "name": f"{name}-1234567",
                "version": 1,
            },
            "aws:iam/role:Role": {"name": f"{name}-1234567"},
            "aws:iam/instanceProfile:InstanceProfile": {"name": f"{name}-1234567"},
            "random:index/randomPassword:RandomPassword": {"result": PPK if name.endswith("-ppk") else PSK},
            "tls:index/privateKey:PrivateKey": {
                "privateKeyOpenssh": HOST_KEY,
                "publicKeyOpenssh": f"{public_key_of(name)}\n",
            },
            "command:remote:Command": {"stdout": f"stdout of {name}"},
            "pulumi:index:Stash": {"output": args.inputs.get("input")},
        }
        return f"{name}-id", {**args.inputs, **computed.get(args.typ, {})}


class Recorder(mocks.MockMonitor):
    """Registrations in the order they came, component outputs, and calls."""

    def __init__(self) -> None:
        self.cloud = _Cloud()
        super().__init__(self.cloud)
        self.registrations: list[Registration] = []
        self.outputs: dict[str, dict[str, Any]] = {}
        self.output_secrets: dict[str, frozenset[str]] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name of the remote procedure
        """Record what the engine would be asked, and answer."""
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]  # the SDK's
        secrets: set[str] = set()
        inputs = _unwrap(MessageToDict(request.object), "", secrets)
        if request.type != "pulumi:pulumi:Stack":
            self.registrations.append(
                Registration(
                    type=request.type,
                    name=request.name,
                    urn=response.urn,
                    inputs=inputs,
                    secrets=frozenset(secrets),
                    provider=_name(request.provider.rpartition("::")[0]) if request.provider else "",
                    parent=_name(request.parent),
                    depends_on=frozenset(_name(urn) for urn in request.dependencies),
                    request=request,
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the name of the remote procedure
        """Record the outputs of a component; there is one such call for each."""
        secrets: set[str] = set()
        name = _name(request.urn)
        assert name not in self.outputs, f"the outputs of {name} are registered twice"
        self.outputs[name] = _unwrap(MessageToDict(request.outputs), "", secrets)
        self.output_secrets[name] = frozenset(secrets)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]  # the SDK's

    def of_type(self, token: str) -> list[Registration]:
        """Return the registrations of one type."""
        return [each for each in self.registrations if each.type == token]

    def named(self, name: str) -> Registration:
        """Return the one registration of that name."""
        (found,) = [each for each in self.registrations if each.name == name]
        return found


@dataclass
class Deployment:
    """Runs programs against a fresh recorder."""

    recorder: Recorder = field(default_factory=Recorder)

    def run(self, program: Callable[[], Any], *, preview: bool = False) -> Recorder:
        """Run a program until every registration is answered; what it raises is raised here."""
        pulumi.runtime.set_mocks(
            self.recorder.cloud, project="vpn-gateway-pair", stack="test", preview=preview, monitor=self.recorder
        )
        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]  # the SDK's
        return self.recorder


def article_arguments() -> dict[str, Any]:
    """Return the article's pair, as arguments."""
    return {
        "left": {
            "name": "uk",
            "region": "eu-west-2",
            "cidr_block": "10.1.0.0/16",
            "public_subnet_cidr_block": "10.1.1.0/24",
            "private_subnet_cidr_blocks": ["10.1.10.0/24"],
            "gateway_private_ip": "10.1.1.254",
            "probe_host_private_ip": "10.1.10.41",
        },
        "right": {
            "name": "au",
            "region": "ap-southeast-2",
            "cidr_block": "172.31.0.0/16",
            "public_subnet_cidr_block": "172.31.12.0/24",
            "private_subnet_cidr_blocks": ["172.31.200.0/24"],
            "gateway_private_ip": "172.31.12.198",
            "probe_host_private_ip": "172.31.200.200",
        },
        "administrator_cidr_blocks": ["192.0.2.10/32"],
        "tags": {"owner": "network"},
    }


def deploy_pair(deployment: Deployment, args: Any, **changes: Any) -> Recorder:
    """Return what a pair with these arguments asks of the engine; `changes` replace some of them."""
    changed: Any = {**args, **changes}
    return deployment.run(lambda: VpnGatewayPair("vpn", changed))
