"""Outsiders: which of the people whom a mail names may be a customer.

An agent never is, nor is the desk. A colleague who is no agent writes from the firm's domain: he is somebody of ours as
well, unless that domain is a provider's, at which half of the world has an address.
"""

from __future__ import annotations

from channels.message import Address, Message
from routing.policy import Policy
from routing.recipients import is_inside, named_in

_PROVIDERS = """
gmail.com googlemail.com outlook.com outlook.jp hotmail.com live.com live.cn msn.com yahoo.com yahoo.com.tw
yahoo.com.hk yahoo.com.cn yahoo.co.jp ymail.com icloud.com me.com mac.com qq.com vip.qq.com foxmail.com 163.com
vip.163.com 126.com yeah.net 188.com sina.com sina.cn vip.sina.com sohu.com tom.com 139.com 189.cn 189.com wo.cn
21cn.com aliyun.com hinet.net msa.hinet.net pchome.com.tw seed.net.tw so-net.net.tw netvigator.com proton.me
protonmail.com gmx.com gmx.de gmx.net web.de zoho.com mail.com naver.com
"""
#: Where everybody may have a mailbox: to be there makes nobody a colleague.
PUBLIC = frozenset(_PROVIDERS.split())


def is_ours(value: str, policy: Policy) -> bool:
    """Whether a mail address is the desk's, an agent's, or a colleague's."""
    return is_inside(value, policy) or _domain(value) in _own_domains(policy)


def outsiders(message: Message, policy: Policy) -> tuple[Address, ...]:
    """Those of To and Cc who may be customers, in order, each once."""
    own = _own_domains(policy)
    return tuple(one for one in named_in(message, policy) if _domain(one.value) not in own)


def _own_domains(policy: Policy) -> frozenset[str]:
    theirs = [c.address for c in policy.channels.values() if c.address]
    theirs += [address for agent in policy.agents.values() for address in agent.addresses]
    return frozenset(map(_domain, theirs)) - PUBLIC


def _domain(value: str) -> str:
    return value.rpartition("@")[2].lower().rstrip(".")
