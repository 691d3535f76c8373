import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { roleNames } from '@oneflower/contract';

type RoleName = keyof typeof roleNames;

/** How the server answers. */
export type OneGateMood = 'well' | 'refuses' | 'crashes' | 'hangs' | 'garbage';

/** OneGate and the service behind it, over real HTTP, with a record of all that was asked. */
export interface OneGate {
  mood: OneGateMood;
  /** What a VM's CONTEXT says of OneGate; the VM is put into the service of that name. */
  contextOf(vmId: number, role: RoleName, service?: string): Record<string, string>;
  tokenOf(vmId: number): string;
  /** Requests of a VM so far, as `METHOD PATH`. */
  requests(vmId: number): string[];
  /** Attributes that a VM has set, request by request. */
  puts(vmId: number): Record<string, string>[];
  /** Attributes that a VM shows now. */
  attributes(vmId: number): Record<string, string>;
  close(): void;
}

interface Vm {
  service: string;
  role: RoleName;
  requests: string[];
  puts: Record<string, string>[];
}

/** Listens on a free port of an address. */
export async function startOneGate(address: string): Promise<OneGate> {
  const vms = new Map<number, Vm>();
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, address);
  await once(server, 'listening');
  const endpoint = `http://${address}:${(server.address() as AddressInfo).port}`;
  const attributes = (vmId: number) => Object.assign({}, ...(vms.get(vmId)?.puts ?? []));
  const gate: OneGate = {
    mood: 'well',
    contextOf(vmId, role, service = 'flower') {
      vms.set(vmId, vms.get(vmId) ?? { service, role, requests: [], puts: [] });
      return { VMID: String(vmId), ONEGATE_ENDPOINT: endpoint };
    },
    tokenOf: vmId => `token-of-${vmId}`,
    requests: vmId => vms.get(vmId)?.requests ?? [],
    puts: vmId => vms.get(vmId)?.puts ?? [],
    attributes,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const vmId = Number(request.headers['x-onegate-vmid']);
    const vm = vms.get(vmId);
    vm?.requests.push(`${request.method} ${request.url}`);
    const known = vm && request.headers['x-onegate-token'] === gate.tokenOf(vmId);
    if (gate.mood === 'hangs') return;
    if (gate.mood === 'crashes') response.writeHead(500).end('Internal server error');
    else if (gate.mood === 'garbage') response.end('<html>{]');
    else if (gate.mood === 'refuses' || !known) response.writeHead(401).end('Not authorized');
    else if (request.method === 'PUT') {
      vm.puts.push(readAttributes(body));
      response.end();
    } else response.end(JSON.stringify(documentOf(vm.service)));
  }

  /** The extended form: each VM with its attributes. */
  function documentOf(service: string): unknown {
    const roles = (Object.keys(roleNames) as RoleName[]).map(name => {
      const members = [...vms].filter(([, vm]) => vm.service === service && vm.role === name);
      const nodes = members.map(([vmId]) => ({
        deploy_id: vmId,
        vm_info: { VM: { ID: String(vmId), NAME: `${name}-${vmId}`, USER_TEMPLATE: attributes(vmId) } },
      }));
      return { name, cardinality: nodes.length, state: 2, nodes };
    });
    return { SERVICE: { name: service, id: '1', state: 2, roles } };
  }

  return gate;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

/** The form that sets attributes: `NAME=VALUE` lines in the field `data`, an empty value as `""`. */
function readAttributes(form: string): Record<string, string> {
  const lines = (new URLSearchParams(form).get('data') ?? '').split('\n');
  return Object.fromEntries(
    lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1).replace(/^""$/, '')]),
  );
}
