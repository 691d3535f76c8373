import { describe, expect, it } from 'vitest';
import { type LoginSources, readLogin } from './login.ts';

function sources(env: Record<string, string>, files: Record<string, string | Error>): LoginSources {
  return {
    env,
    homeDirectory: '/home/me',
    readFile: async path => {
      const content = files[path];
      if (content instanceof Error) throw content;
      return content;
    },
  };
}

describe('readLogin', () => {
  it('reads ~/.one/one_auth and takes the servers of this machine', async () => {
    expect(await readLogin(sources({}, { '/home/me/.one/one_auth': 'me:a:b c\n' }))).toEqual({
      endpoint: 'http://localhost:2633/RPC2',
      oneflowUrl: 'http://localhost:2474',
      user: 'me',
      session: 'me:a:b c',
    });
  });

  it('takes ONE_AUTH as the path of a file, and the addresses from the environment', async () => {
    const env = { ONE_AUTH: '/run/auth', ONE_XMLRPC: 'https://cloud/RPC2', ONEFLOW_URL: 'https://cloud/flow' };
    expect(
      await readLogin(sources(env, { '/run/auth': 'me:pw', '/home/me/.one/one_endpoint': 'http://other/RPC2' })),
    ).toEqual({
      endpoint: 'https://cloud/RPC2',
      oneflowUrl: 'https://cloud/flow',
      user: 'me',
      session: 'me:pw',
    });
  });

  it('takes the endpoint from ~/.one/one_endpoint when nothing is set', async () => {
    const files = { '/home/me/.one/one_auth': 'me:pw', '/home/me/.one/one_endpoint': 'http://cloud:2633/RPC2\n' };
    expect(await readLogin(sources({ ONE_XMLRPC: ' ' }, files))).toMatchObject({ endpoint: 'http://cloud:2633/RPC2' });
  });

  it.each<[string, string | Error | undefined, string]>([
    ['is not there', undefined, 'login-missing'],
    ['is empty', ' \n', 'login-malformed'],
    ['has no colon', 'secretword', 'login-malformed'],
    ['has no password', 'me:', 'login-malformed'],
    ['has no user', ':secretword', 'login-malformed'],
    ['has two lines', 'me:secretword\nyou:secretword', 'login-malformed'],
    ['cannot be read', new Error('EACCES'), 'login-unreadable'],
  ])('says what to do when the file %s, and never what it holds', async (_name, content, code) => {
    const files = content === undefined ? {} : { '/run/auth': content };
    const error = await readLogin(sources({ ONE_AUTH: '/run/auth' }, files)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, fault: 'user', message: expect.stringContaining('/run/auth') });
    expect(error).toMatchObject({ remedy: expect.stringContaining('one_auth') });
    expect(JSON.stringify(error) + String(error)).not.toContain('secretword');
  });

  it.each(['cloud:2633', 'ftp://cloud', 'http://me:secretword@cloud/RPC2', 'nonsense'])(
    'refuses the endpoint %s',
    async url => {
      const files = { '/home/me/.one/one_auth': 'me:pw' };
      const error = await readLogin(sources({ ONE_XMLRPC: url }, files)).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'endpoint-malformed', message: expect.stringContaining('ONE_XMLRPC') });
      expect(String(error)).not.toContain('secretword');
    },
  );
});
