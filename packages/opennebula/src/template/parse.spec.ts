import { describe, expect, it } from 'vitest';
import {
  attributeText,
  attributeVectors,
  imageDocument,
  parseDocument,
  parsePool,
  vmDocument,
  vmTemplateDocument,
} from './index.ts';

const POOL = { pool: 'VMTEMPLATE_POOL', item: 'VMTEMPLATE' };

function template(id: number, content = ''): string {
  return `<VMTEMPLATE><ID>${id}</ID><UID>0</UID><GID>0</GID><UNAME>u</UNAME><GNAME>g</GNAME><NAME>t${id}</NAME><TEMPLATE>${content}</TEMPLATE></VMTEMPLATE>`;
}

describe('documents of OpenNebula', () => {
  it.each([0, 1, 2])('reads a pool of %d', count => {
    const items = Array.from({ length: count }, (_, id) => template(id)).join('');
    const pool = parsePool(POOL, vmTemplateDocument, `<VMTEMPLATE_POOL>${items}</VMTEMPLATE_POOL>`);
    expect(pool.map(item => item.id)).toEqual([0, 1].slice(0, count));
  });

  it('reads repeated names as arrays, keeps texts whole, and needs declared fields only', () => {
    const xml = template(
      7,
      '<NIC><IP>1</IP></NIC><NIC><IP>2</IP></NIC><A><![CDATA[ <x>\n]]></A><B/><NEW><SUB>1</SUB></NEW>',
    );
    const read = parseDocument('VMTEMPLATE', vmTemplateDocument, xml).template;
    expect(read).toEqual({ NIC: [{ IP: '1' }, { IP: '2' }], A: ' <x>\n', B: '', NEW: { SUB: '1' } });
    expect(attributeVectors(read, 'NIC')).toHaveLength(2);
    expect(attributeVectors(read, 'NEW')).toEqual([{ SUB: '1' }]);
    expect(attributeVectors(read, 'toString')).toEqual([]);
    expect(attributeText(read, 'A')).toBe(' <x>\n');
    expect(attributeText(read, 'NIC')).toBeUndefined();
  });

  it('reads a text in a vector’s place, and a vector in a text’s place, as absent', () => {
    const read = parseDocument(
      'VMTEMPLATE',
      vmTemplateDocument,
      template(7, '<NIC>text</NIC><A><B>1</B></A>'),
    ).template;
    expect(attributeVectors(read, 'NIC')).toEqual([]);
    expect(attributeText(read, 'A')).toBeUndefined();
  });

  it.each([
    ['broken', '<VMTEMPLATE>'],
    ['of another kind', '<IMAGE></IMAGE>'],
    ['without an id', '<VMTEMPLATE><NAME>a</NAME></VMTEMPLATE>'],
    ['with a word as id', template(7).replace('<ID>7', '<ID>x')],
    ['with a DOCTYPE', `<!DOCTYPE a [<!ENTITY x "y">]>${template(7)}`],
  ])('refuses a document %s', (_name, xml) => {
    expect(() => parseDocument('VMTEMPLATE', vmTemplateDocument, xml)).toThrow(
      expect.objectContaining({ code: 'document-unreadable' }),
    );
  });

  it('keeps the number of a state that it has no name for', () => {
    const xml = template(7)
      .replaceAll('VMTEMPLATE', 'VM')
      .replace('<NAME>', '<STATE>3</STATE><LCM_STATE>99</LCM_STATE><NAME>');
    expect(parseDocument('VM', vmDocument, xml)).toMatchObject({
      state: 'ACTIVE',
      lcmState: 'OTHER',
      lcmStateNumber: 99,
    });
    const image = template(7).replaceAll('VMTEMPLATE', 'IMAGE').replace('<NAME>', '<STATE>77</STATE><NAME>');
    expect(parseDocument('IMAGE', imageDocument, image)).toMatchObject({ state: 'OTHER', stateNumber: 77 });
  });
});
