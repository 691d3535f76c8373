import { rootCertificates } from 'node:tls';
import { findVariable, OneFlowerError, variables } from '@oneflower/contract';
import { renderTemplate } from '@oneflower/opennebula';
import { describe, expect, it } from 'vitest';
import { acceptedRequests, recordedJson, shapeOf } from '../testing/recordings.ts';
import { maskSecrets } from './mask.ts';
import { type PlanRequest, planService, type ServicePlan } from './plan.ts';

const hash = 'a'.repeat(64);
const ids = { vmTemplates: { superlink: 2, supernode: 3 }, networkId: 1 };
const openNames = /(user_inputs|user_inputs_values|networks|networks_values\[\]|CONTEXT)$/;

function plan(request: Partial<PlanRequest> = {}): ServicePlan {
  return planService({ name: 'flower', values: {}, operatorTokenHash: hash, ...request });
}

function refusalOf(request: Partial<PlanRequest>): OneFlowerError {
  try {
    plan(request);
  } catch (error) {
    if (error instanceof OneFlowerError) return error;
  }
  throw new Error('The plan was not refused.');
}

describe('the service template', () => {
  it('has one SuperLink, and SuperNodes that start after it within limits', () => {
    const [superlink, supernode] = plan({ nodes: 3 }).serviceTemplate(ids).roles;
    expect(superlink).toMatchObject({ name: 'superlink', cardinality: 1, min_vms: 1, max_vms: 1, template_id: 2 });
    expect(superlink).not.toHaveProperty('parents');
    expect(supernode).toMatchObject({ name: 'supernode', parents: ['superlink'], min_vms: 1, max_vms: 10 });
  });

  it('declares each variable at exactly one level, and no secret anywhere', () => {
    const template = plan().serviceTemplate(ids);
    const levels = [template.user_inputs, ...template.roles.map(role => role.user_inputs)].map(Object.keys);
    const declared = levels.flat();
    const expected = variables.filter(variable => variable.source === 'operator' && !('secret' in variable));
    expect(declared.toSorted()).toEqual(expected.map(({ name }) => name).toSorted());
    expect(levels[0]).toContain('FL_TLS_ENABLED');
    expect(levels[1]).toContain('FL_NUM_ROUNDS');
    expect(levels[2]).toContain('FL_NODE_CONFIG');
  });

  it('puts secrets into the CONTEXT of the roles that read them, and says that it did', () => {
    const secret = plan({ values: { FL_JOIN_TOKEN: 'join-token-0123456789' } });
    const [superlink, supernode] = secret.serviceTemplate(ids).roles;
    expect(superlink?.template_contents.CONTEXT.FL_JOIN_TOKEN).toBe('join-token-0123456789');
    expect(supernode?.template_contents.CONTEXT.FL_JOIN_TOKEN).toBe('join-token-0123456789');
    expect(secret.secret).toBe(true);
    expect(plan().secret).toBe(false);
    expect(JSON.stringify(maskSecrets(secret.serviceTemplate(ids)))).not.toContain('join-token-0123456789');
  });

  it('carries certificates and keys as base64, because they have many lines; the key only in the CONTEXT', () => {
    const authority = `${rootCertificates[0]}\n`;
    const key = '-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n';
    const made = plan({
      values: {
        FL_SSL_CA_CERTFILE: authority,
        FL_SSL_CERTFILE: Buffer.from(authority).toString('base64'),
        FL_SSL_KEYFILE: key,
      },
    });
    const certificate = Buffer.from(authority).toString('base64');
    const { user_inputs_values, roles } = made.instantiation(1);
    expect(user_inputs_values.FL_SSL_CA_CERTFILE).toBe(certificate);
    expect(roles[0]?.user_inputs_values.FL_SSL_CERTFILE).toBe(certificate);
    const [superlink, supernode] = made.serviceTemplate(ids).roles.map(role => role.template_contents.CONTEXT);
    expect(superlink?.FL_SSL_KEYFILE).toBe(Buffer.from(key).toString('base64'));
    expect(supernode).not.toHaveProperty('FL_SSL_KEYFILE');
    expect(JSON.stringify(made.instantiation(1))).not.toContain('FL_SSL_KEYFILE');
  });

  it('gives every role the platform context, and the SuperNode references to the attributes of the SuperLink', () => {
    const [superlink, supernode] = plan()
      .serviceTemplate(ids)
      .roles.map(role => role.template_contents.CONTEXT);
    expect(superlink).toEqual({
      FL_ROLE: 'superlink',
      TOKEN: 'YES',
      NETWORK: 'YES',
      REPORT_READY: 'YES',
      SSH_PUBLIC_KEY: '$USER[SSH_PUBLIC_KEY]',
    });
    expect(supernode).toMatchObject({
      FL_ROLE: 'supernode',
      SUPERLINK_ENDPOINT: '${superlink.user_template.fl_endpoint}',
      SUPERLINK_TLS: '${superlink.user_template.fl_tls}',
      SUPERLINK_CA_CERT: '${superlink.user_template.fl_ca_cert}',
      SUPERLINK_JOIN_TOKEN: '${superlink.user_template.fl_join_token}',
    });
  });

  it('has the same name for the same content, whatever the values and the number of nodes, and another one otherwise', () => {
    const name = plan({ nodes: 2 }).serviceTemplate(ids).name;
    expect(plan({ nodes: 5, values: { FL_NUM_ROUNDS: '9' } }).serviceTemplate(ids).name).toBe(name);
    expect(plan().serviceTemplate({ ...ids, networkId: 7 }).name).not.toBe(name);
  });

  it('has the shape of service templates that the real server accepted', () => {
    const accepted = acceptedRequests('oneflow', /^POST \/service_template HTTP/).map(({ body }) => JSON.parse(body));
    const shapes = new Set(accepted.flatMap(body => [...shapeOf(body, openNames)]));
    const references = recordedJson('oneflow/parent-references.json') as Record<string, unknown>;
    for (const path of shapeOf({ template_contents: references.child_role_template_contents }, openNames)) {
      shapes.add(`roles[].${path}`);
    }
    // Inputs of a role are in OneFlow's schema as those of a service are; no recording has them.
    shapes.add('roles[].user_inputs.*:string');
    expect([...shapeOf(plan().serviceTemplate(ids), openNames)].filter(path => !shapes.has(path))).toEqual([]);
  });
});

describe('the instantiation', () => {
  it('has a value for every input that the template declares, because OneFlow applies no defaults', () => {
    const made = plan({ nodes: 4, values: { FL_NUM_ROUNDS: '7', FL_TLS_ENABLED: 'no' } });
    const template = made.serviceTemplate(ids);
    const merged = made.instantiation(1);
    expect(Object.keys(merged.user_inputs_values)).toEqual(Object.keys(template.user_inputs));
    for (const role of template.roles) {
      const values = merged.roles.find(({ name }) => name === role.name)?.user_inputs_values ?? {};
      expect(Object.keys(values)).toEqual(Object.keys(role.user_inputs));
    }
    expect(merged.user_inputs_values.FL_TLS_ENABLED).toBe('no');
    expect(merged.roles[0]?.user_inputs_values).toMatchObject({
      FL_NUM_ROUNDS: '7',
      FL_MIN_FIT_CLIENTS: '2',
      FL_CONTROL_API_ADDRESS: '0.0.0.0:9093',
      FL_OPERATOR_TOKEN_HASH: hash,
    });
    expect(merged.roles[1]).toMatchObject({ name: 'supernode', cardinality: 4 });
  });

  it('has the shape of instantiations that the real server accepted', () => {
    const accepted = acceptedRequests('oneflow', /^POST \/service_template\/\d+\/action /).map(({ body }) =>
      JSON.parse(body || 'null'),
    );
    const shapes = new Set(accepted.flatMap(body => [...shapeOf(body, openNames)]));
    const sent = { action: { perform: 'instantiate', params: { merge_template: plan().instantiation(1) } } };
    // The real server answered to roles with a cardinality by checking it; their inputs are in its source only.
    const merged = 'action.params.merge_template.roles[]';
    for (const path of ['.name:string', '.cardinality:number', '.user_inputs_values.*:string']) {
      shapes.add(`${merged}${path}`);
    }
    expect([...shapeOf(sent, openNames)].filter(path => !shapes.has(path))).toEqual([]);
  });
});

describe('the VM templates', () => {
  it('render as text with the attributes of templates that the real oned accepted', () => {
    const accepted = acceptedRequests('xmlrpc', /^POST/)
      .filter(({ body }) => body.includes('one.template.allocate'))
      .map(({ body }) => body.replaceAll('&lt;', '<').replaceAll('&amp;', '&'));
    const names = (text: string): string[] =>
      [...text.matchAll(/(?:^|<string>)([A-Z_]+) = /gm)].map(match => match[1] ?? '');
    const known = new Set(accepted.flatMap(names));
    for (const { template, name } of plan().vmTemplates(0)) {
      const text = renderTemplate(template);
      expect(names(text).filter(attribute => !known.has(attribute))).toEqual([]);
      expect(text).toContain(`NAME = "${name}"`);
      expect(text).toContain('DISK = [ IMAGE_ID = "0" ]');
      expect(text).toContain('SSH_PUBLIC_KEY = "$USER[SSH_PUBLIC_KEY]"');
    }
  });

  it('are named by their content', () => {
    const [first] = plan().vmTemplates(0);
    const [other] = plan().vmTemplates(1);
    expect(first?.name).toMatch(/^oneflower-superlink-[0-9a-f]{8}$/);
    expect(other?.name).not.toBe(first?.name);
  });
});

describe('what is refused', () => {
  it('is reported all together, unknown names with the nearest that there is', () => {
    const values = { FL_NUM_ROUND: '5', FL_LOG_LEVEL: 'LOUD', FL_MIN_FIT_CLIENTS: '-1', RUBBISH: 'x' };
    const refusal = refusalOf({ values });
    expect(refusal.code).toBe('variables-invalid');
    expect(refusal.fault).toBe('user');
    expect(refusal.details.problems).toEqual([
      { variable: 'FL_NUM_ROUND', problem: expect.stringContaining('FL_NUM_ROUNDS'), nearest: 'FL_NUM_ROUNDS' },
      { variable: 'RUBBISH', problem: 'There is no variable "RUBBISH".' },
      { variable: 'FL_MIN_FIT_CLIENTS', problem: expect.stringContaining('whole number from 1') },
      { variable: 'FL_LOG_LEVEL', problem: expect.stringContaining('DEBUG, INFO, WARNING, ERROR') },
    ]);
  });

  it.each([
    ['FL_CERT_EXTRA_SAN', 'DNS:a]]>'],
    ['FL_NODE_CONFIG', 'key="${HOME}"'],
    ['FL_CERT_EXTRA_SAN', 'DNS:\u{1f600}'],
  ])('%s=%s, because OneFlow cannot carry it', (name, value) => {
    expect(findVariable(name)).toBeDefined();
    expect(refusalOf({ values: { [name]: value } }).message).toContain('cannot carry');
  });

  it.each([{ TOKEN: 'NO' }, { REPORT_READY: 'NO' }, { FL_OPERATOR_TOKEN_HASH: hash }])(
    '%o, which every deployment sets itself',
    values => {
      expect(refusalOf({ values }).code).toBe('variables-invalid');
    },
  );

  it('a secret is never shown', () => {
    expect(refusalOf({ values: { FL_JOIN_TOKEN: 'short-secret' } }).explain()).not.toContain('short-secret');
  });

  it.each<[Partial<PlanRequest>, string]>([
    [{ nodes: 1, values: { FL_USE_CASE: 'anomaly-detection' } }, 'FL_MIN_FIT_CLIENTS=2 needs at least 2'],
    [{ min: 1, values: { FL_USE_CASE: 'anomaly-detection' } }, 'scaling down to 1'],
    [{ nodes: 0 }, 'whole number'],
    [{ nodes: 1.5 }, 'whole number'],
    [{ nodes: 5, max: 4 }, 'not within the limits'],
  ])('%o', (request, words) => {
    const refusal = refusalOf(request);
    expect(refusal.code).toBe('cardinality-invalid');
    expect(refusal.message).toContain(words);
  });

  it.each(['', '-x', 'a b', 'a/b', `a${'b'.repeat(64)}`])('the name %j', name => {
    expect(refusalOf({ name }).code).toBe('name-invalid');
  });
});

describe('the number of SuperNodes', () => {
  it('follows what the variables need when nobody says it', () => {
    const values = { FL_USE_CASE: 'anomaly-detection', FL_MIN_AVAILABLE_CLIENTS: '12' };
    expect(plan({ values }).cardinality).toEqual({ nodes: 12, min: 12, max: 12 });
    expect(plan().cardinality).toEqual({ nodes: 2, min: 1, max: 10 });
  });
});
