import { describe, expect, it } from 'vitest';
import { recordings } from '../testing/recordings.ts';
import { decodeCall, decodeResponse, encodeCall, encodeFault, encodeResponse } from './index.ts';

const exchanges = [...recordings('xmlrpc'), ...recordings('cli')].filter(item => item.path === '/RPC2');
const answered = exchanges.filter(item => item.status === 200);
/** Requests made broken on purpose. */
const BROKEN = ['039-err-malformed-xml', '040-err-empty-body', '041-err-get', '108-vm-update-non-bmp'];

describe('XML-RPC as the real server and the stock clients speak it', () => {
  it('has recordings to read', () => {
    expect(answered.length).toBeGreaterThan(280);
  });

  it.each(exchanges.map(item => [item.stem, item] as const))('reads the request %s', (stem, item) => {
    if (BROKEN.includes(stem)) {
      expect(() => decodeCall(item.requestBody)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^xmlrpc-/) }),
      );
      return;
    }
    const call = decodeCall(item.requestBody);
    expect(call.method).toMatch(/^(one|system)\./);
    expect(encodeCall(call.method, call.params)).toBe(item.requestBody);
  });

  it.each(answered.map(item => [item.stem, item] as const))(
    'reads the answer %s, and writes it alike',
    (_stem, item) => {
      const response = decodeResponse(item.responseBody);
      const written = 'fault' in response ? encodeFault(response.fault) : encodeResponse(response.value);
      expect(written).toBe(item.responseBody.replace(/<(\/?)i8>/g, '<$1i4>'));
    },
  );
});
