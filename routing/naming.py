"""Naming: which topic or kind an agent means: by its key, or by its name in any of the three languages."""

from __future__ import annotations

from collections.abc import Mapping

from routing.folding import fold, squeeze
from routing.policy import Policy
from routing.words import Kind

#: How a kind may be called, folded, beside its key.
KINDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.CONSULTATION: ("諮詢", "咨询", "問題", "问题", "question"),
    Kind.BUSINESS: ("業務辦理", "业务办理", "業務", "业务", "辦理", "办理", "business case"),
    Kind.FEEDBACK: ("意見回饋", "意见反馈", "回饋", "反馈", "意見", "意见", "建議", "建议"),
    Kind.COMPLAINT: ("客訴", "客诉", "投訴", "投诉", "抱怨"),
}


def topic_called(policy: Policy, written: str) -> str | None:
    """The key of the topic that is called so; None if none is."""
    wanted = _plain(written)
    if not wanted:
        return None
    names = ((key, (key, *topic.names.values())) for key, topic in policy.topics.items())
    return next((key for key, called in names if wanted in map(_plain, called)), None)


def kind_called(written: str) -> Kind | None:
    """The kind that is called so; None if none is."""
    wanted = _plain(written)
    return next((kind for kind, names in KINDS.items() if wanted in map(_plain, (kind.value, *names))), None)


def _plain(name: str) -> str:
    """Spelled as nobody need look twice: `Tax filing` is `tax_filing`."""
    return squeeze(fold(name).replace("-", ""))
