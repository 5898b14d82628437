"""Flags of genai-bench that do not apply here, each with what to use in its place."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

# refused: what serves in place of it
INSTEAD = {
    "--prefix-len": "a scenario with a shared prefix, --traffic-scenario 'P(prefix,suffix)/out'",
    "--prefix-ratio": "a scenario with a shared prefix, --traffic-scenario 'P(prefix,suffix)/out'",
    "--experiment-folder-name": "save_to= of bk.run, or this flag of basetenkit benchmark",
    "--experiment-base-dir": "save_to= of bk.run, or this flag of basetenkit benchmark",
    **dict.fromkeys(
        ("--config-file", "--model-auth-type", "--auth", "--profile", "--security-token", "--region"),
        "--api-key, or MODEL_API_KEY",
    ),
}
OURS = {  # the names of `basetenkit run`
    "--concurrency": "--num-concurrency, once per level",
    "--scenario": "--traffic-scenario",
    "--requests": "--max-requests-per-run",
    "--max-requests": "--max-requests-per-run",
    "--rate": "--qps-level",
    "--url": "--api-base",
}
FAMILIES = {
    "--storage-": "--upload-results with --storage-provider, --storage-bucket, --storage-prefix",
    "--github-": "--upload-results with --storage-provider github, --github-owner, --github-repo",
    "--aws-": "an OpenAI-compatible URL in --api-base",
    "--azure-": "an OpenAI-compatible URL in --api-base",
    "--gcp-": "an OpenAI-compatible URL in --api-base",
}


def refusal(flag: str, known: Sequence[str]) -> str:
    """Why a flag does not apply, in a few words; `known`: the flags that do."""
    instead = (
        INSTEAD.get(flag)
        or OURS.get(flag)
        or next((cure for start, cure in FAMILIES.items() if flag.startswith(start)), None)
    )
    if instead is not None:
        return f"{flag} (use {instead})"
    near = difflib.get_close_matches(flag, known, 1, 0.75)
    meant = f"did you mean {near[0]}?" if near else "unknown; basetenkit benchmark --help lists the flags"
    return f"{flag} ({meant})"
