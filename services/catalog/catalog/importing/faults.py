"""Errors of film providers."""


class OfferInvalid(Exception):
    """The provider's data is not a valid film. Other films are not affected."""


class ProviderUnavailable(Exception):
    """The provider is temporarily unavailable."""


class ProviderRefused(Exception):
    """The provider refuses our requests, for example because of the key. Retrying does not help."""
