"""The jobs that workers know. A feature names its own in the `features` of its plane."""

from collections.abc import Mapping
from typing import Any

from leasehold.mail.jobs import send_mail
from leasehold.platform.features import PERIODIC, PLATFORM_JOBS
from leasehold.tenancy.jobs.definition import Job, by_name
from leasehold.tenancy.jobs.enqueue import everywhere
from leasehold.workspace.features import TENANT_JOBS, TENANT_PERIODIC

TASKS = (*PERIODIC, *(everywhere(task) for task in TENANT_PERIODIC))
JOBS: Mapping[str, Job[Any]] = by_name(
    (
        send_mail,
        *TENANT_JOBS,
        *(task.job for task in TENANT_PERIODIC),
        *PLATFORM_JOBS,
        *(task.job for task in TASKS),
    )
)
