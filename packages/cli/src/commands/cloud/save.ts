import { resolve } from 'node:path';
import type { CommandSpec } from '../../command/spec.ts';

export const save: CommandSpec = {
  name: 'save',
  summary: 'Keep the cloud that the environment names, for --cloud NAME',
  description:
    'Reads ONE_XMLRPC, ONEFLOW_URL and ONE_AUTH as every command does, checks the login, and keeps the two addresses ' +
    'and the path of the login file. The login itself is not copied.',
  arguments: [{ name: '<name>', help: 'name to keep it under' }],
  examples: ['oneflower cloud save hospital', 'oneflower deploy --cloud hospital'],
  async run({ context, arguments: [name = ''] }) {
    const { connectCloud, embeddedCloud, findCloud, homeFolder, saveCloud } = await import('@oneflower/control');
    const { environment, signal } = context;
    const home = homeFolder(environment);
    if (name === embeddedCloud) throw await reserved(name);
    const access = await findCloud({ home, environment });
    const user = await connectCloud(access, signal).oned.users.self();
    const addresses = { xmlrpc: access.endpoint, oneflow: access.oneflowUrl };
    const authFile = environment.ONE_AUTH?.trim();
    await saveCloud(home, name, { ...addresses, ...(authFile ? { authFile: resolve(context.folder, authFile) } : {}) });
    return {
      document: { cloud: { name, ...addresses, user: user.name } },
      text: `${access.endpoint} is saved as ${name}, with the login of ${user.name}.\nNext: oneflower doctor --cloud ${name}\n`,
    };
  },
};

async function reserved(name: string): Promise<Error> {
  const { OneFlowerError } = await import('@oneflower/contract');
  return new OneFlowerError({
    code: 'cloud-name',
    message: `${name} is the name of the embedded cloud.`,
    remedy: 'Choose another name.',
    fault: 'user',
  });
}
