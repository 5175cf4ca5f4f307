"""Recserve on the device: the same recommendations as in the cloud, beside the user.

from recserve_edge import EdgeClient

with EdgeClient("https://films.azurewebsites.net", cache_dir="/var/lib/kiosk") as client:
    client.record(item_id=260, user_id="ana")
    answer = client.recommend(user_id="ana", k=5)
"""

from recserve_edge.bundle import Item
from recserve_edge.client import Answer, EdgeClient, Status
from recserve_edge.errors import (
    CacheUnavailable,
    CloudFailed,
    EdgeError,
    EventNotKept,
    InvalidBundle,
    InvalidRequest,
    Unavailable,
)
from recserve_edge.events import Event
from recserve_edge.settings import EdgeSettings
from recserve_edge.version import VERSION

__all__ = [
    "VERSION",
    "Answer",
    "CacheUnavailable",
    "CloudFailed",
    "EdgeClient",
    "EdgeError",
    "EdgeSettings",
    "Event",
    "EventNotKept",
    "InvalidBundle",
    "InvalidRequest",
    "Item",
    "Status",
    "Unavailable",
]
