"""Who may do what. Pages, the API and the command line ask here, each time anew."""

from dataclasses import dataclass
from enum import StrEnum

from core.errors import ForbiddenError
from core.language import _


class Role(StrEnum):
    """What a person or a program may do; each role includes the ones before it."""

    VIEWER = "viewer"
    """Looks and downloads."""
    EDITOR = "editor"
    """Changes pictures and notes, and syncs."""
    ADMIN = "admin"
    """Settings, tokens, people."""

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a person, or a program by its token."""

    name: str
    role: Role
    token_id: int | None = None
    """Which token it came with: two programs may go by the same name."""

    def require(self, role: Role) -> None:
        """Go on only with at least this role.

        :raises ForbiddenError: otherwise
        """
        if not self.role.includes(role):
            raise ForbiddenError(
                _(
                    "The role {role} may not do this; {needed} is needed. Ask whoever administers"
                    " Capista."
                ).format(role=self.role.value, needed=role.value)
            )


LOCAL = Actor("local", Role.ADMIN)
"""Whoever sits at the machine, where there is no sign-in."""
SYNC = "sync"
"""Who made what no person asked for."""
