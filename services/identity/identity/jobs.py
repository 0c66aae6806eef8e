"""Time in: the signing key's rotation."""

from chassis.jobs import Job

from identity import rotate

JOBS = [Job("rotate_signing_key", every=60.0, run=rotate.rotate_when_due)]
