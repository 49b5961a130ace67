"""Whether a certificate is about a menu at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.certificate import Certificate


class InvalidCertificateError(ValueError):
    """A certificate that proves nothing; the message says why."""


def require_menu(problem: Problem, certificate: Certificate) -> None:
    """Raise an error if a certificate is for another menu, or its threshold is none."""
    if certificate.num_options != len(problem.options):
        raise InvalidCertificateError(
            f"it is for a menu of {certificate.num_options} options, but the menu has "
            f"{len(problem.options)}; another version made it, or it was made for "
            "other inputs: solve again"
        )
    if certificate.all_tiers != problem.all_tiers:
        raise InvalidCertificateError("it is for a menu of other memory tiers")
    if certificate.threshold_s is not None and not certificate.threshold_s > 0:
        raise InvalidCertificateError(
            f"threshold_s must be > 0, got {certificate.threshold_s!r}"
        )
