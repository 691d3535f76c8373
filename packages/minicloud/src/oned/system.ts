import type { XmlRpcValue } from '@oneflower/opennebula';
import { authorize } from './access.ts';
import { FaultError } from './errors.ts';
import { type Methods, methodSignature } from './methods.ts';
import { renderTemplate, type Template } from './template/attributes.ts';

/** The release whose behaviour is followed, as `one.system.version` says it. */
export const version = '7.5.80';

/** Introspection, which takes no session. */
export function introspect(methods: Methods, name: string, params: readonly XmlRpcValue[]): XmlRpcValue | undefined {
  if (name === 'system.listMethods') return [...introspection, ...Object.keys(methods)];
  if (name !== 'system.methodSignature' && name !== 'system.methodHelp') return undefined;
  const asked = params[0];
  if (typeof asked !== 'string') throw new FaultError(-501, 'Not enough parameters');
  const method = Object.hasOwn(methods, asked) ? methods[asked] : undefined;
  if (!method) throw new FaultError(-506, `Method '${asked}' not defined`);
  return name === 'system.methodHelp' ? method.help : [methodSignature(method)];
}

const introspection = ['system.listMethods', 'system.methodSignature', 'system.methodHelp'];

/** Version and configuration. */
export function systemMethods(configuration: Template): Methods {
  return {
    'one.system.version': { args: [], help: 'Returns the version', run: () => version },
    'one.system.config': {
      args: [],
      help: 'Returns the configuration',
      run(caller) {
        authorize(caller, { operation: 'ADMIN', kind: 'SYSTEM' });
        return renderTemplate(configuration, 'OPENNEBULA_CONFIGURATION');
      },
    },
  };
}
