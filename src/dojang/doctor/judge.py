"""What trained networks say of pictures: labels that are probably wrong, and pictures that belong to no class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dojang.data.manifest import Manifest
from dojang.doctor import strangers, suspects, unseen
from dojang.doctor.findings import Finding
from dojang.doctor.unseen import Unseen
from dojang.errors import ConfigError, many
from dojang.predict.predictor import Predictor


def judgements(
    predictor: Predictor | Unseen,
    manifest: Manifest,
    digests: Sequence[str],
    threads: int,
    tick: Callable[[int], None],
) -> tuple[list[Finding], list[str]]:
    """Findings, and what is to be said of how they were made.

    Args:
        manifest: Its groups stay together where classifiers are fitted.
        digests: Of its rows; "" for those that cannot be read.
    """
    if isinstance(predictor, Predictor):
        rows, seen = suspects.features(predictor, manifest, threads=threads, tick=tick)
        found = suspects.findings(manifest, suspects.judge(manifest, rows, seen))
        far = strangers.apart(seen, manifest.targets[rows], len(manifest.classes))
        return found + strangers.findings(manifest, rows, far), []
    judged = unseen.judge(predictor, manifest, digests)
    found, notes = suspects.findings(manifest, judged), []
    left = sum(map(bool, digests)) - len(judged.rows)
    if left:
        were = many(left, "picture was", "pictures were")
        notes.append(f"{were} in no fold of the run: not judged")
    try:
        rows, far = unseen.apart(predictor, manifest, digests, judged.rows, threads=threads, tick=tick)
        found += strangers.findings(manifest, rows, far)
    except ConfigError as error:
        if error.code not in ("C240", "C248"):
            raise
        notes.append("strangers are not looked for: the network is one of your own, and what it sees is not known")
    return found, notes
