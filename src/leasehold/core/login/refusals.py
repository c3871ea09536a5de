"""Why somebody is not let in, or may not change what they log in by."""

from typing import Literal

from leasehold.core.errors import Conflict, FieldError, Invalid, Unauthenticated

Proof = Literal["proved", "not_asked", "missing", "wrong"]
"""What a code proves of who was asked for one."""

LoginRefusal = Literal["credentials", "code_missing", "code_wrong"]
"""Why a log-in is refused; returned, so that its traces are committed, and raised behind that."""


class InvalidCredentials(Unauthenticated):
    """The account or the password is wrong."""

    type = "invalid-credentials"
    title = "Invalid credentials"


class SecondFactorRequired(Unauthenticated):
    """The password is right; log in with it and a code of the authenticator app."""

    type = "second-factor-required"
    title = "Second factor required"


class WrongSecondFactor(Unauthenticated):
    """The code is wrong, or was used before."""

    type = "wrong-second-factor"
    title = "Wrong second factor"


REFUSALS: dict[LoginRefusal, type[Unauthenticated]] = {
    "credentials": InvalidCredentials,
    "code_missing": SecondFactorRequired,
    "code_wrong": WrongSecondFactor,
}


class WrongPassword(Invalid):
    """The password is wrong."""

    type = "wrong-password"
    title = "Wrong password"

    def __init__(self, pointer: str = "/password") -> None:
        super().__init__(errors=[FieldError(pointer, "is wrong")])


class HasTotp(Conflict):
    """There is a second factor already; remove it first."""

    type = "second-factor-exists"
    title = "Second factor exists"


class NoTotp(Conflict):
    """There is no second factor that waits to be confirmed."""

    type = "no-second-factor"
    title = "No second factor"


class WrongCode(Invalid):
    """The code is wrong, or was used before."""

    type = "wrong-code"
    title = "Wrong code"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/code", "is wrong, or was used before")])
