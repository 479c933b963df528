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

    @classmethod
    def lowest(cls, *roles: "Role") -> "Role":
        """Return the role that may do least."""
        return min(roles, key=list(cls).index)

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

    def may(self, role: Role) -> bool:
        """Whether this role, or one that includes it, is theirs. For drawing; rules ``require``."""
        return self.role.includes(role)

    def require(self, role: Role) -> None:
        """Go on only with at least this role.

        :raises ForbiddenError: otherwise
        """
        if not self.may(role):
            raise ForbiddenError(
                _(
                    "The role {role} may not do this; {needed} is needed. Ask whoever administers"
                    " Capista."
                ).format(role=self.role.value, needed=role.value)
            )


LOCAL = Actor("local", Role.ADMIN)
"""Whoever sits at the machine, where there is no sign-in."""
COMMAND = Actor("command", Role.ADMIN)
"""Whoever may run commands on the machine."""
SYNC = Actor("sync", Role.EDITOR)
"""What happens by itself: a sync, Hotmart's events, the clock."""
UPKEEP = Actor("upkeep", Role.ADMIN)
"""What keeps the house in order by itself."""
