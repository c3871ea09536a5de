"""What clients send and receive as a tenant's settings."""

from typing import ClassVar, Literal, Self
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, convert

Registration = Literal["open", "invite_only", "closed"]


class Decided(Struct):
    """What the tenant has decided; None where it has not."""

    registration: str | None = None
    require_if_match: bool | None = None


class Settings(Struct):
    """The settings of the tenant."""

    registration: Registration = "invite_only"
    """Who may become a user: whoever asks, who was invited, or nobody."""
    require_if_match: bool = False
    """Whether nothing is changed or deleted without a header If-Match, where the address takes one."""

    @classmethod
    def of(cls, decided: Decided) -> Self:
        """Return what holds: what was decided, and defaults for the rest."""
        made = {name: value for name in cls.__struct_fields__ if (value := getattr(decided, name)) is not None}
        return convert(made, cls)


class SettingsPatch(Struct, forbid_unknown_fields=True):
    """What to change of the settings; fields that are absent stay, null is the default again."""

    registration: Registration | UnsetType | None = UNSET
    require_if_match: bool | UnsetType | None = UNSET


class OwnTenant(Struct):
    """The tenant of the caller."""

    tagged_by: ClassVar[tuple[str, ...]] = ("id", "settings")
    noted_by: ClassVar[tuple[str, ...]] = ("slug",)
    """Admins change it, and every process hears of it by itself: what was decided on settings stands."""

    id: UUID
    slug: str
    settings: Settings
