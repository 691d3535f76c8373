import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../json.ts';
import { Refusal } from '../refusal.ts';
import { newServiceBody } from './instantiate.ts';
import { networkValues } from './networks.ts';
import { checkServiceTemplate, parseJson } from './service-template.ts';
import { parseTemplateText, templateText } from './template-text.ts';

const role: JsonObject = { name: 'a', type: 'vm', template_id: 2, cardinality: 1 };

function refusalOf(run: () => unknown): [number, string] | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return [error.status, error.message];
    throw error;
  }
}

function check(over: JsonObject, roleOver: JsonObject = {}): [number, string] | undefined {
  return refusalOf(() => checkServiceTemplate({ name: 'x', roles: [{ ...role, ...roleOver }], ...over }));
}

describe('the check of a service template', () => {
  it.each([
    [{ name: 5 }, {}, "KEY: 'name' must be a String;"],
    [{ roles: {} }, {}, "KEY: 'roles' must be an Array;"],
    [{ networks: [] }, {}, "KEY: 'networks' must be an Hash;"],
    [{}, { parents: 'b' }, "KEY: 'parents' must be an Array;"],
    [{}, { cooldown: -1 }, "KEY: 'cooldown' must be greater than or equal to 0;"],
    [{}, { cardinality: '1.5' }, "KEY: 'cardinality' must be an Integer;"],
    [{}, { type: 'vr' }, 'Unsupported role type "vr"'],
    [{}, { name: 'a\nb' }, "KEY: 'name' must match regexp /^\\w+$/;"],
  ])('refuses %j with %j', (over, roleOver, sentence) => {
    expect(check(over, roleOver)).toEqual([400, sentence]);
  });

  it('looks at names before limits, and at the schema before both', () => {
    const twice = [{ ...role, min_vms: 2 }, role];
    expect(check({ roles: twice })).toEqual([400, "Role name 'a' is repeated"]);
    expect(check({ roles: [...twice, { ...role, cardinality: 'x' }] })).toEqual([
      400,
      "KEY: 'cardinality' must be an Integer;",
    ]);
  });

  it('takes numeric text for a number and puts defaults last', () => {
    const checked = checkServiceTemplate({ name: 'x', roles: [{ ...role, cardinality: ' 2', min_vms: '1' }] });
    expect(JSON.stringify(checked)).toBe(
      '{"name":"x","roles":[{"name":"a","type":"vm","template_id":2,"cardinality":2,"min_vms":1}],' +
        '"deployment":"none","description":""}',
    );
  });

  it('never breaks on any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        refusalOf(() => checkServiceTemplate(value as Json));
        refusalOf(() =>
          checkServiceTemplate({ name: 'x', roles: [{ ...role, elasticity_policies: [value as Json] }] }),
        );
      }),
    );
  });

  it('shows the text that is no JSON', () => {
    expect(refusalOf(() => parseJson('{"a":'))).toEqual([400, 'unexpected token at \'{"a":\'']);
  });
});

describe('instantiating', () => {
  const template = { name: 'x', deployment: 'none', description: '', registration_time: 1, roles: [role] };

  it('merges by role name and leaves the template alone', () => {
    const before = JSON.stringify(template);
    const given = { name: 'y', roles: [{ name: 'a', cardinality: 3 }, { name: 'nobody' }] };
    const body = newServiceBody(template, given, 7);
    expect(body).toMatchObject({ name: 'y', state: 0, start_time: 7, roles: [{ cardinality: 3, state: 0 }] });
    expect(JSON.stringify(template)).toBe(before);
  });

  it('takes no VMs from a template', () => {
    const odd = { ...template, roles: [{ ...role, nodes: [{ deploy_id: 0 }], last_vmname: 4, scale_way: 1 }] };
    expect(newServiceBody(odd, {}, 7).roles).toEqual([{ ...role, state: 0 }]);
  });

  it('takes the 6.x name for the values of inputs', () => {
    const declared = { ...template, user_inputs: { A: 'O|text|x' } };
    expect(newServiceBody(declared, { custom_attrs_values: { A: '1' } }, 7)).toMatchObject({
      user_inputs_values: { A: '1' },
    });
  });

  it('answers 500 for what the merge breaks', () => {
    const given = { roles: [{ name: 'a', cardinality: -1 }] };
    expect(refusalOf(() => newServiceBody(template, given, 7))?.[0]).toBe(500);
  });
});

describe('networks', () => {
  it.each([
    ['M|network|text| |id:1', { id: '1' }],
    ['M|network|text| |id:', { id: null }],
    ['M|network|text| |template_id:4', { template_id: '4' }],
    ['M|network|text| |reserve_from:1:SIZE=5\nX="a:b"', { reserve_from: '1', extra: 'SIZE=5\nX="a:b"' }],
  ])('reads the default %j', (declaration, expected) => {
    expect(networkValues({ networks: { N: declaration } }, undefined)).toEqual([{ N: expected }]);
  });

  it.each(['', 'M|network', 'M|network|text| |nosuch:1', 'M|network|text| |'])(
    'refuses the default %j',
    declaration => {
      expect(refusalOf(() => networkValues({ networks: { N: declaration } }, undefined))).toEqual([
        400,
        'Wrong networks format',
      ]);
    },
  );
});

describe('template text', () => {
  const name = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,5}$/);
  // A closing bracket inside a vector ends it, here as in oned.
  const value = fc.string().map(text => text.replace(/[\]\\]/g, ''));

  it('reads back what it wrote', () => {
    const template = fc.dictionary(name, fc.oneof(value, fc.dictionary(name, value, { minKeys: 1 })), { maxKeys: 5 });
    fc.assert(
      fc.property(template, written => {
        const plain = Object.fromEntries(
          Object.entries(written).filter(([key]) => !['NIC', 'DISK', 'PCI', 'INPUT'].includes(key)),
        );
        expect(parseTemplateText(templateText(plain))).toEqual(plain);
      }),
    );
  });

  it('keeps lists of what a VM has many of', () => {
    const text = 'NIC = [ NETWORK_ID = "$A" ]\nNIC=[NETWORK_ID=2,IP="1.2.3.4"]\nCPU=1\nX = "a \\"b\\""';
    expect(parseTemplateText(text)).toEqual({
      NIC: [{ NETWORK_ID: '$A' }, { NETWORK_ID: '2', IP: '1.2.3.4' }],
      CPU: '1',
      X: 'a "b"',
    });
  });
});
