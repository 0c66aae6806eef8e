"""What may go wrong with a provider of films."""


class OfferInvalid(Exception):
    """What the provider says is no film that can be shown; the others are not concerned."""


class ProviderUnavailable(Exception):
    """It cannot be asked now; later it may."""


class ProviderRefused(Exception):
    """It does not answer us, for example because of the key. Asking again does not help."""
