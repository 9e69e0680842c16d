"""`regista.publish` and `regista.load`. For editors and type checkers.

`python -m tools.contracts` writes this file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regista.choices import Kind, Tier, Via
from regista.client.publication import Publication
from regista.loading.loaded import Loaded
from regista.progress import Progress
from regista.publishing.tracking import Run
from regista.shapes.registry import Parent, Signature, Training

def publish(
    model: str,
    artifact: str | Path | None = None,
    run: Run | None = None,
    *,
    via: Via = "",
    progress: Progress | None = None,
    follow_links: bool = False,
    kind: Kind = "model",
    training: Training | Mapping[str, Any] | None = None,
    schema: Signature | Mapping[str, Any] | None = None,
    signature: Signature | Mapping[str, Any] | None = None,
    creator: str | None = None,
    on_behalf_of: str = "",
    run_url: str = "",
    description: str | None = None,
    owner: str | None = None,
    tier: Tier | None = None,
    tags: Mapping[str, str] | None = None,
    draft: bool = False,
    version: str = "",
    exact: bool = False,
    compare_with: int | str | None = None,
    base: int | str | None = None,
    parents: Sequence[Parent | Mapping[str, Any]] = (),
    strict: bool = False,
) -> Publication:
    """Upload the artifact (a file or folder) and publish ModelTrained; `wait()` then gives the version.

    ModelTrained is sent to Kafka, signed, where Kafka is configured, else over HTTP; `via` ("kafka",
    "http") selects one. `run` comes from `regista.capture`; `training` and `schema` add to it or
    replace it; `signature` is the former name of `schema`. `creator` defaults to the profile's. `draft`
    registers without the mandatory metadata. `version` claims a version or a bump, `exact` refuses
    instead of raising the claim, `compare_with` is the version to compare with, `base` its former name.
    `description`, `owner`, `tier` and `tags` describe a new model; later only the tier rises. `strict`
    refuses the version when one is not taken; else its `registration_notes` name it. `follow_links`
    reads links to files as files. `progress` is as in `load`.

    Before the upload, raises Refused when metadata are missing or wrong, and Forbidden when the publisher
    lacks the role there. Raises Refused over HTTP when the registry refuses the version; other
    RegistaErrors. A message on Kafka has its outcome later: `wait()` raises
    it, and a warning at the end of the program reports what was not waited for.
    """

def load(
    reference: str,
    *,
    environment: str = "production",
    progress: Progress | None = None,
    offline: bool | None = None,
) -> Loaded:
    """Return the verified files of `model@production`, `@latest`, `@alias`, `@3` or `@1.2.0`.

    Files that are not in the cache are downloaded; every file is verified. For a version that was just
    published the call waits until the artifact service has verified its bytes. `environment` is where the
    use is counted. While the registry does not answer, a version that was loaded before is taken from the
    cache, and a warning states when the registry last confirmed it; with `offline=False` it is not.
    `offline=True` sends no request, nor a report of use. `progress`: None shows a bar on a terminal and a
    line in a notebook, and nothing in CI; True and False decide, and a function (name of a file, bytes
    done, bytes in all) reports. A version that was made from a withdrawn one is loaded with the warning
    WithdrawnAncestor. Raises NotFound, RuleBroken (withdrawn, retired, a draft, not available), Damaged,
    TimedOut and Unavailable.
    """
