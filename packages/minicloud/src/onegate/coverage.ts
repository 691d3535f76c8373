/** Recorded exchanges that the contract suite does not replay, each with the reason. */
export const excluded: Readonly<Record<string, string>> = {
  'onegate/165-vm-get-with-nonbmp':
    'The character beyond U+FFFF came in through gRPC, which the embedded cloud does not serve; its XML-RPC refuses it.',
};

/** Replayed with a part of the body left out of the comparison: the names of the elements, and why. */
export const comparedWithout: Readonly<Record<string, { names: readonly string[]; reason: string }>> = {
  'cli/077-onegate-service-show-extended--get-service': {
    names: ['SCHED_ACTION', 'SCHED_ACTIONS'],
    reason: 'A scheduled action was pending there; the embedded cloud keeps no scheduled actions of VMs.',
  },
};
