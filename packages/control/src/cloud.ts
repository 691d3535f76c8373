import { createOnedClient, createOneflowClient, type OnedClient, type OneflowClient } from '@oneflower/opennebula';
import type { CloudAccess } from './endpoints.ts';

/** A cloud that can be called. */
export interface Cloud {
  access: CloudAccess;
  oned: OnedClient;
  oneflow: OneflowClient;
}

/** The clients of a cloud. Nothing is sent before the first call. */
export function connectCloud(access: CloudAccess, signal?: AbortSignal): Cloud {
  const shared = { session: access.session, ...(signal === undefined ? {} : { signal }) };
  return {
    access,
    oned: createOnedClient({ endpoint: access.endpoint, ...shared }),
    oneflow: createOneflowClient({ url: access.oneflowUrl, ...shared }),
  };
}
