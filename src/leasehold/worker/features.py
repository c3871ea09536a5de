"""The jobs that workers know. A feature names its own in the `features` of its plane."""

from collections.abc import Mapping
from typing import Any

from leasehold.mail.jobs import send_mail
from leasehold.platform import features as platform
from leasehold.tenancy.jobs.definition import Job, by_name
from leasehold.workspace import features as workspace

TASKS = (*platform.PERIODIC, *workspace.PERIODIC)

JOBS: Mapping[str, Job[Any]] = by_name(
    (send_mail, *workspace.TENANT_JOBS, *platform.PLATFORM_JOBS, *(task.job for task in TASKS)),
)
