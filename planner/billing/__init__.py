"""What use costs on Premium and on what else one could pick, by each provider's own rules."""

from planner.billing.azure import (
    consumption_usage,
    egress_usage,
    flex_usage,
    instance_hour,
    premium_bill,
    premium_usage,
    telemetry_usage,
)
from planner.billing.bills import HOURS_PER_MONTH, Bill, Part, Usage, bill
from planner.billing.comparison import Traffic, compare
from planner.billing.elsewhere import cloud_run_usage, lambda_provisioned_usage, lambda_usage

__all__ = [
    "HOURS_PER_MONTH",
    "Bill",
    "Part",
    "Traffic",
    "Usage",
    "bill",
    "cloud_run_usage",
    "compare",
    "consumption_usage",
    "egress_usage",
    "flex_usage",
    "instance_hour",
    "lambda_provisioned_usage",
    "lambda_usage",
    "premium_bill",
    "premium_usage",
    "telemetry_usage",
]
