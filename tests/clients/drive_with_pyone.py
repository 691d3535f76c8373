"""Drives a cloud with PyPI's pyone (XML-RPC) and plain HTTP (OneFlow) and prints what it saw as one JSON document.

Usage: drive_with_pyone.py XMLRPC_URL ONEFLOW_URL AUTH_FILE
"""

import base64
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pyone

DONE, RUNNING = 5, 2


class Flow:
    """OneFlow as any HTTP client sees it."""

    def __init__(self, url: str, session: str) -> None:
        self.url = url
        self.login = base64.b64encode(session.encode()).decode()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("Authorization", f"Basic {self.login}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, read(response.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def body(self, service: int) -> dict:
        return self.call("GET", f"/service/{service}")[1]["DOCUMENT"]["TEMPLATE"]["BODY"]

    def stands(self, service: int) -> bool:
        status, answer = self.call("GET", f"/service/{service}")
        return status == 200 and answer["DOCUMENT"]["TEMPLATE"]["BODY"]["state"] != DONE

    def until(self, service: int, state: int) -> dict:
        end = time.monotonic() + 60
        while (body := self.body(service))["state"] != state:
            if time.monotonic() > end:
                raise TimeoutError(f"The service is in state {body['state']}, not {state}")
            time.sleep(0.2)
        return body


def read(data: bytes) -> object:
    return json.loads(data) if data else None


def refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except pyone.OneException as error:
        return f"{type(error).__name__}: {error}"
    return "not refused"


def main(xmlrpc: str, oneflow: str, auth_file: str) -> dict:
    session = Path(auth_file).read_text().strip()
    one, flow, seen = pyone.OneServer(xmlrpc, session=session), Flow(oneflow, session), {}
    seen["version"] = one.system.version()
    seen["user"] = one.user.info(-1).NAME
    seen["networks"] = [network.NAME for network in one.vnpool.info(-2, -1, -1).VNET]
    template = one.template.allocate(
        'NAME="worker"\nCPU="0.1"\nMEMORY="128"\nNIC=[NETWORK="oneflower"]\n'
        'CONTEXT=[TOKEN="YES", GREETING="\\"hello\\", world"]'
    )
    role = {"name": "worker", "type": "vm", "template_id": template, "cardinality": 2, "min_vms": 1, "max_vms": 4}
    shape = {"name": "plain", "deployment": "straight", "roles": [{**role, "cooldown": 1}]}
    status, created = flow.call("POST", "/service_template", shape)
    document = int(created["DOCUMENT"]["ID"])
    action = {"action": {"perform": "instantiate", "params": {"merge_template": {"name": "service"}}}}
    instantiated, service = flow.call("POST", f"/service_template/{document}/action", action)
    number = int(service["DOCUMENT"]["ID"])
    seen["created"], seen["instantiated"] = status, instantiated

    ids = [node["deploy_id"] for node in flow.until(number, RUNNING)["roles"][0]["nodes"]]
    vms = [one.vm.info(vm) for vm in ids]
    seen["states"] = [[vm.STATE, vm.LCM_STATE] for vm in vms]
    seen["addresses"] = [vm.TEMPLATE["NIC"]["IP"] for vm in vms]
    seen["greetings"] = [vm.TEMPLATE["CONTEXT"]["GREETING"] for vm in vms]
    one.vm.update(ids[0], 'NOTE="a \\"note\\" & more"', 1)
    seen["note"] = one.vm.info(ids[0]).USER_TEMPLATE["NOTE"]

    scaled, _ = flow.call("POST", f"/service/{number}/scale", {"role_name": "worker", "cardinality": 3, "force": False})
    body = flow.until(number, RUNNING)
    while len(body["roles"][0]["nodes"]) < 3:
        body = flow.until(number, RUNNING)
    pool = one.vmpool.infoextended(-2, -1, -1, -1).VM
    seen["scaled"], seen["after_scaling"] = scaled, sorted(vm.ID for vm in pool if vm.STATE == 3)
    seen["too_many"], _ = flow.call(
        "POST", f"/service/{number}/scale", {"role_name": "worker", "cardinality": 9, "force": False}
    )

    seen["refused"] = [
        refusal(lambda: pyone.OneServer(xmlrpc, session="oneadmin:wrong").vmpool.info(-2, -1, -1, -1)),
        refusal(lambda: one.vm.info(999)),
        refusal(lambda: one.template.allocate("CPU=1")),
    ]
    seen["wrong_login"], _ = Flow(oneflow, "oneadmin:wrong").call("GET", "/service")

    seen["deleted"], _ = flow.call("DELETE", f"/service/{number}")
    end = time.monotonic() + 60
    while flow.stands(number):
        if time.monotonic() > end:
            raise TimeoutError("The service stays")
        time.sleep(0.2)
    flow.call("DELETE", f"/service_template/{document}")
    one.template.delete(template)
    seen["left"] = {
        "vms": [vm.ID for vm in one.vmpool.info(-2, -1, -1, -1).VM],
        "templates": [one_template.NAME for one_template in one.templatepool.info(-2, -1, -1).VMTEMPLATE],
        "finished": sorted(vm.ID for vm in one.vmpool.info(-2, -1, -1, 6).VM),
    }
    return seen


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
