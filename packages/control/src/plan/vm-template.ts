import { type Role, roles } from '@oneflower/contract';
import type { Template } from '@oneflower/opennebula';
import { digest } from './digest.ts';

/** An object's number, or, where a dry run cannot know it, words in angle brackets. */
export type ObjectId = number | string;

const sizes: Record<Role, { cpu: number; vcpu: number; memory: number }> = {
  superlink: { cpu: 1, vcpu: 2, memory: 4096 },
  supernode: { cpu: 1, vcpu: 2, memory: 4096 },
};

/** What every VM of a service has in its CONTEXT; OpenNebula fills in the key of the user who deploys. */
export const platformContext = {
  TOKEN: 'YES',
  NETWORK: 'YES',
  REPORT_READY: 'YES',
  SSH_PUBLIC_KEY: '$USER[SSH_PUBLIC_KEY]',
} as const;

/** A VM template of a role. Its name ends in a digest of its content, so that an equal one is found and reused. */
export interface VmTemplatePlan {
  role: Role;
  name: string;
  template: Template;
}

/** The VM templates of both roles, booting from an image. */
export function planVmTemplates(imageId: ObjectId): VmTemplatePlan[] {
  return roles.map(role => {
    const { cpu, vcpu, memory } = sizes[role];
    const content: Template = {
      CPU: String(cpu),
      VCPU: String(vcpu),
      MEMORY: String(memory),
      DISK: [{ IMAGE_ID: String(imageId) }],
      // OpenNebula reaches the console over the host's network: not without a password.
      GRAPHICS: { TYPE: 'VNC', LISTEN: '0.0.0.0', RANDOM_PASSWD: 'YES' },
      OS: { ARCH: 'x86_64' },
      CONTEXT: { ...platformContext },
    };
    const name = `oneflower-${role}-${digest(content)}`;
    return { role, name, template: { NAME: name, ...content } };
  });
}
