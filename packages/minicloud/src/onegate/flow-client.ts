import * as z from 'zod';
import type { GateFlow, GateService } from './service.ts';

const nodeSchema = z.object({
  deploy_id: z.int(),
  vm_info: z.object({ VM: z.record(z.string(), z.string()) }).optional(),
});

const roleSchema = z.object({
  name: z.string(),
  cardinality: z.int(),
  state: z.int(),
  nodes: z.array(nodeSchema).default([]),
});

const serviceSchema = z.object({
  DOCUMENT: z.object({
    ID: z.string(),
    NAME: z.string(),
    TEMPLATE: z.object({ BODY: z.object({ state: z.int(), roles: z.array(roleSchema) }) }),
  }),
});

/** One request to OneFlow's REST API; undefined when OneFlow is not there. */
export type AskFlow = (request: {
  method: string;
  path: string;
  headers: { authorization: string };
  body: string;
}) => { status: number; body: string } | undefined;

/** OneFlow through its REST API, with a session of the VM's owner, as the real OneGate asks it. */
export function createFlowClient(ask: AskFlow): GateFlow {
  function call(session: string, method: string, path: string, body = '') {
    const authorization = `Basic ${Buffer.from(session).toString('base64')}`;
    const answer = ask({ method, path, headers: { authorization }, body });
    return answer && answer.status < 300 ? answer : undefined;
  }

  return {
    async service(session, serviceId) {
      const answer = call(session, 'GET', `/service/${serviceId}`);
      return answer && readService(answer.body);
    },
    async scale(session, serviceId, role, cardinality) {
      const body = JSON.stringify({ role_name: role, cardinality, force: false });
      return call(session, 'POST', `/service/${serviceId}/scale`, body) !== undefined;
    },
  };
}

function readService(text: string): GateService | undefined {
  const { DOCUMENT: document } = serviceSchema.parse(JSON.parse(text));
  const { state, roles } = document.TEMPLATE.BODY;
  return {
    id: Number(document.ID),
    name: document.NAME,
    state,
    roles: roles.map(role => ({
      name: role.name,
      cardinality: role.cardinality,
      state: role.state,
      nodes: role.nodes.map(node => ({ deployId: node.deploy_id, vmInfo: node.vm_info?.VM ?? {} })),
    })),
  };
}
