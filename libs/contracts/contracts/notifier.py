"""Events that notifier publishes."""

from contracts.personal import PersonalData


class NotifierDataExported(PersonalData, type="notifier.personal_data_exported.v1", subject="export_id"):
    """A part of a person's data export: the mails that were sent to them."""
