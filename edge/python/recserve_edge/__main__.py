"""`python -m recserve_edge`: try the client from a terminal.

recommend   asks once, and says who answered, why, and in how many milliseconds
record      keeps what a user did, and sends it
status      how bundle, queue and connection are
"""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from recserve_edge.client import Answer, EdgeClient, Status
from recserve_edge.errors import EdgeError
from recserve_edge.events import KINDS
from recserve_edge.request import ItemId
from recserve_edge.version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.ERROR, format="%(message)s")
    try:
        with EdgeClient(
            options.service, cache_dir=options.cache, key=options.key, is_background=False
        ) as client:
            if not options.offline:
                client.update()
            lines: list[str] = options.run(client, options)
    except EdgeError as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m recserve_edge", description="Recserve's edge client.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--service", required=True, metavar="URL", help="of the function app")
    shared.add_argument("--key", default="", help="function key")
    shared.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "recserve-edge",
        metavar="DIR",
        help="where bundle and events stay (%(default)s)",
    )
    shared.add_argument("--offline", action="store_true", help="do not look for another bundle first")
    shared.add_argument("--json", action="store_true", help="answer as JSON")
    shared.add_argument("--verbose", action="store_true", help="say what happens")

    recommend = commands.add_parser("recommend", parents=[shared], help="ask once")
    recommend.add_argument("--history", type=_item_ids, metavar="ID,ID,...", help="item ids, oldest first")
    recommend.add_argument("--user", metavar="ID", help="your own id of the user")
    recommend.add_argument("-k", type=int, default=10, help="items (%(default)s)")
    recommend.add_argument(
        "--genre", action="append", help="only items that have this genre, or another named"
    )
    recommend.set_defaults(run=_recommend)

    record = commands.add_parser("record", parents=[shared], help="keep what a user did, and send it")
    record.add_argument("--user", required=True, metavar="ID")
    record.add_argument("--item", required=True, type=_item_id, metavar="ID")
    record.add_argument("--kind", choices=KINDS, default="view", help="(%(default)s)")
    record.set_defaults(run=_record)

    status = commands.add_parser("status", parents=[shared], help="bundle, queue and connection")
    status.set_defaults(run=_status)
    return parser


def _recommend(client: EdgeClient, options: argparse.Namespace) -> list[str]:
    filters = {"allow": {"genres": options.genre}} if options.genre else None
    answer = client.recommend(options.history, user_id=options.user, k=options.k, filters=filters)
    if options.json:
        return [_as_json(answer)]
    source = f"bundle {answer.bundle_version}" if answer.by == "edge" else f"models {answer.model_version}"
    lacking = f", without {', '.join(answer.degraded)}" if answer.degraded else ""
    head = f"by {answer.by} ({answer.reason}{lacking}) in {answer.latency_ms:.1f} ms, {source}"
    return [head, *(f"{item.id:>8}  {item.title}" for item in answer.items)]


def _record(client: EdgeClient, options: argparse.Namespace) -> list[str]:
    event = client.record(item_id=options.item, user_id=options.user, kind=options.kind)
    is_sent = client.flush()
    if options.json:
        return [json.dumps({**event.body(), "is_sent": is_sent})]
    return [f"event {event.event_id} {'is with the service' if is_sent else 'waits on this device'}"]


def _status(client: EdgeClient, options: argparse.Namespace) -> list[str]:
    status = client.status()
    if options.json:
        return [json.dumps(status._asdict())]
    return [f"{name.replace('_', ' '):20} {_in_words(status, name)}" for name in status._fields]


def _in_words(status: Status, name: str) -> str:
    value = getattr(status, name)
    if value is None or value == "":
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _as_json(answer: Answer) -> str:
    return json.dumps({**answer._asdict(), "items": [item._asdict() for item in answer.items]})


def _item_ids(text: str) -> list[ItemId]:
    return [_item_id(part.strip()) for part in text.split(",") if part.strip()]


def _item_id(text: str) -> ItemId:
    return int(text) if text.isdecimal() else text


if __name__ == "__main__":
    sys.exit(main())
