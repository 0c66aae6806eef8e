"""What notifier says."""

from contracts.personal import PersonalData


class NotifierDataExported(PersonalData, type="notifier.personal_data_exported.v1", subject="export_id"):
    """The mails that a person was sent."""
