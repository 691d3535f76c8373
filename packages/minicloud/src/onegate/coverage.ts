/** Recorded exchanges that the contract suite does not replay, each with the reason. */
export const excluded: Readonly<Record<string, string>> = {
  'onegate/165-vm-get-with-nonbmp':
    'The character beyond U+FFFF came in through gRPC, which the embedded cloud does not serve; its XML-RPC refuses it.',
};
