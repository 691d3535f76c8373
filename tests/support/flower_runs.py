"""Prints the runs of a SuperLink as JSON, as Flower's own Control API reports them, newest first.

Usage: flower_runs.py ORIGIN [CA_FILE]
"""

import json
import ssl
import sys
import urllib.request

from flwr.proto.control_pb2 import ListRunsRequest, ListRunsResponse


def main(origin: str, ca_file: str | None = None) -> None:
    """Ask and print."""
    secure = [urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file))] if ca_file else []
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *secure)
    request = urllib.request.Request(
        f"{origin}/v1/control/list-runs",
        data=ListRunsRequest(limit=100).SerializeToString(),
        headers={"content-type": "application/protobuf", "accept": "application/protobuf"},
    )
    with opener.open(request, timeout=30) as response:
        runs = ListRunsResponse.FromString(response.read()).run_dict.values()
    shown = [
        {
            "runId": str(run.run_id),
            "fabId": run.fab_id,
            "status": run.status.status,
            "config": {key: getattr(value, value.WhichOneof("scalar")) for key, value in run.override_config.items()},
        }
        for run in sorted(runs, key=lambda run: run.pending_at, reverse=True)
    ]
    print(json.dumps(shown))


main(*sys.argv[1:])
