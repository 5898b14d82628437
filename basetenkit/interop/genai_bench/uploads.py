"""genai-bench's flags for uploading results -> a Storage, or a Release of GitHub: a command with `--upload-results` saves its run
in that bucket, or uploads it to that release when it has ended."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence

from ...core.errors import ConfigError
from ...core.notes import note
from ...storage.address import Storage
from ..github_releases import Release

UPLOAD = "--upload-results"
SWITCHES = (UPLOAD,)
# a flag -> the option of Storage that it fills; "" for what says nothing to the store
OPTIONS = {
    "--storage-aws-access-key-id": "access_key_id",
    "--storage-aws-secret-access-key": "secret_access_key",
    "--storage-aws-session-token": "session_token",
    "--storage-aws-region": "region",
    "--storage-aws-profile": "profile",
    "--storage-azure-account-name": "account_name",
    "--storage-azure-account-key": "account_key",
    "--storage-azure-connection-string": "connection_string",
    "--storage-azure-sas-token": "sas_token",
    "--storage-gcp-credentials-path": "credentials_file",
    "--storage-gcp-project-id": "",
    "--storage-auth-type": "",
}
GITHUB = {"--github-token": "GITHUB_TOKEN", "--github-owner": "GITHUB_OWNER", "--github-repo": "GITHUB_REPO"}
VALUES = ("--storage-provider", "--storage-bucket", "--storage-prefix", "--namespace", *OPTIONS, *GITHUB)
# a secret on a command line -> the variable to set in its place
SECRETS = {
    "--storage-aws-secret-access-key": "AWS_SECRET_ACCESS_KEY",
    "--storage-aws-session-token": "AWS_SESSION_TOKEN",
    "--storage-azure-account-key": "AZURE_STORAGE_ACCOUNT_KEY",
    "--storage-azure-connection-string": "AZURE_STORAGE_CONNECTION_STRING",
    "--storage-azure-sas-token": "AZURE_STORAGE_SAS_TOKEN",
    "--github-token": GITHUB["--github-token"],
}
_FAMILIES = {"aws": "--storage-aws-", "azure": "--storage-azure-", "gcp": "--storage-gcp-", "oci": "--storage-aws-"}
_SCHEMES = {"aws": "s3", "azure": "az", "gcp": "gs", "oci": "s3"}
_OCI = (
    "of OCI the S3-compatible address is used: give --namespace, the region as --storage-aws-region, and a customer secret key in "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; OCI's own sign-in (--auth, --storage-auth-type) is not supported"
)


def storage_of(given: Mapping[str, Sequence[str]]) -> Storage | Release | None:
    """The folder of the bucket, or the release, that a command's flags name; None without `--upload-results`. ConfigError if it is
    not whole; a UserWarning for each secret on the command line."""
    if UPLOAD not in given:
        return None
    one = {flag: values[-1] for flag, values in given.items()}
    provider = one.get("--storage-provider", "oci")
    if provider not in (*_SCHEMES, "github"):
        raise ConfigError(f"--storage-provider: {provider!r} is not supported; one of {', '.join(_SCHEMES)}, github")
    if not one.get("--storage-bucket"):
        raise ConfigError(f"{UPLOAD} needs --storage-bucket, the name of the bucket or the tag of the GitHub release")
    for flag in SECRETS.keys() & one.keys():
        why = f"other users of this machine can see a command line, and shells keep it; set {SECRETS[flag]} instead"
        warnings.warn(f"{flag}: {why}", stacklevel=3)
    if provider == "github":
        return _release(one)
    options: dict[str, object] = {
        name: one[flag]
        for flag, name in OPTIONS.items()
        if name and flag in one and flag.startswith(_FAMILIES[provider])
    }
    if provider == "oci":
        options["endpoint"] = _oci(one.get("--namespace"), options.get("region") or os.environ.get("AWS_REGION"))
    path = "/".join(part for part in (one["--storage-bucket"], one.get("--storage-prefix", "").strip("/")) if part)
    return Storage(f"{_SCHEMES[provider]}://{path}", **options)  # type: ignore[arg-type]  # as their flags give them


def _release(one: Mapping[str, str]) -> Release:
    token, owner, repo = (one.get(flag) or os.environ.get(variable) for flag, variable in GITHUB.items())
    if owner and not repo:  # as genai-bench takes it
        owner, _, repo = owner.partition("/")
    for flag, value in (("--github-owner", owner), ("--github-repo", repo), ("--github-token", token)):
        if not value:
            raise ConfigError(f"--storage-provider github needs {flag}, or {GITHUB[flag]} in the environment")
    return Release(owner or "", repo or "", one["--storage-bucket"], one.get("--storage-prefix", ""), token)


def _oci(namespace: str | None, region: object) -> str:
    if not namespace or not region:
        raise ConfigError(f"--storage-provider oci: {_OCI}")
    return f"https://{namespace}.compat.objectstorage.{region}.oraclecloud.com"


def warn_of_uploads(given: Mapping[str, Sequence[str]]) -> None:
    """Warns that a config contains no bucket, if it is made from a command that uploads."""
    if UPLOAD in given:
        why = "a RunConfig holds no bucket; give save_to='s3://bucket/path' to bk.run, or use basetenkit benchmark or %genai_bench"
        warnings.warn(str(note("flag_idle", flag=UPLOAD, why=why)), stacklevel=3)
