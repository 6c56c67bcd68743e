"""The process that asks Hugging Face's hub what a repository has: `python -m ... ORG/REPO`.

It is a process of its own, because the server's changes the standard library, which the hub's
client does not expect. It writes one line of JSON (`Listing` or `Failure`) to its standard output.
The token comes from HF_TOKEN alone, the hub's address from HF_ENDPOINT.
"""

from __future__ import annotations

import os
import sys

from cria.model_store.hub_messages import Failure, HubFile, Listing, encode

TIMEOUT_SECONDS = 30.0


def main(repository: str) -> Listing | Failure:
    """What the repository has, or why that cannot be said."""
    # Not before this line: it takes its settings from the environment.
    from huggingface_hub import errors
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    # A stored token would go to wherever HF_ENDPOINT points.
    token = os.environ.get("HF_TOKEN") or False
    try:
        return _listing(repository, token)
    except errors.GatedRepoError:
        return Failure("gated")
    except errors.RepositoryNotFoundError:
        return Failure("missing")
    except OfflineModeIsEnabled:
        return Failure("offline")
    except HfHubHTTPError as error:
        return Failure("refused", str(error.response.status_code))
    except Exception as error:  # whatever its HTTP library raises
        return Failure("unreachable", type(error).__name__)


def _listing(repository: str, token: str | bool) -> Listing:
    from huggingface_hub import HfApi, hf_hub_url

    api = HfApi(token=token)
    info = api.model_info(repository, files_metadata=True, timeout=TIMEOUT_SECONDS)
    commit, files = info.sha or "main", []
    for sibling in info.siblings or []:
        url = hf_hub_url(repository, sibling.rfilename, revision=commit, endpoint=api.endpoint)
        digest = sibling.lfs.sha256 if sibling.lfs else None
        files.append(HubFile(sibling.rfilename, sibling.size or 0, digest, url))
    return Listing(files)


if __name__ == "__main__":
    sys.stdout.buffer.write(encode(main(sys.argv[1])) + b"\n")
