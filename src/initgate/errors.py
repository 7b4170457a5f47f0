"""Every exception of the package. An image that is not looked at always surfaces as one of these.

::

    Exception
    └── InitgateError
        ├── ConfigError        (ValueError)   a setting is wrong; names file, key and values allowed
        ├── ListRejected       (ValueError)   a hash list is malformed; names file, record, reason
        ├── SourceUnavailable  (OSError)      the bytes of a list cannot be read
        ├── ImageUnreadable    (ValueError)   no pixels could be had within the limits
        ├── AuditUnavailable   (RuntimeError) the audit log cannot be written or read
        └── InitImageRefused   (ValueError)   an integration's refusal, for the caller's eyes
"""

from __future__ import annotations


class InitgateError(Exception):
    """The root of the tree."""


class ConfigError(InitgateError, ValueError):
    """A setting is wrong. The message names the file, the key and the allowed values."""


class ListRejected(InitgateError, ValueError):
    """A hash list is malformed and was rejected whole.

    Args:
        reason: What is wrong and how to mend it.
        source: The file or list the bytes came from.
        record: The number of the line or record at fault, from 1, if one is.
        unit: What is counted: ``record`` in formats that have no lines.
    """

    def __init__(
        self, reason: str, *, source: str = "", record: int | None = None, unit: str = "line"
    ) -> None:
        where = ", ".join(
            part for part in (source, f"{unit} {record}" if record is not None else "") if part
        )
        super().__init__(f"{where}: {reason}" if where else reason)
        self.reason = reason
        self.source = source
        self.record = record


class SourceUnavailable(InitgateError, OSError):
    """The bytes of a list cannot be read."""


class ImageUnreadable(InitgateError, ValueError):
    """No pixels could be had from the input within the limits. The gate refuses such an input."""


class AuditUnavailable(InitgateError, RuntimeError):
    """The audit log cannot be written or read."""


class InitImageRefused(InitgateError, ValueError):
    """An input image was refused; nothing was generated.

    The message is the same for every reason: the caller learns the decision id, which an
    operator can look up, and which of its own arguments is meant.

    Args:
        decision_id: The id under which the decision was recorded.
        argument: The caller's argument, e.g. ``image`` or ``image[2]``.
    """

    MESSAGE = "This request was refused. Give the decision id to the operator to have it reviewed."

    def __init__(self, decision_id: str, *, argument: str = "") -> None:
        where = f" (argument: {argument})" if argument else ""
        super().__init__(f"{self.MESSAGE} Decision id: {decision_id}{where}")
        self.decision_id = decision_id
        self.argument = argument

    def __reduce__(self) -> tuple[object, ...]:
        # An exception crosses process borders (workers, queues) by its constructor's arguments.
        return (_revive_refusal, (self.decision_id, self.argument))


def _revive_refusal(decision_id: str, argument: str) -> InitImageRefused:
    return InitImageRefused(decision_id, argument=argument)
