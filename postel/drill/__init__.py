"""packetdrill scripts against Postel in virtual time.

A script for hours runs in milliseconds, and its outcome is always the same.

>>> from postel.drill import Profile, parse, run
>>> run(parse('0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3'), Profile.named("rfc")).result
'passed'
"""

from postel.drill.grammar import parse as parse
from postel.drill.profile import Profile as Profile
from postel.drill.runner import Outcome as Outcome
from postel.drill.runner import run as run
