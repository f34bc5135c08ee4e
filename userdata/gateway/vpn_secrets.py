#!/usr/bin/env python3
"""Puts the SSH host key and the pre-shared key in place, from SSM or from user data; runs at every boot before ipsec.

The host key comes first: once it is there, an administrator who pins it can ask why the rest failed. When SSM cannot
be reached, or nothing can be written, and the secret of an earlier boot is there, that one stays. Secrets, tokens and
credentials go by pipes and files of mode 0600, never by argv, and are never printed.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append("/usr/local/lib/vpn-gateway")
from metadata import ask

HOST_KEY = Path("/etc/ssh/ssh_host_ed25519_key")
TRIES = 36
"""Times 5 s: roles, credentials and networks of a new instance come late."""


def metadata(path: str, token: str = "") -> str:
    """Return an answer of the instance metadata service; OSError says why there is none."""
    head, body = ask(path, token, 5)
    if head[9:12] != "200":
        raise OSError(f"metadata service: {head[:40]!r} for {path}")
    return str(body)


def curl_config(ssm: Any, name: str, credentials: Any) -> str:
    """Return curl's config file (curl(1), --config) for a signed GetParameter."""
    options = {
        "url": f"https://{ssm['endpoint']}/",
        "aws-sigv4": f"aws:amz:{ssm['region']}:ssm",
        "user": f"{credentials['AccessKeyId']}:{credentials['SecretAccessKey']}",
        "header": f"X-Amz-Security-Token: {credentials['Token']}",
        "header ": "X-Amz-Target: AmazonSSM.GetParameter",
        "header  ": "Content-Type: application/x-amz-json-1.1",
        "data": json.dumps({"Name": name, "WithDecryption": True}),
        "max-time": "15",
    }
    # JSON's escapes are those that curl knows.
    return "silent\nshow-error\n" + "".join(f"{option} = {json.dumps(value)}\n" for option, value in options.items())


def fetch(ssm: Any, name: str) -> str:
    """Return the value of an SSM parameter; OSError, ValueError or KeyError says why there is none."""
    token = metadata("api/token")
    role = "meta-data/iam/security-credentials/"
    config = curl_config(ssm, name, json.loads(metadata(role + metadata(role, token).strip(), token)))
    curl = subprocess.run(["curl", "--config", "-"], input=config, capture_output=True, text=True, check=False)
    if curl.returncode:
        raise OSError(curl.stderr.strip())
    answer = json.loads(curl.stdout)
    if "Parameter" not in answer:
        raise OSError(f"{answer.get('__type')}: {answer.get('message', answer.get('Message'))}")
    return str(answer["Parameter"]["Value"])


def obtain(settings: Any, what: str, tries: int) -> str:
    """Return the host key or the PSK; end with a message when SSM does not give it."""
    if what in settings:
        return str(settings[what])
    ssm, problem = settings["ssm"], ""
    for attempt in range(tries):
        time.sleep(5 if attempt else 0)
        try:
            return fetch(ssm, ssm[what])
        except (OSError, ValueError, KeyError) as error:
            problem = f"cannot read {ssm[what]} from {ssm['endpoint']}: {error}"
            print(problem, flush=True)
    sys.exit(problem)


def install_host_key(key: str, public: str) -> None:
    """Make sshd use exactly this host key, or fail when it is not the one whose public half is pinned."""
    draft = HOST_KEY.with_name("pinned")
    draft.write_text(key.strip() + "\n", encoding="ascii")
    derived = subprocess.run(["ssh-keygen", "-yf", draft], capture_output=True, text=True, check=False).stdout
    if derived.split()[:2] != public.split()[:2]:
        draft.unlink()
        sys.exit(f"the host key is not the private half of {public}")
    for old in HOST_KEY.parent.glob("ssh_host_*"):
        old.unlink()
    draft.replace(HOST_KEY)
    subprocess.run(["systemctl", "reload-or-restart", "ssh"], check=True)
    HOST_KEY.with_suffix(".pub").write_text(public, encoding="ascii")


def install_psk(psk: str, line: str, path: Path) -> None:
    """Write the secrets file of a connection, whole or not at all; leave it when it is as it should be."""
    if not psk.isprintable() or not psk.isascii() or '"' in psk:
        sys.exit("the pre-shared key has characters that ipsec.secrets cannot carry")
    text = f'{line} : PSK "{psk}"\n'.encode()
    if path.exists() and path.read_bytes() == text:
        status = path.stat()
        if status.st_uid == os.geteuid() and not status.st_mode & 0o77:
            return
    draft = path.with_suffix(".new")
    try:
        with draft.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def install(settings: Any, paths: Any, usable: bool) -> None:
    """Put both in place; `usable` says that an earlier boot has left the PSK for each connection."""
    public, pinned = settings["host_public_key"], HOST_KEY.with_suffix(".pub")
    if not pinned.exists() or pinned.read_text(encoding="utf-8") != public:
        install_host_key(obtain(settings, "host_key", TRIES), public)
    try:
        psk = obtain(settings, "psk", 2 if usable else TRIES)
    except SystemExit:
        if not usable:
            raise
        print("keeping the secret of an earlier boot")
        return
    for path, line in paths.items():
        install_psk(psk, line, path)


def main() -> None:
    """Put both in place, or end with what kept them from it."""
    os.umask(0o077)
    settings = json.loads(Path("/etc/vpn-secrets.json").read_text(encoding="utf-8"))
    paths = {Path(f"/etc/ipsec.d/{name}.secrets"): line for name, line in settings["connections"].items()}
    usable = all(path.exists() and path.read_bytes().startswith(line.encode()) for path, line in paths.items())
    try:
        install(settings, paths, usable)
    except OSError as error:
        if not usable:
            sys.exit(f"cannot write the secrets: {error}")
        print(f"keeping the secret of an earlier boot: {error}")


if __name__ == "__main__":
    main()
