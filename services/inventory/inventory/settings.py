"""Inventory's settings. Each one is read from the environment variable of the same name."""

import hmac
import re
from datetime import timedelta
from functools import cache, cached_property
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from chassis.security.secrets import Cipher
from chassis.security.signed import SignedText
from chassis.settings import Published, ServiceSettings
from contracts.claims import HoldClaim
from pydantic import Field, SecretStr, field_validator

from inventory.model import HoldLimits, Limit, NetworkIsFull, TooManyHolds, network_key

USER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Settings(ServiceSettings):
    """Inventory's settings. If the cap is shorter than the hold, every renewal fails."""

    service: str = "inventory"
    claim_key: Annotated[SecretStr, Published(("usher-local-claim-key",))] = Field(min_length=16)
    """Signs the claims of holds. Booking has the same key."""
    link_key: Annotated[SecretStr, Published(("usher-local-link-key",))] = Field(min_length=16)
    """Encrypts the secrets of guests on a waitlist. The notifier, which puts them into links, has the same key."""
    hold_seconds: int = Field(default=480, ge=1)
    hold_cap_seconds: int = Field(default=900, ge=1)
    hold_renewals: int = Field(default=1, ge=0)
    holds_per_holder: int = Field(default=3, ge=1)
    seats_per_holder: int = Field(default=20, ge=1)
    holds_per_network: int = Field(default=6, ge=1)
    seats_per_network: int = Field(default=40, ge=1)
    """Limits of live holds and unpaid checkouts over all showtimes: of a person or guest, and of a client network."""
    hold_limit_exempt: str = ""
    """Callers without these limits: client networks (CIDR) and user ids, separated by commas. Blanks are ignored."""
    pin_grace_seconds: int = Field(default=1200, ge=0)
    """How long a checkout's seats stay held after the payment deadline when no event from booking arrives."""

    @field_validator("hold_limit_exempt")
    @classmethod
    def _names_networks_and_people(cls, value: str) -> str:
        for text in _listed(value):
            if not _network(text) and not USER_ID.fullmatch(text):
                raise ValueError(f"{text} is neither a network (CIDR, without host bits) nor a user id")
        return value

    @property
    def limits(self) -> HoldLimits:
        """The limits that apply to holds."""
        return HoldLimits(
            hold=timedelta(seconds=self.hold_seconds),
            cap=timedelta(seconds=self.hold_cap_seconds),
            renewals=self.hold_renewals,
            per_holder=Limit(self.holds_per_holder, self.seats_per_holder, TooManyHolds),
            per_network=Limit(self.holds_per_network, self.seats_per_network, NetworkIsFull),
        )

    def is_exempt(self, caller: str) -> bool:
        """Whether this user id or client network has no limits."""
        if not self.hold_limit_exempt:
            return False
        try:
            address = ip_network(caller).network_address
        except ValueError:  # a user id, or no IP address
            return caller in self._exempt_users
        return any(address in network for network in self._exempt_networks)

    @cached_property
    def _exempt_networks(self) -> list[IPv4Network | IPv6Network]:
        networks = [network for text in _listed(self.hold_limit_exempt) if (network := _network(text))]
        # A client network is an IPv6 /64 at least.
        return [each.supernet(new_prefix=64) if each.prefixlen > 64 else each for each in networks]

    @cached_property
    def _exempt_users(self) -> frozenset[str]:
        return frozenset(text for text in _listed(self.hold_limit_exempt) if not _network(text))

    def network_key(self, network: str) -> str:
        """Return the key of a client network: a keyed hash, so that the address is stored nowhere."""
        return network_key(hmac.digest(self._pseudonym_key, network.encode(), "sha256").hex())

    @cached_property
    def _pseudonym_key(self) -> bytes:
        return sha256(f"client networks {self.claim_key.get_secret_value()}".encode()).digest()

    @cached_property
    def link_encryption(self) -> Cipher:
        """Encrypts the secrets of links."""
        return Cipher(self.link_key.get_secret_value())

    @cached_property
    def hold_claims(self) -> SignedText[HoldClaim]:
        """The signer of hold claims."""
        return SignedText(HoldClaim, HoldClaim.audience, self.claim_key)


def _listed(setting: str) -> list[str]:
    return [text for each in setting.split(",") if (text := each.strip())]


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


@cache
def get() -> Settings:
    """Return the settings of this process."""
    return Settings()  # pyright: ignore[reportCallIssue] - from the environment
